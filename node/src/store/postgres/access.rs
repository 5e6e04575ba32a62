//! The access lists in the database.

use tokio_postgres::{Row, types::ToSql};

use super::{
    super::{
        Error, OpenError,
        access::{COUNT_UP, entry, key, since_ns},
    },
    connect::{Connector, Session},
    reader::Readers,
};
use crate::{
    access_list::{Entry, Subject},
    config::Database,
};

/// A connection of its own to the lists of a database that nodes have used before.
pub(crate) struct Lists {
    session: Session,
}

impl Lists {
    pub(in crate::store) async fn open(database: &Database) -> Result<Self, OpenError> {
        let session = Connector::new(database, true)?
            .connect(|_| {})
            .await
            .map_err(|error| OpenError::database(database, error))?;
        let has_lists = "SELECT to_regclass('access') IS NOT NULL";
        let row = session
            .client
            .query_one(has_lists, &[])
            .await
            .map_err(|error| OpenError::database(database, error))?;
        if row
            .try_get(0)
            .map_err(|error| OpenError::database(database, error))?
        {
            Ok(Self { session })
        } else {
            Err(OpenError::Older {
                store: database.to_string(),
            })
        }
    }

    pub(in crate::store) async fn access(&self) -> Result<Vec<Entry>, Error> {
        let rows = self
            .session
            .client
            .query(READ, &[&None::<i64>])
            .await
            .map_err(unreadable)?;
        Ok(lists(&rows)?.map(|(_, entries)| entries).unwrap_or_default())
    }

    pub(in crate::store) async fn set(&mut self, entry: &Entry) -> Result<(), Error> {
        let (subject, since_ns) = (key(&entry.subject), since_ns(entry));
        self.change(
            SET,
            &[&subject, &entry.permission.as_str(), &since_ns, &entry.comment],
        )
        .await?;
        Ok(())
    }

    pub(in crate::store) async fn remove(&mut self, subject: &Subject) -> Result<bool, Error> {
        Ok(self.change(REMOVE, &[&key(subject)]).await? > 0)
    }

    async fn change(&mut self, text: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        let transaction = self.session.client.transaction().await.map_err(unreadable)?;
        let changed = transaction.execute(text, values).await.map_err(unreadable)?;
        transaction.execute(COUNT_UP, &[]).await.map_err(unreadable)?;
        transaction.commit().await.map_err(unreadable)?;
        Ok(changed)
    }
}

impl std::fmt::Debug for Lists {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lists").finish_non_exhaustive()
    }
}

impl Readers {
    /// The version of the lists and all entries by subject; nothing while the version is still `known`.
    pub(super) async fn access(&self, known: Option<i64>) -> Result<Option<(i64, Vec<Entry>)>, Error> {
        lists(&self.query(READ, &[&known]).await?)
    }
}

fn lists(rows: &[Row]) -> Result<Option<(i64, Vec<Entry>)>, Error> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let version = first.try_get(0).map_err(unreadable)?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        // Without entries the version stands alone.
        if let Some(subject) = row.try_get::<_, Option<&str>>(1).map_err(unreadable)? {
            let permission = row.try_get(2).map_err(unreadable)?;
            let since_ns = row.try_get(3).map_err(unreadable)?;
            let comment = row.try_get(4).map_err(unreadable)?;
            entries.push(entry(subject, permission, since_ns, comment)?);
        }
    }
    Ok(Some((version, entries)))
}

fn unreadable(error: tokio_postgres::Error) -> Error {
    Error::Unreadable(error.into())
}

const READ: &str = "SELECT version, subject, permission, since_ns, comment
    FROM access_version LEFT JOIN access ON true WHERE version IS DISTINCT FROM $1::bigint ORDER BY subject";
const SET: &str = "INSERT INTO access (subject, permission, since_ns, comment) VALUES ($1, $2, $3, $4)
    ON CONFLICT (subject) DO UPDATE SET permission = $2, since_ns = $3, comment = $4";
const REMOVE: &str = "DELETE FROM access WHERE subject = $1";
