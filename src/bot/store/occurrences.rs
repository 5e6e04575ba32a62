//! Occurrences: a trigger that fired is recorded once, whatever happens afterwards.

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{NewDelivery, Store, delivery, millis, time};

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
    /// Why nobody is to be written to, when that is known already.
    pub skipped: Option<String>,
    /// What the sender of a webhook is answered, as JSON; a repeat is answered the same.
    pub answer: Option<String>,
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
    /// The last wallet that has its rows; empty at first.
    pub planned_to: String,
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

const COLUMNS: &str = "id, rule, occurrence, key, at_ms, names, planned_to";

fn occurrence(row: &Row<'_>) -> Result<Occurrence, rusqlite::Error> {
    Ok(Occurrence {
        row: row.get(0)?,
        rule: row.get(1)?,
        id: row.get(2)?,
        key: row.get(3)?,
        at: time(row.get(4)?),
        names: row.get(5)?,
        planned_to: row.get(6)?,
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
        "INSERT INTO occurrence (bot, rule, occurrence, key, at_ms, names, state, reason, answer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
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
        new.answer
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
    /// Records an occurrence; a repeated id or key changes nothing and is said so.
    pub async fn record(&self, new: NewOccurrence) -> Result<Planned, super::Error> {
        self.write(move |transaction| record(transaction, &new)).await
    }

    /// The oldest occurrence of the bot whose rows are not all planned.
    pub async fn next_to_plan(&self, bot: &str) -> Result<Option<Occurrence>, super::Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            let query = format!(
                "SELECT {COLUMNS} FROM occurrence WHERE bot = ?1 AND state = 'planning' ORDER BY id LIMIT 1"
            );
            connection
                .prepare_cached(&query)?
                .query_row([bot], occurrence)
                .optional()
        })
        .await
    }

    /// Adds the rows of one chunk of the audience and notes how far it reaches, in one transaction. `last` ends the plan.
    pub async fn plan(
        &self,
        row: i64,
        rows: Vec<NewDelivery>,
        planned_to: Option<Address>,
        last: bool,
    ) -> Result<(), super::Error> {
        self.write(move |transaction| {
            for new in &rows {
                delivery::insert(transaction, new)?;
            }
            let state = if last { "planned" } else { "planning" };
            transaction.execute(
                "UPDATE occurrence SET state = ?2, planned_to = coalesce(?3, planned_to) WHERE id = ?1",
                params![row, state, planned_to.map(|wallet| wallet.to_string())],
            )?;
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
