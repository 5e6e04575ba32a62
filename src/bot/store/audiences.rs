//! Audiences while they are resolved: sorted runs of rows, merged in order of the wallets, and the rows that could not be read.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use rusqlite::{Connection, Transaction, params};

use super::{Store, millis, time};

/// A wallet that a branch of an audience named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedRow {
    /// The wallet.
    pub wallet: Address,
    /// The number of the branch, in the order of the file, from 0.
    pub branch: u8,
    /// Its variables, a JSON record; none when the branch gives none.
    pub vars: Option<String>,
}

/// A row of an audience that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenRow {
    /// The number of the branch, in the order of the file, from 0.
    pub branch: u8,
    /// The line of a file (its header is line 1), or the number of the row or item, from 1.
    pub number: u64,
    /// Where the row stands: the file, the source.
    pub source: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A broken row, and the occurrence whose audience it was in.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The bot's name.
    pub bot: String,
    /// The rule's name.
    pub rule: String,
    /// What the rule dedupes by.
    pub key: String,
    /// When the rule fired.
    pub at: DateTime<Utc>,
    /// The row.
    pub row: BrokenRow,
}

/// A wallet with all that the branches said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The wallet.
    pub wallet: Address,
    /// The branches that named it, in order, each with the variables of its first row for the wallet.
    pub branches: Vec<(u8, Option<String>)>,
}

/// Adds broken rows inside a transaction; a row is broken once.
pub(crate) fn insert_broken(
    transaction: &Transaction<'_>,
    occurrence: i64,
    broken: &[BrokenRow],
) -> Result<(), rusqlite::Error> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO broken_row (occurrence, branch, number, source, reason) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING",
    )?;
    for row in broken {
        let number = i64::try_from(row.number).unwrap_or(i64::MAX);
        insert.execute(params![occurrence, row.branch, number, row.source, row.reason])?;
    }
    Ok(())
}

impl Store {
    /// Writes one run: rows in the order of wallet and branch, and the broken rows that were met meanwhile.
    pub async fn stage(
        &self,
        occurrence: i64,
        run: u32,
        rows: Vec<StagedRow>,
        broken: Vec<BrokenRow>,
    ) -> Result<(), super::Error> {
        self.write(move |transaction| {
            // One that a planner left which was cut off while it wrote.
            transaction.execute(
                "DELETE FROM audience_row WHERE occurrence = ?1 AND run >= ?2",
                params![occurrence, run],
            )?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO audience_row (occurrence, run, wallet, branch, vars) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for row in &rows {
                insert.execute(params![
                    occurrence,
                    run,
                    row.wallet.as_bytes(),
                    row.branch,
                    row.vars
                ])?;
            }
            insert_broken(transaction, occurrence, &broken)?;
            transaction.execute(
                "UPDATE occurrence SET runs = ?2 WHERE id = ?1",
                params![occurrence, run + 1],
            )?;
            Ok(())
        })
        .await
    }

    /// Notes that every branch is read. From here on a plan goes on where it stood.
    pub async fn staged(&self, occurrence: i64, cutoffs: String) -> Result<(), super::Error> {
        self.write(move |transaction| {
            let query = "UPDATE occurrence SET staged = ?2 WHERE id = ?1";
            transaction.execute(query, params![occurrence, cutoffs]).map(drop)
        })
        .await
    }

    /// Forgets the newest run of an occurrence. Says how many are left.
    pub async fn drop_run(&self, occurrence: i64) -> Result<u32, super::Error> {
        self.write(move |transaction| {
            transaction.execute(
                "DELETE FROM audience_row WHERE occurrence = ?1
                 AND run >= (SELECT runs - 1 FROM occurrence WHERE id = ?1)",
                [occurrence],
            )?;
            transaction
                .prepare_cached("UPDATE occurrence SET runs = max(runs - 1, 0) WHERE id = ?1 RETURNING runs")?
                .query_row([occurrence], |row| row.get(0))
        })
        .await
    }

    /// An occurrence of the bot that is planned and still has runs.
    pub async fn next_to_tidy(&self, bot: &str) -> Result<Option<i64>, super::Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            let query = "SELECT min(id) FROM occurrence WHERE bot = ?1 AND runs > 0 AND state != 'planning'";
            connection
                .prepare_cached(query)?
                .query_row([bot], |row| row.get(0))
        })
        .await
    }

    /// Forgets the broken rows of an occurrence whose audience is read anew.
    pub async fn drop_broken(&self, occurrence: i64) -> Result<(), super::Error> {
        self.write(move |transaction| {
            let query = "DELETE FROM broken_row WHERE occurrence = ?1";
            transaction.execute(query, [occurrence]).map(drop)
        })
        .await
    }

    /// The next broken rows of an occurrence after one of them, in the order of the audience, at most `limit`.
    pub async fn broken(
        &self,
        occurrence: i64,
        after: Option<(u8, u64)>,
        limit: u32,
    ) -> Result<Vec<BrokenRow>, super::Error> {
        self.read(move |connection| {
            let (branch, number) = after.map_or((-1, 0), |(branch, number)| {
                (i64::from(branch), i64::try_from(number).unwrap_or(i64::MAX))
            });
            let mut statement = connection.prepare_cached(
                "SELECT branch, number, source, reason FROM broken_row
                 WHERE occurrence = ?1 AND (branch, number) > (?2, ?3) ORDER BY branch, number LIMIT ?4",
            )?;
            let rows = statement.query_map(params![occurrence, branch, number, limit], |row| {
                broken_row(row, 0)
            })?;
            rows.collect()
        })
        .await
    }

    /// The broken rows of every occurrence that passes the filter, those of the newest occurrence first.
    pub async fn all_broken(&self, filter: super::Filter) -> Result<Vec<Broken>, super::Error> {
        self.read(move |connection| {
            let mut statement = connection.prepare(
                "SELECT bot, rule, key, at_ms, branch, number, source, broken_row.reason
                 FROM broken_row JOIN occurrence ON occurrence.id = broken_row.occurrence
                 WHERE (?1 IS NULL OR bot = ?1) AND (?2 IS NULL OR rule = ?2) AND (?3 IS NULL OR at_ms >= ?3)
                 ORDER BY occurrence.id DESC, branch, number LIMIT ?4",
            )?;
            let values = params![filter.bot, filter.rule, filter.since.map(millis), filter.limit];
            let rows = statement.query_map(values, |row| {
                Ok(Broken {
                    bot: row.get(0)?,
                    rule: row.get(1)?,
                    key: row.get(2)?,
                    at: time(row.get(3)?),
                    row: broken_row(row, 4)?,
                })
            })?;
            rows.collect()
        })
        .await
    }

    /// The next wallets of a merge, at most `limit`; none when it is over.
    pub async fn merge(&self, mut merge: Merge, limit: usize) -> Result<(Merge, Vec<Named>), super::Error> {
        self.read(move |connection| {
            let named = merge.next(connection, limit)?;
            Ok((merge, named))
        })
        .await
    }
}

fn broken_row(row: &rusqlite::Row<'_>, first: usize) -> Result<BrokenRow, rusqlite::Error> {
    Ok(BrokenRow {
        branch: row.get(first)?,
        number: row.get::<_, i64>(first + 1)?.unsigned_abs(),
        source: row.get(first + 2)?,
        reason: row.get(first + 3)?,
    })
}

/// The runs of an occurrence, read side by side in the order of the wallets. It holds a bounded number of rows, however
/// long the runs are.
#[derive(Debug)]
pub struct Merge {
    occurrence: i64,
    runs: Vec<Run>,
    /// The next row of each run that is not over.
    next: BinaryHeap<Reverse<(Address, u8, usize)>>,
    /// Rows read from a run at a time.
    page: usize,
    is_begun: bool,
}

/// One run, read as far as the merge needed it.
#[derive(Debug)]
struct Run {
    rows: VecDeque<StagedRow>,
    /// The last row that was read, which reading goes on after.
    last: (Vec<u8>, u8),
}

impl Merge {
    /// A merge of so many runs, of the wallets after `after`.
    pub fn new(occurrence: i64, runs: u32, after: Option<Address>) -> Self {
        let last = after.map_or_else(|| (Vec::new(), 0), |wallet| (wallet.as_bytes().to_vec(), u8::MAX));
        let count = usize::try_from(runs).unwrap_or(usize::MAX);
        Self {
            occurrence,
            runs: (0..runs)
                .map(|_| Run {
                    rows: VecDeque::new(),
                    last: last.clone(),
                })
                .collect(),
            next: BinaryHeap::new(),
            page: (MERGED_ROWS / count.max(1)).clamp(1, 256),
            is_begun: false,
        }
    }

    fn next(&mut self, connection: &Connection, limit: usize) -> Result<Vec<Named>, rusqlite::Error> {
        if !self.is_begun {
            self.is_begun = true;
            for run in 0..self.runs.len() {
                self.advance(connection, run)?;
            }
        }
        let mut named: Vec<Named> = Vec::with_capacity(limit);
        while let Some(Reverse((wallet, branch, run))) = self.next.peek().copied() {
            let is_same = named.last().is_some_and(|last| last.wallet == wallet);
            if !is_same && named.len() == limit {
                break;
            }
            self.next.pop();
            let vars = self
                .runs
                .get_mut(run)
                .and_then(|run| run.rows.pop_front())
                .and_then(|row| row.vars);
            self.advance(connection, run)?;
            match named.last_mut().filter(|last| last.wallet == wallet) {
                // The first row of a branch wins: the rows of one come in the order of the runs.
                Some(last) if last.branches.last().is_some_and(|(known, _)| *known == branch) => {}
                Some(last) => last.branches.push((branch, vars)),
                None => named.push(Named {
                    wallet,
                    branches: vec![(branch, vars)],
                }),
            }
        }
        Ok(named)
    }

    /// Puts the next row of a run forward.
    fn advance(&mut self, connection: &Connection, number: usize) -> Result<(), rusqlite::Error> {
        let Some(run) = self.runs.get_mut(number) else {
            return Ok(());
        };
        if run.rows.is_empty() {
            let mut statement = connection.prepare_cached(
                "SELECT wallet, branch, vars FROM audience_row
                 WHERE occurrence = ?1 AND run = ?2 AND (wallet, branch) > (?3, ?4)
                 ORDER BY wallet, branch LIMIT ?5",
            )?;
            let (wallet, branch) = &run.last;
            let rows = statement.query_map(
                params![
                    self.occurrence,
                    i64::try_from(number).unwrap_or(i64::MAX),
                    wallet,
                    branch,
                    i64::try_from(self.page).unwrap_or(i64::MAX)
                ],
                |row| {
                    Ok(StagedRow {
                        wallet: Address::from_bytes(row.get(0)?),
                        branch: row.get(1)?,
                        vars: row.get(2)?,
                    })
                },
            )?;
            run.rows = rows.collect::<Result<_, _>>()?;
            if let Some(last) = run.rows.back() {
                run.last = (last.wallet.as_bytes().to_vec(), last.branch);
            }
        }
        if let Some(row) = run.rows.front() {
            self.next.push(Reverse((row.wallet, row.branch, number)));
        }
        Ok(())
    }
}

/// Rows of all runs together that a merge holds. Ours: a MiB or two.
const MERGED_ROWS: usize = 8_192;
