//! Envelopes in one `SQLite` file and its write-ahead log, without any set-up.
//!
//! One writer thread owns the only writing connection ([`writer`]); readers have connections of their own ([`reader`]) and see
//! every acknowledged publish. After one failed write nothing is written any more: the operating system may have dropped the
//! pages of a failed sync, so a retry that "works" proves nothing.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::{
    Budget, Error, OpenError, Page, PageRequest, Replay, Size, State, Writing,
    retention::{Expiry, Swept},
};
use crate::access_list::Entry;

mod access;
mod checkpoint;
mod lock;
mod page;
mod probe;
mod reader;
mod replay;
mod sweep;
mod writer;

pub(super) use access::Lists;
pub(super) use replay::read as replay;

use checkpoint::Checkpoints;
use lock::Lock;
use reader::Readers;
use writer::Writer;

mod migrations {
    refinery::embed_migrations!("migrations/sqlite");
}

/// The reading side of an open file.
#[derive(Debug)]
pub(super) struct Sqlite {
    readers: Readers,
    changes: mpsc::Sender<Change>,
    state: Arc<State>,
    /// Closed after the connections.
    _file: Arc<File>,
}

/// What only the writer may do beside its commits.
type Change = Box<dyn FnOnce(&mut Connection) -> rusqlite::Result<()> + Send>;

/// Opens or creates the store at `path` and starts its writer, a thread that ends after its queue. Blocks: it may migrate, and
/// replays the log of a crash.
pub(super) fn open(path: &Path, writing: Writing) -> Result<(Sqlite, thread::JoinHandle<()>), OpenError> {
    let lock = Lock::acquire(path)?;
    let failed = |source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    };
    let Writing {
        synced,
        clock,
        state,
        queue,
        arrivals,
        committed,
    } = writing;
    let file = Arc::new(open_file(path)?);
    let mut connection = open_writing(path, synced).map_err(failed)?;
    check_history(&connection).map_err(failed)?;
    migrations::migrations::runner()
        .run(&mut connection)
        .map_err(|source| OpenError::Migration {
            store: path.display().to_string(),
            source: Box::new(source),
        })?;
    let head = connection.query_row(HEAD, [], |row| row.get(0)).map_err(failed)?;
    state.head.store(head, Ordering::Release);
    let (changes, wanted) = mpsc::channel(1);
    let runtime = Handle::current();
    let checkpoints = checkpoint::open(path, synced)
        .and_then(|connection| Checkpoints::new(connection, Arc::clone(&file), runtime.clone()))
        .map_err(failed)?;
    let writer = Writer::new(
        connection,
        checkpoints,
        Arc::clone(&state),
        clock,
        arrivals,
        committed,
    );
    let thread = thread::Builder::new()
        .name("node-writer".to_owned())
        .spawn(move || {
            writer.run(&runtime, queue, wanted);
            drop(lock);
        })
        .map_err(|source| OpenError::Folder {
            path: path.to_owned(),
            source,
        })?;
    let readers = Readers::new(path.to_owned());
    let sqlite = Sqlite {
        readers,
        changes,
        state,
        _file: file,
    };
    Ok((sqlite, thread))
}

impl Sqlite {
    pub(super) async fn page(&self, request: PageRequest, budget: Budget) -> Result<Page, Error> {
        self.readers
            .read(move |connection| page::read(connection, &request, &budget))
            .await
    }

    /// Before the writer closes: the last connection puts the log into the file and removes it, and a reading one cannot.
    pub(super) fn close_readers(&self) {
        self.readers.close();
    }

    pub(super) async fn access(&self, known: Option<i64>) -> Result<Option<(i64, Vec<Entry>)>, Error> {
        self.readers
            .read(move |connection| access::read(connection, known))
            .await
    }

    pub(super) async fn replay(
        &self,
        after: i64,
        wanted: impl Fn(&str, i64) -> bool + Send + 'static,
    ) -> Result<Replay, Error> {
        let head = self.state.head.load(Ordering::Acquire);
        self.readers
            .read(move |connection| replay(connection, after, head, wanted))
            .await
    }
}

impl Sqlite {
    pub(super) async fn sweep(&self, expiry: Expiry) -> Result<Swept, Error> {
        let victims = self
            .readers
            .read(move |connection| sweep::find(connection, expiry))
            .await?;
        let swept = Swept {
            deleted: victims.sequences.len(),
            more: victims.more,
        };
        if victims.is_progress() {
            self.change(move |connection| sweep::delete(connection, expiry.kind, &victims))
                .await?;
        }
        Ok(swept)
    }

    pub(super) async fn compact(&self) -> Result<bool, Error> {
        self.change(sweep::compact).await
    }

    /// Has the writer do something between two commits.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (done, outcome) = oneshot::channel();
        let change: Change = Box::new(move |connection| {
            // Whoever asked may be gone.
            let _ = done.send(change(connection)?);
            Ok(())
        });
        self.changes.send(change).await.map_err(|_| Error::Unwritable)?;
        outcome.await.map_err(|_| Error::Unwritable)
    }

    pub(super) async fn probe(&self) -> Result<(), Error> {
        let path = self.readers.path().to_owned();
        let probing = tokio::task::spawn_blocking(move || probe::read(&path));
        probing.await.map_err(|_| Error::Closed)?
    }

    pub(super) async fn size(&self) -> Result<Size, Error> {
        let path = self.readers.path().to_owned();
        let looking = tokio::task::spawn_blocking(move || probe::size(&path));
        let size = looking.await.map_err(|_| Error::Closed)?;
        size.map_err(|error| Error::Unreadable(error.into()))
    }

    pub(super) fn readers_busy(&self) -> usize {
        self.readers.busy()
    }
}

/// The file itself, made where there is none, to sync it. It must be opened before the connections and closed after them: a
/// process that closes any handle of a file gives up the locks that `SQLite` has on it.
fn open_file(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).map_err(|source| OpenError::File {
        path: path.to_owned(),
        source,
    })
}

/// The one writing connection of a node. `FULL` syncs the write-ahead log at every commit: that is what an acknowledgement
/// promises.
fn open_writing(path: &Path, synced: bool) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    // Counts for a file that is made now only: pages that retention frees can be given back.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous(synced))?;
    // The writer takes topic numbers from the same transaction; checking each again costs a lookup a row.
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    // `checkpoint` copies the log into the file and looks at the outcome; the automatic way hides a failed sync.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", checkpoint::KEPT_BYTES)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}

/// Refuses a damaged migration history, which refinery would panic on.
fn check_history(connection: &Connection) -> rusqlite::Result<()> {
    if !connection.table_exists(None, "refinery_schema_history")? {
        return Ok(());
    }
    let mut history = connection.prepare("SELECT applied_on, checksum FROM refinery_schema_history")?;
    let mut rows = history.query([])?;
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column).map(|text| text.as_str().unwrap_or_default());
        let (applied, checksum) = (text(0)?, text(1)?);
        if OffsetDateTime::parse(applied, &Rfc3339).is_err() || checksum.parse::<u64>().is_err() {
            let damaged = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            let what = "the history of its migrations is damaged".to_owned();
            return Err(rusqlite::Error::SqliteFailure(damaged, Some(what)));
        }
    }
    Ok(())
}

fn synchronous(synced: bool) -> &'static str {
    if synced { "FULL" } else { "OFF" }
}

pub(super) fn open_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "query_only", "ON")?;
    connection.pragma_update(None, "cache_size", READER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}

/// The newest arrival; it may have been deleted.
pub(super) const HEAD: &str = "SELECT max(
    (SELECT coalesce(max(sequence), 0) FROM envelope),
    (SELECT coalesce(max(sequence), 0) FROM swept))";
/// An operator's command may hold the file for a moment, to change the access lists.
const PATIENCE: Duration = Duration::from_secs(10);
/// Negative: KiB instead of pages. The writer touches the right edge of the table and the index anywhere; at most commits
/// `SQLite` looks at every page of it, so more of it costs more than a page read again.
const WRITER_CACHE_KIB: i64 = -4 * 1024;
const READER_CACHE_KIB: i64 = -8 * 1024;
