//! Is the store still there, and does it read? A look from outside, and what it takes on its disk.

use std::{io, path::Path};

use herald_protocol::envelope;

use super::{super::Size, Error, open_reading};
use crate::envelope::Digest;

/// Reads the oldest and the newest envelope and holds them against their digests, on a connection of its own: an open one
/// goes on from its memory when the file is damaged, and from its handle when the file is gone.
pub(super) fn read(path: &Path) -> Result<(), Error> {
    let connection = open_reading(path)?;
    for newest in ["ASC", "DESC"] {
        let mut statement = connection.prepare(&format!(
            "SELECT envelope.sequence, topic.name, digest, message FROM envelope
             JOIN topic ON topic.id = envelope.topic ORDER BY envelope.sequence {newest} LIMIT 1"
        ))?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else {
            return Ok(());
        };
        let (sequence, topic): (i64, String) = (row.get(0)?, row.get(1)?);
        let message: Vec<u8> = row.get(3)?;
        if envelope::digest(&topic, &message) != row.get::<_, Digest>(2)? {
            return Err(Error::Corrupt { sequence });
        }
    }
    Ok(())
}

pub(super) fn size(path: &Path) -> io::Result<Size> {
    let file = std::fs::metadata(path)?.len();
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // Without a log there is nothing to add.
    let log = std::fs::metadata(log).map_or(0, |log| log.len());
    let disk = rustix::fs::statvfs(path)?;
    Ok(Size {
        bytes: file + log,
        free_bytes: Some(disk.f_bavail.saturating_mul(disk.f_frsize)),
    })
}
