//! Connections that look at the file beside the writer, each at what was committed when its look began.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

/// Looks at once.
const READERS: usize = 4;

/// The connections of one file; they are opened as they are needed.
pub(super) struct Readers {
    path: PathBuf,
    free: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            free: Mutex::default(),
            permits: Semaphore::new(READERS),
        }
    }

    /// Opens the first connection, so that a file that cannot be read is told at once.
    pub(super) fn open(&self) -> Result<(), rusqlite::Error> {
        let connection = self.connection()?;
        self.give_back(connection);
        Ok(())
    }

    /// Runs `look` off the async threads. None when it panicked.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Option<Result<T, rusqlite::Error>> {
        let _permit = self.permits.acquire().await.ok()?;
        let mut connection = match self.connection() {
            Ok(connection) => connection,
            Err(error) => return Some(Err(error)),
        };
        let looking = tokio::task::spawn_blocking(move || {
            let seen = look(&mut connection);
            (connection, seen)
        });
        let (connection, seen) = looking.await.ok()?;
        self.give_back(connection);
        Some(seen)
    }

    fn connection(&self) -> Result<Connection, rusqlite::Error> {
        let known = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(known) = known {
            return Ok(known);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        super::settle_in(&connection)?;
        Ok(connection)
    }

    fn give_back(&self, connection: Connection) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }
}
