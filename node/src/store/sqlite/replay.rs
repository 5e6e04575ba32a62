//! Arrivals in the order they were committed, for streams that fell behind.

use bytes::Bytes;
use herald_protocol::envelope;
use rusqlite::Connection;

use super::super::{Error, PIECE_BYTES, PIECE_ROWS, Replay, SCANNED_ROWS};
use crate::envelope::{Arrival, Digest};

/// The arrivals after `after` that `wanted` names. `head` was committed before this is called.
pub(in super::super) fn read(
    connection: &Connection,
    after: i64,
    head: i64,
    wanted: impl Fn(&str, i64) -> bool,
) -> Result<Replay, Error> {
    let mut statement = connection.prepare_cached(SCAN)?;
    let mut rows = statement.query([after, SCANNED_ROWS])?;
    let mut replay = Replay {
        arrivals: Vec::new(),
        scanned_to: after,
    };
    let (mut bytes, mut scanned) = (0, 0);
    while let Some(row) = rows.next()? {
        let sequence = row.get(0)?;
        scanned += 1;
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
            return Ok(replay);
        }
    }
    if scanned < SCANNED_ROWS {
        // The newest may have been deleted meanwhile; whoever waits for them must not wait for ever.
        replay.scanned_to = replay.scanned_to.max(head);
    }
    Ok(replay)
}

const SCAN: &str = "SELECT envelope.sequence, topic.name, timestamp_ns, digest, message
    FROM envelope JOIN topic ON topic.id = envelope.topic
    WHERE envelope.sequence > ?1 ORDER BY envelope.sequence LIMIT ?2";
