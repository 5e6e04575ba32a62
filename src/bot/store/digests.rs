//! Digests: which rows go out as one message.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, params};

use super::{
    Delivery,
    delivery::{COLUMNS, delivery},
    millis, time,
};

/// Lets rows carry others inside a transaction, whose messages are part of theirs: these end with them.
pub(crate) fn merge(
    transaction: &Transaction<'_>,
    carried: &[(i64, Vec<i64>)],
) -> Result<(), rusqlite::Error> {
    let mut merge = transaction
        .prepare_cached("UPDATE delivery SET carrier = ?2 WHERE id = ?1 AND settled_ms IS NULL")?;
    for (carrier, rows) in carried {
        for row in rows {
            merge.execute([row, carrier])?;
        }
    }
    Ok(())
}

/// The rows that wait for the same digest as this one, or are part of its message already, oldest first; also those of earlier
/// periods, and those that were planned before this period ended.
pub(crate) fn siblings(connection: &Connection, row: &Delivery) -> Result<Vec<Delivery>, rusqlite::Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM delivery
         WHERE bot = ?1 AND wallet = ?2 AND settled_ms IS NULL AND rule = ?3 AND part = ?4 AND id != ?5
           AND (period_ms <= ?6 OR (period_ms IS NULL AND created_ms < ?6))
           AND (carrier IS NULL OR carrier = ?5) ORDER BY id"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let values = params![
        row.bot,
        row.wallet.to_string(),
        row.rule,
        row.part,
        row.id,
        row.period.map(millis)
    ];
    statement.query_map(values, delivery)?.collect()
}

/// The end of the period that rows of the same rule and recipient wait for.
pub(crate) fn open_period(
    connection: &Connection,
    row: &Delivery,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT min(period_ms) FROM delivery
         WHERE bot = ?1 AND wallet = ?2 AND settled_ms IS NULL AND rule = ?3 AND period_ms > ?4",
    )?;
    let values = params![row.bot, row.wallet.to_string(), row.rule, millis(now)];
    let period: Option<i64> = statement.query_row(values, |row| row.get(0))?;
    Ok(period.map(time))
}
