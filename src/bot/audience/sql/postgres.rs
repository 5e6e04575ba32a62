//! PostgreSQL: one statement by the extended protocol in a transaction that reads only and is rolled back, its rows by a portal.

use std::{sync::Arc, time::Duration};

use futures::TryStreamExt as _;
use tokio::{task::JoinSet, time::Instant};
use tokio_postgres::{Client, Config, Portal, Row as Found, Statement, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Columns, MAX_ROWS, WITHIN, cell::Cell, too_many};
use crate::bot::audience::{
    gather::{Ask, Error},
    named,
    row::{Filter, Who, found, who},
    stage::Stage,
};

/// Stages the rows of a query.
pub(super) async fn read(
    url: &str,
    query: &str,
    asked: (&Ask<'_>, &Filter),
    stage: &mut Stage<'_>,
) -> Result<(), Error> {
    let tls = tls()?;
    let (mut client, _driver) = open(url, tls.clone()).await?;
    let cancel = client.cancel_token();
    let transaction = begin(&mut client).await?;
    let outcome = rows(&transaction, query, asked, stage).await;
    if outcome.is_err() {
        // Whatever it does, it need not go on.
        let _ = tokio::time::timeout(CONNECT, cancel.cancel_query(tls)).await;
    }
    drop(transaction);
    outcome
}

/// Prepares a query, and does not run it.
pub(super) async fn prepare(url: &str, query: &str) -> Result<(), Error> {
    let (mut client, _driver) = open(url, tls()?).await?;
    let transaction = begin(&mut client).await?;
    let mut left = WITHIN;
    prepared(&transaction, query, &mut left).await.map(drop)
}

/// Connects as somebody who may only read.
async fn open(url: &str, tls: MakeRustlsConnect) -> Result<(Client, JoinSet<()>), Error> {
    let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let config = is_url.then(|| url.parse::<Config>().ok()).flatten();
    // The text may be a password in the wrong place, so it is not told.
    let config = config.ok_or_else(|| {
        Error::Unresolved("`url`: the secret is no `postgres://` or `sqlite:` URL".to_owned())
    })?;
    let (client, driver) = connect(config, tls).await?;
    refuse_powers(&client).await?;
    Ok((client, driver))
}

/// Begins a transaction in which nothing can be changed.
async fn begin(client: &mut Client) -> Result<Transaction<'_>, Error> {
    let transaction = client
        .build_transaction()
        .read_only(true)
        .start()
        .await
        .map_err(|error| failed(&error))?;
    transaction
        .batch_execute(SETTINGS)
        .await
        .map_err(|error| failed(&error))?;
    Ok(transaction)
}

/// Prepares a query whose columns can be read.
async fn prepared(
    transaction: &Transaction<'_>,
    query: &str,
    left: &mut Duration,
) -> Result<(Statement, Columns), Error> {
    let statement = within(left, transaction.prepare(query)).await?;
    let columns = statement.columns();
    if columns.is_empty() {
        return Err(Error::Rejected(
            "the query gives no rows: it is not one that reads".to_owned(),
        ));
    }
    for column in columns {
        if !Cell::reads(column.type_()) {
            let (name, ty) = (column.name(), column.type_());
            let reason = format!("column `{name}` of the query is of type `{ty}`; write `{name}::text`");
            return Err(Error::Rejected(reason));
        }
    }
    let columns = Columns::of(columns.iter().map(|column| column.name().to_owned()).collect())?;
    Ok((statement, columns))
}

async fn rows(
    transaction: &Transaction<'_>,
    query: &str,
    (ask, filter): (&Ask<'_>, &Filter),
    stage: &mut Stage<'_>,
) -> Result<(), Error> {
    let mut left = WITHIN;
    let (statement, columns) = prepared(transaction, query, &mut left).await?;
    let portal = within(&mut left, transaction.bind(&statement, &[])).await?;
    let mut number = 0;
    loop {
        let page = within(&mut left, page(transaction, &portal)).await?;
        let ends = page.len() < PAGE;
        let mut batch = Vec::with_capacity(page.len());
        for row in page {
            number += 1;
            if number > MAX_ROWS {
                return Err(too_many());
            }
            batch.extend(found(number, read_row(&row, &columns), filter));
        }
        let batch = named::resolve(ask, filter, batch).await?;
        stage.take(batch).await?;
        if ends {
            return Ok(());
        }
    }
}

async fn page(transaction: &Transaction<'_>, portal: &Portal) -> Result<Vec<Found>, tokio_postgres::Error> {
    let most = i32::try_from(PAGE).unwrap_or(i32::MAX);
    transaction
        .query_portal_raw(portal, most)
        .await?
        .try_collect()
        .await
}

fn read_row(
    row: &Found,
    columns: &Columns,
) -> Result<(Who, serde_json::Map<String, serde_json::Value>), String> {
    let cell = |column: usize| {
        let cell = row.try_get::<_, Option<Cell>>(column);
        cell.map_err(|error| {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        })
    };
    let address = match cell(columns.wallet)? {
        Some(Cell(serde_json::Value::String(text))) => who(&text)?,
        Some(_) => return Err("found something else, wanted an address".to_owned()),
        None => return Err("found no wallet".to_owned()),
    };
    let mut vars = serde_json::Map::new();
    for (column, name) in columns.names.iter().enumerate() {
        if column != columns.wallet
            && let Some(Cell(json)) = cell(column)?
        {
            vars.insert(name.clone(), json);
        }
    }
    Ok((address, vars))
}

async fn connect(mut config: Config, tls: MakeRustlsConnect) -> Result<(Client, JoinSet<()>), Error> {
    config
        .application_name("herald")
        .connect_timeout(CONNECT)
        .tcp_user_timeout(WITHIN);
    let connecting = tokio::time::timeout(CONNECT, config.connect(tls)).await;
    let connecting =
        connecting.map_err(|_| Error::Unresolved("`url`: the database does not answer".to_owned()))?;
    let (client, connection) = connecting.map_err(|error| failed(&error))?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // Whoever uses the client learns of it by an error of his own.
        let _ = connection.await;
    });
    Ok((client, driver))
}

/// A role that may read or write files of the server, or start programs there, is refused: the query could do so as well.
async fn refuse_powers(client: &Client) -> Result<(), Error> {
    let row = client
        .query_one(POWERS, &[])
        .await
        .map_err(|error| failed(&error))?;
    match row
        .try_get::<_, Option<String>>(0)
        .map_err(|error| failed(&error))?
    {
        None => Ok(()),
        Some(role) => Err(Error::Rejected(format!(
            "`url`: the database's user has the powers of `{role}`, wanted one that may only read tables"
        ))),
    }
}

/// Waits for the database, which has so much time left.
async fn within<T>(
    left: &mut Duration,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Error> {
    let begun = Instant::now();
    let done = tokio::time::timeout(*left, work).await;
    *left = left.saturating_sub(begun.elapsed());
    done.map_err(|_| Error::Unresolved("`sql`: the query did not end within 30 s".to_owned()))?
        .map_err(|error| failed(&error))
}

/// What the database said. What it refuses to a reader another try would not change.
fn failed(error: &tokio_postgres::Error) -> Error {
    let Some(told) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
        return Error::Unresolved(format!("`sql`: {error}{}", cause.unwrap_or_default()));
    };
    let reason = format!("`sql`: {}", told.message());
    match told.code().code() {
        // A write in a transaction that reads, or something the role may not do.
        "25006" | "42501" => Error::Rejected(reason),
        _ => Error::Unresolved(reason),
    }
}

fn tls() -> Result<MakeRustlsConnect, Error> {
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Unresolved(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Rows of a portal that are asked for at a time.
const PAGE: usize = 1_000;
/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// For this transaction. The client's own clock counts all of it; this ends what goes on without it.
const SETTINGS: &str = "SET LOCAL statement_timeout = '30s';
    SET LOCAL lock_timeout = '5s';
    SET LOCAL idle_in_transaction_session_timeout = '2min'";
/// The most powerful role that the user is, or may become.
const POWERS: &str = "SELECT max(rolname::text) FROM pg_catalog.pg_roles
    WHERE (rolsuper OR rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program'))
      AND pg_catalog.pg_has_role(session_user, oid, 'MEMBER')";
