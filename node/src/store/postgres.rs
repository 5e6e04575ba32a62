//! Envelopes in a `PostgreSQL` database that several nodes may share.
//!
//! ```text
//!  queue ─▶ writer ─ publish() ─▶ PostgreSQL ─ NOTIFY ─▶ every other node
//!              │ commit                                      │
//!              └────────▶ tail ◀── arrivals after its place ─┘ ─▶ the feed
//! ```
//!
//! `publish()` numbers a group's envelopes and commits them while it holds the row of the newest arrival, so numbers become
//! visible in their order whoever writes. [`tail`] follows them; what this node wrote itself it need not read again. A group
//! whose outcome is unknown (the connection broke) is published again: what is stored already is not stored twice.

use std::sync::{Arc, atomic::Ordering};

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    Budget, Error, OpenError, Page, PageRequest, Replay, Size, State, Writing,
    retention::{Expiry, Swept},
};
use crate::{access_list::Entry, config::Database};

mod access;
mod connect;
mod reader;
mod sweep;
mod tail;
mod writer;

pub(super) use access::Lists;

use connect::{Connector, Session};
use reader::Readers;
use tail::Tail;
use writer::Writer;

mod migrations {
    refinery::embed_migrations!("migrations/postgres");
}

/// The reading side of an open database.
#[derive(Debug)]
pub(super) struct Postgres {
    readers: Readers,
    state: Arc<State>,
}

/// Opens the database, brings its tables to this version, and starts writer and tail in `tasks`; both end after the queue.
pub(super) async fn open(
    database: &Database,
    writing: Writing,
    tasks: &mut JoinSet<()>,
) -> Result<Postgres, OpenError> {
    let Writing {
        synced,
        clock,
        state,
        queue,
        arrivals,
        committed,
    } = writing;
    let connector = Connector::new(database, synced)?;
    migrate(&connector, database).await?;
    let session = connector
        .connect(|_| {})
        .await
        .map_err(|error| OpenError::database(database, error))?;
    session
        .check_durability()
        .await
        .map_err(|error| OpenError::database(database, error))?;
    let head = session
        .head()
        .await
        .map_err(|error| OpenError::database(database, error))?;
    state.head.store(head, Ordering::Release);
    let readers = Readers::new(&connector).map_err(|error| OpenError::database(database, error))?;
    let (commits, committed_here) = mpsc::channel(UNTOLD_COMMITS);
    let own = Arc::default();
    let tail = Tail::new(
        connector.clone(),
        Arc::clone(&state),
        head,
        arrivals,
        Arc::clone(&own),
    );
    tasks.spawn(tail.run(committed_here));
    let writer = Writer::new(connector, Arc::clone(&state), clock, commits, committed, own);
    tasks.spawn(writer.run(session, queue));
    Ok(Postgres { readers, state })
}

/// Nodes that start together wait for each other here.
async fn migrate(connector: &Connector, database: &Database) -> Result<(), OpenError> {
    let mut session = connector
        .connect(|_| {})
        .await
        .map_err(|error| OpenError::database(database, error))?;
    session
        .client
        .batch_execute(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})"))
        .await
        .map_err(|error| OpenError::database(database, error))?;
    // The lock ends with the session.
    migrations::migrations::runner()
        .run_async(&mut session.client)
        .await
        .map_err(|source| OpenError::Migration {
            store: database.to_string(),
            source: Box::new(source),
        })?;
    Ok(())
}

impl Postgres {
    pub(super) async fn page(&self, request: PageRequest, budget: Budget) -> Result<Page, Error> {
        self.readers.page(&request, &budget).await
    }

    pub(super) async fn access(&self, known: Option<i64>) -> Result<Option<(i64, Vec<Entry>)>, Error> {
        self.readers.access(known).await
    }

    pub(super) async fn replay(
        &self,
        after: i64,
        wanted: impl Fn(&str, i64) -> bool,
    ) -> Result<Replay, Error> {
        let head = self.state.head.load(Ordering::Acquire);
        self.readers.replay(after, head, wanted).await
    }

    pub(super) async fn sweep(&self, expiry: Expiry) -> Result<Swept, Error> {
        Ok(sweep::step(&mut *self.readers.connection().await?, expiry).await?)
    }

    /// Forgets ephemeral envelopes that arrived before this time.
    pub(super) async fn forget_relayed(&self, before_ns: i64) -> Result<(), Error> {
        let client = self.readers.connection().await?;
        client
            .execute("DELETE FROM relayed WHERE received_ns < $1", &[&before_ns])
            .await?;
        Ok(())
    }
}

impl Postgres {
    pub(super) async fn probe(&self) -> Result<(), Error> {
        self.readers.probe().await
    }

    pub(super) async fn size(&self) -> Result<Size, Error> {
        self.readers.size().await
    }

    pub(super) fn readers_busy(&self) -> usize {
        self.readers.busy()
    }
}

/// A database that is only read, in the order of arrivals.
pub(super) struct Reading(Session);

impl Reading {
    pub(super) async fn open(database: &Database) -> Result<Self, OpenError> {
        let connector = Connector::new(database, true)?;
        let session = connector.connect(|_| {}).await;
        session
            .map(Self)
            .map_err(|error| OpenError::database(database, error))
    }

    pub(super) async fn head(&self) -> Result<i64, Error> {
        Ok(self.0.head().await?)
    }

    pub(super) async fn count(&self, head: i64) -> Result<i64, Error> {
        let count = "SELECT count(*) FROM envelope WHERE sequence <= $1";
        Ok(self.0.client.query_one(count, &[&head]).await?.try_get(0)?)
    }

    pub(super) async fn piece(&self, after: i64, head: i64) -> Result<Replay, Error> {
        let mut piece = tail::piece(&self.0, after, head).await?;
        // What is only passed on is no part of the store.
        piece.arrivals.retain(|arrival| arrival.sequence().is_some());
        Ok(piece)
    }
}

/// Commits of this node that its tail has not taken yet; the writer waits when they are full.
const UNTOLD_COMMITS: usize = 4;
/// Any number, the same in every herald: "herald" in ASCII.
const MIGRATION_LOCK: i64 = 0x6865_7261_6c64;
