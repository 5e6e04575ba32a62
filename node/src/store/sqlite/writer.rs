//! The writer: a thread that commits groups of publishes, each in one transaction.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use rusqlite::{Connection, Transaction, TransactionBehavior, config::DbConfig, params};
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    super::{
        State,
        commit::{Group, Publish, envelopes, gather, refuse},
    },
    Change,
    checkpoint::{self, Checkpoints},
};
use crate::{
    envelope::{AcceptedEnvelope, Arrival},
    host::Clock,
    metrics,
};

pub(super) struct Writer {
    connection: Connection,
    checkpoints: Checkpoints,
    state: Arc<State>,
    clock: Clock,
    arrivals: mpsc::Sender<Vec<Arrival>>,
    committed: mpsc::Sender<Group>,
    topics: HashMap<Arc<str>, i64>,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        checkpoints: Checkpoints,
        state: Arc<State>,
        clock: Clock,
        arrivals: mpsc::Sender<Vec<Arrival>>,
        committed: mpsc::Sender<Group>,
    ) -> Self {
        Self {
            connection,
            checkpoints,
            state,
            clock,
            arrivals,
            committed,
            topics: HashMap::new(),
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
        while let Some(work) = runtime.block_on(next(&mut queue, &mut changes, &mut self.checkpoints)) {
            let done = match work {
                Work::Publish(first) => self.publish(gather(first, &mut queue)),
                Work::Change(change) => self.change(change),
                Work::Copied(copied) => self.checkpoints.go_on(copied, &self.connection),
                Work::Rest => {
                    self.checkpoints.begin();
                    Ok(())
                }
            };
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
        let mut copied = self.checkpoints.end();
        if *self.state.writable.borrow() {
            guard.armed = false;
            copied = copied.and_then(|()| checkpoint::copy(&self.connection));
        }
        if let Err(error) = copied {
            tracing::warn!(%error, "the log was not copied into the store at the end; the next start does it");
        }
    }

    fn publish(&mut self, group: Group) -> rusqlite::Result<()> {
        let started = Instant::now();
        match self.commit(&group) {
            Ok((arrivals, bytes)) => {
                let kinds = envelopes(&group).map(AcceptedEnvelope::kind);
                metrics::committed(kinds, arrivals.len(), started.elapsed());
                self.acknowledge(group, arrivals);
                self.checkpoints.logged(bytes, &self.connection)
            }
            Err(error) => {
                // Known to all before the first of them is answered.
                self.state.fail();
                refuse(group);
                Err(error)
            }
        }
    }

    fn change(&mut self, change: Change) -> rusqlite::Result<()> {
        self.topics.clear();
        change(&mut self.connection)?;
        self.checkpoints.logged(CHANGE_BYTES, &self.connection)
    }

    /// All or nothing. Returns what is new, in the order it came, and about what it took in the log.
    fn commit(&mut self, group: &[Publish]) -> rusqlite::Result<(Vec<Arrival>, usize)> {
        let received_ns = i64::try_from(self.clock.now().as_ns()).unwrap_or(i64::MAX);
        let mut arrivals = Vec::with_capacity(group.len());
        let mut bytes = 0;
        let mut sequence = self.state.head.load(Ordering::Relaxed);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut insert = transaction.prepare_cached(INSERT)?;
        for envelope in envelopes(group) {
            if envelope.is_ephemeral() {
                arrivals.push(Arrival::relayed(envelope));
                continue;
            }
            let topic = topic_id(&transaction, &mut self.topics, envelope.topic())?;
            let inserted = insert.execute(params![
                sequence + 1,
                topic,
                envelope.timestamp_ns(),
                received_ns,
                envelope.digest(),
                envelope.message().as_ref(),
            ])?;
            if inserted == 1 {
                sequence += 1;
                bytes += INDEX_PAGE_BYTES + envelope.size();
                arrivals.push(Arrival::stored(sequence, envelope));
            }
        }
        drop(insert);
        transaction.commit()?;
        self.state.head.store(sequence, Ordering::Release);
        Ok((arrivals, bytes))
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
}

/// What the writer does next.
enum Work {
    Publish(Publish),
    Change(Change),
    /// A copy of the log ended.
    Copied(rusqlite::Result<()>),
    /// Nobody wants anything.
    Rest,
}

/// Nothing when the queue is closed and empty.
async fn next(
    queue: &mut mpsc::Receiver<Publish>,
    changes: &mut mpsc::Receiver<Change>,
    checkpoints: &mut Checkpoints,
) -> Option<Work> {
    let behind = checkpoints.behind();
    tokio::select! {
        publish = queue.recv() => publish.map(Work::Publish),
        Some(change) = changes.recv() => Some(Work::Change(change)),
        copied = checkpoints.copied() => Some(Work::Copied(copied)),
        // Readers look into the log first, and a start after a crash reads all of it.
        () = tokio::time::sleep(QUIET), if behind => Some(Work::Rest),
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
/// Without work for so long, the writer has the log copied.
const QUIET: Duration = Duration::from_secs(1);
/// A row is next to the one before; its place in the index is on a page of its own.
const INDEX_PAGE_BYTES: usize = 4_096;
/// About what a change writes into the log.
const CHANGE_BYTES: usize = 2 * 1024 * 1024;
/// About 10 MiB.
const KNOWN_TOPICS: usize = 65_536;
