//! Deliveries: one row a message and wallet, from plan to settled.
//!
//! Updates of single rows are made `OR FAIL`: one that fails fails the change that it is part of, so SQLite need not keep for each
//! what would undo it alone.

/// Rows that are due.
mod queue;
/// Where a delivery stands.
mod state;
/// What limits look at.
mod windows;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Store, millis, time};
use crate::bot::config::Priority;

pub use queue::Waiting;
pub use state::{MessageNumber, State};
pub(crate) use windows::{recipient_window, window};

/// A message to be written to a wallet.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// The bot's name.
    pub bot: String,
    /// The rule's name; `list:NAME` or `command:/NAME` for answers.
    pub rule: String,
    /// Unique with rule, wallet and part.
    pub key: String,
    /// To whom.
    pub wallet: Address,
    /// Whose words it holds, where these are not for their writer.
    pub author: Option<Address>,
    /// Which of the rule's messages.
    pub part: MessageNumber,
    /// The occurrence's row; none for answers.
    pub occurrence: Option<i64>,
    /// What an answer says; a rule's message is rendered when due.
    pub body: Option<Body>,
    /// The topic of the conversation an answer goes to; else the one that has no id.
    pub conversation: Option<String>,
    /// The variables its audience gave, a JSON record.
    pub vars: Option<String>,
    /// The list that named the wallet.
    pub list: Option<String>,
    /// When it was planned.
    pub created: DateTime<Utc>,
    /// Not looked at before.
    pub due: DateTime<Utc>,
    /// After this it is not sent any more.
    pub expires: DateTime<Utc>,
    /// Whether it goes before or after others.
    pub priority: Priority,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A text.
    Text(String),
    /// The encoded content of another type.
    Content(Vec<u8>),
    /// The file that becomes a content when the row is due, as JSON.
    File(String),
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Why a row waits, and how long.
#[derive(Clone, Debug)]
pub struct Wait {
    /// The row.
    pub row: i64,
    /// For what it waits.
    pub reason: String,
    /// Looked at again at this time.
    pub due: DateTime<Utc>,
    /// How long it waits at the most.
    pub until: DateTime<Utc>,
    /// After this it is not sent any more.
    pub expires: DateTime<Utc>,
    /// When the digest is due that it belongs to; none keeps what is known.
    pub period: Option<DateTime<Utc>>,
}

/// What sealing fixed.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The encoded publish request: the same bytes on every try. Empty once the row is delivered or skipped.
    pub request: Bytes,
    /// The envelope's digest, SHA-256(topic || message).
    pub envelope: [u8; 32],
    /// The message id, SHA-256(message).
    pub message: [u8; 32],
    /// The time in the message's header.
    pub sealed: DateTime<Utc>,
    /// The id of the conversation, where it has one.
    pub thread: Option<String>,
}

/// A delivery as it stands.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The row, and the delivery's id for people.
    pub id: i64,
    /// The bot's name.
    pub bot: String,
    /// The rule's name.
    pub rule: String,
    /// What the rule dedupes by.
    pub key: String,
    /// To whom.
    pub wallet: Address,
    /// Which of the rule's messages.
    pub part: MessageNumber,
    /// The occurrence's row; none for answers.
    pub occurrence: Option<i64>,
    /// What an answer says.
    pub body: Option<Body>,
    /// The topic of the conversation an answer goes to; else the one that has no id.
    pub conversation: Option<String>,
    /// The variables its audience gave, a JSON record.
    pub vars: Option<String>,
    /// The list that named the wallet.
    pub list: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Why, where there is something to say.
    pub reason: Option<String>,
    /// When it was planned.
    pub created: DateTime<Utc>,
    /// How long it waits at the most, while held.
    pub until: Option<DateTime<Utc>>,
    /// Not looked at before.
    pub due: DateTime<Utc>,
    /// After this it is not sent any more.
    pub expires: DateTime<Utc>,
    /// How often it was published.
    pub tries: u32,
    /// When it was published last.
    pub tried: Option<DateTime<Utc>>,
    /// What sealing fixed.
    pub sealed: Option<Sealed>,
    /// When it ended.
    pub settled: Option<DateTime<Utc>>,
    /// When the digest is due that it belongs to, once that is known.
    pub period: Option<DateTime<Utc>>,
}

fn body(row: &Row<'_>) -> Result<Option<Body>, rusqlite::Error> {
    if let Some(text) = row.get("body")? {
        return Ok(Some(Body::Text(text)));
    }
    if let Some(content) = row.get("content")? {
        return Ok(Some(Body::Content(content)));
    }
    Ok(row.get::<_, Option<String>>("file")?.map(Body::File))
}
pub(super) const COLUMNS: &str = "id, bot, rule, key, wallet, part, delivery.occurrence, body,
     iif(parked, 'held', state),
     iif(parked, (SELECT CASE gate WHEN 'approval' THEN 'it awaits approval' WHEN 'canary' THEN 'a canary goes first'
                                   ELSE 'the broadcast is ' || gate END
                  FROM occurrence AS o WHERE o.id = delivery.occurrence), reason),
     created_ms, due_ms, expires_ms, tries, tried_ms, request, envelope, message, sealed_ms, settled_ms, conversation,
     until_ms, vars, list, period_ms, content, file, thread";

pub(super) fn delivery(row: &Row<'_>) -> Result<Delivery, rusqlite::Error> {
    let odd = |column: usize, what: &str| {
        let error = format!("odd {what} in a delivery").into();
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let sealed = match row.get::<_, Option<i64>>(18)? {
        Some(sealed) => Some(Sealed {
            request: row.get::<_, Option<Vec<u8>>>(15)?.unwrap_or_default().into(),
            envelope: row.get(16)?,
            message: row.get(17)?,
            sealed: time(sealed),
            thread: row.get("thread")?,
        }),
        None => None,
    };
    Ok(Delivery {
        id: row.get(0)?,
        bot: row.get(1)?,
        rule: row.get(2)?,
        key: row.get(3)?,
        wallet: row.get_ref(4)?.as_str()?.parse().map_err(|_| odd(4, "wallet"))?,
        part: row.get(5)?,
        occurrence: row.get(6)?,
        body: body(row)?,
        conversation: row.get(20)?,
        until: row.get::<_, Option<i64>>(21)?.map(time),
        vars: row.get(22)?,
        list: row.get(23)?,
        state: State::parse(row.get_ref(8)?.as_str()?).ok_or_else(|| odd(8, "state"))?,
        reason: row.get(9)?,
        created: time(row.get(10)?),
        due: time(row.get(11)?),
        expires: time(row.get(12)?),
        tries: row.get(13)?,
        tried: row.get::<_, Option<i64>>(14)?.map(time),
        sealed,
        settled: row.get::<_, Option<i64>>(19)?.map(time),
        period: row.get::<_, Option<i64>>(24)?.map(time),
    })
}

/// Adds a row inside a transaction; a repeated key changes nothing. Says whether it is new.
pub(crate) fn insert(transaction: &Transaction<'_>, new: &NewDelivery) -> Result<bool, rusqlite::Error> {
    insert_behind(transaction, false, new)
}

/// Adds a row that waits behind the gate of its occurrence where that is closed.
pub(super) fn insert_behind(
    transaction: &Transaction<'_>,
    is_closed: bool,
    new: &NewDelivery,
) -> Result<bool, rusqlite::Error> {
    let (text, content, file) = match &new.body {
        None => (None, None, None),
        Some(Body::Text(text)) => (Some(text), None, None),
        Some(Body::Content(content)) => (None, Some(content), None),
        Some(Body::File(file)) => (None, None, Some(file)),
    };
    let mut statement = transaction.prepare_cached(
        "INSERT INTO delivery (bot, rule, key, wallet, part, occurrence, body, state, created_ms, expires_ms,
                               conversation, priority, vars, list, parked, due_ms, content, file, author)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'planned', ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
         ON CONFLICT DO NOTHING",
    )?;
    let due = if is_closed { new.expires } else { new.due };
    let added = statement.execute(params![
        new.bot,
        new.rule,
        new.key,
        new.wallet.to_string(),
        new.part,
        new.occurrence,
        text,
        millis(new.created),
        millis(new.expires),
        new.conversation,
        new.priority.rank(),
        new.vars,
        new.list,
        is_closed,
        millis(due),
        content,
        file,
        new.author.map(|author| author.to_string()),
    ])?;
    Ok(added == 1)
}

/// Ends rows inside a transaction, each with its state and reason. What they say is kept of those alone that can be sent again: of
/// others it may be what somebody confided to the bot, who is to be able to take it back. Rows that they carry end with them, but for
/// the rows of one that is skipped: that concerns it alone, and another carries them. Gives the rows that ended by it.
pub(crate) fn settle(
    transaction: &Transaction<'_>,
    rows: &[(i64, State, Option<String>)],
    now: DateTime<Utc>,
) -> Result<Vec<i64>, rusqlite::Error> {
    let mut ended = Vec::with_capacity(rows.len());
    let mut settle = transaction.prepare_cached(
        "UPDATE OR FAIL delivery SET state = ?2, reason = ?3, settled_ms = ?4, until_ms = NULL, parked = 0,
                request = CASE WHEN ?5 THEN request END, body = CASE WHEN ?5 THEN body END,
                content = CASE WHEN ?5 THEN content END, file = CASE WHEN ?5 THEN file END,
                tries = tries + (?2 = 'delivered')
         WHERE id = ?1 AND settled_ms IS NULL",
    )?;
    let carry: bool = transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM delivery WHERE carrier IS NOT NULL)")?
        .query_row([], |row| row.get(0))?;
    for (id, state, reason) in rows {
        let is_dead = matches!(state, State::Rejected | State::Expired);
        if settle.execute(params![id, state.as_str(), reason, millis(now), is_dead])? == 1 {
            ended.push(*id);
        }
        if carry {
            ended.extend(settle_carried(
                transaction,
                (*id, *state, reason.as_deref()),
                now,
            )?);
        }
    }
    Ok(ended)
}

/// Ends the rows that an ended one carries, or releases them. Gives those that ended.
fn settle_carried(
    transaction: &Transaction<'_>,
    (id, state, reason): (i64, State, Option<&str>),
    now: DateTime<Utc>,
) -> Result<Vec<i64>, rusqlite::Error> {
    if state == State::Skipped {
        transaction
            .prepare_cached("UPDATE delivery SET carrier = NULL WHERE carrier = ?1 AND settled_ms IS NULL")?
            .execute([id])?;
        return Ok(Vec::new());
    }
    let with = match reason {
        Some(reason) => format!("with delivery {id}: {reason}"),
        None => format!("in the digest of delivery {id}"),
    };
    let mut carried = transaction.prepare_cached(
        "UPDATE delivery SET state = ?2, reason = ?3, settled_ms = ?4, until_ms = NULL, parked = 0
         WHERE carrier = ?1 AND settled_ms IS NULL RETURNING id",
    )?;
    let rows = carried.query_map(params![id, state.as_str(), with, millis(now)], |row| row.get(0))?;
    rows.collect()
}

/// Brings what waits for a wallet before the judge at once, inside a transaction: the wallet left or is denied. Answers stay.
pub(crate) fn recall(
    transaction: &Transaction<'_>,
    bot: &str,
    wallet: Address,
    now: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "UPDATE delivery SET due_ms = min(due_ms, ?3)
             WHERE bot = ?1 AND wallet = ?2 AND settled_ms IS NULL AND state = 'held' AND occurrence IS NOT NULL",
        )?
        .execute(params![bot, wallet.to_string(), millis(now)])?;
    Ok(())
}

/// The first message that a rule wrote to a wallet about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstMessage {
    /// Its message id.
    pub message: [u8; 32],
    /// The id of its conversation.
    pub thread: Option<String>,
}

/// The rule's first message that a follow-up follows.
pub(crate) fn first_message(
    connection: &Connection,
    row: &Delivery,
) -> Result<Option<FirstMessage>, rusqlite::Error> {
    let query = "SELECT message, thread FROM delivery
                 WHERE bot = ?1 AND rule = ?2 AND key = ?3 AND wallet = ?4 AND part < ?5 AND sealed_ms IS NOT NULL
                   AND state = 'delivered'
                 ORDER BY part LIMIT 1";
    let wallet = row.wallet.to_string();
    connection
        .prepare_cached(query)?
        .query_row(
            params![row.bot, row.rule, row.key, wallet, MessageNumber::PER_STEP],
            |row| {
                Ok(FirstMessage {
                    message: row.get(0)?,
                    thread: row.get(1)?,
                })
            },
        )
        .optional()
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this bot.
    pub bot: Option<String>,
    /// Of this rule.
    pub rule: Option<String>,
    /// To this wallet.
    pub wallet: Option<Address>,
    /// In this state.
    pub state: Option<State>,
    /// Planned at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// The newest so many.
    pub limit: u32,
    /// The one with this id.
    pub id: Option<i64>,
}

impl Store {
    /// The deliveries that pass the filter, newest first.
    pub async fn deliveries(&self, filter: Filter) -> Result<Vec<Delivery>, super::Error> {
        self.read(move |connection| list(connection, &filter)).await
    }
}

pub(super) fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Delivery>, rusqlite::Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM delivery
         WHERE (?1 IS NULL OR bot = ?1) AND (?2 IS NULL OR rule = ?2) AND (?3 IS NULL OR wallet = ?3)
           AND (?4 IS NULL OR iif(parked, 'held', state) = ?4) AND (?5 IS NULL OR created_ms >= ?5) AND (?7 IS NULL OR id = ?7)
         ORDER BY id DESC LIMIT ?6"
    );
    let mut statement = connection.prepare(&query)?;
    let values = params![
        filter.bot,
        filter.rule,
        filter.wallet.map(|wallet| wallet.to_string()),
        filter.state.map(State::as_str),
        filter.since.map(millis),
        filter.limit,
        filter.id,
    ];
    statement.query_map(values, delivery)?.collect()
}
