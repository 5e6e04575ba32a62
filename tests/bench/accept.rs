//! How long a new caller waits for the first answer of a node that 10,000 idle streams on 10,000 connections are open at:
//! milliseconds that 99 of 100 took at most, and in the floor's place those it may be.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Instant,
};

use crate::{
    Error,
    figure::{Figure, Round, Target},
    process::NodeProcess,
    readers::Readers,
};

pub(crate) fn beside_idle_streams(folder: &Path) -> Result<Figure, Error> {
    let node = NodeProcess::start(folder)?;
    let idle = Readers::of_streams(node.grpc(), STREAMS, 1, STREAMS, 0)?;
    let address = node.http().strip_prefix("http://").ok_or("an address")?.parse()?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let mut waits = (0..CALLS).map(|_| call(address)).collect::<Result<Vec<_>, _>>()?;
        waits.sort_by(f64::total_cmp);
        rounds.push(Round {
            subject: waits.get(CALLS * 99 / 100).copied().ok_or("nobody called")?,
            floor: MOST_MS,
        });
    }
    drop(idle);
    node.stop()?;
    Ok(Figure::of_rounds("ms", &rounds, Target::AtMost(1.0)))
}

/// On a connection of its own, from the first packet to the last byte of the answer.
fn call(node: SocketAddr) -> Result<f64, Error> {
    let started = Instant::now();
    let mut socket = TcpStream::connect(node)?;
    socket.write_all(QUERY.as_bytes())?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    let took = started.elapsed();
    if answer.starts_with(b"HTTP/1.1 200") {
        Ok(took.as_secs_f64() * 1e3)
    } else {
        Err("the node is not well".into())
    }
}

/// For an empty page.
const QUERY: &str = "POST /message/v1/query HTTP/1.1\r\nhost: node\r\nconnection: close\r\ncontent-length: 34\r\n\r\n\
    {\"contentTopics\":[\"nobody-wrote\"]}";
const STREAMS: u32 = 10_000;
const CALLS: usize = 1_000;
const ROUNDS: usize = 5;
const MOST_MS: f64 = 100.0;
