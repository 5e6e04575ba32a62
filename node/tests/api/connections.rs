use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use herald_node::Config;
use herald_protocol::proto::api::{
    PublishRequest, PublishResponse, QueryRequest, SubscribeRequest, message_api_client::MessageApiClient,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use tonic::{Code, Request};

use crate::{harness::*, limits::public};

const SHORT: Duration = Duration::from_millis(300);
const QUERY: &str = "POST /message/v1/query HTTP/1.1\r\nhost: node.example\r\n";

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

async fn connect_from(local: &str, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(local.parse().unwrap(), 0)).unwrap();
    socket.connect(address).await.unwrap()
}

/// Everything the node still says before it ends the connection.
async fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let ended = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut said)).await;
    // Closed or reset, it is over.
    let _ = ended.expect("the connection ends in time");
    said
}

/// Says one more byte now and then until the node has had enough; what it said meanwhile.
async fn trickle(socket: &mut TcpStream) -> String {
    let start = Instant::now();
    let mut said = Vec::new();
    loop {
        let mut piece = [0; 4_096];
        match tokio::time::timeout(Duration::from_millis(10), socket.read(&mut piece)).await {
            Ok(Ok(read)) if read > 0 => said.extend_from_slice(&piece[..read]),
            Ok(_ended) => return String::from_utf8(said).unwrap(),
            Err(_quiet) => drop(socket.write_all(b"x").await),
        }
        assert!(start.elapsed() < DEADLINE, "the connection ends in time");
    }
}

async fn is_open(socket: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(Duration::from_millis(1), socket.read(&mut [0; 64])).await;
    !matches!(read, Ok(Ok(0) | Err(_)))
}

async fn ask(socket: &mut TcpStream) -> String {
    let ask = format!("{QUERY}connection: close\r\ncontent-length: 23\r\n\r\n{{\"contentTopics\":[\"t\"]}} ");
    // A connection that was refused may be gone by now.
    let _ = socket.write_all(ask.as_bytes()).await;
    String::from_utf8(rest(socket).await).unwrap()
}

#[tokio::test]
async fn a_silent_socket_is_closed_on_every_port() {
    let node = TestNode::start_with(|config| config.limits.handshake = SHORT).await;
    let addresses = node.addresses;
    for address in [addresses.http, addresses.grpc, addresses.metrics] {
        for words in ["", "POST /", "PRI * HTTP/2.0\r\n\r\nSM\r\n"] {
            let mut socket = connect(address).await;
            socket.write_all(words.as_bytes()).await.unwrap();
            let start = Instant::now();
            let said = rest(&mut socket).await;
            // HTTP/2 servers begin with their settings.
            assert!(said.is_empty() || address == addresses.grpc, "{words}");
            let had_time = start.elapsed() >= SHORT / 2;
            // What is no HTTP/2 need not be waited for where only that is spoken.
            assert!(had_time || address == addresses.grpc && words == "POST /");
        }
    }
}

#[tokio::test]
async fn half_open_connections_of_one_address_keep_nobody_else_out() {
    let node = public(|config| {
        config.limits.connections_per_address = 20.try_into().unwrap();
        config.limits.connections = 60.try_into().unwrap();
    })
    .await;
    let mut half_open = Vec::new();
    for number in 0..100 {
        let (port, words) = [
            (node.addresses.http, "POST /message/v1/query HTTP/1.1\r\n"),
            (node.addresses.grpc, "PRI * HTTP/2.0\r\n"),
        ][number % 2];
        let mut socket = connect(port).await;
        // The node closes some of them before they have said that.
        let _ = socket.write_all(words.as_bytes()).await;
        half_open.push(socket);
    }
    let mut elsewhere = connect_from("127.0.0.2", node.addresses.http).await;
    let start = Instant::now();
    assert!(ask(&mut elsewhere).await.starts_with("HTTP/1.1 200"));
    assert!(start.elapsed() < Duration::from_secs(2));
    until("the others are closed", async || {
        let mut open = 0;
        for socket in &mut half_open {
            open += u32::from(is_open(socket).await);
        }
        open == 20
    })
    .await;
    assert_eq!(ask(&mut connect(node.addresses.http).await).await, "");
    assert!(counter(r#"herald_node_connections_refused_total{port="api",reason="address"}"#) >= 80.0);
    // One that goes makes room.
    drop(half_open);
    until("there is room again", async || {
        let said = ask(&mut connect(node.addresses.http).await).await;
        said.starts_with("HTTP/1.1 200")
    })
    .await;
}

#[tokio::test]
async fn there_are_only_so_many_connections_until_some_end_by_themselves() {
    let node = TestNode::start_with(|config| {
        config.limits.connections = 10.try_into().unwrap();
        config.limits.handshake = SHORT;
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(connect(node.addresses.http).await);
    }
    assert_eq!(ask(&mut connect(node.addresses.http).await).await, "");
    // The operator's port has places of its own.
    let metrics = http().get(format!("http://{}/metrics", node.addresses.metrics));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"herald_node_connections{port="operator"}"#));
    assert!(counter(r#"herald_node_connections_refused_total{port="api",reason="total"}"#) >= 1.0);
    until("the silent ones are gone", async || {
        let said = ask(&mut connect(node.addresses.http).await).await;
        said.starts_with("HTTP/1.1 200")
    })
    .await;
}

#[tokio::test]
async fn a_head_that_does_not_end_ends_the_connection() {
    let node = TestNode::start_with(|config| config.limits.head = SHORT).await;
    let mut slow = connect(node.addresses.http).await;
    slow.write_all(format!("{QUERY}x-slow: ").as_bytes())
        .await
        .unwrap();
    trickle(&mut slow).await;
    // So does one that does not begin, after a call that was answered.
    let mut kept = connect(node.addresses.http).await;
    let ask = format!("{QUERY}content-length: 2\r\n\r\n{{}}");
    kept.write_all(ask.as_bytes()).await.unwrap();
    let said = String::from_utf8(rest(&mut kept).await).unwrap();
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let node = TestNode::start_with(|config| config.limits.body = SHORT).await;
    let (updates, requests) = tokio::sync::mpsc::channel(8);
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let mut client = node.grpc().await;
    let mut stream = client.subscribe2(requests).await.unwrap().into_inner();

    let mut slow = connect(node.addresses.http).await;
    slow.write_all(format!("{QUERY}content-length: 100000\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let said = trickle(&mut slow).await;
    assert!(said.starts_with("HTTP/1.1 504"), "{said}");
    assert!(said.contains("access-control-allow-origin: *"), "{said}");
    let text = "the request did not arrive in time";
    let body = format!(r#"{{"code":4,"message":"{text}","details":[]}}"#);
    assert!(said.contains(&body), "{said}");

    let mut grpc = tonic::client::Grpc::new(channel(node.addresses.grpc).await);
    grpc.ready().await.unwrap();
    let never = Request::new(futures::stream::pending::<PublishRequest>());
    let codec = tonic_prost::ProstCodec::<PublishRequest, PublishResponse>::default();
    let path = "/xmtp.message_api.v1.MessageApi/Publish".parse().unwrap();
    let answered = tokio::time::timeout(DEADLINE, grpc.client_streaming(never, path, codec)).await;
    let status = answered.expect("it is not waited for").unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, text));

    // A stream's topics may change whenever its reader likes.
    let topics = SubscribeRequest {
        content_topics: vec!["test-late".to_owned()],
    };
    updates.send(topics).await.unwrap();
    let alice = Wallet::new(1);
    let mut number = 0;
    until("the new topic is heard", async || {
        number += 1;
        node.publish(&alice, vec![envelope("test-late", number, b"m")])
            .await;
        let next = tokio::time::timeout(Duration::from_millis(50), stream.message()).await;
        next.is_ok_and(|next| next.unwrap().is_some())
    })
    .await;
}

#[tokio::test]
async fn a_call_that_does_not_end_ends_with_the_drain() {
    let node = TestNode::start_with(|config| config.drain = SHORT).await;
    let channel = channel(node.addresses.grpc).await;
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let (calls, called) = tokio::sync::oneshot::channel();
    let never = futures::stream::once(async move {
        calls.send(()).unwrap();
        std::future::pending().await
    });
    let codec = tonic_prost::ProstCodec::<PublishRequest, PublishResponse>::default();
    let path = "/xmtp.message_api.v1.MessageApi/Publish".parse().unwrap();
    let mut calling = tokio::task::JoinSet::new();
    calling.spawn(async move { grpc.client_streaming(Request::new(never), path, codec).await });
    called.await.unwrap();
    // Answered on the same connection, so the node knows of the call before it.
    let query = QueryRequest {
        content_topics: vec!["test-drain".to_owned()],
        ..QueryRequest::default()
    };
    MessageApiClient::new(channel).query(query).await.unwrap();
    // Its body may take as long as it likes; the drain takes less.
    let start = Instant::now();
    node.stop().await;
    assert!(start.elapsed() < Config::default().limits.body / 2);
    let status = calling.join_next().await.unwrap().unwrap().unwrap_err();
    assert_ne!(status.code(), Code::DeadlineExceeded, "it was waited for");
}

#[tokio::test]
async fn a_body_that_arrives_slowly_but_steadily_is_taken() {
    let node = TestNode::start_with(|config| config.limits.body = SHORT).await;
    let mut socket = connect(node.addresses.http).await;
    let pieces = 12;
    let length = pieces * 64 * 1024;
    let head = format!("{QUERY}connection: close\r\ncontent-length: {length}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let start = Instant::now();
    for _ in 0..pieces {
        // Slower than the whole may be, faster than a piece must be.
        tokio::time::sleep(SHORT / 6).await;
        socket.write_all(&vec![b' '; 64 * 1024]).await.unwrap();
    }
    assert!(start.elapsed() > SHORT);
    let said = String::from_utf8(rest(&mut socket).await).unwrap();
    assert!(said.contains("content topics required"), "{said}");
}

#[tokio::test]
async fn requests_that_do_not_end_share_a_bounded_memory() {
    let node = TestNode::start_with(|config| config.limits.unfinished_requests = 256 * 1024).await;
    let mut first = connect(node.addresses.http).await;
    let head = format!("{QUERY}content-length: 1000000\r\n\r\n");
    first.write_all(head.as_bytes()).await.unwrap();
    first.write_all(&vec![b' '; 200 * 1024]).await.unwrap();
    until("another large one is refused", async || {
        let (status, refused) = node.post("/message/v1/query", " ".repeat(100 * 1024)).await;
        let text = "the node has no room for more unfinished requests";
        status == 429 && refused == json!({ "code": 8, "message": text, "details": [] })
    })
    .await;
    // Small ones always find room.
    let body = json!({ "contentTopics": ["x".repeat(10_000)] });
    assert_eq!(node.post("/message/v1/query", body.to_string()).await.0, 200);
    drop(first);
    until("the room is given back", async || {
        let (status, _) = node.post("/message/v1/query", " ".repeat(100 * 1024)).await;
        status == 400
    })
    .await;
}

#[tokio::test]
async fn a_head_of_sixty_four_kibibytes_is_refused_on_either_protocol() {
    let node = TestNode::start().await;
    let mut socket = connect(node.addresses.http).await;
    let head = format!("{QUERY}x-large: {}", "x".repeat(64 * 1024));
    // The node may have closed before all of it was sent.
    let _ = socket.write_all(head.as_bytes()).await;
    let said = String::from_utf8(rest(&mut socket).await).unwrap();
    assert!(said.starts_with("HTTP/1.1 431"), "{said}");
    let mut request = Request::new(ascending(["test-any"]));
    let large = "x".repeat(64 * 1024).parse().unwrap();
    request.metadata_mut().insert("x-large", large);
    let refused = node.grpc().await.query(request).await;
    assert!(refused.is_err());
    node.grpc().await.query(ascending(["test-any"])).await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go_and_one_with_a_stream_stays() {
    let node = TestNode::start_with(|config| {
        config.limits.idle = SHORT;
        config.limits.handshake = SHORT;
    })
    .await;
    let mut client = node.grpc().await;
    let topics = SubscribeRequest {
        content_topics: vec!["test-idle".to_owned()],
    };
    let mut stream = client.subscribe(topics).await.unwrap().into_inner();
    for address in [node.addresses.grpc, node.addresses.http] {
        let mut idle = connect(address).await;
        idle.write_all(PREFACE).await.unwrap();
        let said = rest(&mut idle).await;
        let goaway = frames(&said).any(|(kind, _)| kind == 7);
        assert!(goaway, "{said:?}");
    }
    // By now the stream has been silent for longer.
    let sent = envelope("test-idle", 1, b"m");
    node.publish(&Wallet::new(1), vec![sent.clone()]).await;
    assert_eq!(take(&mut stream, 1).await, [sent]);
}

#[tokio::test]
async fn half_a_change_of_topics_is_not_waited_for() {
    let node = TestNode::start_with(|config| config.limits.body = SHORT).await;
    let mut socket = connect(node.addresses.grpc).await;
    let mut call = PREFACE.to_vec();
    let literal = |index: u8, text: &str| {
        let length = u8::try_from(text.len()).unwrap();
        [&[index, length], text.as_bytes()].concat()
    };
    let head = [
        // POST, http
        vec![0x83, 0x86],
        literal(0x04, "/xmtp.message_api.v1.MessageApi/Subscribe2"),
        literal(0x01, "node.example"),
        // content-type is beyond the first byte's room for an index
        [&[0x0f], literal(0x10, "application/grpc").as_slice()].concat(),
    ]
    .concat();
    call.extend(frame(1, 0x4, &head));
    // A message of 100 bytes, and no byte of it.
    call.extend(frame(0, 0, &[0, 0, 0, 0, 100]));
    socket.write_all(&call).await.unwrap();
    let mut said = Vec::new();
    let ended = async {
        while !frames(&said).any(|(kind, flags)| kind == 3 || kind == 1 && flags & 1 == 1) {
            assert!(socket.read_buf(&mut said).await.unwrap() > 0, "{said:?}");
        }
    };
    tokio::time::timeout(DEADLINE, ended)
        .await
        .expect("the call ends");
    assert!(
        frames(&said).any(|(kind, flags)| kind == 1 && flags & 1 == 0),
        "it was a stream"
    );
}

/// How an HTTP/2 client begins: the preface, and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
    [&head, payload].concat()
}

/// Types and flags of the frames in these bytes.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = (u8, u8)> {
    std::iter::from_fn(move || {
        let head = bytes.get(..9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let found = (head[3], head[4]);
        bytes = bytes.get(9 + length..).unwrap_or_default();
        Some(found)
    })
}

#[tokio::test]
async fn a_connection_whose_answers_are_not_taken_is_closed() {
    let node = TestNode::start_with(|config: &mut Config| config.limits.idle = SHORT).await;
    let alice = Wallet::new(1);
    for number in 0..4 {
        let large = envelope("test-large", number, vec![7; 700_000]);
        node.publish(&alice, vec![large]).await;
    }
    let before = counter(r#"herald_node_connections_ended_total{reason="blocked"}"#);
    let mut socket = connect(node.addresses.http).await;
    let body = r#"{"contentTopics":["test-large"]}"#;
    let ask = format!("{QUERY}content-length: {}\r\n\r\n{body}", body.len());
    // More than any socket buffers.
    socket.write_all(ask.repeat(16).as_bytes()).await.unwrap();
    until("it is closed", async || {
        counter(r#"herald_node_connections_ended_total{reason="blocked"}"#) > before
    })
    .await;
    let said = rest(&mut socket).await;
    assert!(said.len() < 16 * 3_000_000, "{}", said.len());
}

#[tokio::test]
async fn a_node_that_others_reach_without_tls_warns_at_its_start() {
    for (http, warns) in [("0.0.0.0:0", true), ("127.0.0.1:0", false)] {
        let place = Place::new();
        let any = "127.0.0.1:0";
        let config = place.config(&json!({ "http": http, "grpc": any, "metrics": any }));
        let mut node = std::process::Command::new(env!("CARGO_BIN_EXE_herald-node"))
            .arg("--config")
            .arg(config)
            .env("HERALD_LOG", "warn")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let out = node.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut ready).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        let metrics = format!("http://{}/readyz", ready["metrics"].as_str().unwrap());
        until("it serves", async || http_get(&metrics).await).await;
        node.kill().unwrap();
        let said = node.wait_with_output().unwrap().stderr;
        let said = String::from_utf8(said).unwrap();
        assert_eq!(said.contains("tokens travel in plain"), warns, "{said}");
    }
}

async fn http_get(url: &str) -> bool {
    http()
        .get(url)
        .send()
        .await
        .is_ok_and(|answer| answer.status() == 200)
}
