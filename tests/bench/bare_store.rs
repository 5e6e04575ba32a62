//! The least `SQLite` can do for durable envelopes: the node's tables and settings, one insert a row, on the caller's thread with everything prepared.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use herald_protocol::{envelope, proto::api::Envelope};
use rusqlite::{Connection, TransactionBehavior, params};

use crate::Error;

/// The least a store can do.
pub(crate) trait Bare {
    /// Stores envelopes, so many rows a commit, and returns how long that took.
    fn store(&mut self, envelopes: &[Envelope], rows_a_commit: usize) -> Result<Duration, Error>;
}

pub(crate) struct BareStore {
    connection: Connection,
    sequence: i64,
    logged_rows: usize,
}

impl BareStore {
    pub(crate) fn create(folder: &Path) -> Result<Self, Error> {
        let connection = Connection::open(folder.join("bare.db"))?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "OFF")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "cache_size", -32 * 1024)?;
        connection.execute_batch(include_str!("../../node/migrations/sqlite/V1__envelopes.sql"))?;
        connection.execute_batch(include_str!("../../node/migrations/sqlite/V2__retention.sql"))?;
        connection.execute_batch(include_str!("../../node/migrations/sqlite/V3__access.sql"))?;
        Ok(Self {
            connection,
            sequence: 0,
            logged_rows: 0,
        })
    }

    fn topic(&self, name: &str) -> Result<i64, Error> {
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO topic (name) VALUES (?1)")?
            .execute([name])?;
        let mut query = self
            .connection
            .prepare_cached("SELECT id FROM topic WHERE name = ?1")?;
        Ok(query.query_row([name], |row| row.get(0))?)
    }
}

impl Bare for BareStore {
    /// The log is copied into the file as often as the node does it.
    fn store(&mut self, envelopes: &[Envelope], rows_a_commit: usize) -> Result<Duration, Error> {
        let rows = envelopes
            .iter()
            .map(|envelope| {
                let digest = envelope::digest(&envelope.content_topic, &envelope.message);
                Ok((
                    self.topic(&envelope.content_topic)?,
                    i64::try_from(envelope.timestamp_ns)?,
                    digest,
                    &envelope.message,
                ))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let started = Instant::now();
        for group in rows.chunks(rows_a_commit) {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut insert = transaction.prepare_cached(INSERT)?;
            for (topic, timestamp_ns, digest, message) in group {
                self.sequence += 1;
                let values = params![
                    self.sequence,
                    topic,
                    timestamp_ns,
                    timestamp_ns,
                    digest,
                    message.as_ref()
                ];
                insert.execute(values)?;
            }
            drop(insert);
            transaction.commit()?;
            self.logged_rows += group.len();
            if self.logged_rows >= CHECKPOINT_ROWS {
                self.logged_rows = 0;
                self.connection
                    .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
            }
        }
        Ok(started.elapsed())
    }
}

const INSERT: &str = "INSERT INTO envelope (sequence, topic, timestamp_ns, received_ns, digest, message)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (topic, timestamp_ns, digest) DO NOTHING";
/// 16 MiB of topics and messages.
const CHECKPOINT_ROWS: usize = 15_000;
