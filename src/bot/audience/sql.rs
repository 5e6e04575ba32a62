//! The rows of a query: of a SQLite file in the bot's folder, or of a database that a secret names.
//!
//! Enters: one statement that reads. Leaves: rows as they come, at most a million, within 30 seconds of the database's time.
//! Where answers are given and not asked for, those of a query stand under the name of its rule.
//! Promised: whatever the statement says, it changes nothing, and opens no file but the one that is named.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    gather::{Ask, Error},
    named,
    row::{self, Filter, pump},
    stage::Stage,
};
use crate::bot::{config::SecretReference, config::diagnostics::quote, expression::Expression, folder};

/// Columns and values of PostgreSQL.
mod cell;
/// PostgreSQL.
mod postgres;
/// SQLite.
mod sqlite;

/// A query for recipients.
#[derive(Debug, Clone)]
pub struct Sql {
    /// One statement, with a column `wallet`; the other columns are variables.
    pub query: String,
    /// Where it is asked.
    pub database: Database,
    /// `where`: which rows count, by `row`.
    pub condition: Option<Expression>,
}

/// Where a query is asked.
#[derive(Debug, Clone)]
pub enum Database {
    /// A SQLite file in the bot's folder, relative to it.
    File(PathBuf),
    /// A URL that is kept secret: `postgres://…`, or `sqlite:` and any path.
    Secret(SecretReference),
}

impl Sql {
    /// Lets the database judge the statement, without running it.
    pub(crate) async fn prepare(&self, folder: &Path, data: &Path) -> Result<(), Error> {
        match self.place(folder, data)? {
            Place::File(file) => {
                let query = self.query.clone();
                let prepared = tokio::task::spawn_blocking(move || sqlite::prepare(&file, &query)).await;
                prepared.map_err(|error| Error::Unresolved(error.to_string()))?
            }
            Place::Postgres(url) => postgres::prepare(url.expose_secret(), &self.query).await,
        }
    }

    fn place(&self, folder: &Path, data: &Path) -> Result<Place, Error> {
        let unresolved = |error: &dyn std::fmt::Display| Error::Unresolved(format!("`url`: {error}"));
        match &self.database {
            Database::File(file) => {
                let file = folder::locate(folder, Some(data), file).map_err(|error| unresolved(&error))?;
                Ok(Place::File(file))
            }
            Database::Secret(secret) => {
                let url = secret.resolve(folder).map_err(|error| unresolved(&error))?;
                Ok(match url.expose_secret().strip_prefix("sqlite:") {
                    Some(file) => Place::File(folder.join(file)),
                    None => Place::Postgres(url),
                })
            }
        }
    }

    pub(super) async fn read(&self, ask: &Ask<'_>, stage: &mut Stage<'_>) -> Result<(), Error> {
        let (folder, data) = ask.folders();
        let filter = Filter {
            condition: self.condition.clone(),
            scope: ask.scope.clone(),
            name: "row",
        };
        match (ask.running.answers.given(ask.rule), &self.database) {
            (Some(Ok(items)), _) => {
                let rows = row::of_items(&items, "wallet", &filter, &mut 0);
                let rows = named::resolve(ask, &filter, rows).await?;
                return Ok(stage.take(rows).await?);
            }
            (Some(Err(reason)), Database::Secret(_)) => {
                return Err(Error::Unresolved(format!("the query: {reason}")));
            }
            // A file in the bot's folder is there without being asked for elsewhere.
            (Some(Err(_)), Database::File(_)) | (None, _) => {}
        }
        let file = match self.place(&folder, &data)? {
            Place::File(file) => file,
            Place::Postgres(url) => {
                return postgres::read(url.expose_secret(), &self.query, (ask, &filter), stage).await;
            }
        };
        let (query, of_rows) = (self.query.clone(), filter.clone());
        pump((ask, &filter), stage, move |rows| {
            sqlite::read(&file, &query, &of_rows, rows)
        })
        .await
    }
}

/// A database, found.
enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// The URL of a PostgreSQL database.
    Postgres(SecretString),
}

/// Where the recipient's wallet stands among the columns of a result, and the names of the others.
struct Columns {
    wallet: usize,
    names: Vec<String>,
}

impl Columns {
    fn of(names: Vec<String>) -> Result<Self, Error> {
        for (at, name) in names.iter().enumerate() {
            if names.iter().skip(at + 1).any(|other| other == name) {
                let reason = format!("the query gives column {} twice", quote(name));
                return Err(Error::Rejected(reason));
            }
        }
        let wallet = names.iter().position(|name| name == "wallet");
        let wallet =
            wallet.ok_or_else(|| Error::Rejected("the query gives no column `wallet`".to_owned()))?;
        Ok(Self { wallet, names })
    }
}

/// A query that gave more rows than one may.
fn too_many() -> Error {
    Error::Rejected("the query gives more than 1,000,000 rows".to_owned())
}

/// The most rows of one query.
const MAX_ROWS: u64 = 1_000_000;
/// How long the database may work for one query.
const WITHIN: Duration = Duration::from_secs(30);
