//! Queries: what is asked of a store, and the page it answers with. The order is the same on every store.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use herald_protocol::envelope;

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

    /// What all rows together may still have.
    pub(super) fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether the `number`-th row of a page still fits. The first is always answered: an empty page would end the reader's
    /// paging.
    pub(super) fn admits(&self, number: usize, topic: &str, message_bytes: usize) -> bool {
        let bytes = message_bytes + topic.len() + ROW_BYTES;
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(bytes)
        });
        left.is_ok() || number == 0
    }
}

impl Row {
    /// A row as it was read: its message must be the one that was stored.
    pub(super) fn checked(
        sequence: i64,
        topic: String,
        position: Position,
        message: Bytes,
    ) -> Result<Self, Error> {
        if envelope::digest(&topic, &message) != position.digest {
            return Err(Error::Corrupt { sequence });
        }
        Ok(Self {
            topic,
            position,
            message,
        })
    }
}

impl PageRequest {
    /// The exclusive first position and the inclusive last time, along the direction.
    pub(super) fn bounds(&self) -> (i64, Vec<u8>, i64) {
        // Before and after every digest of 32 bytes.
        let (outermost, last) = match self.direction {
            Direction::Ascending => ((self.start_ns, Vec::new()), self.end_ns),
            Direction::Descending => ((self.end_ns, vec![0xff; 33]), self.start_ns),
        };
        let cursor = self
            .after
            .map(|after| (after.timestamp_ns, after.digest.to_vec()));
        let first = match (cursor, self.direction) {
            (None, _) => outermost,
            (Some(cursor), Direction::Ascending) => cursor.max(outermost),
            (Some(cursor), Direction::Descending) => cursor.min(outermost),
        };
        (first.0, first.1, last)
    }
}

/// Framing and times of one row in an answer.
const ROW_BYTES: usize = 32;
