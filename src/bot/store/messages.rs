//! Which incoming messages were handled: each once, whatever the stream repeats and whenever the bot restarts.

use herald_protocol::{address::Address, time::TimestampNs};
use rusqlite::{OptionalExtension, Transaction, params};

use super::Store;

/// How far a bot has listened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Messages sent before this are history and not answered.
    pub from: TimestampNs,
    /// The newest message handled. Never later than it was handled, whatever its sender's clock says.
    pub read: TimestampNs,
}

/// Notes inside a transaction that a message is handled at `now`. Says whether it is new: if not, nothing else may follow.
///
/// A sender dates its messages as it likes. One of the future must not move the read mark past others; one of the past must
/// not be forgotten while streams may bring it again, so `handled.sent_ns` is `sent` or `now`, whichever is later.
pub(crate) fn handle(
    transaction: &Transaction<'_>,
    bot: &str,
    message: &[u8; 32],
    (from, sent): (Address, TimestampNs),
    now: TimestampNs,
) -> Result<bool, rusqlite::Error> {
    let added = transaction
        .prepare_cached(
            "INSERT INTO handled (bot, message, sent_ns) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![bot, message, to_sql(sent.max(now))])?;
    if added == 1 {
        transaction
            .prepare_cached("UPDATE bot SET read_ns = max(read_ns, ?2) WHERE bot = ?1")?
            .execute(params![bot, to_sql(sent.min(now))])?;
        transaction
            .prepare_cached("INSERT INTO writer (bot, wallet) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![bot, from.to_string()])?;
    }
    Ok(added == 1)
}

impl Store {
    /// Registers the bot at its first start, with the time from which its messages are answered; later starts keep the
    /// first one's, unless the bot has another wallet now.
    pub async fn listen(
        &self,
        bot: &str,
        wallet: Address,
        from: TimestampNs,
    ) -> Result<Listening, super::Error> {
        let bot = bot.to_owned();
        self.write(move |transaction| {
            transaction.execute(
                "INSERT INTO bot (bot, wallet, listens_ns, read_ns) VALUES (?1, ?2, ?3, ?3)
                 ON CONFLICT (bot) DO UPDATE SET wallet = excluded.wallet, listens_ns = excluded.listens_ns,
                        read_ns = excluded.read_ns
                 WHERE wallet != excluded.wallet",
                params![bot, wallet.to_string(), to_sql(from)],
            )?;
            transaction.query_row(
                "SELECT listens_ns, read_ns FROM bot WHERE bot = ?1",
                [bot],
                |row| {
                    Ok(Listening {
                        from: from_sql(row.get(0)?),
                        read: from_sql(row.get(1)?),
                    })
                },
            )
        })
        .await
    }

    /// Whether the message was handled.
    pub async fn handled(&self, bot: &str, message: [u8; 32]) -> Result<bool, super::Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            let query = "SELECT 1 FROM handled WHERE bot = ?1 AND message = ?2";
            Ok(connection
                .prepare_cached(query)?
                .query_row(params![bot, message], |_| Ok(()))
                .optional()?
                .is_some())
        })
        .await
    }

    /// The newest messages that the bot has dealt with or written itself since `since`, at most `limit`. Counted from when they
    /// were handled, or sent where their sender says that this was later.
    pub async fn known_messages(
        &self,
        bot: &str,
        since: TimestampNs,
        limit: u32,
    ) -> Result<Vec<[u8; 32]>, super::Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT message FROM (
                     SELECT message, sent_ns / 1000000 AS sent_ms FROM handled WHERE bot = ?1 AND sent_ns >= ?2
                     UNION ALL
                     SELECT message, sealed_ms FROM delivery
                     WHERE bot = ?1 AND sealed_ms >= ?2 / 1000000 AND state = 'delivered')
                 ORDER BY sent_ms DESC LIMIT ?3",
            )?;
            statement
                .query_map(params![bot, to_sql(since), limit], |row| row.get(0))?
                .collect()
        })
        .await
    }

    /// Forgets messages that were handled before `before`, and sent before it: so old ones are not read from the network again.
    pub async fn forget_handled(&self, bot: &str, before: TimestampNs) -> Result<(), super::Error> {
        let bot = bot.to_owned();
        self.write(move |transaction| {
            transaction.execute(
                "DELETE FROM handled WHERE bot = ?1 AND sent_ns < ?2",
                params![bot, to_sql(before)],
            )?;
            Ok(())
        })
        .await
    }
}

fn to_sql(time: TimestampNs) -> i64 {
    i64::try_from(time.as_ns()).unwrap_or(i64::MAX)
}

fn from_sql(time: i64) -> TimestampNs {
    TimestampNs::from_ns(u64::try_from(time).unwrap_or(0))
}
