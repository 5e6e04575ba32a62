//! Copying the write-ahead log into the file, beside the commits.
//!
//! A copy takes some tenths of a second. Made by the writer, nothing would be acknowledged meanwhile; so a connection of its
//! own makes it, again and again until only a little was written during the last one. The writer copies that rest between
//! two commits, and as nothing is left then, the next commit begins the log anew.

use std::{
    fs::File,
    future, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, config::DbConfig, ffi};
use tokio::{runtime::Handle, task::JoinHandle};

pub(super) struct Checkpoints {
    connection: Arc<Mutex<Connection>>,
    /// The store; see [`super::open_file`].
    file: Arc<File>,
    runtime: Handle,
    copying: Option<JoinHandle<rusqlite::Result<()>>>,
    /// Bytes in the log that the last copy, or the one under way, began without. An estimate.
    logged_bytes: usize,
}

impl Checkpoints {
    /// `connection` is for copies only.
    pub(super) fn new(connection: Connection, file: Arc<File>, runtime: Handle) -> rusqlite::Result<Self> {
        // It goes first, and leaves the end of the log to the writer.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            file,
            runtime,
            copying: None,
            logged_bytes: 0,
        })
    }

    /// After so many bytes. Begins a copy when there is enough for one. One that does not keep up is waited for and followed
    /// by the rest, however much that is, so that the log has a bound.
    pub(super) fn logged(&mut self, bytes: usize, writer: &Connection) -> rusqlite::Result<()> {
        self.logged_bytes += bytes;
        if self.copying.is_none() {
            if self.logged_bytes >= WORTH_BYTES {
                self.begin();
            }
        } else if self.logged_bytes >= LOG_BYTES {
            self.runtime.clone().block_on(self.copied())?;
            self.take_rest(writer)?;
        }
        Ok(())
    }

    /// Copies what there is.
    pub(super) fn begin(&mut self) {
        self.logged_bytes = 0;
        let (connection, file) = (Arc::clone(&self.connection), Arc::clone(&self.file));
        self.copying = Some(self.runtime.spawn_blocking(move || {
            copy(&connection.lock().unwrap_or_else(PoisonError::into_inner))?;
            // `SQLite` syncs the file only where nothing was written meanwhile, and would leave all of it to the writer.
            file.sync_data().map_err(|error| unsynced(&error))
        }));
    }

    /// The outcome of the copy under way, once; never while there is none.
    pub(super) async fn copied(&mut self) -> rusqlite::Result<()> {
        let Some(copying) = &mut self.copying else {
            return future::pending().await;
        };
        let copied = copying.await;
        self.copying = None;
        copied.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// After a copy: takes the rest, or begins another.
    pub(super) fn go_on(
        &mut self,
        copied: rusqlite::Result<()>,
        writer: &Connection,
    ) -> rusqlite::Result<()> {
        copied?;
        if self.logged_bytes > REST_BYTES {
            self.begin();
            return Ok(());
        }
        self.take_rest(writer)
    }

    /// By the writer, so that nothing is written meanwhile.
    fn take_rest(&mut self, writer: &Connection) -> rusqlite::Result<()> {
        self.logged_bytes = 0;
        copy(writer)
    }

    /// Whether the log has anything that no copy knows of.
    pub(super) fn behind(&self) -> bool {
        self.copying.is_none() && self.logged_bytes > 0
    }

    /// Waits for a copy under way and lets go of the file.
    pub(super) fn end(mut self) -> rusqlite::Result<()> {
        match self.copying {
            Some(_) => self.runtime.clone().block_on(self.copied()),
            None => Ok(()),
        }
    }
}

/// Another connection, for [`Checkpoints`].
pub(super) fn open(path: &Path, synced: bool) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(super::PATIENCE)?;
    connection.pragma_update(None, "synchronous", super::synchronous(synced))?;
    Ok(connection)
}

/// Disturbs nobody: what a reader still needs is left for the next time.
pub(super) fn copy(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

fn unsynced(error: &io::Error) -> rusqlite::Error {
    let code = ffi::Error::new(ffi::SQLITE_IOERR_FSYNC);
    rusqlite::Error::SqliteFailure(code, Some(error.to_string()))
}

/// Large enough that copying is a small part of the writing: pages that change often are copied once.
const WORTH_BYTES: usize = 64 * 1024 * 1024;
/// A small part of it.
const REST_BYTES: usize = 4 * 1024 * 1024;
const LOG_BYTES: usize = 4 * WORTH_BYTES;
/// What stays of the log for the next time: to write over a file is cheaper than to make it longer.
pub(super) const KEPT_BYTES: i64 = 128 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tokio::runtime::Runtime;

    use super::*;

    /// Pages in the log, and how many of them are in the file.
    fn pages(connection: &Connection) -> (i64, i64) {
        let numbers = |row: &rusqlite::Row<'_>| Ok((row.get(1)?, row.get(2)?));
        connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], numbers)
            .unwrap()
    }

    /// A store with a table, its writing connection and what copies its log; they end in this order's reverse.
    fn opened() -> (Runtime, TempDir, Connection, Checkpoints) {
        let runtime = Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.db");
        let file = Arc::new(super::super::open_file(&path).unwrap());
        let writer = super::super::open_writing(&path, true).unwrap();
        writer.execute_batch("CREATE TABLE row (bytes BLOB)").unwrap();
        let copying = open(&path, true).unwrap();
        let checkpoints = Checkpoints::new(copying, file, runtime.handle().clone()).unwrap();
        (runtime, folder, writer, checkpoints)
    }

    #[test]
    fn a_copy_that_does_not_keep_up_is_waited_for_until_the_log_begins_anew() {
        let (_runtime, _folder, writer, mut checkpoints) = opened();
        writer
            .execute_batch("INSERT INTO row VALUES (zeroblob(1000000))")
            .unwrap();
        checkpoints.logged(WORTH_BYTES, &writer).unwrap();
        assert!(checkpoints.copying.is_some(), "there is enough for a copy");
        writer
            .execute_batch("INSERT INTO row VALUES (zeroblob(1000000))")
            .unwrap();
        checkpoints.logged(LOG_BYTES, &writer).unwrap();
        assert!(checkpoints.copying.is_none() && !checkpoints.behind());
        writer.execute_batch("INSERT INTO row VALUES (x'00')").unwrap();
        let (logged, copied) = pages(&writer);
        assert!(logged < 100, "the log goes on at {logged} pages");
        assert_eq!(logged, copied);
    }

    #[test]
    fn what_was_written_meanwhile_is_copied_by_another_copy_when_it_is_much() {
        let (runtime, _folder, writer, mut checkpoints) = opened();
        checkpoints.begin();
        checkpoints.logged(REST_BYTES + 1, &writer).unwrap();
        let copied = runtime.block_on(checkpoints.copied());
        checkpoints.go_on(copied, &writer).unwrap();
        assert!(checkpoints.copying.is_some());
        checkpoints.logged(REST_BYTES, &writer).unwrap();
        let copied = runtime.block_on(checkpoints.copied());
        checkpoints.go_on(copied, &writer).unwrap();
        assert!(checkpoints.copying.is_none() && !checkpoints.behind());
    }
}
