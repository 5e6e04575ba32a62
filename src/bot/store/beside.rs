//! What can be seen of a store without working on it: who does, and of which version it is. Nothing is written.

use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use url::Url;

use super::migrations;

/// The pid of the herald that works on a store, as it wrote it down; none when no herald does.
pub fn owner(path: &Path) -> Option<String> {
    let lock = File::open(path.with_extension("lock")).ok()?;
    if !matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return None;
    }
    let mut pid = String::new();
    lock.take(20).read_to_string(&mut pid).ok()?;
    Some(pid)
}

/// The version of a store.
///
/// # Errors
/// It is no store, or cannot be read.
pub fn version(path: &Path) -> Result<i64, rusqlite::Error> {
    let newest = "SELECT max(version) FROM refinery_schema_history";
    let version: Option<i64> = open(path)?.query_row(newest, [], |row| row.get(0))?;
    version.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// The version that this herald works with.
pub fn newest_version() -> i64 {
    let runner = migrations::migrations::runner();
    let versions = runner.get_migrations().iter();
    versions
        .map(|migration| i64::from(migration.version()))
        .max()
        .unwrap_or_default()
}

/// Opens a store to read. One that nobody has open and that was closed well is taken as a file that does not change: otherwise
/// SQLite would put its own files beside it.
fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let url = std::path::absolute(path)
        .ok()
        .and_then(|path| Url::from_file_path(path).ok());
    match url {
        Some(mut url) if !PathBuf::from(log).exists() => {
            url.set_query(Some("immutable=1"));
            Connection::open_with_flags(url.as_str(), flags | OpenFlags::SQLITE_OPEN_URI)
        }
        _ => Connection::open_with_flags(path, flags),
    }
}
