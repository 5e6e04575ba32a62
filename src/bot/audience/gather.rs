//! Reads the branches of an audience, one after the other, and fixes its samples.

use std::path::PathBuf;

use super::{
    Audience, Branch, members,
    set::{Draw, Set},
    stage::{Stage, Staged},
    wallets,
};
use crate::bot::{
    expression::Scope,
    running::Running,
    store::{self, BrokenRow, Merge, Named, Occurrence},
};

/// Why an audience is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What the file says cannot be computed; another try would not help.
    #[error("{0}")]
    Rejected(String),
    /// A source is not there, or not what it should be; it is tried again.
    #[error("{0}")]
    Unresolved(String),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// An audience that was read whole.
pub(crate) enum Gathered {
    /// Few enough to be planned at once; nothing is in the store.
    Few {
        named: Vec<Named>,
        broken: Vec<BrokenRow>,
    },
    /// In the store: so many runs.
    Runs(u32),
}

/// What readers are given.
pub(super) struct Ask<'a> {
    pub(super) running: &'a Running,
    /// The rule that fired.
    pub(super) rule: &'a str,
    /// The names of the occurrence.
    pub(super) scope: &'a Scope,
    /// The time zone of the members that are addressed; none for all.
    pub(super) zone: Option<&'a str>,
}

impl Ask<'_> {
    /// The folder that the files of an audience are in, and the one that none may be in.
    pub(super) fn folders(&self) -> (PathBuf, PathBuf) {
        let data = self.running.store.folder().to_owned();
        (self.running.bot.folder().to_owned(), data)
    }
}

/// Wallets that are planned in one transaction: what goes out meanwhile waits for no longer one.
pub(crate) const CHUNK: usize = 256;
/// Wallets that are planned without being stored first.
const FEW: usize = 1_024;

/// Reads an audience and fixes the samples of its set. A large one is in the store afterwards, marked as read.
///
/// Not resumed: cut off, it begins anew, and nothing was planned yet.
pub(crate) async fn gather(
    running: &Running,
    occurrence: &Occurrence,
    scope: &Scope,
    set: &mut Set<'_>,
    audience: &Audience,
) -> Result<Gathered, Error> {
    if occurrence.runs > 0 {
        while running.store.drop_run(occurrence.row).await? > 0 {}
        running.store.drop_broken(occurrence.row).await?;
    }
    let branches = audience.branches();
    let several = branches.iter().filter(|branch| is_list(branch)).count() > 1;
    let ask = Ask {
        running,
        rule: &occurrence.rule,
        scope,
        zone: occurrence.zone.as_deref(),
    };
    let mut stage = Stage::new(running, occurrence.row);
    for (number, branch) in branches.iter().enumerate() {
        let number = u8::try_from(number).unwrap_or(u8::MAX);
        stage.begin(number, source(branch.audience), branch.gives);
        read(&ask, branch.audience, several, &mut stage).await?;
    }
    match stage.end(FEW).await? {
        Staged::Few { named, broken } => {
            draw_few(set, &named);
            Ok(Gathered::Few { named, broken })
        }
        Staged::Runs(runs) => {
            draw_runs(running, occurrence.row, runs, set).await?;
            let cutoffs = serde_json::to_string(set.cutoffs()).unwrap_or_default();
            running.store.staged(occurrence.row, cutoffs).await?;
            Ok(Gathered::Runs(runs))
        }
    }
}

fn is_list(branch: &Branch<'_>) -> bool {
    branch.gives && matches!(branch.audience, Audience::List { .. })
}

/// Where the rows of a branch stand, for people.
fn source(branch: &Audience) -> String {
    match branch {
        Audience::List { list, .. } => list.clone(),
        Audience::Csv(csv) => csv.path.display().to_string(),
        Audience::Source(source) => source.http.name.clone(),
        Audience::Sql(_) => "sql".to_owned(),
        Audience::Holders(_) => "holders".to_owned(),
        _ => "to".to_owned(),
    }
}

async fn read(
    ask: &Ask<'_>,
    branch: &Audience,
    with_fields: bool,
    stage: &mut Stage<'_>,
) -> Result<(), Error> {
    match branch {
        Audience::List { list, condition } => {
            let members = members::Members {
                list,
                condition: condition.as_ref(),
                with_fields,
            };
            members.read(ask, stage).await
        }
        Audience::Wallet(expression) => wallets::read(ask, std::slice::from_ref(expression), stage).await,
        Audience::Wallets(expressions) => wallets::read(ask, expressions, stage).await,
        Audience::Csv(csv) => csv.read(ask, stage).await,
        Audience::Source(source) => source.read(ask, stage).await,
        Audience::Sql(sql) => sql.read(ask, stage).await,
        Audience::Holders(holders) => holders.read(ask, stage).await,
        // Sets are no branches.
        Audience::Any(_) | Audience::All(_) | Audience::Except { .. } | Audience::Sample { .. } => Ok(()),
    }
}

fn draw_few(set: &mut Set<'_>, named: &[Named]) {
    for sample in set.samples() {
        let ranks = || named.iter().filter_map(|named| set.rank_in_next(named));
        let mut draw = Draw::new();
        ranks().for_each(|rank| draw.count(rank));
        let cutoff = draw.bucket(sample).map_or(u64::MAX, |bucket| {
            bucket.cutoff(ranks().filter(|rank| bucket.has(*rank)).collect())
        });
        set.cut(cutoff);
    }
}

async fn draw_runs(running: &Running, occurrence: i64, runs: u32, set: &mut Set<'_>) -> Result<(), Error> {
    for sample in set.samples() {
        let mut draw = Draw::new();
        let mut merge = Merge::new(occurrence, runs, None);
        loop {
            let (rest, named) = running.store.merge(merge, CHUNK).await?;
            merge = rest;
            if named.is_empty() {
                break;
            }
            named
                .iter()
                .filter_map(|named| set.rank_in_next(named))
                .for_each(|rank| draw.count(rank));
        }
        let Some(bucket) = draw.bucket(sample) else {
            set.cut(u64::MAX);
            continue;
        };
        let (mut ranks, mut merge) = (Vec::new(), Merge::new(occurrence, runs, None));
        loop {
            let (rest, named) = running.store.merge(merge, CHUNK).await?;
            merge = rest;
            if named.is_empty() {
                break;
            }
            let drawn = named.iter().filter_map(|named| set.rank_in_next(named));
            ranks.extend(drawn.filter(|rank| bucket.has(*rank)));
        }
        set.cut(bucket.cutoff(ranks));
    }
    Ok(())
}
