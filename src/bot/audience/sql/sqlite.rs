//! SQLite: opened to read, under an authorizer that lets a statement read and compute, and nothing else.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, Statement,
    config::DbConfig,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
    types::ValueRef,
};
use serde_json::Value as Json;

use super::{Columns, MAX_ROWS, WITHIN, too_many};
use crate::bot::audience::{
    gather::Error,
    row::{Filter, Rows, Who, bytes_text, found, who},
};

/// Gives the rows of a query to a file.
pub(super) fn read(file: &Path, query: &str, filter: &Filter, rows: &mut Rows) -> Result<(), Error> {
    let clock = Clock::start();
    let connection = open(file, &clock).map_err(|error| unresolved(&error))?;
    let mut statement = connection.prepare(query).map_err(|error| refused(&error))?;
    let columns = columns(&statement)?;
    let mut result = statement.query([]).map_err(|error| refused(&error))?;
    let mut number = 0;
    while let Some(row) = result.next().map_err(|error| refused(&error))? {
        number += 1;
        if number > MAX_ROWS {
            return Err(too_many());
        }
        clock.without(|| match found(number, read_row(row, &columns), filter) {
            Some(found) => rows.push(found),
            None => Ok(()),
        })?;
    }
    Ok(())
}

/// Prepares a query, and does not run it.
pub(super) fn prepare(file: &Path, query: &str) -> Result<(), Error> {
    let connection = open(file, &Clock::start()).map_err(|error| unresolved(&error))?;
    let statement = connection.prepare(query).map_err(|error| refused(&error))?;
    columns(&statement).map(drop)
}

fn columns(statement: &Statement<'_>) -> Result<Columns, Error> {
    if !statement.readonly() {
        return Err(Error::Rejected("the query is not one that only reads".to_owned()));
    }
    Columns::of(statement.column_names().map(str::to_owned).collect())
}

fn read_row(
    row: &rusqlite::Row<'_>,
    columns: &Columns,
) -> Result<(Who, serde_json::Map<String, Json>), String> {
    let value = |column: usize| row.get_ref(column).map_err(|error| error.to_string());
    let address = match value(columns.wallet)? {
        ValueRef::Text(text) => who(std::str::from_utf8(text).map_err(|_| "its wallet is not UTF-8")?)?,
        ValueRef::Blob(bytes) => who(&bytes_text(bytes))?,
        ValueRef::Null => return Err("found no wallet".to_owned()),
        ValueRef::Integer(_) | ValueRef::Real(_) => {
            return Err("found a number, wanted an address".to_owned());
        }
    };
    let mut vars = serde_json::Map::new();
    for (column, name) in columns.names.iter().enumerate() {
        if column == columns.wallet {
            continue;
        }
        let json = match value(column)? {
            ValueRef::Null => continue,
            ValueRef::Integer(int) => Json::from(int),
            ValueRef::Real(real) => Json::from(real),
            ValueRef::Text(text) => {
                let text = std::str::from_utf8(text);
                Json::from(text.map_err(|_| format!("its `{name}` is not UTF-8"))?)
            }
            ValueRef::Blob(bytes) => Json::from(bytes_text(bytes)),
        };
        vars.insert(name.clone(), json);
    }
    Ok((address, vars))
}

fn open(file: &Path, clock: &Clock) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    for (limit, most) in LIMITS {
        connection.set_limit(limit, most)?;
    }
    // What the file itself defines may not do more than the statement.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    let until = clock.clone();
    connection.progress_handler(1_000, Some(move || until.is_over()))?;
    connection.authorizer(Some(authorize))?;
    Ok(connection)
}

/// Lets a statement select, read columns, call functions and recurse.
fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Function { function_name } if !function_name.eq_ignore_ascii_case("load_extension") => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

/// The file cannot be asked now.
fn unresolved(error: &rusqlite::Error) -> Error {
    Error::Unresolved(format!("`sql`: {error}"))
}

/// The statement was stopped, or failed.
fn refused(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::AuthorizationForStatementDenied) => {
            Error::Rejected("the query may only read: it does something else".to_owned())
        }
        Some(ErrorCode::OperationInterrupted) => {
            Error::Unresolved("`sql`: the query did not end within 30 s".to_owned())
        }
        _ if matches!(error, rusqlite::Error::MultipleStatement) => {
            Error::Rejected("expected one statement, found several".to_owned())
        }
        _ => unresolved(error),
    }
}

/// The time that a query may still take. It stands still while nobody asks the database.
#[derive(Clone, Debug)]
struct Clock {
    begun: Instant,
    /// Milliseconds after `begun`.
    over: Arc<AtomicU64>,
}

impl Clock {
    fn start() -> Self {
        Self {
            begun: Instant::now(),
            over: Arc::new(AtomicU64::new(millis(WITHIN))),
        }
    }

    fn is_over(&self) -> bool {
        millis(self.begun.elapsed()) > self.over.load(Ordering::Relaxed)
    }

    /// Does something on whose time the query does not run.
    fn without<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.over.fetch_add(millis(begun.elapsed()), Ordering::Relaxed);
        done
    }
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Bounds of a statement and of what it makes.
const LIMITS: [(Limit, i32); 8] = [
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LENGTH, 1024 * 1024),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 64 * 1024),
    (Limit::SQLITE_LIMIT_COLUMN, 1_024),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];
