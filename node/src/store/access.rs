//! The allow and deny lists in the store: read by the nodes that run on it, changed by an operator's command beside them.

use herald_protocol::time::TimestampNs;

use super::{Error, OpenError, postgres, sqlite};
use crate::{
    access_list::{Entry, Permission, Subject},
    config::Location,
};

/// The lists of a store that nodes may be running on. For a command of its own: calls may block its thread.
#[derive(Debug)]
pub(crate) enum AccessStore {
    Sqlite(sqlite::Lists),
    Postgres(postgres::Lists),
}

impl AccessStore {
    /// Opens an existing store to change its lists.
    pub(crate) async fn open(location: &Location) -> Result<Self, OpenError> {
        Ok(match location {
            Location::Sqlite(path) => Self::Sqlite(sqlite::Lists::open(path)?),
            Location::Postgres(database) => Self::Postgres(postgres::Lists::open(database).await?),
        })
    }

    /// All entries, by subject.
    pub(crate) async fn access(&mut self) -> Result<Vec<Entry>, Error> {
        match self {
            Self::Sqlite(lists) => lists.access(),
            Self::Postgres(lists) => lists.access().await,
        }
    }

    /// Sets what a subject may, whatever it was.
    pub(crate) async fn set_access(&mut self, entry: &Entry) -> Result<(), Error> {
        match self {
            Self::Sqlite(lists) => lists.set(entry),
            Self::Postgres(lists) => lists.set(entry).await,
        }
    }

    /// Takes a subject off the lists; says whether it was there.
    pub(crate) async fn remove_access(&mut self, subject: &Subject) -> Result<bool, Error> {
        match self {
            Self::Sqlite(lists) => lists.remove(subject),
            Self::Postgres(lists) => lists.remove(subject).await,
        }
    }
}

/// The entry of a row, whatever the letter case of its subject.
pub(super) fn entry(subject: &str, permission: &str, since_ns: i64, comment: String) -> Result<Entry, Error> {
    // In lower case a wallet is taken without its checksum.
    let parsed = subject.to_lowercase().parse();
    Ok(Entry {
        subject: parsed
            .map_err(|error: crate::access_list::ParseSubjectError| Error::Unreadable(error.into()))?,
        permission: if permission == Permission::Allow.as_str() {
            Permission::Allow
        } else {
            Permission::Deny
        },
        since: TimestampNs::from_ns(since_ns.unsigned_abs()),
        comment,
    })
}

/// The text of a subject in the store.
pub(super) fn key(subject: &Subject) -> String {
    subject.to_string().to_lowercase()
}

pub(super) fn since_ns(entry: &Entry) -> i64 {
    i64::try_from(entry.since.as_ns()).unwrap_or(i64::MAX)
}

pub(super) const COUNT_UP: &str = "UPDATE access_version SET version = version + 1";
