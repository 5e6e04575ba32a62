//! How far the logs of a chain have been read: a log is told once, whatever the chain and its nodes do.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{NewOccurrence, Planned, ScheduleKey, Store, occurrences};

/// A block that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadBlock {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// How many of its logs became occurrences.
    pub logs: u32,
}

/// Where the reading of a rule's logs stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainCursor {
    /// Where it began: no block before is read.
    pub first: u64,
    /// The last block that was read.
    pub last: ReadBlock,
    /// Blocks that were read before, the latest first.
    pub recent: Vec<ReadBlock>,
}

/// A step of a cursor.
#[derive(Clone, Debug)]
pub struct CursorStep {
    /// Where it began; of a cursor that stands already this changes nothing.
    pub first: u64,
    /// What was read lately and is above this number is forgotten before the step.
    pub forget_above: Option<u64>,
    /// Blocks that are read now, in order; the last one is where the cursor stands from now on.
    pub read: Vec<ReadBlock>,
}

/// Blocks that are kept of those read. Ours: more than any chain takes back.
const KEPT: i64 = 256;

impl Store {
    /// Where a cursor stands; none before its first step.
    pub async fn chain_cursor(&self, key: ScheduleKey) -> Result<Option<ChainCursor>, super::Error> {
        self.read(move |connection| find(connection, &key)).await
    }

    /// Moves a cursor together with the occurrences that follow from what was read, in one transaction.
    pub async fn move_chain_cursor(
        &self,
        key: ScheduleKey,
        step: CursorStep,
        new: Vec<NewOccurrence>,
    ) -> Result<Vec<(NewOccurrence, Planned)>, super::Error> {
        self.write(move |transaction| {
            move_cursor(transaction, &key, &step)?;
            let planned = new.into_iter().map(|new| {
                let planned = occurrences::record(transaction, &new)?;
                Ok((new, planned))
            });
            planned.collect()
        })
        .await
    }
}

fn find(connection: &Connection, key: &ScheduleKey) -> Result<Option<ChainCursor>, rusqlite::Error> {
    let query = "SELECT id, first FROM chain_cursor WHERE bot = ?1 AND rule = ?2 AND trigger = ?3";
    let row = connection
        .prepare_cached(query)?
        .query_row(params![key.bot, key.rule, key.trigger], |row| {
            Ok((row.get(0)?, number(row.get(1)?)))
        });
    let Some((cursor, first)): Option<(i64, u64)> = row.optional()? else {
        return Ok(None);
    };
    let query = "SELECT number, hash, logs FROM chain_block WHERE cursor = ?1 ORDER BY number DESC";
    let mut statement = connection.prepare_cached(query)?;
    let rows = statement.query_map([cursor], |row| {
        Ok(ReadBlock {
            number: number(row.get(0)?),
            hash: row.get(1)?,
            logs: row.get(2)?,
        })
    })?;
    let mut recent: Vec<ReadBlock> = rows.collect::<Result<_, _>>()?;
    if recent.is_empty() {
        return Ok(None);
    }
    let last = recent.remove(0);
    Ok(Some(ChainCursor { first, last, recent }))
}

fn move_cursor(
    transaction: &Transaction<'_>,
    key: &ScheduleKey,
    step: &CursorStep,
) -> Result<(), rusqlite::Error> {
    let cursor: i64 = transaction
        .prepare_cached(
            "INSERT INTO chain_cursor (bot, rule, trigger, first) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (bot, rule, trigger) DO UPDATE SET first = first RETURNING id",
        )?
        .query_row(
            params![key.bot, key.rule, key.trigger, stored(step.first)],
            |row| row.get(0),
        )?;
    if let Some(number) = step.forget_above {
        transaction
            .prepare_cached("DELETE FROM chain_block WHERE cursor = ?1 AND number > ?2")?
            .execute(params![cursor, stored(number)])?;
    }
    let mut insert = transaction.prepare_cached(
        "INSERT INTO chain_block (cursor, number, hash, logs) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (cursor, number) DO UPDATE SET hash = excluded.hash, logs = excluded.logs",
    )?;
    for block in &step.read {
        insert.execute(params![cursor, stored(block.number), block.hash, block.logs])?;
    }
    transaction
        .prepare_cached(
            "DELETE FROM chain_block WHERE cursor = ?1 AND number <= (
                 SELECT number FROM chain_block WHERE cursor = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2
             )",
        )?
        .execute(params![cursor, KEPT])?;
    Ok(())
}

/// SQLite's ints have a sign; no chain has so many blocks.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}
