//! Where scheduled triggers stand: an instant fires once, across restarts.

use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};

use super::{NewOccurrence, Planned, Store, millis, occurrences, time};

/// A scheduled trigger of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleKey {
    /// The bot's name.
    pub bot: String,
    /// The rule's name.
    pub rule: String,
    /// The trigger as it is written: another schedule starts anew.
    pub trigger: String,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// When it was first seen.
    pub first: DateTime<Utc>,
    /// The last instant that fired or was passed over.
    pub fired: Option<DateTime<Utc>>,
}

impl Store {
    /// Where a trigger stands; one that is new starts at `now`.
    pub async fn schedule(&self, key: ScheduleKey, now: DateTime<Utc>) -> Result<Schedule, super::Error> {
        self.write(move |transaction| {
            transaction.execute(
                "INSERT INTO schedule (bot, rule, trigger, first_ms, fired_ms) VALUES (?1, ?2, ?3, ?4, NULL)
                 ON CONFLICT DO NOTHING",
                params![key.bot, key.rule, key.trigger, millis(now)],
            )?;
            transaction.query_row(
                "SELECT first_ms, fired_ms FROM schedule WHERE bot = ?1 AND rule = ?2 AND trigger = ?3",
                params![key.bot, key.rule, key.trigger],
                |row| {
                    Ok(Schedule {
                        first: time(row.get(0)?),
                        fired: row.get::<_, Option<i64>>(1)?.map(time),
                    })
                },
            )
        })
        .await
    }

    /// Records what fired at `instant` together with the instant, in one transaction; none when it is only passed over.
    pub async fn fire(
        &self,
        key: ScheduleKey,
        instant: DateTime<Utc>,
        new: Option<NewOccurrence>,
    ) -> Result<Option<Planned>, super::Error> {
        self.write(move |transaction| {
            pass(transaction, &key, instant)?;
            new.map(|new| occurrences::record(transaction, &new)).transpose()
        })
        .await
    }
}

fn pass(
    transaction: &Transaction<'_>,
    key: &ScheduleKey,
    instant: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    transaction.execute(
        "UPDATE schedule SET fired_ms = max(coalesce(fired_ms, ?4), ?4) WHERE bot = ?1 AND rule = ?2 AND trigger = ?3",
        params![key.bot, key.rule, key.trigger, millis(instant)],
    )?;
    Ok(())
}
