//! How much went out lately: what limits look at.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Delivery;
use crate::bot::store::{millis, time};

/// How many rule messages a wallet got, and when the oldest of them was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Messages in the window.
    pub sealed: u32,
    /// When the message was sealed whose leaving the window makes room again.
    pub frees: Option<DateTime<Utc>>,
}

/// How many occurrences of one rule, or of all, reached the row's wallet since `since`, its own left out, and when the one was
/// sealed that makes room for one more under `limit` by leaving the window.
pub(crate) fn counts(
    connection: &Connection,
    row: &Delivery,
    own: i64,
    rule: Option<&str>,
    since: DateTime<Utc>,
    limit: u32,
) -> Result<Counts, rusqlite::Error> {
    let window = "SELECT min(sealed_ms) AS sealed FROM delivery
                  WHERE bot = ?1 AND wallet = ?2 AND sealed_ms > ?3 AND occurrence IS NOT NULL AND occurrence != ?4
                    AND (?5 IS NULL OR rule = ?5) AND state IN ('sealed', 'delivered')
                  GROUP BY occurrence";
    let wallet = row.wallet.to_string();
    let sealed = connection
        .prepare_cached(&format!("SELECT count(*) FROM ({window})"))?
        .query_row(params![row.bot, wallet, millis(since), own, rule], |row| {
            row.get(0)
        })?;
    let frees = connection
        .prepare_cached(&format!(
            "SELECT sealed FROM ({window}) ORDER BY sealed DESC LIMIT 1 OFFSET ?6"
        ))?
        .query_row(
            params![row.bot, wallet, millis(since), own, rule, limit.saturating_sub(1)],
            |row| row.get(0),
        )
        .optional()?;
    Ok(Counts {
        sealed,
        frees: frees.map(time),
    })
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
