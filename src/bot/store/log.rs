//! The write-ahead log. A thread of its own copies it into the file, beside the commits: made by the writer, a copy would let all
//! of them wait. It copies again until only a little was written during the last copy. The writer copies that rest between two
//! commits, and as nothing is left then, the next commit begins the log anew.

use std::{
    ffi::c_int,
    fs::File,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, config::DbConfig, hooks::Wal};

/// Pages that are worth a copy, 64 MiB: those that change often are copied once.
const WORTH: c_int = 16_384;
/// Pages that the writer copies, a MiB.
const REST: c_int = 256;
/// Pages after which a copy that does not keep up is waited for and followed by the rest, however much that is.
const MOST: c_int = 4 * WORTH;

/// The log of one file, as its writer sees it.
pub(super) struct Log {
    /// Pages in it after the last commit.
    pages: Arc<AtomicI32>,
    /// How many there were when it was copied last.
    from: c_int,
    is_copying: bool,
    /// None once the log is left as it is.
    copier: Option<Copier>,
}

/// Why the log was not copied.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Nothing of it counts, so another copy makes up for it.
    #[error(transparent)]
    Copy(#[from] rusqlite::Error),
    /// It counts, and what was copied may not be on the disk.
    #[error("the file cannot be synced: {0}")]
    Sync(io::Error),
}

/// The thread that copies, for as long as it is asked to.
struct Copier {
    ask: SyncSender<()>,
    answers: Receiver<Result<(), Failure>>,
    thread: JoinHandle<()>,
}

impl Log {
    /// Takes over the log of the writer's connection. `file` is the store itself: it must be opened before the connections and
    /// closed after them, as a process that closes any handle of a file gives up the locks that `SQLite` has on it.
    pub(super) fn of(writer: &mut Connection, path: &Path, file: Arc<File>) -> Result<Self, rusqlite::Error> {
        let pages = Arc::new(AtomicI32::new(0));
        let noted = Arc::clone(&pages);
        writer.wal_hook(Some(move |_: &mut Wal, pages| {
            noted.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        let connection = Connection::open(path)?;
        super::settle_in(&connection)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // The last connection puts the log into the file and removes it: that is the writer.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let (ask, asked) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let run = move || {
            while asked.recv().is_ok() {
                // `SQLite` syncs the file only where nothing was written meanwhile, and would leave all of it to the writer.
                let copied = copy(&connection).and_then(|()| file.sync_data().map_err(Failure::Sync));
                if answer.send(copied).is_err() {
                    break;
                }
            }
            drop(connection);
            drop(file);
        };
        let thread = thread::Builder::new().name("store-log".to_owned()).spawn(run);
        let thread = thread.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(Self {
            pages,
            from: 0,
            is_copying: false,
            copier: Some(Copier { ask, answers, thread }),
        })
    }

    /// After a commit: has the log copied when it is worth it, and copies the rest after that.
    pub(super) fn look_after(&mut self, writer: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        let Some(copier) = &self.copier else { return };
        if !self.is_copying {
            if pages < self.from {
                // It was begun anew.
                self.from = 0;
            }
            if pages - self.from >= WORTH {
                self.begin(pages);
            }
            return;
        }
        let is_late = pages - self.from >= MOST;
        let answer = if is_late {
            copier.answers.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            copier.answers.try_recv()
        };
        let ended = |_| Err(Failure::Sync(io::Error::other("the thread has ended")));
        let mut outcome = match answer {
            Err(TryRecvError::Empty) => return,
            answer => answer.unwrap_or_else(ended),
        };
        self.is_copying = false;
        let is_little = is_late || pages - self.from <= REST;
        if is_little {
            outcome = outcome.and_then(|()| copy(writer));
        }
        match outcome {
            Ok(()) if is_little => self.from = pages,
            Ok(()) => self.begin(pages),
            Err(error @ Failure::Copy(_)) => {
                tracing::warn!(%error, "the log of the store was not copied into it; it is tried again when it has grown");
                self.from = pages;
            }
            Err(error @ Failure::Sync(_)) => {
                tracing::error!(%error, "the log of the store grows until the next start, which copies it");
                self.leave(writer);
            }
        }
    }

    /// Copies nothing any more, at the end neither: after a sync that failed the next one may report a success that is none. The log
    /// has everything.
    fn leave(&mut self, writer: &Connection) {
        self.end();
        if let Err(error) = writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
            tracing::error!(%error, "the log may be copied into the store once more");
        }
    }

    fn begin(&mut self, pages: c_int) {
        self.is_copying = true;
        self.from = pages;
        if let Some(copier) = &self.copier {
            // One that has ended is found when its answer is looked for.
            let _ = copier.ask.try_send(());
        }
    }

    /// Waits for a copy under way, so that the writer's connection is the last one.
    fn end(&mut self) {
        if let Some(Copier { ask, answers, thread }) = self.copier.take() {
            drop((ask, answers));
            let _ = thread.join();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.end();
    }
}

/// Copies what there is without disturbing anybody: what a reader still needs is left for the next time.
fn copy(connection: &Connection) -> Result<(), Failure> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    struct Opened {
        log: Log,
        writer: Connection,
        folder: tempfile::TempDir,
    }

    fn opened() -> Opened {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("herald.db")).unwrap();
        opened_with(folder, file)
    }

    /// `file` is what is synced.
    fn opened_with(folder: tempfile::TempDir, file: File) -> Opened {
        let path = folder.path().join("herald.db");
        let file = Arc::new(file);
        let mut writer = Connection::open(&path).unwrap();
        crate::bot::store::prepare(&writer).unwrap();
        writer.execute_batch("CREATE TABLE row (bytes BLOB)").unwrap();
        Opened {
            log: Log::of(&mut writer, &path, file).unwrap(),
            writer,
            folder,
        }
    }

    impl Opened {
        /// Commits so many pages, about.
        fn write(&mut self, pages: c_int) {
            let insert = "INSERT INTO row VALUES (zeroblob(4096 * ?1))";
            self.writer.execute(insert, [pages]).unwrap();
            self.log.look_after(&self.writer);
        }

        fn pages(&self) -> c_int {
            self.log.pages.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_log_that_has_grown_is_copied_beside_the_commits_and_begins_anew() {
        let mut opened = opened();
        opened.write(WORTH - REST);
        assert!(!opened.log.is_copying, "it is not worth a copy yet");
        opened.write(REST);
        assert!(opened.log.is_copying);
        let (began, grown) = (Instant::now(), opened.pages());
        while opened.pages() >= grown {
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "the log grows on: {}",
                opened.pages()
            );
            opened.write(1);
        }
        assert!(!opened.log.is_copying && opened.log.from == 0);
    }

    #[test]
    fn a_copy_that_does_not_keep_up_is_waited_for() {
        let mut opened = opened();
        opened.write(WORTH);
        assert!(opened.log.is_copying);
        opened.write(MOST);
        assert!(!opened.log.is_copying, "it was waited for");
        opened.write(1);
        assert!(
            opened.pages() < REST,
            "the log goes on at {} pages",
            opened.pages()
        );
    }

    #[test]
    fn after_a_sync_that_failed_the_log_stays_whole() {
        // A device that takes everything and cannot be synced.
        let null = File::options().write(true).open("/dev/null").unwrap();
        let mut opened = opened_with(tempfile::tempdir().unwrap(), null);
        opened.write(WORTH);
        let began = Instant::now();
        while opened.log.copier.is_some() {
            assert!(began.elapsed() < Duration::from_mins(1), "it is not noticed");
            opened.write(1);
        }
        let Opened { log, writer, folder } = opened;
        let written: i64 = writer
            .query_row("SELECT sum(length(bytes)) FROM row", [], |row| row.get(0))
            .unwrap();
        drop((log, writer));
        let left = folder.path().join("herald.db-wal").metadata().unwrap().len();
        assert!(
            i64::try_from(left).unwrap() > written,
            "{left} bytes of {written}"
        );
        let again = Connection::open(folder.path().join("herald.db")).unwrap();
        let check: String = again
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        let kept: i64 = again
            .query_row("SELECT sum(length(bytes)) FROM row", [], |row| row.get(0))
            .unwrap();
        assert_eq!((check.as_str(), kept), ("ok", written));
    }
}
