//! The tail: follows the arrivals of all nodes in their order, and hands them to this node's feed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio_postgres::Notification;

use super::{
    super::{Error, PIECE_BYTES, PIECE_ROWS, Replay, State},
    connect::{Connector, Session},
    reader::checked,
    writer::Commit,
};
use crate::envelope::{Arrival, Digest};

pub(super) struct Tail {
    connector: Connector,
    session: Option<Session>,
    state: Arc<State>,
    /// Everything up to here was handed on.
    position: i64,
    arrivals: mpsc::Sender<Vec<Arrival>>,
    /// Another node has published.
    wake: Arc<Notify>,
    /// The database's process of this node's writer, whose commits need no reading.
    own: Arc<AtomicI32>,
    /// Whether the last attempt to read failed, so that an outage is one line of the log.
    failing: bool,
}

impl Tail {
    pub(super) fn new(
        connector: Connector,
        state: Arc<State>,
        position: i64,
        arrivals: mpsc::Sender<Vec<Arrival>>,
        own: Arc<AtomicI32>,
    ) -> Self {
        Self {
            connector,
            session: None,
            state,
            position,
            arrivals,
            wake: Arc::default(),
            own,
            failing: false,
        }
    }

    /// Runs until the writer is gone. A notification only wakes; whoever misses one looks again after [`POLL`].
    pub(super) async fn run(mut self, mut commits: mpsc::Receiver<Commit>) {
        // Listening begins at once, not with the first look.
        self.catch_up(self.position).await;
        loop {
            let wake = Arc::clone(&self.wake);
            tokio::select! {
                biased;
                commit = commits.recv() => match commit {
                    Some(commit) => self.take(commit).await,
                    None => return,
                },
                () = wake.notified() => self.catch_up(i64::MAX).await,
                () = tokio::time::sleep(POLL) => self.catch_up(i64::MAX).await,
            }
        }
    }

    /// What this node wrote itself needs no reading, once all that came before it was handed on.
    async fn take(&mut self, commit: Commit) {
        if commit.before > self.position {
            self.catch_up(commit.before).await;
        }
        if commit.before == self.position {
            self.hand_on(commit.arrivals).await;
            self.position = commit.head;
        }
        // Otherwise it was read meanwhile, or will be.
    }

    /// Hands on what was committed, up to `until` at least where it is there.
    async fn catch_up(&mut self, until: i64) {
        match self.read_until(until).await {
            Ok(()) => self.failing = false,
            Err(error) => {
                self.session = None;
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, cause = std::error::Error::source(&error), "arrivals cannot be read; streams wait");
                }
            }
        }
    }

    async fn read_until(&mut self, until: i64) -> Result<(), Error> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.listen().await?,
        };
        let head = session.head().await?;
        self.state.head.fetch_max(head, Ordering::AcqRel);
        let last = head.min(until);
        while self.position < last {
            let piece = piece(&session, self.position, last).await?;
            self.hand_on(piece.arrivals).await;
            self.position = piece.scanned_to;
        }
        self.session = Some(session);
        Ok(())
    }

    async fn listen(&self) -> Result<Session, Error> {
        let (wake, own) = (Arc::clone(&self.wake), Arc::clone(&self.own));
        let told = move |notification: Notification| {
            if notification.process_id() != own.load(Ordering::Relaxed) {
                wake.notify_one();
            }
        };
        let session = self.connector.connect(told).await?;
        session.client.batch_execute("LISTEN herald_arrivals").await?;
        Ok(session)
    }

    async fn hand_on(&self, arrivals: Vec<Arrival>) {
        if !arrivals.is_empty() {
            // Fails only when nobody feeds streams any more, at the end of a shutdown.
            let _ = self.arrivals.send(arrivals).await;
        }
    }
}

/// The next arrivals after `position` up to `last`, which is committed; ephemeral ones, too.
pub(super) async fn piece(session: &Session, position: i64, last: i64) -> Result<Replay, Error> {
    let statement = session.piece().await?;
    let bound = |bound: usize| i64::try_from(bound).unwrap_or(i64::MAX);
    let (rows, bytes) = (bound(PIECE_ROWS), bound(PIECE_BYTES));
    let found = session
        .client
        .query(statement, &[&position, &last, &rows, &bytes])
        .await?;
    let Some(end) = found.last() else {
        return Ok(Replay {
            arrivals: Vec::new(),
            scanned_to: last,
        });
    };
    // Numbers without a row belong to duplicates, or to rows that were deleted.
    let scanned_to = if found.len() < PIECE_ROWS && end.try_get(5)? {
        last
    } else {
        end.try_get(0)?
    };
    let mut arrivals = Vec::with_capacity(found.len());
    for row in &found {
        let (sequence, topic): (i64, &str) = (row.try_get(0)?, row.try_get(1)?);
        let message = Bytes::copy_from_slice(row.try_get(4)?);
        let digest: Option<&[u8]> = row.try_get(3)?;
        let timestamp_ns = row.try_get(2)?;
        arrivals.push(match digest {
            Some(digest) => {
                let digest = Digest::try_from(digest).map_err(|_| Error::Corrupt { sequence })?;
                checked(sequence, topic, &digest, &message)?;
                Arrival::read(sequence, topic, timestamp_ns, message)
            }
            None => Arrival::passing(topic, timestamp_ns, message),
        });
    }
    Ok(Replay { arrivals, scanned_to })
}

/// At most $3 rows and $4 bytes, but always one; the last column says whether nothing was cut.
pub(super) const PIECE: &str = "
    SELECT sequence, topic, timestamp_ns, digest, message, uncut FROM (
        SELECT *, sum(octet_length(message)) OVER (ORDER BY sequence) AS bytes,
            row_number() OVER (ORDER BY sequence) AS number,
            sum(octet_length(message)) OVER () <= $4 AS uncut
        FROM (
            SELECT sequence, topic, timestamp_ns, digest, message FROM envelope WHERE sequence > $1 AND sequence <= $2
            UNION ALL
            SELECT sequence, topic, timestamp_ns, NULL, message FROM relayed WHERE sequence > $1 AND sequence <= $2
            ORDER BY sequence LIMIT $3
        ) AS arrived
    ) AS measured
    WHERE bytes <= $4 OR number = 1
    ORDER BY sequence";
/// A wake-up may be lost with a connection.
const POLL: Duration = Duration::from_secs(1);
