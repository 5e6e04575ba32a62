//! Callbacks: what is told of deliveries, from the transaction that made it to tell until it is told or given up.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use herald_protocol::address::Address;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{State, Store, millis, time};
use crate::bot::config::CallbackEvent;

/// Where a callback stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackState {
    /// Goes out, or is tried again.
    Waiting,
    /// It was taken.
    Done,
    /// It was given up.
    Dead,
}

impl CallbackState {
    /// Every state, in the order of a callback's life.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Done, Self::Dead];

    /// The word in the store and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }

    /// The state of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// Something to tell, before it is recorded.
#[derive(Debug)]
pub(crate) struct NewCallback {
    /// The delivery's row.
    pub(crate) delivery: i64,
    pub(crate) bot: String,
    pub(crate) rule: String,
    pub(crate) wallet: Address,
    pub(crate) event: CallbackEvent,
    /// What is posted.
    pub(crate) body: String,
    pub(crate) created: DateTime<Utc>,
    /// How long it is tried.
    pub(crate) life: TimeDelta,
}

/// A callback as it stands.
#[derive(Clone, Debug)]
pub struct Callback {
    /// The row, and the callback's id for people.
    pub id: i64,
    /// The delivery it tells of.
    pub delivery: i64,
    /// The bot's name.
    pub bot: String,
    /// The rule's name.
    pub rule: String,
    /// To whom the delivery is.
    pub wallet: Address,
    /// What it tells.
    pub event: CallbackEvent,
    /// The `webhook-id`, the same on every try.
    pub webhook: String,
    /// What is posted, the same on every try.
    pub body: String,
    /// Where it stands.
    pub state: CallbackState,
    /// Why the last try failed, or why it was given up.
    pub reason: Option<String>,
    /// How often it was tried since it was made, or replayed.
    pub tries: u32,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// Not tried before.
    pub due: DateTime<Utc>,
    /// Given up after this.
    pub expires: DateTime<Utc>,
    /// When it was taken or given up.
    pub settled: Option<DateTime<Utc>>,
}

/// Which callbacks to list.
#[derive(Clone, Debug, Default)]
pub struct CallbackFilter {
    /// Of this bot.
    pub bot: Option<String>,
    /// Of this rule.
    pub rule: Option<String>,
    /// In this state.
    pub state: Option<CallbackState>,
    /// The newest so many.
    pub limit: u32,
}

/// Which callbacks go out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// All that were given up.
    Dead,
    /// These, whatever became of them.
    These(Vec<i64>),
}

/// What became of a delivery.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) bot: String,
    pub(crate) rule: String,
    pub(crate) wallet: Address,
    /// The row whose message it is part of.
    pub(crate) message: i64,
    /// Of that message.
    pub(crate) envelope: Option<[u8; 32]>,
    pub(crate) state: State,
    pub(crate) reason: Option<String>,
}

/// A delivery that waits for a reply.
#[derive(Debug)]
pub(crate) struct AwaitedReply<'a> {
    pub(crate) delivery: i64,
    pub(crate) bot: &'a str,
    pub(crate) wallet: Address,
    pub(crate) topic: &'a str,
    pub(crate) sealed: DateTime<Utc>,
}

/// A sealed delivery whose outcome is not known yet.
#[derive(Debug)]
pub(crate) struct OnItsWay {
    pub(crate) delivery: i64,
    /// The encoded publish request of the message it is part of.
    pub(crate) request: Bytes,
    pub(crate) sealed: DateTime<Utc>,
}

const COLUMNS: &str = "id, delivery, bot, rule, wallet, event, webhook, body, state, reason, tries, created_ms, due_ms, \
                       expires_ms, settled_ms";

fn callback(row: &Row<'_>) -> Result<Callback, rusqlite::Error> {
    Ok(Callback {
        id: row.get(0)?,
        delivery: row.get(1)?,
        bot: row.get(2)?,
        rule: row.get(3)?,
        wallet: row.get_ref(4)?.as_str()?.parse().map_err(|_| odd(4, "wallet"))?,
        event: CallbackEvent::parse(row.get_ref(5)?.as_str()?).ok_or_else(|| odd(5, "event"))?,
        webhook: row.get(6)?,
        body: row.get(7)?,
        state: CallbackState::parse(row.get_ref(8)?.as_str()?).ok_or_else(|| odd(8, "state"))?,
        reason: row.get(9)?,
        tries: row.get(10)?,
        created: time(row.get(11)?),
        due: time(row.get(12)?),
        expires: time(row.get(13)?),
        settled: row.get::<_, Option<i64>>(14)?.map(time),
    })
}

fn odd(column: usize, name: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, name.to_owned(), rusqlite::types::Type::Text)
}

/// Records something to tell inside the transaction that made it so. Its `webhook-id` is its own for good.
pub(crate) fn add_callback(transaction: &Transaction<'_>, new: &NewCallback) -> Result<(), rusqlite::Error> {
    let created = millis(new.created);
    let life = new.life.num_milliseconds();
    transaction
        .prepare_cached(
            "INSERT INTO callback (delivery, bot, rule, wallet, event, webhook, body, created_ms, due_ms, expires_ms, life_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, 'msg_' || lower(hex(randomblob(16))), ?6, ?7, ?7, ?8, ?9)",
        )?
        .execute(params![
            new.delivery,
            new.bot,
            new.rule,
            new.wallet.to_string(),
            new.event.as_str(),
            new.body,
            created,
            created.saturating_add(life),
            life
        ])?;
    Ok(())
}

/// What became of a delivery; a row that another carries has that one's envelope.
pub(crate) fn outcome(connection: &Connection, delivery: i64) -> Result<Option<Outcome>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT d.bot, d.rule, d.wallet, coalesce(c.envelope, d.envelope), d.state, d.reason, coalesce(c.id, d.id)
             FROM delivery AS d LEFT JOIN delivery AS c ON c.id = d.carrier WHERE d.id = ?1",
        )?
        .query_row([delivery], |row| {
            Ok(Outcome {
                bot: row.get(0)?,
                rule: row.get(1)?,
                wallet: row.get_ref(2)?.as_str()?.parse().map_err(|_| odd(2, "wallet"))?,
                envelope: row.get(3)?,
                state: State::parse(row.get_ref(4)?.as_str()?).ok_or_else(|| odd(4, "state"))?,
                reason: row.get(5)?,
                message: row.get(6)?,
            })
        })
        .optional()
}

/// Waits for the reply to a delivery, inside the transaction that settles it. Says whether it came already; then nothing waits.
pub(crate) fn await_reply(
    transaction: &Transaction<'_>,
    awaited: &AwaitedReply<'_>,
) -> Result<bool, rusqlite::Error> {
    let early = transaction
        .prepare_cached("DELETE FROM awaited_reply WHERE delivery = ?1 AND replied_ms IS NOT NULL")?
        .execute([awaited.delivery])?;
    if early > 0 {
        return Ok(true);
    }
    note_awaited(transaction, awaited, None)?;
    Ok(false)
}

/// Notes that the reply to a delivery came before the delivery is settled.
pub(crate) fn note_early_reply(
    transaction: &Transaction<'_>,
    awaited: &AwaitedReply<'_>,
    now: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    note_awaited(transaction, awaited, Some(now))
}

fn note_awaited(
    transaction: &Transaction<'_>,
    awaited: &AwaitedReply<'_>,
    replied: Option<DateTime<Utc>>,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "INSERT INTO awaited_reply (delivery, bot, wallet, topic, sealed_ms, replied_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            awaited.delivery,
            awaited.bot,
            awaited.wallet.to_string(),
            awaited.topic,
            millis(awaited.sealed),
            replied.map(millis)
        ])?;
    Ok(())
}

/// The deliveries that a message of the wallet in this conversation replies to, at most the newest `limit`; none of them waits
/// any more, and neither do older ones.
pub(crate) fn take_replied(
    transaction: &Transaction<'_>,
    (bot, wallet, topic): (&str, Address, &str),
    sent: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<i64>, rusqlite::Error> {
    let mut statement = transaction.prepare_cached(
        "DELETE FROM awaited_reply
         WHERE bot = ?1 AND wallet = ?2 AND topic = ?3 AND sealed_ms <= ?4 AND replied_ms IS NULL RETURNING delivery",
    )?;
    let values = params![bot, wallet.to_string(), topic, millis(sent)];
    let taken: Result<Vec<i64>, _> = statement.query_map(values, |row| row.get(0))?.collect();
    let mut taken = taken?;
    taken.sort_unstable();
    Ok(taken.split_off(taken.len().saturating_sub(limit)))
}

/// The rules' deliveries to a wallet that are sealed and not settled.
pub(crate) fn on_their_way(
    connection: &Connection,
    bot: &str,
    wallet: Address,
) -> Result<Vec<OnItsWay>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT d.id, coalesce(c.request, d.request), coalesce(c.sealed_ms, d.sealed_ms)
         FROM delivery AS d LEFT JOIN delivery AS c ON c.id = d.carrier
         WHERE d.bot = ?1 AND d.wallet = ?2 AND d.settled_ms IS NULL AND d.occurrence IS NOT NULL
           AND coalesce(c.state, d.state) = 'sealed'",
    )?;
    let rows = statement.query_map(params![bot, wallet.to_string()], |row| {
        Ok(OnItsWay {
            delivery: row.get(0)?,
            request: row.get::<_, Vec<u8>>(1)?.into(),
            sealed: time(row.get(2)?),
        })
    })?;
    rows.collect()
}

impl Store {
    /// Callbacks of a bot that are due, the oldest first: of each rule at most as many as it is given with, but for those that
    /// are on their way. And when the next one is due after `now`.
    pub(crate) async fn due_callbacks(
        &self,
        bot: &str,
        rules: Vec<(String, u32, Vec<i64>)>,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Callback>, Option<DateTime<Utc>>), super::Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            let query = format!(
                "SELECT {COLUMNS} FROM callback
                 WHERE bot = ?1 AND rule = ?2 AND state = 'waiting' AND due_ms <= ?3
                   AND id NOT IN (SELECT value FROM json_each(?5))
                 ORDER BY due_ms, id LIMIT ?4"
            );
            let mut due_now = connection.prepare_cached(&query)?;
            let mut due_next = connection.prepare_cached(
                "SELECT min(due_ms) FROM callback WHERE bot = ?1 AND rule = ?2 AND state = 'waiting' AND due_ms > ?3",
            )?;
            let (mut due, mut next) = (Vec::new(), None);
            for (rule, limit, busy) in rules {
                let busy = serde_json::Value::from(busy).to_string();
                for row in due_now.query_map(params![bot, rule, millis(now), limit, busy], callback)? {
                    due.push(row?);
                }
                let later: Option<i64> =
                    due_next.query_row(params![bot, rule, millis(now)], |row| row.get(0))?;
                next = [next, later].into_iter().flatten().min();
            }
            Ok((due, next.map(time)))
        })
        .await
    }

    /// Notes a try that failed, and when the next one is due.
    pub(crate) async fn callback_tried(
        &self,
        id: i64,
        due: DateTime<Utc>,
        reason: String,
    ) -> Result<(), super::Error> {
        self.write(move |transaction| {
            transaction
                .prepare_cached(
                    "UPDATE callback SET tries = tries + 1, due_ms = ?2, reason = ?3 WHERE id = ?1 AND state = 'waiting'",
                )?
                .execute(params![id, millis(due), reason])
                .map(drop)
        })
        .await
    }

    /// Ends a callback after a try: taken, or given up for a reason.
    pub(crate) async fn end_callback(
        &self,
        id: i64,
        reason: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<(), super::Error> {
        self.write(move |transaction| {
            transaction
                .prepare_cached(
                    "UPDATE callback SET tries = tries + 1, state = iif(?2 IS NULL, 'done', 'dead'), reason = ?2, settled_ms = ?3
                     WHERE id = ?1 AND state = 'waiting'",
                )?
                .execute(params![id, reason, millis(now)])
                .map(drop)
        })
        .await
    }

    /// Gives up the callbacks of a bot's rules that are not among these. Gives what was given up.
    pub(crate) async fn give_up_callbacks(
        &self,
        bot: &str,
        but: Vec<String>,
        reason: &'static str,
        now: DateTime<Utc>,
    ) -> Result<Vec<Callback>, super::Error> {
        let bot = bot.to_owned();
        self.write(move |transaction| {
            let query = format!(
                "UPDATE callback SET state = 'dead', reason = ?3, settled_ms = ?4
                 WHERE bot = ?1 AND state = 'waiting' AND rule NOT IN (SELECT value FROM json_each(?2)) RETURNING {COLUMNS}"
            );
            let but = serde_json::Value::from(but).to_string();
            let mut statement = transaction.prepare_cached(&query)?;
            let given_up = statement.query_map(params![bot, but, reason, millis(now)], callback)?;
            given_up.collect()
        })
        .await
    }

    /// The callbacks that pass the filter, newest first.
    pub async fn callbacks(&self, filter: CallbackFilter) -> Result<Vec<Callback>, super::Error> {
        self.read(move |connection| {
            let query = format!(
                "SELECT {COLUMNS} FROM callback
                 WHERE (?1 IS NULL OR bot = ?1) AND (?2 IS NULL OR rule = ?2) AND (?3 IS NULL OR state = ?3)
                 ORDER BY id DESC LIMIT ?4"
            );
            let state = filter.state.map(CallbackState::as_str);
            let values = params![filter.bot, filter.rule, state, filter.limit];
            connection.prepare(&query)?.query_map(values, callback)?.collect()
        })
        .await
    }

    /// Lets callbacks go out again, at once and for as long as at first: with the same `webhook-id` and body, so that a receiver
    /// that has one takes it once. Says how many; or which of them there are none of, and then nothing is changed.
    pub async fn replay_callbacks(
        &self,
        which: Replay,
        now: DateTime<Utc>,
    ) -> Result<Result<usize, Vec<i64>>, super::Error> {
        self.write(move |transaction| {
            let replay = "UPDATE callback SET state = 'waiting', reason = NULL, settled_ms = NULL, tries = 0, due_ms = ?1,
                                 expires_ms = ?1 + life_ms";
            let ids = match which {
                Replay::Dead => {
                    let all = format!("{replay} WHERE state = 'dead'");
                    return transaction.execute(&all, [millis(now)]).map(Ok);
                }
                Replay::These(ids) => ids,
            };
            let mut known = transaction.prepare_cached("SELECT 1 FROM callback WHERE id = ?1")?;
            let mut missing = Vec::new();
            for id in &ids {
                if !known.exists([id])? {
                    missing.push(*id);
                }
            }
            if !missing.is_empty() {
                return Ok(Err(missing));
            }
            let mut one = transaction.prepare_cached(&format!("{replay} WHERE id = ?2"))?;
            for id in &ids {
                one.execute(params![millis(now), id])?;
            }
            Ok(Ok(ids.len()))
        })
        .await
    }
}
