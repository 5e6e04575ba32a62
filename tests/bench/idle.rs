//! What a live stream on which nothing happens costs a node: KiB of its resident memory, and in the floor's place the KiB it
//! may have. Client and node are processes of their own; each stream has one topic, which nobody else reads.

use std::path::Path;

use crate::{
    Error,
    figure::{Figure, Round, Target},
    process::NodeProcess,
    readers::Readers,
};

pub(crate) fn on_100_connections(folder: &Path) -> Result<Figure, Error> {
    idle(folder, 100, 12.0)
}

pub(crate) fn on_10_000_connections(folder: &Path) -> Result<Figure, Error> {
    idle(folder, STREAMS, 48.0)
}

fn idle(folder: &Path, connections: u32, most_kib: f64) -> Result<Figure, Error> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for number in 0..ROUNDS {
        let node = NodeProcess::start(&folder.join(number.to_string()))?;
        // What the first connection of all needs is no matter of its stream.
        drop(Readers::of_streams(node.grpc(), 1, 1, 1, 0)?);
        let before = node.resident_kib()?;
        let readers = Readers::of_streams(node.grpc(), connections, STREAMS / connections, STREAMS, 0)?;
        let after = node.resident_kib()?;
        drop(readers);
        node.stop()?;
        rounds.push(Round {
            subject: (f64::from(after) - f64::from(before)) / f64::from(STREAMS),
            floor: most_kib,
        });
    }
    Ok(Figure::of_rounds("KiB", &rounds, Target::AtMost(1.0)))
}

const STREAMS: u32 = 10_000;
const ROUNDS: usize = 3;
