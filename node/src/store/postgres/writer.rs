//! The writer: publishes groups one after the other, and again where the outcome of one is unknown.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_postgres::Statement;

use super::{
    super::{
        State,
        commit::{Group, Publish, envelopes, gather, refuse},
    },
    connect::{Connector, Session, is_passing},
};
use crate::{
    envelope::{AcceptedEnvelope, Arrival},
    host::Clock,
    metrics,
};

/// A group that this node has committed.
#[derive(Debug)]
pub(super) struct Commit {
    /// The newest arrival before the group.
    pub(super) before: i64,
    /// The newest one with it.
    pub(super) head: i64,
    /// What is new, in order.
    pub(super) arrivals: Vec<Arrival>,
}

pub(super) struct Writer {
    connector: Connector,
    state: Arc<State>,
    clock: Clock,
    commits: mpsc::Sender<Commit>,
    committed: mpsc::Sender<Group>,
    /// The database's process that commits.
    own: Arc<AtomicI32>,
}

/// A session that is ready to publish.
struct Prepared {
    session: Session,
    publish: Statement,
}

/// Why a group was not committed.
enum Failure {
    /// The database did not answer, or could not take it for now: another try may find that it was stored.
    Unknown(String),
    /// It answered that it never will.
    Refused(tokio_postgres::Error),
}

impl Writer {
    pub(super) fn new(
        connector: Connector,
        state: Arc<State>,
        clock: Clock,
        commits: mpsc::Sender<Commit>,
        committed: mpsc::Sender<Group>,
        own: Arc<AtomicI32>,
    ) -> Self {
        Self {
            connector,
            state,
            clock,
            commits,
            committed,
            own,
        }
    }

    /// Runs until the queue is closed and empty.
    pub(super) async fn run(self, session: Session, mut queue: mpsc::Receiver<Publish>) {
        let mut prepared = self.prepare(session).await.ok();
        while let Some(first) = queue.recv().await {
            let group = gather(first, &mut queue);
            let started = Instant::now();
            match self.commit_patiently(&mut prepared, &group).await {
                Ok(commit) => {
                    let kinds = envelopes(&group).map(AcceptedEnvelope::kind);
                    metrics::committed(kinds, commit.arrivals.len(), started.elapsed());
                    self.state.head.fetch_max(commit.head, Ordering::AcqRel);
                    // Both fail only at the end of a shutdown, when nobody waits any more.
                    let _ = self.committed.send(group).await;
                    let _ = self.commits.send(commit).await;
                }
                Err(Failure::Refused(error)) => {
                    tracing::error!(%error, cause = std::error::Error::source(&error), "the database refused a group");
                    metrics::commit_failed();
                    refuse(group);
                }
                Err(Failure::Unknown(error)) => {
                    tracing::error!(%error, "the database cannot be written; publishes are refused until it can");
                    metrics::commit_failed();
                    self.state.fail();
                    refuse(group);
                    prepared = self.wait_for_database(&mut queue).await;
                    if prepared.is_some() {
                        tracing::info!("the database answers again");
                        self.state.recover();
                    }
                }
            }
        }
    }

    /// The same group until its outcome is known: duplicates are not stored twice.
    async fn commit_patiently(
        &self,
        prepared: &mut Option<Prepared>,
        group: &Group,
    ) -> Result<Commit, Failure> {
        let given_up = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.commit(prepared, group).await {
                Err(Failure::Unknown(error)) => {
                    *prepared = None;
                    if Instant::now() + pause > given_up {
                        return Err(Failure::Unknown(error));
                    }
                    tracing::warn!(%error, "a group is published again");
                    metrics::republished();
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                outcome => return outcome,
            }
        }
    }

    async fn commit(&self, prepared: &mut Option<Prepared>, group: &Group) -> Result<Commit, Failure> {
        let Prepared { session, publish } = match prepared {
            Some(prepared) => prepared,
            None => prepared.insert(self.connect().await?),
        };
        let rows = envelopes(group).count();
        let mut topics = Vec::with_capacity(rows);
        let mut timestamps_ns = Vec::with_capacity(rows);
        let mut digests: Vec<&[u8]> = Vec::with_capacity(rows);
        let mut messages: Vec<&[u8]> = Vec::with_capacity(rows);
        let mut ephemeral = Vec::with_capacity(rows);
        for envelope in envelopes(group) {
            topics.push(envelope.topic().as_ref());
            timestamps_ns.push(envelope.timestamp_ns());
            digests.push(envelope.digest());
            messages.push(envelope.message());
            ephemeral.push(envelope.is_ephemeral());
        }
        let received_ns = i64::try_from(self.clock.now().as_ns()).unwrap_or(i64::MAX);
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] = [
            &topics,
            &timestamps_ns,
            &digests,
            &messages,
            &ephemeral,
            &received_ns,
        ];
        let answer = timeout(COMMIT_TIME, session.client.query_one(publish, &values))
            .await
            .map_err(|_| Failure::Unknown("no answer in time".to_owned()))?
            .map_err(judge)?;
        let before: i64 = answer.try_get(0).map_err(Failure::Refused)?;
        let new: HashSet<i64> = answer
            .try_get::<_, Vec<i64>>(1)
            .map_err(Failure::Refused)?
            .into_iter()
            .collect();
        let numbered = (before + 1..).zip(envelopes(group));
        let arrivals = numbered.filter_map(|(sequence, envelope)| {
            if envelope.is_ephemeral() {
                Some(Arrival::relayed(envelope))
            } else {
                new.contains(&sequence)
                    .then(|| Arrival::stored(sequence, envelope))
            }
        });
        Ok(Commit {
            before,
            head: before + i64::try_from(rows).unwrap_or(i64::MAX),
            arrivals: arrivals.collect(),
        })
    }

    async fn connect(&self) -> Result<Prepared, Failure> {
        let connected = self.connector.connect(|_| {}).await;
        let session = connected.map_err(|failed| Failure::Unknown(failed.to_string()))?;
        self.prepare(session).await.map_err(unknown)
    }

    async fn prepare(&self, session: Session) -> Result<Prepared, tokio_postgres::Error> {
        let publish = session
            .client
            .prepare("SELECT before, new FROM publish($1, $2, $3, $4, $5, $6)")
            .await?;
        self.own.store(session.process().await?, Ordering::Relaxed);
        Ok(Prepared { session, publish })
    }

    /// Refuses what is published meanwhile. Nothing when the queue is closed.
    async fn wait_for_database(&self, queue: &mut mpsc::Receiver<Publish>) -> Option<Prepared> {
        let mut ticks = tokio::time::interval(LONGEST_PAUSE);
        loop {
            tokio::select! {
                publish = queue.recv() => refuse(vec![publish?]),
                _ = ticks.tick() => {
                    if let Ok(prepared) = self.connect().await {
                        return Some(prepared);
                    }
                }
            }
        }
    }
}

fn judge(error: tokio_postgres::Error) -> Failure {
    if is_passing(&error) {
        unknown(error)
    } else {
        Failure::Refused(error)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error")]
fn unknown(error: tokio_postgres::Error) -> Failure {
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    Failure::Unknown(format!("{error}{}", cause.unwrap_or_default()))
}

/// A restart of the database takes a few seconds; callers wait that long rather than fail.
const PATIENCE: Duration = Duration::from_secs(10);
const COMMIT_TIME: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
