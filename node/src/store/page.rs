//! Queries: one ordered page over any number of topics, by the index alone until the rows of the page are known.

use std::{
    collections::BinaryHeap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use herald_protocol::envelope;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Transaction, params};

use super::Error;
use crate::envelope::Digest;

/// What to read. Topics are distinct, times inclusive.
#[derive(Debug)]
pub(crate) struct PageRequest {
    pub(crate) topics: Vec<String>,
    pub(crate) start_ns: i64,
    pub(crate) end_ns: i64,
    pub(crate) direction: Direction,
    pub(crate) limit: usize,
    /// Exclusive, in the chosen direction.
    pub(crate) after: Option<Position>,
}

/// Order of the answer by (timestamp, digest).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

/// A place in that order; no row has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) timestamp_ns: i64,
    pub(crate) digest: Digest,
}

/// Rows in order, and whether more may follow.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    /// True when the page is full or was cut, so that `rows.last()` is a cursor to go on from.
    pub(crate) more: bool,
}

/// One stored envelope.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) topic: String,
    pub(crate) position: Position,
    pub(crate) message: Bytes,
}

/// Payload bytes that one answer may still carry, shared by the parts of a batch. A page cut by it ends early with a cursor.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<AtomicUsize>);

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    fn take(&self, bytes: usize) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .is_ok()
    }
}

pub(super) const TOPIC_ID: &str = "SELECT id FROM topic WHERE name = ?1";

pub(super) fn read(
    connection: &mut Connection,
    request: &PageRequest,
    budget: &Budget,
) -> Result<Page, Error> {
    // One snapshot for the index and the rows.
    let transaction = connection.transaction()?;
    let keys = keys(&transaction, request)?;
    let full = keys.len() == request.limit;
    let mut rows = Vec::with_capacity(keys.len());
    let mut message = transaction.prepare_cached("SELECT message FROM envelope WHERE sequence = ?1")?;
    for key in keys {
        let row = row(&mut message, request, &key)?;
        // The first row is always answered: an empty page would end the reader's paging.
        if !budget.take(row.message.len() + row.topic.len() + ROW_BYTES) && !rows.is_empty() {
            return Ok(Page { rows, more: true });
        }
        rows.push(row);
    }
    Ok(Page { rows, more: full })
}

fn row(message: &mut CachedStatement<'_>, request: &PageRequest, key: &Key) -> Result<Row, Error> {
    let message = message.query_row([key.sequence], |row| {
        Ok(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?))
    })?;
    let position = key.position(request.direction);
    let topic = request.topics.get(key.topic).cloned().unwrap_or_default();
    if envelope::digest(&topic, &message) != position.digest {
        return Err(Error::Corrupt {
            sequence: key.sequence,
        });
    }
    Ok(Row {
        topic,
        position,
        message,
    })
}

/// Place of a row in the answer. The rank grows along the answer in either direction, so one order serves both.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    rank: (i64, Digest),
    sequence: i64,
    /// Index into the topics of the request.
    topic: usize,
}

impl Key {
    fn position(&self, direction: Direction) -> Position {
        let (timestamp_ns, digest) = turned(self.rank, direction);
        Position { timestamp_ns, digest }
    }
}

/// Maps positions to ranks and back.
fn turned((timestamp_ns, digest): (i64, Digest), direction: Direction) -> (i64, Digest) {
    match direction {
        Direction::Ascending => (timestamp_ns, digest),
        Direction::Descending => (!timestamp_ns, digest.map(|byte| !byte)),
    }
}

/// The first `limit` keys over all topics: each topic is read from its own start only as far as it can still contribute, so
/// the cost is by topics and page size, never by how much is stored.
fn keys(transaction: &Transaction<'_>, request: &PageRequest) -> Result<Vec<Key>, Error> {
    let mut topic_id = transaction.prepare_cached(TOPIC_ID)?;
    let mut scan = transaction.prepare_cached(match request.direction {
        Direction::Ascending => ASCENDING,
        Direction::Descending => DESCENDING,
    })?;
    let (from_ns, from_digest, to_ns) = bounds(request);
    let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
    let mut best: BinaryHeap<Key> = BinaryHeap::with_capacity(request.limit);
    for (topic, name) in request.topics.iter().enumerate() {
        let Some(id) = topic_id
            .query_row([name], |row| row.get::<_, i64>(0))
            .optional()?
        else {
            continue;
        };
        let mut rows = scan.query(params![id, from_ns, from_digest, to_ns, limit])?;
        while let Some(row) = rows.next()? {
            let sequence = row.get(2)?;
            let digest = row.get(1).map_err(|_| Error::Corrupt { sequence })?;
            let key = Key {
                rank: turned((row.get(0)?, digest), request.direction),
                sequence,
                topic,
            };
            if best.len() < request.limit {
                best.push(key);
                continue;
            }
            match best.peek_mut() {
                Some(mut worst) if key < *worst => *worst = key,
                _ => break,
            }
        }
    }
    Ok(best.into_sorted_vec())
}

/// The exclusive first position and the inclusive last time, along the direction.
fn bounds(request: &PageRequest) -> (i64, Vec<u8>, i64) {
    // Before and after every digest of 32 bytes.
    let (outermost, last) = match request.direction {
        Direction::Ascending => ((request.start_ns, Vec::new()), request.end_ns),
        Direction::Descending => ((request.end_ns, vec![0xff; 33]), request.start_ns),
    };
    let cursor = request
        .after
        .map(|after| (after.timestamp_ns, after.digest.to_vec()));
    let first = match (cursor, request.direction) {
        (None, _) => outermost,
        (Some(cursor), Direction::Ascending) => cursor.max(outermost),
        (Some(cursor), Direction::Descending) => cursor.min(outermost),
    };
    (first.0, first.1, last)
}

const ASCENDING: &str = "SELECT timestamp_ns, digest, sequence FROM envelope
    WHERE topic = ?1 AND (timestamp_ns, digest) > (?2, ?3) AND timestamp_ns <= ?4
    ORDER BY timestamp_ns, digest LIMIT ?5";
const DESCENDING: &str = "SELECT timestamp_ns, digest, sequence FROM envelope
    WHERE topic = ?1 AND (timestamp_ns, digest) < (?2, ?3) AND timestamp_ns >= ?4
    ORDER BY timestamp_ns DESC, digest DESC LIMIT ?5";
/// Framing and times of one row in an answer.
const ROW_BYTES: usize = 32;
