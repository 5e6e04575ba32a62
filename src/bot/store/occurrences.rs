//! Occurrences: a trigger that fired is recorded once, whatever happens afterwards.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{BrokenRow, Gate, NewDelivery, Store, audiences, broadcasts, delivery, millis, time};

/// A trigger that fired, before it is recorded.
#[derive(Clone, Debug)]
pub struct NewOccurrence {
    /// The bot's name.
    pub bot: String,
    /// The rule's name.
    pub rule: String,
    /// The trigger's own id: planned instant, webhook id, message id.
    pub id: String,
    /// What the rule dedupes by; the id unless the rule has a `key`.
    pub key: String,
    /// When it fired, or was planned to.
    pub at: DateTime<Utc>,
    /// The names the trigger gives, as JSON.
    pub names: String,
    /// Whether its messages may go.
    pub gate: Gate,
    /// Why nobody is to be written to, when that is known already.
    pub skipped: Option<String>,
    /// What the sender of a webhook is answered, as JSON; a repeat is answered the same.
    pub answer: Option<String>,
    /// The time zone whose members it addresses; none for all.
    pub zone: Option<String>,
}

/// A recorded occurrence.
#[derive(Clone, Debug)]
pub struct Occurrence {
    /// The row.
    pub row: i64,
    /// The rule's name.
    pub rule: String,
    /// The trigger's own id.
    pub id: String,
    /// What the rule dedupes by.
    pub key: String,
    /// When it fired, or was planned to.
    pub at: DateTime<Utc>,
    /// The names the trigger gives, as JSON.
    pub names: String,
    /// The last wallet that has its rows, in the order of the wallets' bytes; none at first.
    pub planned_to: Option<Address>,
    /// How often its audience could not be resolved.
    pub tries: u32,
    /// Runs of its audience that are stored.
    pub runs: u32,
    /// The cutoffs of its samples as JSON, once its audience is read.
    pub staged: Option<String>,
    /// The time zone whose members it addresses; none for all.
    pub zone: Option<String>,
}

/// A part of a plan: the rows of some wallets, and how far that is.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// The rows.
    pub rows: Vec<NewDelivery>,
    /// Rows of the audience that could not be read.
    pub broken: Vec<BrokenRow>,
    /// The last wallet of the chunk.
    pub planned_to: Option<Address>,
    /// Whether the plan ends with it.
    pub ends: bool,
}

/// What recording an occurrence did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// It is new.
    New,
    /// It was recorded before.
    Repeated {
        /// Under this id.
        id: String,
        /// What was answered then.
        answer: Option<String>,
    },
}

const COLUMNS: &str = "id, rule, occurrence, key, at_ms, names, planned_to, tries, runs, staged, zone";

fn occurrence(row: &Row<'_>) -> Result<Occurrence, rusqlite::Error> {
    Ok(Occurrence {
        row: row.get(0)?,
        rule: row.get(1)?,
        id: row.get(2)?,
        key: row.get(3)?,
        at: time(row.get(4)?),
        names: row.get(5)?,
        planned_to: row.get_ref(6)?.as_str()?.parse().ok(),
        tries: row.get(7)?,
        runs: row.get(8)?,
        staged: row.get(9)?,
        zone: row.get(10)?,
    })
}

/// Records an occurrence inside a transaction; a repeated id or key changes nothing.
pub(crate) fn record(transaction: &Transaction<'_>, new: &NewOccurrence) -> Result<Planned, rusqlite::Error> {
    let state = if new.skipped.is_some() {
        "skipped"
    } else {
        "planning"
    };
    let mut insert = transaction.prepare_cached(
        "INSERT INTO occurrence (bot, rule, occurrence, key, at_ms, names, state, reason, answer, zone, gate)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING",
    )?;
    let values = params![
        new.bot,
        new.rule,
        new.id,
        new.key,
        millis(new.at),
        new.names,
        state,
        new.skipped,
        new.answer,
        new.zone,
        new.gate.as_str()
    ];
    if insert.execute(values)? == 1 {
        return Ok(Planned::New);
    }
    transaction.query_row(
        "SELECT occurrence, answer FROM occurrence WHERE bot = ?1 AND rule = ?2 AND (occurrence = ?3 OR key = ?4)
         ORDER BY id LIMIT 1",
        params![new.bot, new.rule, new.id, new.key],
        |row| {
            Ok(Planned::Repeated {
                id: row.get(0)?,
                answer: row.get(1)?,
            })
        },
    )
}

/// The occurrence of a row.
pub(crate) fn find(connection: &Connection, row: i64) -> Result<Option<Occurrence>, rusqlite::Error> {
    let query = format!("SELECT {COLUMNS} FROM occurrence WHERE id = ?1");
    connection
        .prepare_cached(&query)?
        .query_row([row], occurrence)
        .optional()
}

impl Store {
    /// Keeps the names of an occurrence, once all of them are known.
    pub async fn keep_names(&self, row: i64, names: String) -> Result<(), super::Error> {
        self.write(move |transaction| {
            let update = "UPDATE occurrence SET names = ?2 WHERE id = ?1";
            transaction
                .prepare_cached(update)?
                .execute(params![row, names])
                .map(drop)
        })
        .await
    }

    /// Records an occurrence; a repeated id or key changes nothing and is said so.
    pub async fn record(&self, new: NewOccurrence) -> Result<Planned, super::Error> {
        self.write(move |transaction| record(transaction, &new)).await
    }

    /// The id and the time of the occurrence with which a rule fired last; one that was skipped is none.
    pub async fn last_fired(
        &self,
        bot: &str,
        rule: &str,
    ) -> Result<Option<(String, DateTime<Utc>)>, super::Error> {
        let (bot, rule) = (bot.to_owned(), rule.to_owned());
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT occurrence, at_ms FROM occurrence
                     WHERE bot = ?1 AND rule = ?2 AND state <> 'skipped' ORDER BY at_ms DESC, id DESC LIMIT 1",
                )?
                .query_row(params![bot, rule], |row| Ok((row.get(0)?, time(row.get(1)?))))
                .optional()
        })
        .await
    }

    /// The oldest occurrence of the bot whose rows are not all planned and which is due, but for those that are `busy`.
    pub async fn next_to_plan(
        &self,
        bot: &str,
        now: DateTime<Utc>,
        busy: BTreeSet<i64>,
    ) -> Result<Option<Occurrence>, super::Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            let query = format!(
                "SELECT {COLUMNS} FROM occurrence WHERE bot = ?1 AND state = 'planning' AND due_ms <= ?2 ORDER BY id"
            );
            let mut statement = connection.prepare_cached(&query)?;
            let mut rows = statement.query(params![bot, millis(now)])?;
            while let Some(row) = rows.next()? {
                if !busy.contains(&row.get(0)?) {
                    return occurrence(row).map(Some);
                }
            }
            Ok(None)
        })
        .await
    }

    /// When an audience that could not be resolved is due again, the next of the bot after `now`.
    pub async fn next_plan_due(
        &self,
        bot: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, super::Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            let query =
                "SELECT min(due_ms) FROM occurrence WHERE bot = ?1 AND state = 'planning' AND due_ms > ?2";
            let due = connection
                .prepare_cached(query)?
                .query_row(params![bot, millis(now)], |row| row.get::<_, Option<i64>>(0))?;
            Ok(due.map(time))
        })
        .await
    }

    /// Notes that an audience could not be resolved, and when it is tried again.
    pub async fn postpone(&self, row: i64, due: DateTime<Utc>, reason: String) -> Result<(), super::Error> {
        self.write(move |transaction| {
            let query = "UPDATE occurrence SET tries = tries + 1, due_ms = ?2, reason = ?3 WHERE id = ?1";
            transaction
                .execute(query, params![row, millis(due), reason])
                .map(drop)
        })
        .await
    }

    /// Adds the rows of one chunk of the audience and notes how far it reaches, in one transaction.
    pub async fn plan(&self, row: i64, chunk: Chunk) -> Result<(), super::Error> {
        self.write(move |transaction| {
            let is_closed: bool = transaction
                .prepare_cached("SELECT gate NOT IN ('open', 'opening') FROM occurrence WHERE id = ?1")?
                .query_row([row], |row| row.get(0))?;
            let mut added = 0_u32;
            for new in &chunk.rows {
                added += u32::from(delivery::insert_behind(transaction, is_closed, new)?);
            }
            broadcasts::count_planned(transaction, row, added)?;
            audiences::insert_broken(transaction, row, &chunk.broken)?;
            let state = if chunk.ends { "planned" } else { "planning" };
            transaction
                .prepare_cached(
                    "UPDATE occurrence SET state = ?2, planned_to = coalesce(?3, planned_to), reason = NULL WHERE id = ?1",
                )?
                .execute(params![
                    row,
                    state,
                    chunk.planned_to.map(|wallet| wallet.to_string())
                ])?;
            Ok(())
        })
        .await
    }

    /// Ends an occurrence that cannot be planned: `rejected`, or `skipped` when its condition is false.
    pub async fn end_occurrence(&self, row: i64, rejected: bool, reason: String) -> Result<(), super::Error> {
        self.write(move |transaction| {
            let state = if rejected { "rejected" } else { "skipped" };
            transaction.execute(
                "UPDATE occurrence SET state = ?2, reason = ?3 WHERE id = ?1",
                params![row, state, reason],
            )?;
            Ok(())
        })
        .await
    }
}
