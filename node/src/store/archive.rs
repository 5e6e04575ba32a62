//! All stored envelopes in the order of their arrival, read beside the node that may be running: for export and backup.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{Error, OpenError, Replay, postgres, sqlite};
use crate::config::Location;

/// An open store that is only read.
pub(crate) struct Archive(Source);

enum Source {
    Sqlite(Connection),
    Postgres(Box<postgres::Reading>),
}

impl Archive {
    pub(crate) async fn open(location: &Location) -> Result<Self, OpenError> {
        match location {
            Location::Sqlite(path) => Ok(Self(Source::Sqlite(open_file(path)?))),
            Location::Postgres(database) => {
                let reading = postgres::Reading::open(database).await?;
                Ok(Self(Source::Postgres(Box::new(reading))))
            }
        }
    }

    /// The newest arrival.
    pub(crate) async fn head(&self) -> Result<i64, Error> {
        match &self.0 {
            Source::Sqlite(connection) => Ok(connection.query_row(sqlite::HEAD, [], |row| row.get(0))?),
            Source::Postgres(reading) => reading.head().await,
        }
    }

    /// How many envelopes there are up to `head`.
    pub(crate) async fn count(&self, head: i64) -> Result<u64, Error> {
        let count: i64 = match &self.0 {
            Source::Sqlite(connection) => connection.query_row(
                "SELECT count(*) FROM envelope WHERE sequence <= ?1",
                [head],
                |row| row.get(0),
            )?,
            Source::Postgres(reading) => reading.count(head).await?,
        };
        Ok(count.unsigned_abs())
    }

    /// A bounded piece of the envelopes after `after` up to `head`, checked.
    pub(crate) async fn piece(&self, after: i64, head: i64) -> Result<Replay, Error> {
        match &self.0 {
            Source::Sqlite(connection) => {
                sqlite::replay(connection, after, head, |_, sequence| sequence <= head)
            }
            Source::Postgres(reading) => reading.piece(after, head).await,
        }
    }
}

fn open_file(path: &Path) -> Result<Connection, OpenError> {
    if !path.is_file() {
        return Err(OpenError::Absent {
            path: path.to_owned(),
        });
    }
    sqlite::open_reading(path).map_err(|source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    })
}

/// Copies a file's store as it is at this moment, compacted, into a new file; blocks. A node may be writing meanwhile.
pub(crate) fn copy_file(path: &Path, copy: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection
        .execute("VACUUM INTO ?1", [copy.to_string_lossy()])
        .map_err(failed)?;
    Ok(())
}

/// About how large such a copy will be, bytes.
pub(crate) fn copy_size(path: &Path) -> Result<u64, OpenError> {
    let connection = open_file(path)?;
    let ask = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let size = || -> rusqlite::Result<i64> {
        Ok((ask("PRAGMA page_count")? - ask("PRAGMA freelist_count")?) * ask("PRAGMA page_size")?)
    };
    let size = size().map_err(|source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    })?;
    Ok(size.unsigned_abs())
}
