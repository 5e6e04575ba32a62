//! What feeds and polls have read: an item is news once, whatever is read again, and whenever the bot restarts.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{NewOccurrence, Planned, ScheduleKey, Store, millis, occurrences, time};

/// An item as it was read last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownItem {
    /// The digest of what counts as a change of it.
    pub version: [u8; 32],
    /// How often it changed, or 1.
    pub changes: u32,
    /// The item as JSON, where it was kept.
    pub value: Option<String>,
}

/// An item as it is read now.
#[derive(Clone, Debug)]
pub struct SeenItem {
    /// The digest of what it is told from others by.
    pub item: [u8; 32],
    /// What is kept of it.
    pub known: KnownItem,
}

impl Store {
    /// When something was read last; none before the first time.
    pub async fn last_reading(&self, key: ScheduleKey) -> Result<Option<DateTime<Utc>>, super::Error> {
        self.read(move |connection| Ok(find(connection, &key)?.and_then(|found| found.read)))
            .await
    }

    /// What is known of items, in their order; none of those that were never read.
    pub async fn known_items(
        &self,
        key: ScheduleKey,
        items: Vec<[u8; 32]>,
    ) -> Result<Vec<Option<KnownItem>>, super::Error> {
        self.read(move |connection| {
            let Some(Found { reading, .. }) = find(connection, &key)? else {
                return Ok(vec![None; items.len()]);
            };
            let query = "SELECT version, changes, value FROM reading_item WHERE reading = ?1 AND item = ?2";
            let mut statement = connection.prepare_cached(query)?;
            let known = items.iter().map(|item| {
                let row = statement.query_row(params![reading, item], |row| {
                    Ok(KnownItem {
                        version: row.get(0)?,
                        changes: row.get(1)?,
                        value: row.get(2)?,
                    })
                });
                row.optional()
            });
            known.collect()
        })
        .await
    }

    /// Notes what was read at an instant together with the occurrences that follow from it, in one transaction.
    pub async fn note_reading(
        &self,
        key: ScheduleKey,
        at: DateTime<Utc>,
        (seen, new): (Vec<SeenItem>, Vec<NewOccurrence>),
    ) -> Result<Vec<(NewOccurrence, Planned)>, super::Error> {
        self.write(move |transaction| {
            note(transaction, &key, at, &seen)?;
            let planned = new.into_iter().map(|new| {
                let planned = occurrences::record(transaction, &new)?;
                Ok((new, planned))
            });
            planned.collect()
        })
        .await
    }
}

/// Where something that is read stands.
struct Found {
    reading: i64,
    read: Option<DateTime<Utc>>,
}

fn find(connection: &Connection, key: &ScheduleKey) -> Result<Option<Found>, rusqlite::Error> {
    let query = "SELECT id, read_ms FROM reading WHERE bot = ?1 AND rule = ?2 AND trigger = ?3";
    let row = connection
        .prepare_cached(query)?
        .query_row(params![key.bot, key.rule, key.trigger], |row| {
            Ok(Found {
                reading: row.get(0)?,
                read: row.get::<_, Option<i64>>(1)?.map(time),
            })
        });
    row.optional()
}

fn note(
    transaction: &Transaction<'_>,
    key: &ScheduleKey,
    at: DateTime<Utc>,
    seen: &[SeenItem],
) -> Result<(), rusqlite::Error> {
    let reading: i64 = transaction
        .prepare_cached(
            "INSERT INTO reading (bot, rule, trigger, read_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (bot, rule, trigger) DO UPDATE SET read_ms = excluded.read_ms RETURNING id",
        )?
        .query_row(params![key.bot, key.rule, key.trigger, millis(at)], |row| {
            row.get(0)
        })?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO reading_item (reading, item, version, changes, value) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (reading, item) DO UPDATE
         SET version = excluded.version, changes = excluded.changes, value = excluded.value",
    )?;
    for SeenItem { item, known } in seen {
        insert.execute(params![reading, item, known.version, known.changes, known.value])?;
    }
    Ok(())
}
