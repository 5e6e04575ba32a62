//! Flows: where each wallet is in the one that is open for it.

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Store, millis, time};

/// The open flow of a wallet.
#[derive(Clone, Debug)]
pub(crate) struct OpenFlow {
    pub(crate) wallet: Address,
    pub(crate) flow: String,
    pub(crate) state: String,
    /// Of its case, once it is forwarded.
    pub(crate) number: Option<i64>,
    /// When time alone does something.
    pub(crate) due: Option<DateTime<Utc>>,
    /// The rest, as JSON.
    pub(crate) stand: String,
}

const COLUMNS: &str = "wallet, flow, state, number, due_ms, stand";

fn address(row: &Row<'_>, column: usize) -> Result<Address, rusqlite::Error> {
    row.get_ref(column)?.as_str()?.parse().map_err(|_| {
        let error = "odd wallet in a flow".into();
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    })
}

fn open(row: &Row<'_>) -> Result<OpenFlow, rusqlite::Error> {
    Ok(OpenFlow {
        wallet: address(row, 0)?,
        flow: row.get(1)?,
        state: row.get(2)?,
        number: row.get(3)?,
        due: row.get::<_, Option<i64>>(4)?.map(time),
        stand: row.get(5)?,
    })
}

/// The open flow of a wallet.
pub(crate) fn open_flow(
    connection: &Connection,
    bot: &str,
    wallet: Address,
) -> Result<Option<OpenFlow>, rusqlite::Error> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM flow WHERE bot = ?1 AND wallet = ?2"
        ))?
        .query_row(params![bot, wallet.to_string()], open)
        .optional()
}

/// Every flow that is forwarded to a wallet, the newest first.
pub(crate) fn cases_of(
    connection: &Connection,
    bot: &str,
    wallet: Address,
) -> Result<Vec<OpenFlow>, rusqlite::Error> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM flow
             WHERE bot = ?1 AND number IN (SELECT number FROM flow_person WHERE bot = ?1 AND wallet = ?2)
             ORDER BY number DESC"
        ))?
        .query_map(params![bot, wallet.to_string()], open)?
        .collect()
}

/// The wallets that a case is forwarded to.
pub(crate) fn case_people(
    connection: &Connection,
    bot: &str,
    number: i64,
) -> Result<Vec<Address>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT wallet FROM flow_person WHERE bot = ?1 AND number = ?2 ORDER BY wallet")?
        .query_map(params![bot, number], |row| address(row, 0))?
        .collect()
}

/// Forwards a case to these wallets as well.
pub(crate) fn add_to_case(
    transaction: &Transaction<'_>,
    (bot, number): (&str, i64),
    wallets: &[Address],
) -> Result<(), rusqlite::Error> {
    let mut statement = transaction
        .prepare_cached("INSERT OR IGNORE INTO flow_person (bot, wallet, number) VALUES (?1, ?2, ?3)")?;
    for wallet in wallets {
        statement.execute(params![bot, wallet.to_string(), number])?;
    }
    Ok(())
}

/// Flows for which time does something now.
pub(crate) fn due_flows(
    connection: &Connection,
    bot: &str,
    now: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<OpenFlow>, rusqlite::Error> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM flow WHERE bot = ?1 AND due_ms <= ?2 ORDER BY due_ms LIMIT ?3"
        ))?
        .query_map(params![bot, millis(now), limit], open)?
        .collect()
}

/// Keeps where a wallet is.
pub(crate) fn keep_flow(
    transaction: &Transaction<'_>,
    bot: &str,
    flow: &OpenFlow,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO flow (bot, wallet, flow, state, number, due_ms, stand)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            bot,
            flow.wallet.to_string(),
            flow.flow,
            flow.state,
            flow.number,
            flow.due.map(millis),
            flow.stand
        ])?;
    Ok(())
}

/// Ends the open flow of a wallet, and its case.
pub(crate) fn end_flow(
    transaction: &Transaction<'_>,
    bot: &str,
    wallet: Address,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "DELETE FROM flow_person
             WHERE bot = ?1 AND number = (SELECT number FROM flow WHERE bot = ?1 AND wallet = ?2)",
        )?
        .execute(params![bot, wallet.to_string()])?;
    transaction
        .prepare_cached("DELETE FROM flow WHERE bot = ?1 AND wallet = ?2")?
        .execute(params![bot, wallet.to_string()])?;
    Ok(())
}

/// The number of a new case: one more than the last, whatever became of that.
pub(crate) fn number_case(transaction: &Transaction<'_>, bot: &str) -> Result<i64, rusqlite::Error> {
    transaction
        .prepare_cached(
            "INSERT INTO flow_number (bot, last) VALUES (?1, 1) ON CONFLICT DO UPDATE SET last = last + 1
             RETURNING last",
        )?
        .query_row([bot], |row| row.get(0))
}

impl Store {
    /// When time does something for one of the bot's flows next.
    pub(crate) async fn next_flow_due(&self, bot: &str) -> Result<Option<DateTime<Utc>>, super::Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT min(due_ms) FROM flow WHERE bot = ?1 AND due_ms IS NOT NULL")?
                .query_row([bot], |row| row.get::<_, Option<i64>>(0))
                .map(|due| due.map(time))
        })
        .await
    }

    /// The states that people are in, by flow.
    pub(crate) async fn flow_states(&self, bot: &str) -> Result<Vec<(String, String, i64)>, super::Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT flow, state, count(*) FROM flow WHERE bot = ?1 GROUP BY flow, state")?
                .query_map([bot], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        })
        .await
    }
}
