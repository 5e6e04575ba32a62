//! The rows that are due, and what becomes of them before they are settled.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use rusqlite::{OptionalExtension as _, params};

use super::{COLUMNS, Delivery, Sealed, State, Wait, delivery};
use crate::bot::{
    config::Priority,
    store::{Error, Store, millis, time},
};

/// The order in which rows go.
const PRIORITIES: [Priority; 3] = [Priority::Urgent, Priority::Normal, Priority::Bulk];

/// Sealed bytes that are read at once, and those of one row more. Ours: rows are a kilobyte, but for files inside of messages.
const BYTES: usize = 32 * 1024 * 1024;

/// Open rows in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The state.
    pub state: State,
    /// How many.
    pub count: u64,
    /// When the oldest was planned.
    pub oldest: DateTime<Utc>,
}

impl Store {
    /// The bot's open rows by state.
    pub async fn waiting(&self, bot: &str) -> Result<Vec<Waiting>, Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            let query = "SELECT state, count(*), min(created_ms) FROM delivery
                         WHERE bot = ?1 AND settled_ms IS NULL GROUP BY state";
            let mut statement = connection.prepare_cached(query)?;
            let rows = statement.query_map([bot], |row| {
                Ok(Waiting {
                    state: State::parse(row.get_ref(0)?.as_str()?).unwrap_or(State::Planned),
                    count: row.get::<_, i64>(1)?.unsigned_abs(),
                    oldest: time(row.get(2)?),
                })
            })?;
            rows.collect()
        })
        .await
    }

    /// The next rows of the bot that are due, the urgent ones first, at most one a wallet, and none for a wallet to which one is
    /// under way: the oldest of the most urgent of its open rows that do not wait. Rows that wait for one wallet's contact go in
    /// their order once it is there.
    pub async fn due(
        &self,
        bot: &str,
        now: DateTime<Utc>,
        limit: u32,
        under_way: HashMap<i64, Address>,
    ) -> Result<Vec<Delivery>, Error> {
        let bot = bot.to_owned();
        let busy: HashSet<Address> = under_way.values().copied().collect();
        let under_way: serde_json::Value = under_way.into_keys().collect();
        let under_way = under_way.to_string();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.read(move |connection| {
            let query = format!(
                "SELECT {COLUMNS} FROM delivery
                 WHERE bot = ?1 AND settled_ms IS NULL AND carrier IS NULL AND priority = ?4 AND due_ms <= ?2
                   AND id NOT IN (SELECT value FROM json_each(?5)) AND (parked = 0 OR expires_ms <= ?2)
                   AND (state = 'sealed' OR delivery.occurrence IS NULL OR expires_ms <= ?2
                        OR (SELECT gate FROM occurrence AS o WHERE o.id = delivery.occurrence) NOT IN ('paused', 'cancelled'))
                   AND (expires_ms <= ?2
                        OR NOT EXISTS (SELECT 1 FROM delivery AS earlier INDEXED BY delivery_open
                                   WHERE earlier.bot = delivery.bot AND earlier.wallet = delivery.wallet
                                     AND earlier.settled_ms IS NULL AND earlier.carrier IS NULL
                                     AND (earlier.priority > delivery.priority
                                          OR (earlier.priority = delivery.priority AND earlier.id < delivery.id))
                                     AND (earlier.state = 'sealed' OR earlier.due_ms <= ?2
                                          OR (earlier.state = 'held' AND delivery.state = 'held'
                                              AND earlier.reason LIKE 'the wallet %'
                                              AND earlier.reason = delivery.reason))))
                 ORDER BY due_ms, id LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&query)?;
            let (mut due, mut bytes) = (Vec::new(), 0);
            for priority in PRIORITIES {
                // At most one row of each wallet that is busy comes between.
                let most = i64::try_from(limit - due.len() + busy.len()).unwrap_or(i64::MAX);
                let values = params![bot, millis(now), most, priority.rank(), under_way];
                let mut rows = statement.query(values)?;
                while let Some(row) = rows.next()? {
                    if due.len() == limit || bytes > BYTES {
                        return Ok(due);
                    }
                    let row = delivery(row)?;
                    if busy.contains(&row.wallet) {
                        continue;
                    }
                    bytes += row.sealed.as_ref().map_or(0, |sealed| sealed.request.len());
                    due.push(row);
                }
            }
            Ok(due)
        })
        .await
    }

    /// When the bot's next open row is due, after `now`.
    pub async fn next_due(&self, bot: &str, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            let query = "SELECT min(due_ms) FROM delivery
                         WHERE bot = ?1 AND settled_ms IS NULL AND carrier IS NULL AND priority = ?3 AND due_ms > ?2";
            let mut statement = connection.prepare_cached(query)?;
            let mut next: Option<i64> = None;
            for priority in PRIORITIES {
                let due: Option<i64> =
                    statement.query_row(params![bot, millis(now), priority.rank()], |row| row.get(0))?;
                next = [next, due].into_iter().flatten().min();
            }
            Ok(next.map(time))
        })
        .await
    }

    /// Holds rows back. Says which of them were not held for that reason before.
    pub async fn hold(&self, waits: Vec<Wait>) -> Result<Vec<i64>, Error> {
        self.write(move |transaction| {
            let mut news = Vec::new();
            let mut before = transaction
                .prepare_cached("SELECT 1 FROM delivery WHERE id = ?1 AND state = 'held' AND reason = ?2")?;
            let mut hold = transaction.prepare_cached(
                "UPDATE OR FAIL delivery SET state = 'held', reason = ?2, due_ms = iif(parked, ?4, ?3), expires_ms = ?4, until_ms = ?5,
                        period_ms = coalesce(?6, period_ms)
                 WHERE id = ?1 AND settled_ms IS NULL",
            )?;
            for wait in waits {
                if before
                    .query_row(params![wait.row, wait.reason], |_| Ok(()))
                    .optional()?
                    .is_none()
                {
                    news.push(wait.row);
                }
                hold.execute(params![
                    wait.row,
                    wait.reason,
                    millis(wait.due),
                    millis(wait.expires),
                    millis(wait.until),
                    wait.period.map(millis)
                ])?;
            }
            Ok(news)
        })
        .await
    }

    /// Fixes the bytes of rows, and until when each is tried. Sealing a row again replaces them, in the same transaction. Gives
    /// those it was done to: not rows that were settled or taken back since they were read.
    pub async fn seal(&self, rows: Vec<(i64, Sealed, DateTime<Utc>)>) -> Result<HashSet<i64>, Error> {
        self.write(move |transaction| {
            let mut seal = transaction.prepare_cached(
                "UPDATE OR FAIL delivery SET state = 'sealed', reason = NULL, until_ms = NULL, request = ?2, envelope = ?3, message = ?4,
                        sealed_ms = ?5, expires_ms = ?6, thread = ?7
                 WHERE id = ?1 AND settled_ms IS NULL AND parked = 0",
            )?;
            let mut fixed = HashSet::new();
            for (id, sealed, expires) in rows {
                let changed = seal.execute(params![
                    id, &*sealed.request, sealed.envelope, sealed.message, millis(sealed.sealed), millis(expires),
                    sealed.thread
                ])?;
                if changed == 1 {
                    fixed.insert(id);
                }
            }
            Ok(fixed)
        })
        .await
    }

    /// Notes a try of sealed rows whose outcome is not known, and when to look again.
    pub async fn tried(
        &self,
        rows: Vec<(i64, DateTime<Utc>)>,
        tried: DateTime<Utc>,
        reason: String,
    ) -> Result<(), Error> {
        self.write(move |transaction| {
            let mut note = transaction.prepare_cached(
                "UPDATE OR FAIL delivery SET tries = tries + 1, tried_ms = ?2, due_ms = ?3, reason = ?4
                 WHERE id = ?1 AND settled_ms IS NULL",
            )?;
            for (id, due) in rows {
                note.execute(params![id, millis(tried), millis(due), reason])?;
            }
            Ok(())
        })
        .await
    }

    /// Leaves rows as they are until these times.
    pub async fn look_again(&self, rows: Vec<(i64, DateTime<Utc>)>) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        self.write(move |transaction| {
            let mut wait = transaction.prepare_cached(
                "UPDATE OR FAIL delivery SET due_ms = ?2 WHERE id = ?1 AND settled_ms IS NULL",
            )?;
            for (id, due) in rows {
                wait.execute(params![id, millis(due)])?;
            }
            Ok(())
        })
        .await
    }
}
