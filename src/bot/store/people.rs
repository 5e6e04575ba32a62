//! People: what a bot keeps of a wallet beside its memberships, and how it forgets one.

use chrono::{DateTime, Utc};
use herald_protocol::{address::Address, consent::ConsentProof};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Store, millis, time};

/// Keeps a proof that a wallet wants to be written to; an older one than the known one changes nothing. Whoever calls has verified it.
pub(crate) fn keep_proof(
    transaction: &Transaction<'_>,
    bot: &str,
    wallet: Address,
    proof: &ConsentProof,
) -> Result<(), rusqlite::Error> {
    transaction.execute(
        "INSERT INTO proof (bot, wallet, signature, signed_ms) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET signature = excluded.signature, signed_ms = excluded.signed_ms
         WHERE excluded.signed_ms >= signed_ms",
        params![
            bot,
            wallet.to_string(),
            proof.signature,
            i64::try_from(proof.timestamp_ms).unwrap_or(i64::MAX)
        ],
    )?;
    Ok(())
}

/// A wallet's newest proof.
fn proof(
    connection: &Connection,
    bot: &str,
    wallet: Address,
) -> Result<Option<ConsentProof>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT signature, signed_ms FROM proof WHERE bot = ?1 AND wallet = ?2")?
        .query_row(params![bot, wallet.to_string()], read_proof)
        .optional()
}

/// The proof in the columns `signature` and `signed_ms`.
pub(super) fn read_proof(row: &Row<'_>) -> Result<ConsentProof, rusqlite::Error> {
    Ok(ConsentProof {
        signature: row.get("signature")?,
        timestamp_ms: u64::try_from(row.get::<_, i64>("signed_ms")?).unwrap_or_default(),
        payload_version: 1,
    })
}

/// When a wallet left everything, unless it joined again.
pub(crate) fn left_at(
    connection: &Connection,
    bot: &str,
    wallet: Address,
) -> Result<Option<DateTime<Utc>>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT left_ms FROM departure WHERE bot = ?1 AND wallet = ?2")?
        .query_row(params![bot, wallet.to_string()], |row| Ok(time(row.get(0)?)))
        .optional()
}

/// Changes when a wallet is not to be written to; what is held is judged anew.
pub(crate) fn set_quiet(
    transaction: &Transaction<'_>,
    bot: &str,
    (wallet, quiet): (Address, Option<&str>),
    now: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    transaction.execute(
        "INSERT INTO person (bot, wallet, quiet) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET quiet = excluded.quiet",
        params![bot, wallet.to_string(), quiet],
    )?;
    super::recall(transaction, bot, wallet, now)
}

/// Changes a member's time zone on every list it is on; what is held is judged anew. Says whether it is on one.
pub(crate) fn set_zone(
    transaction: &Transaction<'_>,
    bot: &str,
    (wallet, zone): (Address, &str),
    now: DateTime<Utc>,
) -> Result<bool, rusqlite::Error> {
    let changed = transaction.execute(
        "UPDATE member SET fields = json_set(fields, '$.tz', ?3) WHERE bot = ?1 AND wallet = ?2",
        params![bot, wallet.to_string(), zone],
    )?;
    super::recall(transaction, bot, wallet, now)?;
    Ok(changed > 0)
}

/// Erases a wallet: memberships, fields, rows, proof, quiet hours, the texts written to it and by it, and what it caused. What remains is
/// that it left, so that nobody writes to it again, and which messages were delivered when.
pub(crate) fn forget(
    transaction: &Transaction<'_>,
    bot: &str,
    wallet: Address,
    now: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    let text = wallet.to_string();
    for table in ["member", "proof", "person", "writer", "awaited_reply", "flow"] {
        let erase = format!("DELETE FROM {table} WHERE bot = ?1 AND wallet = ?2");
        transaction.execute(&erase, params![bot, text])?;
    }
    for table in ["table_row", "table_owner"] {
        let erase = format!("DELETE FROM {table} WHERE bot = ?1 AND owner = ?2");
        transaction.execute(&erase, params![bot, text])?;
    }
    transaction.execute(
        "INSERT INTO departure (bot, wallet, left_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![bot, text, millis(now)],
    )?;
    // What is to be told yet still is.
    transaction.execute(
        "DELETE FROM callback WHERE bot = ?1 AND wallet = ?2 AND state != 'waiting'",
        params![bot, text],
    )?;
    // What it wrote, and what concerned it alone.
    transaction.execute(
        "CREATE TEMP TABLE IF NOT EXISTS forgotten (id INTEGER PRIMARY KEY)",
        [],
    )?;
    transaction.execute("DELETE FROM temp.forgotten", [])?;
    transaction.execute(
        "INSERT OR IGNORE INTO temp.forgotten
         SELECT id FROM occurrence WHERE bot = ?1
             AND (json_extract(names, '$.message.from') = ?2 OR json_extract(names, '$.sub.wallet') = ?2
                 OR json_extract(names, '$.row.owner') = ?2)",
        params![bot, text],
    )?;
    transaction.execute(
        "INSERT OR IGNORE INTO temp.forgotten
         SELECT occurrence FROM delivery WHERE bot = ?1 AND occurrence IN (
             SELECT occurrence FROM delivery WHERE bot = ?1 AND wallet = ?2 AND occurrence IS NOT NULL)
         GROUP BY occurrence HAVING min(wallet) = max(wallet)",
        params![bot, text],
    )?;
    transaction.execute(
        "UPDATE occurrence SET names = '{}', answer = NULL,
             state = CASE state WHEN 'planning' THEN 'skipped' ELSE state END,
             reason = CASE state WHEN 'planning' THEN ?1 ELSE reason END
         WHERE id IN (SELECT id FROM temp.forgotten)",
        [FORGOTTEN],
    )?;
    transaction.execute(
        "UPDATE delivery SET state = 'skipped', reason = ?3, settled_ms = ?4, until_ms = NULL, request = NULL, parked = 0
         WHERE settled_ms IS NULL AND bot = ?1
             AND (wallet = ?2 OR author = ?2 OR occurrence IN (SELECT id FROM temp.forgotten))",
        params![bot, text, FORGOTTEN, millis(now)],
    )?;
    transaction.execute(
        "UPDATE delivery SET body = NULL, vars = NULL, content = NULL, file = NULL, request = NULL
         WHERE bot = ?1 AND (wallet = ?2 OR author = ?2)",
        params![bot, text],
    )?;
    transaction.execute("DELETE FROM temp.forgotten", [])?;
    Ok(())
}

/// Why a row or an occurrence of a forgotten wallet ended.
const FORGOTTEN: &str = "the wallet asked to be forgotten";

impl Store {
    /// The proofs of wallets, in their order.
    pub async fn proofs(
        &self,
        bot: &str,
        wallets: Vec<Address>,
    ) -> Result<Vec<Option<ConsentProof>>, super::Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            wallets
                .into_iter()
                .map(|wallet| proof(connection, &bot, wallet))
                .collect()
        })
        .await
    }
}
