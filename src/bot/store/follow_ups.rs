//! Follow-ups that are not settled yet.

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use rusqlite::{Connection, Transaction, params};

use super::{
    Delivery, MessageNumber,
    delivery::{COLUMNS, delivery},
    millis,
};

/// The open follow-ups of a wallet.
pub(crate) fn open_follow_ups(
    connection: &Connection,
    bot: &str,
    wallet: Address,
) -> Result<Vec<Delivery>, rusqlite::Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM delivery WHERE bot = ?1 AND wallet = ?2 AND settled_ms IS NULL AND part >= ?3"
    );
    let mut statement = connection.prepare_cached(&query)?;
    statement
        .query_map(
            params![bot, wallet.to_string(), MessageNumber::PER_STEP],
            delivery,
        )?
        .collect()
}

/// Ends the follow-ups behind one of the same message.
pub(crate) fn end_later_steps(
    transaction: &Transaction<'_>,
    row: &Delivery,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "UPDATE delivery SET state = 'skipped', reason = ?6, settled_ms = ?7, until_ms = NULL
             WHERE bot = ?1 AND wallet = ?2 AND settled_ms IS NULL AND rule = ?3 AND key = ?4 AND part > ?5
               AND state != 'sealed'",
        )?
        .execute(params![
            row.bot,
            row.wallet.to_string(),
            row.rule,
            row.key,
            row.part,
            reason,
            millis(now)
        ])?;
    Ok(())
}
