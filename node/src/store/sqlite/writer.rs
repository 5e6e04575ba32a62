//! The writer: a thread that commits groups of publishes, each in one transaction, and copies the log into the file.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use rusqlite::{Connection, Transaction, TransactionBehavior, config::DbConfig, params};
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    super::{
        State,
        commit::{Group, Publish, envelopes, gather, refuse},
    },
    Change,
};
use crate::{
    envelope::{AcceptedEnvelope, Arrival},
    host::Clock,
    metrics,
};

pub(super) struct Writer {
    connection: Connection,
    state: Arc<State>,
    clock: Clock,
    arrivals: mpsc::Sender<Vec<Arrival>>,
    committed: mpsc::Sender<Group>,
    topics: HashMap<Arc<str>, i64>,
    /// Payload bytes in the log since it was last copied into the file.
    logged_bytes: usize,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        state: Arc<State>,
        clock: Clock,
        arrivals: mpsc::Sender<Vec<Arrival>>,
        committed: mpsc::Sender<Group>,
    ) -> Self {
        Self {
            connection,
            state,
            clock,
            arrivals,
            committed,
            topics: HashMap::new(),
            logged_bytes: 0,
        }
    }

    /// Runs until the queue is closed and empty, or until a write fails.
    pub(super) fn run(
        mut self,
        runtime: &Handle,
        mut queue: mpsc::Receiver<Publish>,
        mut changes: mpsc::Receiver<Change>,
    ) {
        // Whatever ends this thread before its queue is closed, a panic included, must not look like a working store.
        let mut guard = FailOnDrop {
            state: Arc::clone(&self.state),
            armed: true,
        };
        while let Some(work) = runtime.block_on(next(&mut queue, &mut changes)) {
            let done = match work {
                Work::Publish(first) => self.publish(gather(first, &mut queue)),
                Work::Change(change) => {
                    self.topics.clear();
                    self.logged_bytes += CHANGE_BYTES;
                    change(&mut self.connection)
                }
            };
            let done = done.and_then(|()| {
                if self.logged_bytes >= CHECKPOINT_BYTES {
                    self.checkpoint()?;
                }
                Ok(())
            });
            if let Err(error) = done {
                tracing::error!(%error, "a write failed, the store takes no more of them");
                metrics::commit_failed();
                self.state.fail();
                self.leave_the_log();
                break;
            }
        }
        queue.close();
        while let Some(publish) = queue.blocking_recv() {
            refuse(vec![publish]);
        }
        if *self.state.writable.borrow() {
            guard.armed = false;
            if let Err(error) = self.checkpoint() {
                tracing::warn!(%error, "the log was not copied into the store at the end; the next start does it");
            }
        }
    }

    fn publish(&mut self, group: Group) -> rusqlite::Result<()> {
        let started = Instant::now();
        match self.commit(&group) {
            Ok(arrivals) => {
                let kinds = envelopes(&group).map(AcceptedEnvelope::kind);
                metrics::committed(kinds, arrivals.len(), started.elapsed());
                self.acknowledge(group, arrivals);
                Ok(())
            }
            Err(error) => {
                // Known to all before the first of them is answered.
                self.state.fail();
                refuse(group);
                Err(error)
            }
        }
    }

    /// All or nothing. Returns what is new, in the order it came.
    fn commit(&mut self, group: &[Publish]) -> rusqlite::Result<Vec<Arrival>> {
        let received_ns = i64::try_from((self.clock)().as_ns()).unwrap_or(i64::MAX);
        let mut arrivals = Vec::with_capacity(group.len());
        let mut sequence = self.state.head.load(Ordering::Relaxed);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for envelope in envelopes(group) {
            if envelope.is_ephemeral() {
                arrivals.push(Arrival::relayed(envelope));
                continue;
            }
            let topic = topic_id(&transaction, &mut self.topics, envelope.topic())?;
            let inserted = transaction.prepare_cached(INSERT)?.execute(params![
                sequence + 1,
                topic,
                envelope.timestamp_ns(),
                received_ns,
                envelope.digest(),
                envelope.message().as_ref(),
            ])?;
            if inserted == 1 {
                sequence += 1;
                self.logged_bytes += envelope.size();
                arrivals.push(Arrival::stored(sequence, envelope));
            }
        }
        transaction.commit()?;
        self.state.head.store(sequence, Ordering::Release);
        Ok(arrivals)
    }

    fn acknowledge(&self, group: Group, arrivals: Vec<Arrival>) {
        // Fails only when the runtime is gone, and every caller with it.
        let _ = self.committed.blocking_send(group);
        if !arrivals.is_empty() {
            // Fails only when nobody feeds streams any more, at the end of a shutdown.
            let _ = self.arrivals.blocking_send(arrivals);
        }
    }

    /// Closing would sync the log once more and copy it: after a failed sync that may report a success that is none.
    fn leave_the_log(&self) {
        if let Err(error) = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::error!(%error, "the log may be copied into the store once more");
        }
    }

    fn checkpoint(&mut self) -> rusqlite::Result<()> {
        self.logged_bytes = 0;
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }
}

/// What the writer does next.
enum Work {
    Publish(Publish),
    Change(Change),
}

/// Nothing when the queue is closed and empty.
async fn next(queue: &mut mpsc::Receiver<Publish>, changes: &mut mpsc::Receiver<Change>) -> Option<Work> {
    tokio::select! {
        publish = queue.recv() => publish.map(Work::Publish),
        Some(change) = changes.recv() => Some(Work::Change(change)),
    }
}

fn topic_id(
    transaction: &Transaction<'_>,
    known: &mut HashMap<Arc<str>, i64>,
    topic: &Arc<str>,
) -> rusqlite::Result<i64> {
    if let Some(id) = known.get(topic) {
        return Ok(*id);
    }
    let found = transaction
        .prepare_cached(super::page::TOPIC_ID)?
        .query_row([topic.as_ref()], |row| row.get(0));
    let id = match found {
        Err(rusqlite::Error::QueryReturnedNoRows) => transaction
            .prepare_cached("INSERT INTO topic (name) VALUES (?1)")?
            .insert([topic.as_ref()])?,
        found => found?,
    };
    if known.len() >= KNOWN_TOPICS {
        known.clear();
    }
    known.insert(Arc::clone(topic), id);
    Ok(id)
}

struct FailOnDrop {
    state: Arc<State>,
    armed: bool,
}

impl Drop for FailOnDrop {
    fn drop(&mut self) {
        if self.armed {
            self.state.fail();
        }
    }
}

const INSERT: &str = "INSERT INTO envelope (sequence, topic, timestamp_ns, received_ns, digest, message)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (topic, timestamp_ns, digest) DO NOTHING";
/// Large enough that copying the log is a small part of the writing, small enough to take well under a second.
const CHECKPOINT_BYTES: usize = 16 * 1024 * 1024;
/// About what a change writes into the log.
const CHANGE_BYTES: usize = 2 * 1024 * 1024;
/// About 10 MiB.
const KNOWN_TOPICS: usize = 65_536;
