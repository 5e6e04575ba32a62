//! Pages, by the index alone until the rows of the page are known.

use std::collections::BinaryHeap;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::super::{Budget, Direction, Error, Page, PageRequest, Position, page::Row};
use crate::envelope::Digest;

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
    let mut read =
        transaction.prepare_cached("SELECT timestamp_ns, message FROM envelope WHERE sequence = ?1")?;
    for key in keys {
        let position = key.position(request.direction);
        let (timestamp_ns, message) = read.query_row([key.sequence], |row| {
            let message = Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?);
            Ok((row.get::<_, i64>(0)?, message))
        })?;
        // The digest does not cover the time, which is in the index and in the row.
        if timestamp_ns != position.timestamp_ns {
            return Err(Error::Corrupt {
                sequence: key.sequence,
            });
        }
        let topic = request.topics.get(key.topic).cloned().unwrap_or_default();
        let row = Row::checked(key.sequence, topic, position, message)?;
        if !budget.admits(rows.len(), &row.topic, row.message.len()) {
            return Ok(Page { rows, more: true });
        }
        rows.push(row);
    }
    Ok(Page { rows, more: full })
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
    let (from_ns, from_digest, to_ns) = request.bounds();
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

const ASCENDING: &str = "SELECT timestamp_ns, digest, sequence FROM envelope
    WHERE topic = ?1 AND (timestamp_ns, digest) > (?2, ?3) AND timestamp_ns <= ?4
    ORDER BY timestamp_ns, digest LIMIT ?5";
const DESCENDING: &str = "SELECT timestamp_ns, digest, sequence FROM envelope
    WHERE topic = ?1 AND (timestamp_ns, digest) < (?2, ?3) AND timestamp_ns >= ?4
    ORDER BY timestamp_ns DESC, digest DESC LIMIT ?5";
