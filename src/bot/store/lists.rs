//! Lists: who joined, with which fields, and who left.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use herald_protocol::{address::Address, consent::ConsentProof};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, types::ValueRef};

use super::{Delivery, Store, millis, people, time};

/// A wallet that joined a list.
#[derive(Clone, Debug)]
pub struct Member {
    /// The member's wallet.
    pub wallet: Address,
    /// Fields by name, as JSON of their declared types; among them `name`, `tz` and `lang` once told.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// When it joined.
    pub joined: DateTime<Utc>,
}

/// A member, from the columns `wallet, fields, joined_ms`.
pub(super) fn member(row: &Row<'_>) -> Result<Member, rusqlite::Error> {
    let odd = |column, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    Ok(Member {
        wallet: super::wallet(row.get_ref(0)?.as_str()?)
            .ok_or_else(|| odd(0, "odd wallet in a list".into()))?,
        fields: serde_json::from_str(row.get_ref(1)?.as_str()?).map_err(|error| odd(1, Box::new(error)))?,
        joined: time(row.get(2)?),
    })
}

/// Puts a wallet on a list inside a transaction, or gives a member new fields. Says whether it is new. A departure is over.
pub(crate) fn join(
    transaction: &Transaction<'_>,
    bot: &str,
    list: &str,
    member: &Member,
) -> Result<bool, rusqlite::Error> {
    let wallet = member.wallet.to_string();
    let known = transaction
        .prepare_cached("SELECT 1 FROM member WHERE bot = ?1 AND list = ?2 AND wallet = ?3")?
        .query_row(params![bot, list, wallet], |_| Ok(()))
        .optional()?
        .is_some();
    let fields = serde_json::Value::Object(member.fields.clone()).to_string();
    transaction.execute(
        "INSERT INTO member (bot, list, wallet, fields, joined_ms) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET fields = json_patch(fields, excluded.fields)",
        params![bot, list, wallet, fields, millis(member.joined)],
    )?;
    // Another list may know its time zone.
    transaction.execute(
        "UPDATE member SET fields = json_set(fields, '$.tz', other.tz)
         FROM (SELECT json_extract(fields, '$.tz') AS tz FROM member
               WHERE bot = ?1 AND wallet = ?3 AND json_extract(fields, '$.tz') IS NOT NULL LIMIT 1) AS other
         WHERE bot = ?1 AND list = ?2 AND wallet = ?3 AND json_extract(fields, '$.tz') IS NULL",
        params![bot, list, wallet],
    )?;
    transaction.execute(
        "DELETE FROM departure WHERE bot = ?1 AND wallet = ?2",
        params![bot, wallet],
    )?;
    Ok(!known)
}

/// Takes a wallet off one list, or off all and notes that it left. Says which lists it was on. Its proof is void once it is on none.
pub(crate) fn leave(
    transaction: &Transaction<'_>,
    bot: &str,
    list: Option<&str>,
    wallet: Address,
    now: DateTime<Utc>,
) -> Result<Vec<String>, rusqlite::Error> {
    let text = wallet.to_string();
    let lists = transaction
        .prepare_cached(
            "DELETE FROM member WHERE bot = ?1 AND wallet = ?2 AND (?3 IS NULL OR list = ?3) RETURNING list",
        )?
        .query_map(params![bot, text, list], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    if list.is_none() {
        transaction.execute(
            "INSERT INTO departure (bot, wallet, left_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![bot, text, millis(now)],
        )?;
    }
    super::recall(transaction, bot, wallet, now)?;
    transaction.execute(
        "DELETE FROM proof WHERE bot = ?1 AND wallet = ?2
             AND NOT EXISTS (SELECT 1 FROM member WHERE bot = ?1 AND wallet = ?2)",
        params![bot, text],
    )?;
    Ok(lists)
}

/// Gives fields of a membership new values inside a transaction; `null` takes one away.
pub(crate) fn set_fields(
    transaction: &Transaction<'_>,
    (bot, list): (&str, &str),
    wallet: Address,
    fields: serde_json::Map<String, serde_json::Value>,
) -> Result<(), rusqlite::Error> {
    let fields = serde_json::Value::Object(fields).to_string();
    transaction
        .prepare_cached(
            "UPDATE member SET fields = json_patch(fields, ?4) WHERE bot = ?1 AND list = ?2 AND wallet = ?3",
        )?
        .execute(params![bot, list, wallet.to_string(), fields])?;
    Ok(())
}

/// A wallet's membership in a list.
pub(crate) fn find(
    connection: &Connection,
    bot: &str,
    list: &str,
    wallet: Address,
) -> Result<Option<Member>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT wallet, fields, joined_ms FROM member WHERE bot = ?1 AND list = ?2 AND wallet = ?3",
        )?
        .query_row(params![bot, list, wallet.to_string()], member)
        .optional()
}

/// What a bot knows of a wallet when it decides whether to write to it.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// It said a leave word and has not joined again.
    pub left: bool,
    /// It has written to the bot.
    pub wrote: bool,
    /// It signed that the bot may write to it. It may be too old for an invitation.
    pub proof: Option<ConsentProof>,
    /// When it is not to be written to by its own clock, as windows are written, without a zone.
    pub quiet: Option<String>,
    /// It has a row in one of the bot's tables.
    pub owns: bool,
    /// Its memberships by list.
    pub lists: BTreeMap<String, Member>,
    /// Its membership in the list of another bot, where that named it for a message.
    pub borrowed: Option<Member>,
}

impl Standing {
    /// Its membership of the list that named it, which may be another bot's.
    pub(crate) fn member_of(&self, list: &str) -> Option<&Member> {
        self.lists.get(list).or(self.borrowed.as_ref())
    }

    /// The zone it has told, UTC until then.
    pub fn zone(&self) -> Tz {
        self.told("tz")
            .and_then(|zone| zone.parse().ok())
            .unwrap_or(Tz::UTC)
    }

    /// Whether it is a member, owns a row, or has signed that it wants to be written to.
    pub fn opted_in(&self) -> bool {
        !self.lists.is_empty() || self.owns || self.proof.is_some()
    }

    /// Something it has told of itself, on whichever list: `name`, `tz`, `lang`.
    pub fn told(&self, field: &str) -> Option<&str> {
        let mut told = self.lists.values().filter_map(|member| member.fields.get(field));
        told.find_map(serde_json::Value::as_str)
    }
}

/// A member's time zone: UTC until told.
const ZONE: &str = "coalesce(json_extract(fields, '$.tz'), 'UTC')";

impl Store {
    /// The next members of a list after `after` in the order of their wallets' text, at most `limit`.
    pub async fn members(
        &self,
        bot: &str,
        list: &str,
        after: String,
        limit: u32,
    ) -> Result<Vec<Member>, super::Error> {
        self.members_in(None, bot, list, (after, limit)).await
    }

    /// The same, of those alone whose clock is that of a time zone.
    pub async fn members_in(
        &self,
        zone: Option<String>,
        bot: &str,
        list: &str,
        (after, limit): (String, u32),
    ) -> Result<Vec<Member>, super::Error> {
        let (bot, list) = (bot.to_owned(), list.to_owned());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT wallet, fields, joined_ms FROM member
                 WHERE bot = ?1 AND list = ?2 AND wallet > ?3 AND (?5 IS NULL OR {ZONE} = ?5) ORDER BY wallet LIMIT ?4"
            ))?;
            statement
                .query_map(params![bot, list, after, limit, zone], member)?
                .collect()
        })
        .await
    }

    /// How many members a list has.
    pub async fn count_members(&self, bot: &str, list: &str) -> Result<u64, super::Error> {
        let (bot, list) = (bot.to_owned(), list.to_owned());
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT count(*) FROM member WHERE bot = ?1 AND list = ?2")?
                .query_row(params![bot, list], |row| row.get::<_, i64>(0))
                .map(i64::unsigned_abs)
        })
        .await
    }

    /// What a bot knows of one wallet.
    pub async fn standing(&self, bot: &str, wallet: Address) -> Result<Standing, super::Error> {
        let bot = bot.to_owned();
        self.read(move |connection| standing(connection, &bot, wallet))
            .await
    }

    /// The time zones of a list's members, in order.
    pub async fn zones(&self, bot: &str, list: &str) -> Result<Vec<String>, super::Error> {
        let (bot, list) = (bot.to_owned(), list.to_owned());
        self.read(move |connection| {
            let query = format!("SELECT DISTINCT {ZONE} FROM member WHERE bot = ?1 AND list = ?2 ORDER BY 1");
            let mut statement = connection.prepare_cached(&query)?;
            statement
                .query_map(params![bot, list], |row| row.get(0))?
                .collect()
        })
        .await
    }
}

/// What the bot knows of one wallet.
pub(crate) fn standing(
    connection: &Connection,
    bot: &str,
    wallet: Address,
) -> Result<Standing, rusqlite::Error> {
    let text = wallet.to_string();
    let mut statement = connection.prepare_cached(
        "SELECT wallet, fields, joined_ms, list FROM member WHERE bot = ?1 AND wallet = ?2",
    )?;
    let lists = statement
        .query_map(params![bot, text], |row| Ok((row.get(3)?, member(row)?)))?
        .collect::<Result<_, _>>()?;
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM departure WHERE bot = ?1 AND wallet = ?2),
                    EXISTS (SELECT 1 FROM writer WHERE bot = ?1 AND wallet = ?2),
                    (SELECT quiet FROM person WHERE bot = ?1 AND wallet = ?2),
                    EXISTS (SELECT 1 FROM table_row WHERE bot = ?1 AND owner = ?2),
                    signature, signed_ms
             FROM (SELECT 1) LEFT JOIN proof ON bot = ?1 AND wallet = ?2",
        )?
        .query_row(params![bot, text], |row| {
            let has_proof = row.get_ref("signature")? != ValueRef::Null;
            Ok(Standing {
                left: row.get(0)?,
                wrote: row.get(1)?,
                quiet: row.get(2)?,
                owns: row.get(3)?,
                proof: has_proof.then(|| people::read_proof(row)).transpose()?,
                lists,
                borrowed: None,
            })
        })
}

/// What the bot knows of the recipient of a row, with its membership in the list that named it.
pub(crate) fn standing_of(connection: &Connection, row: &Delivery) -> Result<Standing, rusqlite::Error> {
    let mut standing = standing(connection, &row.bot, row.wallet)?;
    if let Some((bot, list)) = row.list.as_deref().and_then(|list| list.split_once('/')) {
        standing.borrowed = find(connection, bot, list, row.wallet)?;
    }
    Ok(standing)
}
