//! A store of its own for trying out what a rule would do.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use rusqlite::{Connection, OptionalExtension as _, ToSql, params};

use super::{Delivery, Error, Store, delivery, migrations, millis, writer::Writer};

/// What a bot knows of people, by the tables that hold it.
const PEOPLE: [&str; 4] = ["departure", "writer", "proof", "person"];

impl Store {
    /// A store that ends with its last clone and holds what messages are judged by: the people of a bot, the members of its lists
    /// and of those of `others`, and what it has sealed since `since`. What is changed in it is changed nowhere else.
    pub(crate) async fn rehearse(
        &self,
        bot: &str,
        others: Vec<String>,
        since: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let (bot, path) = (bot.to_owned(), Arc::clone(&self.path));
        let failed = {
            let path = path.as_ref().clone();
            move |source| Error::Sqlite {
                path: path.clone(),
                source,
            }
        };
        let open = move || {
            // Without a name it is a file that SQLite makes for this connection alone.
            let mut connection = Connection::open("").map_err(&failed)?;
            let migrated = migrations::migrations::runner().run(&mut connection);
            migrated.map_err(|source| Error::Migration {
                path: path.as_ref().clone(),
                source: Box::new(source),
            })?;
            copy(&connection, &path, &bot, &others, since).map_err(&failed)?;
            Ok(Self {
                readers: None,
                writer: Some(super::started(&path, Writer::start(connection, None, ()))?),
                path,
            })
        };
        tokio::task::spawn_blocking(open)
            .await
            .map_err(|_| Error::Closed)?
    }

    /// The rows of an occurrence in their order, those after a row, of one wallet or of all.
    pub(crate) async fn rows_of(
        &self,
        occurrence: i64,
        wallet: Option<Address>,
        (after, limit): (i64, u32),
    ) -> Result<Vec<Delivery>, Error> {
        let wallet = wallet.map(|wallet| wallet.to_string());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {} FROM delivery WHERE delivery.occurrence = ?1 AND id > ?2 AND (?3 IS NULL OR wallet = ?3)
                 ORDER BY id LIMIT ?4",
                delivery::COLUMNS
            ))?;
            let rows = statement.query_map(params![occurrence, after, wallet, limit], delivery::delivery)?;
            rows.collect()
        })
        .await
    }

    /// The occurrence that was recorded last.
    pub(crate) async fn last_occurrence(&self) -> Result<i64, Error> {
        self.read(|connection| connection.query_row("SELECT max(id) FROM occurrence", [], |row| row.get(0)))
            .await
    }

    /// How many wallets an occurrence writes to, and how many rows of its audience could not be read.
    pub(crate) async fn size_of(&self, occurrence: i64) -> Result<(u64, u64), Error> {
        self.read(move |connection| {
            let count = |query: &str| {
                let count = connection.query_row(query, [occurrence], |row| row.get::<_, i64>(0));
                count.map(i64::unsigned_abs)
            };
            Ok((
                count("SELECT count(*) FROM delivery WHERE occurrence = ?1 AND part = 0")?,
                count("SELECT count(*) FROM broken_row WHERE occurrence = ?1")?,
            ))
        })
        .await
    }

    /// Whether a rule has fired with this key.
    pub(crate) async fn has_fired(&self, bot: &str, rule: &str, key: &str) -> Result<bool, Error> {
        let [bot, rule, key] = [bot, rule, key].map(str::to_owned);
        self.read(move |connection| {
            let found = connection
                .prepare_cached("SELECT 1 FROM occurrence WHERE bot = ?1 AND rule = ?2 AND key = ?3")?
                .query_row([bot, rule, key], |_| Ok(()))
                .optional();
            Ok(found?.is_some())
        })
        .await
    }

    /// Why an occurrence was not planned.
    pub(crate) async fn reason_of(&self, occurrence: i64) -> Result<Option<String>, Error> {
        self.read(move |connection| {
            connection.query_row(
                "SELECT CASE state WHEN 'planned' THEN NULL ELSE coalesce(reason, state) END FROM occurrence WHERE id = ?1",
                [occurrence],
                |row| row.get(0),
            )
        })
        .await
    }
}

fn copy(
    connection: &Connection,
    path: &std::path::Path,
    bot: &str,
    others: &[String],
    since: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    // Of rows that are carried by others, those may be missing.
    connection.pragma_update(None, "foreign_keys", false)?;
    let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut source =
        url::Url::from_file_path(file).map_err(|()| rusqlite::Error::InvalidPath(path.to_owned()))?;
    source.set_query(Some("mode=ro"));
    connection.execute("ATTACH ?1 AS real", [source.as_str()])?;
    connection.execute_batch("BEGIN")?;
    let only_its = [&bot as &dyn ToSql];
    for table in PEOPLE {
        take(connection, table, "bot = ?1", &only_its)?;
    }
    for bot in others.iter().map(String::as_str).chain([bot]) {
        take(connection, "member", "bot = ?1", &[&bot])?;
    }
    let sealed = "bot = ?1 AND sealed_ms >= ?2 AND occurrence IS NOT NULL";
    take(connection, "delivery", sealed, &[&bot, &millis(since)])?;
    let theirs = "id IN (SELECT occurrence FROM main.delivery)";
    take(connection, "occurrence", theirs, &[])?;
    // Of a large audience the first may be written to while the rest is planned, which is nothing to rehearse.
    connection.execute(
        "UPDATE main.occurrence SET state = 'planned' WHERE state = 'planning'",
        [],
    )?;
    connection.execute_batch("COMMIT; DETACH real")
}

/// Copies rows of a table. Columns that are computed from others are computed anew.
fn take(
    connection: &Connection,
    table: &str,
    rows: &str,
    values: &[&dyn ToSql],
) -> Result<(), rusqlite::Error> {
    let columns: String = connection.query_row(
        "SELECT group_concat(name, ', ') FROM pragma_table_info(?1, 'main')",
        [table],
        |row| row.get(0),
    )?;
    let query =
        format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM real.{table} WHERE {rows}");
    connection.execute(&query, values)?;
    Ok(())
}
