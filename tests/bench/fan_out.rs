//! One publish to 1,000 streams on 1,000 connections, until the last byte is read. The readers are one process of one
//! thread, for the node as for the floor: the same bytes, written to as many sockets one after the other.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    path::Path,
    time::Instant,
};

use prost::Message as _;

use crate::{
    Error,
    engine::Engine,
    figure::{Figure, Round, Target},
    load::{Envelopes, MESSAGE_BYTES, Publishers},
    node::Node,
    readers::Readers,
};

/// Milliseconds, the publish itself included.
pub(crate) fn node_fan_out(engine: Engine, folder: &Path) -> Result<Figure, Error> {
    let node = Node::start_on(engine, folder)?;
    let publishers = Publishers::new(&node.address())?;
    let mut envelopes = Envelopes::new(1, MESSAGE_BYTES);
    let sample = envelopes.take(1)?;
    let bytes = sample
        .iter()
        .map(|envelope| MESSAGE_PREFIX + envelope.encoded_len())
        .sum();
    let mut streams = Readers::of_streams(node.grpc(), CONNECTIONS, 1, 1, bytes)?;
    let mut sockets = Sockets::open(FRAME_HEADER + bytes)?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for number in 0..WARM_UP + ROUNDS {
        let envelope = envelopes.take(1)?;
        let mut publish = || {
            let started = Instant::now();
            publishers.publish(&envelope, 1, 1)?;
            streams.read()?;
            Ok::<_, Error>(started.elapsed().as_secs_f64() * 1e3)
        };
        let round = if number % 2 == 0 {
            let subject = publish()?;
            Round {
                subject,
                floor: sockets.write()?,
            }
        } else {
            let floor = sockets.write()?;
            Round {
                subject: publish()?,
                floor,
            }
        };
        if number >= WARM_UP {
            rounds.push(round);
        }
    }
    drop((streams, publishers));
    node.stop()?;
    Ok(Figure::of_rounds("ms", &rounds, Target::AtMost(3.0)))
}

/// The writing ends of bare connections.
struct Sockets {
    readers: Readers,
    connections: Vec<TcpStream>,
    bytes: Vec<u8>,
}

impl Sockets {
    fn open(bytes: usize) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let starting = Readers::of_sockets(listener.local_addr()?, CONNECTIONS, bytes)?;
        let accepted = (0..CONNECTIONS).map(|_| {
            let (connection, _) = listener.accept()?;
            connection.set_nodelay(true)?;
            Ok(connection)
        });
        let connections = accepted.collect::<Result<_, Error>>()?;
        Ok(Self {
            readers: starting.opened()?,
            connections,
            bytes: vec![0x5a; bytes],
        })
    }

    fn write(&mut self) -> Result<f64, Error> {
        let started = Instant::now();
        for connection in &mut self.connections {
            connection.write_all(&self.bytes)?;
        }
        self.readers.read()?;
        Ok(started.elapsed().as_secs_f64() * 1e3)
    }
}

const CONNECTIONS: u32 = 1_000;
/// Of gRPC before a message, and of HTTP/2 before that.
const MESSAGE_PREFIX: usize = 5;
const FRAME_HEADER: usize = 9;
const ROUNDS: usize = 201;
const WARM_UP: usize = 20;
