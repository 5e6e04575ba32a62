//! Readers in a process of their own, one thread for all, that count bytes and do nothing else: live streams of a node, or
//! bare sockets. A gRPC library on this side would cost more than the node does.
//!
//! They say `open` when the connections stand, and `read` each time another so many bytes have come on all of them.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use herald_protocol::{proto::api::SubscribeRequest, topic::Topic};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinSet,
};

use crate::{Error, load::conversation, process::Part};

/// Such a process, seen from the one that measures.
pub(crate) struct Readers(Part);

impl Readers {
    /// Opens live streams at a node, `each` on every connection; together they listen on `topics` topics.
    pub(crate) fn of_streams(
        node: SocketAddr,
        connections: u32,
        each: u32,
        topics: u32,
        bytes: usize,
    ) -> Result<Self, Error> {
        let numbers = [connections, each, topics].map(|number| number.to_string());
        let [connections, each, topics] = numbers.each_ref().map(String::as_str);
        let (node, bytes) = (node.to_string(), bytes.to_string());
        Self(Part::start(&[
            "streams",
            &node,
            connections,
            each,
            topics,
            &bytes,
        ])?)
        .opened()
    }

    /// Connects to `address`, where somebody has to accept before [`Self::opened`] returns.
    pub(crate) fn of_sockets(address: SocketAddr, connections: u32, bytes: usize) -> Result<Self, Error> {
        let (address, connections, bytes) = (address.to_string(), connections.to_string(), bytes.to_string());
        Ok(Self(Part::start(&["sockets", &address, &connections, &bytes])?))
    }

    pub(crate) fn opened(mut self) -> Result<Self, Error> {
        self.0.line()?;
        Ok(self)
    }

    /// Waits until all have read the bytes of one more round.
    pub(crate) fn read(&mut self) -> Result<(), Error> {
        self.0.line().map(drop)
    }
}

/// The process of [`Readers::of_streams`].
pub(crate) fn streams(
    node: SocketAddr,
    connections: u32,
    each: u32,
    topics: u32,
    bytes: usize,
) -> Result<(), Error> {
    on_one_thread(async {
        let tally = Tally::new(connections * each, bytes);
        let mut reading = JoinSet::new();
        for first in (0..connections).map(|number| number * each) {
            let mut connection = Connection::open(node).await?;
            for number in 0..each {
                let topic = conversation((first + number) % topics)?;
                connection.subscribe(number * 2 + 1, topic).await?;
            }
            for _ in 0..each {
                while connection.frame().await? != HEADERS {}
            }
            let tally = tally.clone();
            reading.spawn(async move {
                loop {
                    if connection.frame().await? == DATA {
                        tally.count(connection.payload.len())?;
                    }
                }
            });
        }
        read_on(reading).await
    })
}

/// The process of [`Readers::of_sockets`].
pub(crate) fn sockets(address: SocketAddr, connections: u32, bytes: usize) -> Result<(), Error> {
    on_one_thread(async {
        let tally = Tally::new(connections, bytes);
        let mut reading = JoinSet::new();
        for _ in 0..connections {
            let mut socket = TcpStream::connect(address).await?;
            let tally = tally.clone();
            reading.spawn(async move {
                let mut piece = [0; READ_BYTES];
                loop {
                    match socket.read(&mut piece).await? {
                        0 => return Ok(()),
                        length => tally.count(length)?,
                    }
                }
            });
        }
        read_on(reading).await
    })
}

fn on_one_thread(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

/// Until the other side ends a connection.
async fn read_on(mut reading: JoinSet<Result<(), Error>>) -> Result<(), Error> {
    writeln!(io::stdout(), "open")?;
    reading.join_next().await.ok_or("nobody reads")??
}

/// Bytes that have come on all connections, a round's worth at a time.
#[derive(Clone)]
struct Tally {
    left: Arc<AtomicUsize>,
    round: usize,
}

impl Tally {
    fn new(readers: u32, bytes: usize) -> Self {
        let round = readers as usize * bytes;
        Self {
            left: Arc::new(AtomicUsize::new(round)),
            round,
        }
    }

    /// One round ends before the next begins, so no byte counts for another.
    fn count(&self, bytes: usize) -> Result<(), Error> {
        if self.left.fetch_sub(bytes, Ordering::Relaxed) == bytes {
            self.left.store(self.round, Ordering::Relaxed);
            writeln!(io::stdout(), "read")?;
        }
        Ok(())
    }
}

/// As much of HTTP/2 as it takes to subscribe and to keep a node content.
struct Connection {
    socket: BufReader<TcpStream>,
    /// Of the frame that was read last.
    payload: Vec<u8>,
}

impl Connection {
    async fn open(node: SocketAddr) -> Result<Self, Error> {
        let socket = TcpStream::connect(node).await?;
        socket.set_nodelay(true)?;
        let mut connection = Self {
            socket: BufReader::with_capacity(READ_BYTES, socket),
            payload: Vec::new(),
        };
        // Windows as large as they can be, so that none ever has to be opened again.
        let mut settings = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        settings.extend(MOST_WINDOW.to_be_bytes());
        let mut start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        start.extend(frame(SETTINGS, 0, 0, &settings)?);
        start.extend(frame(WINDOW_UPDATE, 0, 0, &(MOST_WINDOW - 65_535).to_be_bytes())?);
        connection.socket.get_mut().write_all(&start).await?;
        Ok(connection)
    }

    async fn subscribe(&mut self, stream: u32, topic: Topic) -> Result<(), Error> {
        let subscribe = SubscribeRequest {
            content_topics: vec![topic.into()],
        };
        let mut message = vec![0];
        message.extend(u32::try_from(subscribe.encoded_len())?.to_be_bytes());
        message.extend(subscribe.encode_to_vec());
        let mut request = frame(HEADERS, END_HEADERS, stream, HEADER_BLOCK)?;
        request.extend(frame(DATA, END_STREAM, stream, &message)?);
        Ok(self.socket.get_mut().write_all(&request).await?)
    }

    /// Reads a frame and answers it where an answer is due; returns its kind.
    async fn frame(&mut self) -> Result<u8, Error> {
        let mut header = [0; 9];
        self.socket.read_exact(&mut header).await?;
        let [high, middle, low, kind, flags, ..] = header;
        self.payload
            .resize(u32::from_be_bytes([0, high, middle, low]) as usize, 0);
        self.socket.read_exact(&mut self.payload).await?;
        let answer = match kind {
            SETTINGS if flags & ACK == 0 => frame(SETTINGS, ACK, 0, &[])?,
            PING if flags & ACK == 0 => frame(PING, ACK, 0, &self.payload)?,
            RESET | GO_AWAY => return Err("the node ended a stream".into()),
            _ => return Ok(kind),
        };
        self.socket.get_mut().write_all(&answer).await?;
        Ok(kind)
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<Vec<u8>, Error> {
    let [_, high, middle, low] = u32::try_from(payload.len())?.to_be_bytes();
    let mut frame = vec![high, middle, low, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    Ok(frame)
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MOST_WINDOW: u32 = 0x7fff_ffff;
/// Of a call of `Subscribe`, as HPACK without a table: method and scheme by number, the rest as text.
const HEADER_BLOCK: &[u8] = b"\x83\x86\
    \x04\x29/xmtp.message_api.v1.MessageApi/Subscribe\
    \x01\x04node\
    \x0f\x10\x10application/grpc\
    \x00\x02te\x08trailers";
/// More than a frame of these measurements.
const READ_BYTES: usize = 4 * 1024;
