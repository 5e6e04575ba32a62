//! Durable topic storage: accepted envelopes go in, pages and arrivals come out.
//!
//! ```text
//!  publish ─▶ queue ─▶ commit (groups) ─▶ sqlite::writer | postgres::writer ─▶ acknowledged, and arrivals to the feed
//!  page, replay ───────────────────────▶ sqlite::reader | postgres::reader
//! ```
//!
//! An acknowledgement means: on disk, synced. Readers see every acknowledged publish. Everything behind [`Store`] holds for
//! both engines, and one suite proves it on both.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    thread,
};

use herald_protocol::time::TimestampNs;
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinSet,
};

use crate::{
    access_list::Entry,
    config::{Database, Location},
    envelope::{AcceptedEnvelope, Arrival},
    host::Clock,
};

mod access;
pub(crate) mod archive;
mod commit;
mod page;
mod postgres;
mod replay;
pub(crate) mod retention;
mod sqlite;

pub(crate) use access::AccessStore;
pub(crate) use page::{Budget, Direction, Page, PageRequest, Position};
pub(crate) use replay::Replay;

use commit::{Group, Publish};
use postgres::Postgres;
use replay::{PIECE_BYTES, PIECE_ROWS, SCANNED_ROWS};
use retention::{Expiry, Swept};
use sqlite::Sqlite;

/// The store of one node.
#[derive(Debug)]
pub(crate) struct Store {
    /// Taken when the store closes, so that the writer sees the end of its queue.
    queue: Mutex<Option<mpsc::Sender<Publish>>>,
    /// Payload bytes that may wait for the writer; publishers wait when it is used up.
    backlog: Arc<Semaphore>,
    engine: Engine,
    state: Arc<State>,
    writer: Mutex<Option<thread::JoinHandle<()>>>,
    /// End after the writer, when the last group is acknowledged.
    tasks: Mutex<JoinSet<()>>,
}

/// Where reads go.
#[derive(Debug)]
enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// What a store takes, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Of everything that belongs to it.
    pub(crate) bytes: u64,
    /// Free for this process where it lies, when that can be seen.
    pub(crate) free_bytes: Option<u64>,
}

/// What a writer is given.
struct Writing {
    /// Whether a commit is on disk before it is acknowledged.
    synced: bool,
    clock: Clock,
    state: Arc<State>,
    queue: mpsc::Receiver<Publish>,
    /// To the feed, in order.
    arrivals: mpsc::Sender<Vec<Arrival>>,
    /// To whoever waits for their answer.
    committed: mpsc::Sender<Group>,
}

/// What the writer tells everybody else.
#[derive(Debug)]
struct State {
    /// The newest arrival known to be committed.
    head: AtomicI64,
    /// False when a write failed: with `SQLite` for ever, with `PostgreSQL` until it answers again.
    writable: watch::Sender<bool>,
}

impl State {
    fn fail(&self) {
        self.writable.send_replace(false);
    }

    fn recover(&self) {
        self.writable.send_replace(true);
    }
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder of the store could not be made or used.
    #[error("the store folder `{}` cannot be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Another process has the same store open.
    #[error("the store `{}` is in use by another node ({holder}); stop it or choose another data folder", path.display())]
    InUse {
        /// The store.
        path: PathBuf,
        /// The process that holds it, as far as known.
        holder: String,
    },
    /// There is no store, and nothing to read in it.
    #[error("there is no store at `{}`; name another with --data or --config", path.display())]
    Absent {
        /// Where it should be.
        path: PathBuf,
    },
    /// No node of this version has run on it.
    #[error("the store `{store}` has no access lists yet; start a node of this version on it first")]
    Older {
        /// The store.
        store: String,
    },
    /// The file could not be made or opened.
    #[error("the store `{}` cannot be opened", path.display())]
    File {
        /// The store.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// `SQLite` refused the file.
    #[error("the store `{}` cannot be opened", path.display())]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// What `SQLite` said.
        #[source]
        source: rusqlite::Error,
    },
    /// `PostgreSQL` could not be reached or used.
    #[error("the database `{database}` cannot be used")]
    Postgres {
        /// Its address, without user and password.
        database: String,
        /// What it said, or why it did not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificates that vouch for the database cannot be read.
    #[error("the certificates of the database in `{}` cannot be used", path.display())]
    Authority {
        /// The file, as `sslrootcert` names it.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The tables could not be brought to this version.
    #[error("the store `{store}` cannot be migrated")]
    Migration {
        /// The store.
        store: String,
        /// Which step failed and why.
        #[source]
        source: Box<refinery::Error>,
    },
}

impl OpenError {
    fn database(database: &Database, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Postgres {
            database: database.to_string(),
            source: source.into(),
        }
    }
}

/// Why a publish or a read failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A write failed; nothing is acknowledged.
    #[error("store cannot write")]
    Unwritable,
    /// The node is shutting down.
    #[error("store is closed")]
    Closed,
    /// A row is not what was written.
    #[error("the stored envelope `{sequence}` does not match its digest")]
    Corrupt {
        /// Arrival number of the row.
        sequence: i64,
    },
    /// The database does not answer for now.
    #[error("the store cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine failed while reading.
    #[error("the store cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unreadable(error.into())
    }
}

impl Store {
    /// Opens or creates the store and starts its writer. Unless `synced`, an acknowledgement means nothing. Arrivals are sent to `arrivals` after their commit, in order.
    pub(crate) async fn open(
        location: &Location,
        synced: bool,
        clock: Clock,
        arrivals: mpsc::Sender<Vec<Arrival>>,
    ) -> Result<Self, OpenError> {
        let (queue, publishes) = mpsc::channel(QUEUED_PUBLISHES);
        let (committed, acknowledged) = mpsc::channel(commit::COMMITTED_GROUPS);
        let state = Arc::new(State {
            head: AtomicI64::new(0),
            writable: watch::Sender::new(true),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(commit::acknowledge(acknowledged));
        let writing = Writing {
            synced,
            clock,
            state: Arc::clone(&state),
            queue: publishes,
            arrivals,
            committed,
        };
        let (engine, writer) = match location {
            Location::Sqlite(path) => {
                let path = path.clone();
                let opening = tokio::task::spawn_blocking(move || sqlite::open(&path, writing));
                let (sqlite, thread) = opening
                    .await
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
                (Engine::Sqlite(sqlite), Some(thread))
            }
            Location::Postgres(database) => {
                let postgres = postgres::open(database, writing, &mut tasks).await?;
                (Engine::Postgres(postgres), None)
            }
        };
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            backlog: Arc::new(Semaphore::new(BACKLOG_BYTES)),
            engine,
            state,
            writer: Mutex::new(writer),
            tasks: Mutex::new(tasks),
        })
    }

    /// Returns after the envelopes are on disk, all or none. A duplicate is stored once and is no error.
    pub(crate) async fn publish(&self, envelopes: Vec<AcceptedEnvelope>) -> Result<(), Error> {
        if !*self.state.writable.borrow() {
            return Err(Error::Unwritable);
        }
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or(Error::Closed)?;
        let bytes: usize = envelopes.iter().map(AcceptedEnvelope::size).sum();
        let permits = u32::try_from(bytes.min(BACKLOG_BYTES)).unwrap_or(u32::MAX);
        let backlog = Arc::clone(&self.backlog)
            .acquire_many_owned(permits)
            .await
            .map_err(|_| Error::Closed)?;
        let (done, outcome) = oneshot::channel();
        queue
            .send(Publish {
                envelopes,
                done,
                _backlog: backlog,
            })
            .await
            .map_err(|_| Error::Unwritable)?;
        drop(queue);
        outcome.await.map_err(|_| Error::Unwritable)?
    }

    /// One page of stored envelopes.
    pub(crate) async fn page(&self, request: PageRequest, budget: Budget) -> Result<Page, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.page(request, budget).await,
            Engine::Postgres(postgres) => postgres.page(request, budget).await,
        }
    }

    /// The arrivals after `after` that `wanted` (topic, sequence) names, in order, a bounded piece at a time.
    pub(crate) async fn replay(
        &self,
        after: i64,
        wanted: impl Fn(&str, i64) -> bool + Send + 'static,
    ) -> Result<Replay, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.replay(after, wanted).await,
            Engine::Postgres(postgres) => postgres.replay(after, wanted).await,
        }
    }

    /// The access lists and their version; nothing while that is still `known`.
    pub(crate) async fn access(&self, known: Option<i64>) -> Result<Option<(i64, Vec<Entry>)>, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.access(known).await,
            Engine::Postgres(postgres) => postgres.access(known).await,
        }
    }

    /// Deletes some of what is older than it may be.
    async fn sweep(&self, expiry: Expiry) -> Result<Swept, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.sweep(expiry).await,
            Engine::Postgres(postgres) => postgres.sweep(expiry).await,
        }
    }

    /// Gives some unused space back to the file system; returns whether there is more.
    async fn compact(&self) -> Result<bool, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.compact().await,
            // Autovacuum is the server's own.
            Engine::Postgres(_) => Ok(false),
        }
    }

    /// Forgets ephemeral envelopes that all nodes have had the time to see.
    async fn forget_relayed(&self, now: TimestampNs) -> Result<(), Error> {
        match &self.engine {
            // They are passed on in memory.
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(postgres) => {
                let before = now.as_ns().saturating_sub(RELAYED_NS);
                postgres
                    .forget_relayed(i64::try_from(before).unwrap_or(i64::MAX))
                    .await
            }
        }
    }

    /// A cheap read that asks the engine itself, not a memory of it. The answer may take as long as the engine takes.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.probe().await,
            Engine::Postgres(postgres) => postgres.probe().await,
        }
    }

    /// What the store takes.
    pub(crate) async fn size(&self) -> Result<Size, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.size().await,
            Engine::Postgres(postgres) => postgres.size().await,
        }
    }

    /// Payload bytes that wait for the writer.
    pub(crate) fn backlog_bytes(&self) -> usize {
        BACKLOG_BYTES.saturating_sub(self.backlog.available_permits())
    }

    /// Reading connections in use.
    pub(crate) fn readers_busy(&self) -> usize {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.readers_busy(),
            Engine::Postgres(postgres) => postgres.readers_busy(),
        }
    }

    /// The newest arrival known to be committed.
    pub(crate) fn head(&self) -> i64 {
        self.state.head.load(Ordering::Acquire)
    }

    /// False while nothing can be written.
    pub(crate) fn writable(&self) -> watch::Receiver<bool> {
        self.state.writable.subscribe()
    }

    /// Takes no more publishes, commits and acknowledges those that wait, and ends the writer.
    pub(crate) async fn close(&self) {
        if let Engine::Sqlite(sqlite) = &self.engine {
            sqlite.close_readers();
        }
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && tokio::task::spawn_blocking(move || thread.join())
                .await
                .is_ok_and(|joined| joined.is_err())
        {
            tracing::error!("the store writer ended by a panic");
        }
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.join_all().await;
    }
}

/// Publishes that may wait for the writer; further ones wait in their handlers.
const QUEUED_PUBLISHES: usize = 1_024;
/// A minute; nodes look at least once a second.
const RELAYED_NS: u64 = 60_000_000_000;
/// Eight of the largest requests.
const BACKLOG_BYTES: usize = 64 * 1024 * 1024;
