//! Durable unary publishes over gRPC: 1 KiB each, 256 in flight on 8 connections, every one with a valid token.
//!
//! Node, empty server and publishers have a runtime each, as separate programs would, and share the machine's cores alike
//! in both measurements. The floor is the slower of the empty server and bare `SQLite` with the same rows.

use std::{
    io::{self, Write as _},
    path::Path,
};

use crate::{
    Error,
    bare_store::BareStore,
    empty_node::EmptyNode,
    figure::{self, Figure, Round, Target},
    load::{Envelopes, Publishers},
    node::Node,
};

/// Publishes acknowledged a second.
pub(crate) fn node_publish(folder: &Path) -> Result<Figure, Error> {
    let node = Node::start(folder)?;
    let empty = EmptyNode::start()?;
    let mut bare = BareStore::create(folder)?;
    let (to_node, to_empty) = (
        Publishers::new(&node.address())?,
        Publishers::new(&empty.address())?,
    );
    let mut envelopes = Envelopes::new()?;
    let (mut by_empty, mut by_bare) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
    for number in 0..WARM_UP + ROUNDS {
        let round = envelopes.take(PUBLISHES);
        let bare = figure::rate(PUBLISHES, bare.store(&round)?);
        let (subject, empty) = if number % 2 == 0 {
            let subject = to_node.publish(round.clone())?;
            (subject, to_empty.publish(round)?)
        } else {
            let empty = to_empty.publish(round.clone())?;
            (to_node.publish(round)?, empty)
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
        "node-publish: empty server {empty:.0}/s, bare SQLite {bare:.0}/s; the slower is the floor"
    )?;
    let rounds = if empty <= bare { by_empty } else { by_bare };
    Ok(Figure::of_rounds("/s", &rounds, Target::AtLeast(0.6)))
}

/// A round takes a few tenths of a second: the ends, when less than 256 are in flight, are a small part of it.
const PUBLISHES: u32 = 4_096;
const ROUNDS: usize = 31;
const WARM_UP: usize = 3;
