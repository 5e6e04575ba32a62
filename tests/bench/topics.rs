//! What a publish costs a node that holds a million topics, beside one that holds a thousand.

use std::path::Path;

use crate::{
    Error,
    engine::Engine,
    figure::{Figure, Round, Target},
    load::{Envelopes, MESSAGE_BYTES, Publishers},
    node::Node,
};

/// Microseconds a publish, 256 in flight, each to another topic than those before it.
pub(crate) fn node_topics(engine: Engine, folder: &Path) -> Result<Figure, Error> {
    let (mut many, mut few) = (
        Stocked::start(engine, &folder.join("many"), MANY)?,
        Stocked::start(engine, &folder.join("few"), FEW)?,
    );
    let mut rounds = Vec::with_capacity(ROUNDS);
    for number in 0..WARM_UP + ROUNDS {
        let round = if number % 2 == 0 {
            let subject = many.publish()?;
            Round {
                subject,
                floor: few.publish()?,
            }
        } else {
            let floor = few.publish()?;
            Round {
                subject: many.publish()?,
                floor,
            }
        };
        if number >= WARM_UP {
            rounds.push(round);
        }
    }
    many.stop()?;
    few.stop()?;
    Ok(Figure::of_rounds("us", &rounds, Target::AtMost(1.5)))
}

/// A node with an envelope in every topic.
struct Stocked {
    node: Node,
    publishers: Publishers,
    envelopes: Envelopes,
}

impl Stocked {
    fn start(engine: Engine, folder: &Path, topics: u32) -> Result<Self, Error> {
        let node = Node::start_on(engine, folder)?;
        let publishers = Publishers::new(&node.address())?;
        publishers.fill(&mut Envelopes::new(topics, SMALL_BYTES), topics)?;
        Ok(Self {
            node,
            publishers,
            envelopes: Envelopes::new(topics, MESSAGE_BYTES).scattered(),
        })
    }

    fn publish(&mut self) -> Result<f64, Error> {
        let round = self.envelopes.take(PUBLISHES)?;
        let took = self.publishers.publish(&round, 1, IN_FLIGHT)?;
        Ok(took.as_secs_f64() * 1e6 / f64::from(PUBLISHES))
    }

    fn stop(self) -> Result<(), Error> {
        drop(self.publishers);
        self.node.stop()
    }
}

const MANY: u32 = 1_000_000;
const FEW: u32 = 1_000;
const SMALL_BYTES: usize = 384;
const PUBLISHES: u32 = 4_096;
const IN_FLIGHT: usize = 256;
const ROUNDS: usize = 31;
const WARM_UP: usize = 3;
