//! How much went out lately: what limits look at.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Delivery;
use crate::bot::store::{millis, time};

/// Whether as many occurrences of one rule, or of all, as `count` reached the row's wallet since `since`, its own left out: when
/// the one was sealed that makes room for one more by leaving the window. None while there is room.
pub(crate) fn recipient_window(
    connection: &Connection,
    (row, own): (&Delivery, i64),
    rule: Option<&str>,
    since: DateTime<Utc>,
    count: u32,
) -> Result<Option<DateTime<Utc>>, rusqlite::Error> {
    let wallet = row.wallet.to_string();
    // Most wallets got less than that of everything, which the index alone tells.
    let lately: u32 = connection
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM delivery
                 WHERE bot = ?1 AND wallet = ?2 AND sealed_ms > ?3 AND occurrence IS NOT NULL LIMIT ?4)",
        )?
        .query_row(params![row.bot, wallet, millis(since), count], |row| row.get(0))?;
    if lately < count {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(
        "SELECT min(sealed_ms) FROM delivery
         WHERE bot = ?1 AND wallet = ?2 AND sealed_ms > ?3 AND occurrence IS NOT NULL AND occurrence != ?4
           AND (?5 IS NULL OR rule = ?5) AND state IN ('sealed', 'delivered')
         GROUP BY occurrence ORDER BY 1 DESC LIMIT 1 OFFSET ?6",
    )?;
    let values = params![row.bot, wallet, millis(since), own, rule, count.saturating_sub(1)];
    let frees = statement.query_row(values, |row| row.get(0)).optional()?;
    Ok(frees.map(time))
}

/// The sealed row whose leaving a sliding window makes room under a limit of `count` that is used up: when it was sealed, of a
/// rule or of all rules; none while there is room. And how many rows fill the window, at most `count`.
pub(crate) fn window(
    connection: &Connection,
    (bot, rule): (&str, Option<&str>),
    since: DateTime<Utc>,
    count: u32,
) -> Result<(u32, Option<DateTime<Utc>>), rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT sealed_ms FROM delivery
         WHERE bot = ?1 AND sealed_ms > ?3 AND occurrence IS NOT NULL AND (?2 IS NULL OR rule = ?2)
           AND state IN ('sealed', 'delivered')
         ORDER BY sealed_ms DESC LIMIT ?4",
    )?;
    let rows = statement.query_map(params![bot, rule, millis(since), count], |row| {
        row.get::<_, i64>(0)
    })?;
    let (mut filled, mut last) = (0, None);
    for row in rows {
        filled += 1;
        last = Some(row?);
    }
    Ok((filled, last.filter(|_| filled == count).map(time)))
}
