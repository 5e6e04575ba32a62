//! Rows on their way into the store: sorted and without duplicates as far as memory is held, then written as one run.

use std::collections::BTreeMap;

use herald_protocol::address::Address;

use super::row::Row;
use crate::bot::{
    running::Running,
    store::{self, BrokenRow, Named, StagedRow},
};

/// Takes the rows of every branch of one audience. It holds at most a run of them.
pub(super) struct Stage<'a> {
    running: &'a Running,
    occurrence: i64,
    branch: u8,
    source: String,
    gives: bool,
    run: BTreeMap<(Address, u8), Option<String>>,
    bytes: usize,
    broken: Vec<BrokenRow>,
    runs: u32,
}

/// What a stage held when the last branch was read.
pub(super) enum Staged {
    /// Few enough to be planned at once; nothing is in the store.
    Few {
        named: Vec<Named>,
        broken: Vec<BrokenRow>,
    },
    /// So many runs in the store.
    Runs(u32),
}

impl<'a> Stage<'a> {
    pub(super) fn new(running: &'a Running, occurrence: i64) -> Self {
        Self {
            running,
            occurrence,
            branch: 0,
            source: String::new(),
            gives: true,
            run: BTreeMap::new(),
            bytes: 0,
            broken: Vec::new(),
            runs: 0,
        }
    }

    /// The rows that follow are of this branch.
    pub(super) fn begin(&mut self, branch: u8, source: String, gives: bool) {
        (self.branch, self.source, self.gives) = (branch, source, gives);
    }

    /// Takes rows. The first row of a branch for a wallet wins.
    pub(super) async fn take(&mut self, rows: Vec<Row>) -> Result<(), store::Error> {
        for row in rows {
            let own = "is the bot's own wallet";
            let found = row.found.and_then(|(wallet, vars)| {
                if wallet == self.running.address {
                    return Err(format!("`{wallet}` {own}"));
                }
                Ok((wallet, vars))
            });
            match found {
                Ok((wallet, vars)) => {
                    let vars = vars.filter(|_| self.gives);
                    let bytes = vars.as_ref().map_or(0, String::len);
                    if let std::collections::btree_map::Entry::Vacant(place) =
                        self.run.entry((wallet, self.branch))
                    {
                        place.insert(vars);
                        self.bytes += bytes;
                    }
                }
                Err(reason) => {
                    self.bytes += reason.len();
                    self.broken.push(BrokenRow {
                        branch: self.branch,
                        number: row.number,
                        source: self.source.clone(),
                        reason,
                    });
                }
            }
            if self.run.len() + self.broken.len() >= RUN_ROWS || self.bytes >= RUN_BYTES {
                self.spill().await?;
            }
        }
        Ok(())
    }

    /// Writes what memory holds as one run.
    async fn spill(&mut self) -> Result<(), store::Error> {
        let rows = std::mem::take(&mut self.run).into_iter();
        let rows = rows.map(|((wallet, branch), vars)| StagedRow { wallet, branch, vars });
        let broken = std::mem::take(&mut self.broken);
        self.running
            .store
            .stage(self.occurrence, self.runs, rows.collect(), broken)
            .await?;
        self.runs += 1;
        self.bytes = 0;
        Ok(())
    }

    /// Ends it.
    pub(super) async fn end(mut self, few: usize) -> Result<Staged, store::Error> {
        if self.runs == 0 && self.run.len() + self.broken.len() <= few {
            let mut named: Vec<Named> = Vec::new();
            for ((wallet, branch), vars) in self.run {
                match named.last_mut().filter(|last| last.wallet == wallet) {
                    Some(last) => last.branches.push((branch, vars)),
                    None => named.push(Named {
                        wallet,
                        branches: vec![(branch, vars)],
                    }),
                }
            }
            return Ok(Staged::Few {
                named,
                broken: self.broken,
            });
        }
        if !self.run.is_empty() || !self.broken.is_empty() {
            self.spill().await?;
        }
        Ok(Staged::Runs(self.runs))
    }
}

/// Rows of a run: a million make 123 of them.
const RUN_ROWS: usize = 8_192;
/// Bytes of variables and reasons in a run.
const RUN_BYTES: usize = 4 * 1024 * 1024;
