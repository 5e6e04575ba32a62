//! Tables: rows that belong to the wallets that made them.

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{millis, time};

/// One row of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRow {
    /// Whose it is.
    pub owner: Address,
    /// Counts per owner from 1; never given again.
    pub id: i64,
    /// Its columns by name, as JSON of their declared types.
    pub columns: serde_json::Map<String, serde_json::Value>,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// A row, from its [`COLUMNS`].
pub(super) fn row(row: &Row<'_>) -> Result<TableRow, rusqlite::Error> {
    let odd = |column, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    Ok(TableRow {
        owner: super::wallet(row.get_ref(0)?.as_str()?)
            .ok_or_else(|| odd(0, "odd wallet in a table".into()))?,
        id: row.get(1)?,
        columns: serde_json::from_str(row.get_ref(2)?.as_str()?).map_err(|error| odd(2, Box::new(error)))?,
        created: time(row.get(3)?),
    })
}

/// What a row is made of.
pub(super) const COLUMNS: &str = "owner, id, columns, created_ms";

/// Adds a row inside a transaction and gives it. It is a wish to be written to: a departure is over.
pub(crate) fn add_row(
    transaction: &Transaction<'_>,
    (bot, table): (&str, &str),
    owner: Address,
    columns: serde_json::Map<String, serde_json::Value>,
    now: DateTime<Utc>,
) -> Result<TableRow, rusqlite::Error> {
    let text = owner.to_string();
    let id: i64 = transaction
        .prepare_cached(
            "INSERT INTO table_owner (bot, name, owner, last_id) VALUES (?1, ?2, ?3, 1)
             ON CONFLICT DO UPDATE SET last_id = last_id + 1 RETURNING last_id",
        )?
        .query_row(params![bot, table, text], |row| row.get(0))?;
    let json = serde_json::Value::Object(columns.clone()).to_string();
    transaction
        .prepare_cached(
            "INSERT INTO table_row (bot, name, owner, id, columns, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![bot, table, text, id, json, millis(now)])?;
    transaction
        .prepare_cached("DELETE FROM departure WHERE bot = ?1 AND wallet = ?2")?
        .execute(params![bot, text])?;
    Ok(TableRow {
        owner,
        id,
        columns,
        created: now,
    })
}

/// Removes a row of an owner inside a transaction, and gives it if it was there.
pub(crate) fn remove_row(
    transaction: &Transaction<'_>,
    (bot, table): (&str, &str),
    owner: Address,
    id: i64,
) -> Result<Option<TableRow>, rusqlite::Error> {
    let query = format!(
        "DELETE FROM table_row WHERE bot = ?1 AND name = ?2 AND owner = ?3 AND id = ?4 RETURNING {COLUMNS}"
    );
    transaction
        .prepare_cached(&query)?
        .query_row(params![bot, table, owner.to_string(), id], row)
        .optional()
}

/// The rows of one owner in a table, oldest first.
pub(crate) fn own_rows(
    connection: &Connection,
    (bot, table): (&str, &str),
    owner: Address,
) -> Result<Vec<TableRow>, rusqlite::Error> {
    let query =
        format!("SELECT {COLUMNS} FROM table_row WHERE bot = ?1 AND name = ?2 AND owner = ?3 ORDER BY id");
    connection
        .prepare_cached(&query)?
        .query_map(params![bot, table, owner.to_string()], row)?
        .collect()
}

/// How many rows an owner has, by table.
pub(crate) fn row_counts(
    connection: &Connection,
    bot: &str,
    owner: Address,
) -> Result<Vec<(String, i64)>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT name, count(*) FROM table_row WHERE bot = ?1 AND owner = ?2 GROUP BY name ORDER BY name",
        )?
        .query_map(params![bot, owner.to_string()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect()
}
