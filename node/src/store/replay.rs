//! Arrivals in the order they were committed, for streams that fell behind.

use bytes::Bytes;
use herald_protocol::envelope;
use rusqlite::Connection;

use super::Error;
use crate::envelope::{Arrival, Digest};

/// A piece of the arrival order.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) arrivals: Vec<Arrival>,
    /// Everything wanted up to here is in `arrivals`.
    pub(crate) scanned_to: i64,
}

pub(super) fn read(
    connection: &mut Connection,
    after: i64,
    wanted: impl Fn(&str, i64) -> bool,
) -> Result<Replay, Error> {
    let mut statement = connection.prepare_cached(SCAN)?;
    let mut rows = statement.query([after])?;
    let mut replay = Replay {
        arrivals: Vec::new(),
        scanned_to: after,
    };
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let sequence = row.get(0)?;
        let corrupt = |_| Error::Corrupt { sequence };
        let topic = row
            .get_ref(1)?
            .as_str()
            .map_err(|_| Error::Corrupt { sequence })?;
        replay.scanned_to = sequence;
        if !wanted(topic, sequence) {
            continue;
        }
        let message = Bytes::copy_from_slice(
            row.get_ref(4)?
                .as_blob()
                .map_err(|_| Error::Corrupt { sequence })?,
        );
        if envelope::digest(topic, &message) != row.get::<_, Digest>(3).map_err(corrupt)? {
            return Err(Error::Corrupt { sequence });
        }
        bytes += message.len();
        replay
            .arrivals
            .push(Arrival::read(sequence, topic, row.get(2)?, message));
        if bytes >= PIECE_BYTES || replay.arrivals.len() >= PIECE_ROWS {
            break;
        }
    }
    Ok(replay)
}

const SCAN: &str = "SELECT envelope.sequence, topic.name, timestamp_ns, digest, message
    FROM envelope JOIN topic ON topic.id = envelope.topic
    WHERE envelope.sequence > ?1 ORDER BY envelope.sequence LIMIT 4096";
/// Bounds the memory of a stream that is fed from the store.
const PIECE_BYTES: usize = 1024 * 1024;
const PIECE_ROWS: usize = 256;
