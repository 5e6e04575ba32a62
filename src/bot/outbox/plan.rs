//! Plans occurrences: the audience becomes rows, in chunks, each chunk and its cursor in one transaction. Memory does not
//! grow with the audience. An audience that cannot be read holds up no other occurrence: it is tried again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::retry;
use crate::bot::{
    audience::{
        Audience, Branch,
        gather::{self, CHUNK, Gathered, gather},
        merge::given,
        set::Set,
    },
    config::Rule,
    event::Kind,
    expression::{Expression, Failure, Question, Scope},
    outside::Asking,
    running::{self, Running},
    store::{self, BrokenRow, Chunk, Merge, MessageNumber, Named, NewDelivery, Occurrence},
};

/// Plans every occurrence of the bot as it is recorded, several at a time, until shutdown.
pub(crate) async fn plan(running: Arc<Running>, shutdown: CancellationToken) {
    let (mut planning, mut busy) = (JoinSet::new(), BTreeSet::new());
    let mut failed = tidy(&running).await;
    loop {
        let looked = running.now();
        while failed.is_ok() && busy.len() < AT_ONCE {
            let next = running
                .store
                .next_to_plan(&running.bot.name, running.now(), busy.clone());
            match next.await {
                // In order, so that the messages of one conversation are; only what asks others runs beside the rest.
                Ok(Some(occurrence)) if !asks_others(&running, &occurrence) => {
                    failed = tokio::select! {
                        () = shutdown.cancelled() => return,
                        outcome = plan_one(&running, &occurrence) => outcome,
                    };
                }
                Ok(Some(occurrence)) => {
                    busy.insert(occurrence.row);
                    let running = Arc::clone(&running);
                    planning.spawn(async move {
                        let row = occurrence.row;
                        (row, plan_one(&running, &occurrence).await)
                    });
                }
                Ok(None) => break,
                Err(error) => failed = Err(error),
            }
        }
        let wait = match failed {
            Ok(()) => until_next(&running, looked).await,
            Err(error) => {
                let mut event = running.event(Kind::Error);
                event.reason = Some(format!("planning waits: {error}"));
                running.tell(event).await;
                AFTER_FAILURE
            }
        };
        failed = Ok(());
        tokio::select! {
            () = shutdown.cancelled() => return,
            // Another one may be done meanwhile, so every end is a reason to look.
            Some(ended) = planning.join_next(), if !busy.is_empty() => match ended {
                Ok((row, outcome)) => {
                    busy.remove(&row);
                    failed = outcome;
                }
                // Nothing of it panics; were it so, the store has what is not planned.
                Err(_) => busy.clear(),
            },
            () = running.to_plan.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Plans the next occurrence that is due, as far as it goes. Says whether there was one.
pub(crate) async fn plan_next(running: &Running) -> Result<bool, store::Error> {
    let (bot, now) = (&running.bot.name, running.now());
    let next = running.store.next_to_plan(bot, now, BTreeSet::new()).await?;
    match next {
        Some(occurrence) => plan_one(running, &occurrence).await.map(|()| true),
        None => Ok(false),
    }
}

/// Whether the audience of an occurrence is read from a source, a database or a chain, which may take its time.
fn asks_others(running: &Running, occurrence: &Occurrence) -> bool {
    let rule = running.bot.rules.get(&occurrence.rule);
    let branches = rule.map(|rule| rule.audience.branches()).unwrap_or_default();
    branches.iter().any(|branch| {
        matches!(
            branch.audience,
            Audience::Source(_) | Audience::Sql(_) | Audience::Holders(_)
        )
    })
}

/// How long to sleep at the most: until an occurrence is due after `looked`, the time before the look that found none.
async fn until_next(running: &Running, looked: DateTime<Utc>) -> Duration {
    match running.store.next_plan_due(&running.bot.name, looked).await {
        Ok(Some(due)) => (due - running.now())
            .to_std()
            .unwrap_or_default()
            .min(LONGEST_SLEEP),
        Ok(None) | Err(_) => LONGEST_SLEEP,
    }
}

/// Forgets what audiences left in the store whose occurrences are planned or ended, also before a crash.
async fn tidy(running: &Running) -> Result<(), store::Error> {
    while let Some(occurrence) = running.store.next_to_tidy(&running.bot.name).await? {
        while running.store.drop_run(occurrence).await? > 0 {}
    }
    Ok(())
}

/// Why an occurrence is not planned.
enum End {
    Skipped(String),
    Rejected(String),
    /// Its audience is not to be had now.
    Unresolved(String),
}

impl From<String> for End {
    fn from(reason: String) -> Self {
        Self::Rejected(reason)
    }
}

/// Plans one occurrence as far as it goes: to its end, or until it is due again.
async fn plan_one(running: &Running, occurrence: &Occurrence) -> Result<(), store::Error> {
    let Some(rule) = running.bot.rules.get(&occurrence.rule) else {
        let reason = "the rule is not in the file any more".to_owned();
        return end(running, occurrence, (Kind::Rejected, reason)).await;
    };
    let prepare = |running: &Running| prepare(running, rule, occurrence);
    let (prepared, failed) = Asking::work(running, prepare).await;
    let planned = match prepared {
        Err(End::Rejected(reason)) => match failed {
            Some(failed) => {
                let what = "what it needs";
                return postpone(running, rule, occurrence, (what, failed)).await;
            }
            None => Err(End::Rejected(reason)),
        },
        Ok(scope) => {
            if let Some(names) = running::with_asked(rule, &occurrence.names, &scope) {
                running.store.keep_names(occurrence.row, names).await?;
            }
            let plan = Plan {
                running,
                rule,
                occurrence,
                scope,
                branches: rule.audience.branches(),
            };
            plan.run().await?
        }
        Err(end) => Err(end),
    };
    match planned {
        Ok(()) => {
            running.to_deliver.notify_one();
            Ok(())
        }
        Err(End::Skipped(reason)) => end(running, occurrence, (Kind::Skipped, reason)).await,
        Err(End::Rejected(reason)) => end(running, occurrence, (Kind::Rejected, reason)).await,
        Err(End::Unresolved(reason)) => postpone(running, rule, occurrence, ("its audience", reason)).await,
    }
}

async fn end(
    running: &Running,
    occurrence: &Occurrence,
    (kind, reason): (Kind, String),
) -> Result<(), store::Error> {
    running
        .store
        .end_occurrence(occurrence.row, kind == Kind::Rejected, reason.clone())
        .await?;
    let mut event = running.event(kind);
    event.rule = Some(occurrence.rule.clone());
    event.key = Some(occurrence.key.clone());
    event.reason = Some(reason);
    running.tell(event).await;
    tidy(running).await
}

/// Tries what is not to be had now again later, while the occurrence is worth sending.
async fn postpone(
    running: &Running,
    rule: &Rule,
    occurrence: &Occurrence,
    (what, reason): (&str, String),
) -> Result<(), store::Error> {
    let due = TimeDelta::from_std(retry::wait(occurrence.tries + 1, rule.policy.retry))
        .ok()
        .and_then(|wait| running.now().checked_add_signed(wait))
        .unwrap_or(DateTime::<Utc>::MAX_UTC);
    if due >= expires(occurrence.at, rule) {
        let reason = format!("its ttl passed while {what} could not be read: {reason}");
        return end(running, occurrence, (Kind::Rejected, reason)).await;
    }
    running
        .store
        .postpone(occurrence.row, due, reason.clone())
        .await?;
    let mut event = running.event(Kind::Error);
    event.rule = Some(occurrence.rule.clone());
    event.key = Some(occurrence.key.clone());
    event.reason = Some(format!("{what} cannot be read: {reason}"));
    event.until = Some(due);
    running.tell(event).await;
    Ok(())
}

/// The scope of an occurrence whose condition holds. A condition that names `to` is judged per recipient, when due.
fn prepare(running: &Running, rule: &Rule, occurrence: &Occurrence) -> Result<Scope, End> {
    let scope = running.occurrence_scope(rule, occurrence)?;
    if let Some(condition) = rule
        .condition
        .as_ref()
        .filter(|condition| !condition.names().contains("to"))
    {
        let value = condition
            .evaluate(&scope)
            .map_err(|error| format!("`if`: {error}"))?;
        if !value.is_truthy() {
            return Err(End::Skipped("`if` is false".to_owned()));
        }
    }
    // What is computed while the audience is read asks nobody: these are known then.
    let names = rule.audience.wallet_names().into_iter();
    let known = names.filter_map(|name| scope.ask(Question::WalletOf(name)));
    let unknown: Vec<Failure> = known.filter_map(Result::err).collect();
    if let Some(failure) = unknown.first() {
        return Err(End::Rejected(format!("`to`: {failure}")));
    }
    Ok(scope)
}

struct Plan<'a> {
    running: &'a Running,
    rule: &'a Rule,
    occurrence: &'a Occurrence,
    scope: Scope,
    branches: Vec<Branch<'a>>,
}

impl Plan<'_> {
    async fn run(&self) -> Result<Result<(), End>, store::Error> {
        let (audience, seed) = (&self.rule.audience, &self.occurrence.id);
        if let Some(cutoffs) = &self.occurrence.staged {
            let cutoffs = serde_json::from_str(cutoffs).unwrap_or_default();
            let set = Set::new(audience, seed, cutoffs);
            return self.stored(self.occurrence.runs, &set).await;
        }
        let mut set = Set::new(audience, seed, Vec::new());
        let gathered = gather(self.running, self.occurrence, &self.scope, &mut set, audience).await;
        match gathered {
            Ok(Gathered::Few { named, broken }) => self.few(named, broken, &set).await,
            Ok(Gathered::Runs(runs)) => {
                self.tell_stored_broken().await?;
                self.stored(runs, &set).await
            }
            Err(gather::Error::Store(error)) => Err(error),
            Err(gather::Error::Rejected(reason)) => Ok(Err(End::Rejected(reason))),
            Err(gather::Error::Unresolved(reason)) => Ok(Err(End::Unresolved(reason))),
        }
    }

    /// Plans an audience that memory holds.
    async fn few(
        &self,
        named: Vec<Named>,
        broken: Vec<BrokenRow>,
        set: &Set<'_>,
    ) -> Result<Result<(), End>, store::Error> {
        let rows = self.rows(named, set);
        if rows.is_empty() && broken.is_empty() {
            return Ok(Err(End::Skipped(NOBODY.to_owned())));
        }
        let chunk = Chunk {
            rows,
            broken: broken.clone(),
            planned_to: None,
            ends: true,
        };
        self.running.store.plan(self.occurrence.row, chunk).await?;
        self.tell_broken(&broken).await;
        Ok(Ok(()))
    }

    /// Plans an audience that the store holds, from where the plan stood.
    async fn stored(&self, runs: u32, set: &Set<'_>) -> Result<Result<(), End>, store::Error> {
        let (store, row) = (&self.running.store, self.occurrence.row);
        let merge = Merge::new(row, runs, self.occurrence.planned_to);
        let (mut merge, mut named) = store.merge(merge, CHUNK).await?;
        loop {
            let ends = named.len() < CHUNK;
            let chunk = Chunk {
                planned_to: named.last().map(|last| last.wallet),
                ends,
                rows: self.rows(named, set),
                broken: Vec::new(),
            };
            // The next chunk is read while this one is written.
            let (planned, next) = tokio::join!(store.plan(row, chunk), store.merge(merge, CHUNK));
            planned?;
            if ends {
                break;
            }
            self.running.to_deliver.notify_one();
            (merge, named) = next?;
        }
        while store.drop_run(row).await? > 0 {}
        Ok(Ok(()))
    }

    async fn tell_stored_broken(&self) -> Result<(), store::Error> {
        let most = TOLD + 1;
        let broken = self.running.store.broken(self.occurrence.row, None, most).await?;
        self.tell_broken(&broken).await;
        Ok(())
    }

    /// Tells of rows that could not be read, the first of them one by one.
    async fn tell_broken(&self, broken: &[BrokenRow]) {
        let told = usize::try_from(TOLD).unwrap_or(usize::MAX);
        let reasons = broken.iter().take(told).map(|row| {
            let BrokenRow {
                number,
                source,
                reason,
                ..
            } = row;
            format!("row {number} of `{source}`: {reason}")
        });
        let more = "more rows cannot be read; `herald deliveries --broken` lists them".to_owned();
        for reason in reasons.chain((broken.len() > told).then_some(more)) {
            let mut event = self.running.event(Kind::Skipped);
            event.rule = Some(self.occurrence.rule.clone());
            event.key = Some(self.occurrence.key.clone());
            event.reason = Some(reason);
            self.running.tell(event).await;
        }
    }

    /// The rows of those wallets that are in the audience.
    fn rows(&self, named: Vec<Named>, set: &Set<'_>) -> Vec<NewDelivery> {
        let (created, expires) = (self.running.now(), expires(self.occurrence.at, self.rule));
        let parts = u32::try_from(self.rule.parts.len()).unwrap_or(u32::MAX);
        let mut rows = Vec::with_capacity(named.len());
        for named in named.into_iter().filter(|named| set.holds(named)) {
            let wallet = named.wallet;
            let given = given(&self.branches, |name| self.running.bot.list(name), named);
            rows.extend((0..parts).map(|part| NewDelivery {
                bot: self.running.bot.name.clone(),
                rule: self.rule.name.clone(),
                key: self.occurrence.key.clone(),
                wallet,
                author: None,
                part: MessageNumber::of(0, part),
                occurrence: Some(self.occurrence.row),
                body: None,
                conversation: None,
                vars: given.vars.clone(),
                list: given.list.clone(),
                created,
                due: created,
                expires,
                priority: self.rule.policy.priority,
            }));
        }
        rows
    }
}

/// When an occurrence of a rule is not worth sending any more.
fn expires(at: DateTime<Utc>, rule: &Rule) -> DateTime<Utc> {
    TimeDelta::from_std(rule.policy.ttl)
        .ok()
        .and_then(|ttl| at.checked_add_signed(ttl))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The text of a rule's key: its values as JSON, so that no two keys look alike.
pub(crate) fn evaluate_key(key: &[Expression], scope: &Scope) -> Result<String, String> {
    let mut values = Vec::with_capacity(key.len());
    for expression in key {
        let value = expression
            .evaluate(scope)
            .map_err(|error| format!("`key`: {error}"))?;
        values.push(value.to_json());
    }
    Ok(match values.as_slice() {
        [serde_json::Value::String(text)] => text.clone(),
        [value] => value.to_string(),
        _ => serde_json::Value::Array(values).to_string(),
    })
}

/// Occurrences of a bot that are planned side by side, so that a slow source holds up none of the others.
const AT_ONCE: usize = 8;
/// Broken rows that are told one by one.
const TOLD: u32 = 100;
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// The longest sleep without a look at the wall clock, which may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);
/// Why an occurrence for nobody is skipped.
const NOBODY: &str = "`to` names no wallet";
