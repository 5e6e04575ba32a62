//! Durable publishes over gRPC on 8 connections, every one with a valid token, 1 KiB an envelope.
//!
//! Node, empty server and publishers have a runtime each, as separate programs would, and share the machine's cores alike
//! in all measurements.

use std::{
    io::{self, Write as _},
    path::Path,
};

use crate::{
    Error,
    empty_node::EmptyNode,
    engine::Engine,
    figure::{self, Figure, Round, Target},
    load::{Envelopes, MESSAGE_BYTES, Publishers},
    node::Node,
};

/// Publishes acknowledged a second, one envelope each and 256 in flight. The floor is the slower of an empty server and the
/// bare store with the same rows.
pub(crate) fn node_publish(engine: Engine, folder: &Path) -> Result<Figure, Error> {
    let node = Node::start_on(engine, folder)?;
    let empty = EmptyNode::start()?;
    let mut bare = engine.bare(folder)?;
    let (to_node, to_empty) = (
        Publishers::new(&node.address())?,
        Publishers::new(&empty.address())?,
    );
    let mut envelopes = Envelopes::new(CONVERSATIONS, MESSAGE_BYTES);
    let (mut by_empty, mut by_bare) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
    for number in 0..WARM_UP + ROUNDS {
        let round = envelopes.take(PUBLISHES)?;
        let bare = figure::rate(PUBLISHES, bare.store(&round, ROWS_A_COMMIT)?);
        let (subject, empty) = if number % 2 == 0 {
            let subject = to_node.publish(&round, 1, IN_FLIGHT)?;
            (subject, to_empty.publish(&round, 1, IN_FLIGHT)?)
        } else {
            let empty = to_empty.publish(&round, 1, IN_FLIGHT)?;
            (to_node.publish(&round, 1, IN_FLIGHT)?, empty)
        };
        let (subject, empty) = (figure::rate(PUBLISHES, subject), figure::rate(PUBLISHES, empty));
        if number >= WARM_UP {
            by_empty.push(Round {
                subject,
                floor: empty,
            });
            by_bare.push(Round { subject, floor: bare });
        }
    }
    drop((to_node, to_empty));
    node.stop()?;
    let middle = |rounds: &[Round]| figure::median(rounds.iter().map(|round| round.floor));
    let (empty, bare) = (middle(&by_empty), middle(&by_bare));
    writeln!(
        io::stderr(),
        "publish: empty server {empty:.0}/s, bare store {bare:.0}/s; the slower is the floor"
    )?;
    let rounds = if empty <= bare { by_empty } else { by_bare };
    Ok(Figure::of_rounds("/s", &rounds, Target::AtLeast(0.6)))
}

/// Envelopes acknowledged a second, 100 to a request. The floor is the bare store with the same rows, 100 a transaction.
pub(crate) fn node_publish_batched(engine: Engine, folder: &Path) -> Result<Figure, Error> {
    let node = Node::start_on(engine, folder)?;
    let mut bare = engine.bare(folder)?;
    let publishers = Publishers::new(&node.address())?;
    let mut envelopes = Envelopes::new(CONVERSATIONS, MESSAGE_BYTES);
    let mut rounds = Vec::with_capacity(ROUNDS);
    for number in 0..WARM_UP + ROUNDS {
        let round = envelopes.take(BATCHED)?;
        let (subject, floor) = if number % 2 == 0 {
            let subject = publishers.publish(&round, BATCH, BATCHES_IN_FLIGHT)?;
            (subject, bare.store(&round, BATCH)?)
        } else {
            let floor = bare.store(&round, BATCH)?;
            (publishers.publish(&round, BATCH, BATCHES_IN_FLIGHT)?, floor)
        };
        if number >= WARM_UP {
            rounds.push(Round {
                subject: figure::rate(BATCHED, subject),
                floor: figure::rate(BATCHED, floor),
            });
        }
    }
    drop(publishers);
    node.stop()?;
    Ok(Figure::of_rounds("/s", &rounds, Target::AtLeast(0.6)))
}

/// A round takes about a second: the ends, when less than 256 are in flight, are a small part of it.
const PUBLISHES: u32 = 8_192;
const IN_FLIGHT: usize = 256;
const ROWS_A_COMMIT: usize = 256;
const BATCHED: u32 = 10_000;
const BATCH: usize = 100;
/// One on each connection.
const BATCHES_IN_FLIGHT: usize = 8;
const CONVERSATIONS: u32 = 1_000;
const ROUNDS: usize = 17;
const WARM_UP: usize = 3;
