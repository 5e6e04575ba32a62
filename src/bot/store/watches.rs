//! Where watched values stand: an edge fires once, across restarts.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, params};

use crate::bot::trigger::Each;

use super::{NewOccurrence, Planned, ScheduleKey, Store, millis, occurrences, time};

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
    /// Where subjects stand, in their order.
    pub async fn watched(
        &self,
        key: ScheduleKey,
        subjects: Vec<String>,
    ) -> Result<Vec<Watched>, super::Error> {
        self.read(move |connection| {
            let mut known = between(connection, &key, &subjects)?;
            let states = subjects.iter().map(|subject| known.remove(subject));
            Ok(states.map(Option::unwrap_or_default).collect())
        })
        .await
    }

    /// Notes where subjects stand now together with the occurrences that follow, in one transaction.
    pub async fn note_watched(
        &self,
        key: ScheduleKey,
        (states, new): (Vec<(String, Watched)>, Vec<NewOccurrence>),
    ) -> Result<Vec<(NewOccurrence, Planned)>, super::Error> {
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

/// Where the subjects stand from the least of these to the greatest.
fn between(
    connection: &Connection,
    key: &ScheduleKey,
    subjects: &[String],
) -> Result<HashMap<String, Watched>, rusqlite::Error> {
    let query = "SELECT subject, since_ms, fired, edges, value FROM watched
                 WHERE bot = ?1 AND rule = ?2 AND trigger = ?3 AND subject BETWEEN ?4 AND ?5";
    let (first, last) = (subjects.iter().min(), subjects.iter().max());
    let mut statement = connection.prepare_cached(query)?;
    let rows = statement.query_map(params![key.bot, key.rule, key.trigger, first, last], |row| {
        let state = Watched {
            since: row.get::<_, Option<i64>>(1)?.map(time),
            fired: row.get(2)?,
            edges: row.get(3)?,
            value: row.get(4)?,
        };
        Ok((row.get(0)?, state))
    })?;
    rows.collect()
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
