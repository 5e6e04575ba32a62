//! Where watched values stand: an edge fires once, across restarts.

use chrono::{DateTime, Utc};
use rusqlite::{Row, Transaction, params};

use crate::bot::trigger::Each;

use super::{
    Member, NewOccurrence, Planned, ScheduleKey, Store, TableRow, lists, millis, occurrences, tables, time,
};

/// Where the value of one subject stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Since when its condition has held at every reading; none while it does not.
    pub since: Option<DateTime<Utc>>,
    /// Whether it has fired and is not cleared yet.
    pub fired: bool,
    /// How often it has fired.
    pub edges: u32,
    /// Its last value as JSON, where a change of it is waited for.
    pub value: Option<String>,
}

impl Store {
    /// Where a value stands that is watched for nobody in particular.
    pub async fn watched_alone(&self, key: ScheduleKey) -> Result<Watched, super::Error> {
        self.read(move |connection| {
            let query = format!("SELECT {STATE} FROM (SELECT '' AS subject) AS each LEFT JOIN {WATCHED}");
            connection
                .prepare_cached(&query)?
                .query_row(params![key.bot, key.rule, key.trigger], |row| watched(row, 0))
        })
        .await
    }

    /// The next members of a list after `after` in the order of their wallets' text, at most `limit`, each with where it stands.
    pub async fn watched_members(
        &self,
        key: ScheduleKey,
        list: String,
        (after, limit): (String, u32),
    ) -> Result<Vec<(Member, Watched)>, super::Error> {
        self.read(move |connection| {
            let query = format!(
                "SELECT wallet, fields, joined_ms, {STATE}
                 FROM (SELECT wallet, fields, joined_ms, wallet AS subject FROM member
                       WHERE bot = ?1 AND list = ?4 AND wallet > ?5 ORDER BY wallet LIMIT ?6) AS each
                 LEFT JOIN {WATCHED} ORDER BY wallet"
            );
            connection
                .prepare_cached(&query)?
                .query_map(
                    params![key.bot, key.rule, key.trigger, list, after, limit],
                    |row| Ok((lists::member(row)?, watched(row, 3)?)),
                )?
                .collect()
        })
        .await
    }

    /// The next rows of a table after one, in the order of their owners' text and their ids, at most `limit`, each with where it stands.
    pub async fn watched_rows(
        &self,
        key: ScheduleKey,
        table: String,
        ((owner, id), limit): ((String, i64), u32),
    ) -> Result<Vec<(TableRow, Watched)>, super::Error> {
        self.read(move |connection| {
            let columns = tables::COLUMNS;
            let query = format!(
                "SELECT {columns}, {STATE}
                 FROM (SELECT {columns}, owner || ' ' || id AS subject FROM table_row
                       WHERE bot = ?1 AND name = ?4 AND (owner, id) > (?5, ?6) ORDER BY owner, id LIMIT ?7) AS each
                 LEFT JOIN {WATCHED} ORDER BY owner, id"
            );
            connection
                .prepare_cached(&query)?
                .query_map(
                    params![key.bot, key.rule, key.trigger, table, owner, id, limit],
                    |row| Ok((tables::row(row)?, watched(row, 4)?)),
                )?
                .collect()
        })
        .await
    }

    /// Notes where subjects stand now together with the occurrences that follow, in one transaction.
    pub async fn note_watched(
        &self,
        key: ScheduleKey,
        (states, new): (Vec<(String, Watched)>, Vec<NewOccurrence>),
    ) -> Result<Vec<(NewOccurrence, Planned)>, super::Error> {
        if states.is_empty() && new.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |transaction| {
            for (subject, state) in &states {
                note(transaction, &key, subject, state)?;
            }
            let planned = new.into_iter().map(|new| {
                let planned = occurrences::record(transaction, &new)?;
                Ok((new, planned))
            });
            planned.collect()
        })
        .await
    }

    /// Forgets where those stand that a list or a table does not have any more: one that comes back begins anew.
    pub async fn forget_watched(&self, key: ScheduleKey, each: Each) -> Result<(), super::Error> {
        self.write(move |transaction| {
            let (there, name) = match &each {
                Each::List(name) => ("SELECT wallet FROM member WHERE bot = ?1 AND list = ?4", name),
                Each::Table(name) => (
                    "SELECT owner || ' ' || id FROM table_row WHERE bot = ?1 AND name = ?4",
                    name,
                ),
            };
            let delete = format!(
                "DELETE FROM watched WHERE bot = ?1 AND rule = ?2 AND trigger = ?3 AND subject NOT IN ({there})"
            );
            transaction
                .prepare_cached(&delete)?
                .execute(params![key.bot, key.rule, key.trigger, name])
                .map(drop)
        })
        .await
    }
}

/// Where a subject stands, for [`watched`].
const STATE: &str = "since_ms, fired, edges, value";
/// The rows of a rule (`?2`) of a bot (`?1`), each beside `each.subject`.
const WATCHED: &str = "watched ON watched.bot = ?1 AND watched.rule = ?2 AND watched.trigger = ?3
                           AND watched.subject = each.subject";

/// Where a subject stands, from its columns; as at first where it has none.
fn watched(row: &Row<'_>, first: usize) -> Result<Watched, rusqlite::Error> {
    Ok(Watched {
        since: row.get::<_, Option<i64>>(first)?.map(time),
        fired: row.get::<_, Option<bool>>(first + 1)?.unwrap_or_default(),
        edges: row.get::<_, Option<u32>>(first + 2)?.unwrap_or_default(),
        value: row.get(first + 3)?,
    })
}

fn note(
    transaction: &Transaction<'_>,
    key: &ScheduleKey,
    subject: &str,
    state: &Watched,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "INSERT INTO watched (bot, rule, trigger, subject, since_ms, fired, edges, value)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (bot, rule, trigger, subject) DO UPDATE
             SET since_ms = excluded.since_ms, fired = excluded.fired, edges = excluded.edges, value = excluded.value",
        )?
        .execute(params![
            key.bot,
            key.rule,
            key.trigger,
            subject,
            state.since.map(millis),
            state.fired,
            state.edges,
            state.value
        ])
        .map(drop)
}
