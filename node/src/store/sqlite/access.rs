//! The access lists in the file, which the node's writer may hold just then.

use std::{path::Path, thread, time::Duration};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::super::{
    Error, OpenError,
    access::{COUNT_UP, entry, key, since_ns},
};
use crate::access_list::{Entry, Subject};

/// A connection of its own to the lists of an existing file.
#[derive(Debug)]
pub(crate) struct Lists {
    connection: Connection,
}

impl Lists {
    pub(in crate::store) fn open(path: &Path) -> Result<Self, OpenError> {
        if !path.is_file() {
            return Err(OpenError::Absent {
                path: path.to_owned(),
            });
        }
        match open(path) {
            Ok((connection, true)) => Ok(Self { connection }),
            Ok((_, false)) => Err(OpenError::Older {
                store: path.display().to_string(),
            }),
            Err(source) => Err(OpenError::Sqlite {
                path: path.to_owned(),
                source,
            }),
        }
    }

    pub(in crate::store) fn access(&self) -> Result<Vec<Entry>, Error> {
        Ok(read(&self.connection, None)?
            .map(|(_, entries)| entries)
            .unwrap_or_default())
    }

    pub(in crate::store) fn set(&mut self, entry: &Entry) -> Result<(), Error> {
        let values = params![
            key(&entry.subject),
            entry.permission.as_str(),
            since_ns(entry),
            entry.comment
        ];
        self.change(|transaction| transaction.execute(SET, values))?;
        Ok(())
    }

    pub(in crate::store) fn remove(&mut self, subject: &Subject) -> Result<bool, Error> {
        let removed = self.change(|transaction| transaction.execute(REMOVE, [key(subject)]))?;
        Ok(removed > 0)
    }

    fn change(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<usize>,
    ) -> rusqlite::Result<usize> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changed = change(&transaction)?;
        transaction.execute(COUNT_UP, [])?;
        transaction.commit()?;
        Ok(changed)
    }
}

/// The version of the lists and all entries by subject; nothing while the version is still `known`.
pub(super) fn read(connection: &Connection, known: Option<i64>) -> Result<Option<(i64, Vec<Entry>)>, Error> {
    let mut select = connection.prepare_cached(READ)?;
    let mut rows = select.query([known])?;
    let mut found = None;
    while let Some(row) = rows.next()? {
        let (_, entries) = found.get_or_insert((row.get(0)?, Vec::new()));
        // Without entries the version stands alone.
        if let Some(subject) = row.get::<_, Option<String>>(1)? {
            let permission: String = row.get(2)?;
            entries.push(entry(&subject, &permission, row.get(3)?, row.get(4)?)?);
        }
    }
    Ok(found)
}

/// The connection, and whether there are lists in the file.
fn open(path: &Path) -> rusqlite::Result<(Connection, bool)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(wait_for_the_node))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // The node copies its log itself.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    let has_lists = connection.table_exists(None, "access")?;
    Ok((connection, has_lists))
}

/// A busy node leaves its file for moments only, so it is asked often.
fn wait_for_the_node(tries: i32) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "the library calls this on the command's own thread"
    )]
    thread::sleep(PAUSE);
    tries < TRIES
}

const READ: &str = "SELECT version, subject, permission, since_ns, comment
    FROM access_version LEFT JOIN access ON true WHERE version IS NOT ?1 ORDER BY subject";
const SET: &str = "INSERT INTO access (subject, permission, since_ns, comment) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (subject) DO UPDATE SET permission = ?2, since_ns = ?3, comment = ?4";
const REMOVE: &str = "DELETE FROM access WHERE subject = ?1";
const PAUSE: Duration = Duration::from_millis(1);
/// Some 20 s.
const TRIES: i32 = 20_000;
