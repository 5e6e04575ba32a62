//! Reading connections: a small set, each used by one blocking task at a time.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{super::Error, open_reading};

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    /// Reads beyond this wait in line.
    free: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Arc::default(),
            free: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// The file they read.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Connections in use.
    pub(super) fn busy(&self) -> usize {
        CONNECTIONS.saturating_sub(self.free.available_permits())
    }

    /// Takes no more reads and closes what is idle.
    pub(super) fn close(&self) {
        self.free.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Runs `read` off the async workers. Dropping the future gives the answer up, not the connection.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    {
        let permit = Arc::clone(&self.free)
            .acquire_owned()
            .await
            .map_err(|_| Error::Closed)?;
        let (idle, free) = (Arc::clone(&self.idle), Arc::clone(&self.free));
        let path = self.path.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let pooled = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = match pooled {
                Some(connection) => connection,
                None => open_reading(&path)?,
            };
            let answer = read(&mut connection);
            if !free.is_closed() {
                idle.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(connection);
            }
            drop(permit);
            answer
        });
        answer.await.map_err(|_| Error::Closed)?
    }
}

/// Reads are short and mostly from the page cache: a few more than cores keeps them busy over the odd disk read.
const CONNECTIONS: usize = 8;
