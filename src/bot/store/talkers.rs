//! Who wrote of late, and how often it was answered.

use chrono::{DateTime, TimeDelta, Utc};
use herald_protocol::address::Address;
use rusqlite::{OptionalExtension, Transaction, params};

use super::millis;

/// Longer than this nothing of it matters.
const REMEMBERED: TimeDelta = TimeDelta::hours(1);

/// What was kept of a wallet inside a transaction.
pub(crate) fn talker(
    transaction: &Transaction<'_>,
    bot: &str,
    wallet: Address,
) -> Result<Option<String>, rusqlite::Error> {
    transaction
        .prepare_cached("SELECT state FROM talker WHERE bot = ?1 AND wallet = ?2")?
        .query_row(params![bot, wallet.to_string()], |row| row.get(0))
        .optional()
}

/// Keeps it, and forgets those who were silent for long.
pub(crate) fn keep_talker(
    transaction: &Transaction<'_>,
    (bot, wallet): (&str, Address),
    state: &str,
    now: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "INSERT INTO talker (bot, wallet, heard_ms, state) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET heard_ms = excluded.heard_ms, state = excluded.state",
        )?
        .execute(params![bot, wallet.to_string(), millis(now), state])?;
    transaction
        .prepare_cached("DELETE FROM talker WHERE bot = ?1 AND heard_ms < ?2")?
        .execute(params![bot, millis(now - REMEMBERED)])?;
    Ok(())
}
