//! Durable topic storage: accepted envelopes go in, pages and arrivals come out.
//!
//! One writer thread owns the only writing connection and commits whatever waits in one transaction ([`writer`]); readers
//! have connections of their own ([`reader`]) and see every acknowledged publish. An acknowledgement means: on disk, synced.
//! After one failed write nothing is written any more: the operating system may have dropped the pages of a failed sync,
//! so a retry that "works" proves nothing.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    thread,
};

use rusqlite::{Connection, OpenFlags};
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinSet,
};

use crate::{
    envelope::{AcceptedEnvelope, Arrival},
    host::Clock,
};

mod lock;
mod page;
mod reader;
mod replay;
mod writer;

pub(crate) use page::{Budget, Direction, Page, PageRequest, Position};
pub(crate) use replay::Replay;

use lock::Lock;
use reader::Readers;
use writer::{Publish, Writer};

mod migrations {
    refinery::embed_migrations!("migrations/sqlite");
}

/// The store of one node: one `SQLite` file and its write-ahead log.
#[derive(Debug)]
pub(crate) struct Store {
    /// Taken when the store closes, so that the writer sees the end of its queue.
    queue: Mutex<Option<mpsc::Sender<Publish>>>,
    /// Payload bytes that may wait for the writer; publishers wait when it is used up.
    backlog: Arc<Semaphore>,
    readers: Readers,
    state: Arc<State>,
    writer: Mutex<Option<thread::JoinHandle<()>>>,
    /// Ends after the writer, when the last group is acknowledged.
    acknowledging: Mutex<JoinSet<()>>,
}

/// What the writer tells everybody else.
#[derive(Debug)]
struct State {
    /// The newest committed arrival.
    head: AtomicI64,
    /// False from the first failed write on, for ever.
    writable: watch::Sender<bool>,
}

impl State {
    fn fail(&self) {
        self.writable.send_replace(false);
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
    /// `SQLite` refused the file.
    #[error("the store `{}` cannot be opened", path.display())]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// What `SQLite` said.
        #[source]
        source: rusqlite::Error,
    },
    /// The tables could not be brought to this version.
    #[error("the store `{}` cannot be migrated", path.display())]
    Migration {
        /// The store.
        path: PathBuf,
        /// Which step failed and why.
        #[source]
        source: Box<refinery::Error>,
    },
}

/// Why a publish or a read failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A write failed earlier; nothing is acknowledged any more.
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
    /// `SQLite` failed while reading.
    #[error("the store cannot be read")]
    Sqlite(#[from] rusqlite::Error),
}

impl Store {
    /// Opens or creates the store at `path` and starts its writer. Arrivals are sent to `arrivals` after their commit, in order.
    /// Called from a thread of the runtime.
    pub(crate) fn open(
        path: &Path,
        clock: Clock,
        arrivals: mpsc::Sender<Vec<Arrival>>,
    ) -> Result<Self, OpenError> {
        let lock = Lock::acquire(path)?;
        let failed = |source| OpenError::Sqlite {
            path: path.to_owned(),
            source,
        };
        let mut connection = open_writing(path).map_err(failed)?;
        migrations::migrations::runner()
            .run(&mut connection)
            .map_err(|source| OpenError::Migration {
                path: path.to_owned(),
                source: Box::new(source),
            })?;
        let head = connection
            .query_row("SELECT coalesce(max(sequence), 0) FROM envelope", [], |row| {
                row.get(0)
            })
            .map_err(failed)?;
        let state = Arc::new(State {
            head: AtomicI64::new(head),
            writable: watch::Sender::new(true),
        });
        let (queue, waiting) = mpsc::channel(QUEUED_PUBLISHES);
        let (committed, acknowledged) = mpsc::channel(COMMITTED_GROUPS);
        let writer = Writer::new(connection, Arc::clone(&state), clock, arrivals, committed);
        let mut acknowledging = JoinSet::new();
        acknowledging.spawn(writer::acknowledge(acknowledged));
        let thread = thread::Builder::new()
            .name("node-writer".to_owned())
            .spawn(move || {
                writer.run(waiting);
                drop(lock);
            })
            .map_err(|source| OpenError::Folder {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            backlog: Arc::new(Semaphore::new(BACKLOG_BYTES)),
            readers: Readers::new(path.to_owned()),
            state,
            writer: Mutex::new(Some(thread)),
            acknowledging: Mutex::new(acknowledging),
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
        self.readers
            .read(move |connection| page::read(connection, &request, &budget))
            .await
    }

    /// The arrivals after `after` that `wanted` (topic, sequence) names, in order, a bounded piece at a time.
    pub(crate) async fn replay(
        &self,
        after: i64,
        wanted: impl Fn(&str, i64) -> bool + Send + 'static,
    ) -> Result<Replay, Error> {
        self.readers
            .read(move |connection| replay::read(connection, after, wanted))
            .await
    }

    /// The newest committed arrival.
    pub(crate) fn head(&self) -> i64 {
        self.state.head.load(Ordering::Acquire)
    }

    /// Turns false at the first failed write and stays so.
    pub(crate) fn writable(&self) -> watch::Receiver<bool> {
        self.state.writable.subscribe()
    }

    /// Takes no more publishes, commits and acknowledges those that wait, and ends the writer.
    pub(crate) async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && tokio::task::spawn_blocking(move || thread.join())
                .await
                .is_ok_and(|joined| joined.is_err())
        {
            tracing::error!("the store writer ended by a panic");
        }
        let acknowledging =
            std::mem::take(&mut *self.acknowledging.lock().unwrap_or_else(PoisonError::into_inner));
        acknowledging.join_all().await;
    }
}

/// The one writing connection. `FULL` syncs the write-ahead log at every commit: that is what an acknowledgement promises.
fn open_writing(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The writer takes topic numbers from the same transaction; checking each again costs a lookup a row.
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    // The writer copies the log into the file itself and looks at the outcome; the automatic way hides a failed sync.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}

fn open_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "query_only", "ON")?;
    connection.pragma_update(None, "cache_size", READER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}

/// Publishes that may wait for the writer; further ones wait in their handlers.
const QUEUED_PUBLISHES: usize = 1_024;
/// Groups that are on disk and not acknowledged yet; the writer waits when they are full.
const COMMITTED_GROUPS: usize = 4;
/// Eight of the largest requests.
const BACKLOG_BYTES: usize = 64 * 1024 * 1024;
const LOG_KEPT_BYTES: i64 = 64 * 1024 * 1024;
/// Negative: KiB instead of pages. The writer touches the right edge of the table and the index anywhere.
const WRITER_CACHE_KIB: i64 = -32 * 1024;
const READER_CACHE_KIB: i64 = -8 * 1024;
