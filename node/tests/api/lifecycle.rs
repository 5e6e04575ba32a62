use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use herald_node::{Config, listen};
use herald_protocol::proto::api::{
    Envelope, PublishRequest, SubscribeRequest, message_api_client::MessageApiClient,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::harness::*;

#[tokio::test]
async fn a_restart_keeps_every_envelope() {
    let alice = Wallet::new(1);
    let node = TestNode::start().await;
    let sent: Vec<Envelope> = (0..300)
        .map(|number| envelope("test-r", number, number.to_be_bytes()))
        .collect();
    node.publish(&alice, sent.clone()).await;
    let folder = node.stop().await;
    let node = TestNode::start_in(folder, |_| {}).await;
    assert_eq!(node.stored("test-r").await, sent);
    // A duplicate of what an earlier run stored is still one.
    node.publish(&alice, sent.clone()).await;
    assert_eq!(node.stored("test-r").await, sent);
}

#[tokio::test]
async fn shutdown_ends_streams_with_a_reason_and_loses_nothing_acknowledged() {
    let alice = Wallet::new(1);
    let node = TestNode::start().await;
    let mut client = node.grpc().await;
    let topics = SubscribeRequest {
        content_topics: vec!["test-quiet".to_owned()],
    };
    let mut stream = client.subscribe(topics).await.unwrap().into_inner();
    let lines = http()
        .post(node.url("/message/v1/subscribe"))
        .body(r#"{"contentTopics":["test-quiet"]}"#);
    let lines = lines.send().await.unwrap();
    let mut health = HealthClient::new(channel(node.addresses.grpc).await);
    assert_eq!(
        health
            .check(HealthCheckRequest::default())
            .await
            .unwrap()
            .into_inner()
            .status,
        1
    );
    let status = health
        .check(HealthCheckRequest {
            service: "x".to_owned(),
        })
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, "unknown service")
    );
    let mut watched = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status, 1);

    // Many publishers, stopped in the middle of their work.
    let mut publishers = JoinSet::new();
    for publisher in 0..8_u64 {
        let mut client = client.clone();
        let bearer = alice.bearer.clone();
        publishers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let sent = envelope("test-load", publisher << 32 | number, b"m");
                let request = PublishRequest {
                    envelopes: vec![sent.clone()],
                };
                match client.publish(with_header(request, &bearer)).await {
                    Ok(_) => acknowledged.push(sent),
                    Err(status) => return (acknowledged, status),
                }
            }
            unreachable!("the node stops")
        });
    }
    until("publishing is under way", async || {
        !node.stored("test-load").await.is_empty()
    })
    .await;
    node.begin_shutdown();
    assert_eq!(end_of(&mut stream).await.code(), Code::Unavailable);
    let said = lines.text().await.unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    let reason = json!({ "code": 14, "message": "node is shutting down", "details": [] });
    assert_eq!(said, json!({ "error": reason }));
    let mut acknowledged = Vec::new();
    while let Some(publisher) = publishers.join_next().await {
        let (sent, refused) = publisher.unwrap();
        // Refused by the node, or by a connection that is gone.
        assert!(
            matches!(
                refused.code(),
                Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal
            ),
            "{refused}"
        );
        acknowledged.extend(sent);
    }
    assert_eq!(watched.message().await.unwrap().unwrap().status, 2);
    drop((client, health, watched));
    let node = TestNode::start_in(node.stop().await, |_| {}).await;
    let stored = node.stored("test-load").await;
    assert!(!acknowledged.is_empty());
    assert!(acknowledged.iter().all(|sent| stored.contains(sent)));
}

#[tokio::test]
async fn a_busy_port_says_who_has_it_and_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0".to_owned();
    let config = Config {
        http: free.clone(),
        grpc: address.clone(),
        metrics: free,
        ..Config::default()
    };
    let error = config.bind().await.unwrap_err();
    assert!(matches!(
        &error,
        listen::Error::InUse {
            purpose: listen::Purpose::Grpc,
            ..
        }
    ));
    let text = error.to_string();
    let holder = format!("process {} (", std::process::id());
    assert!(
        text.contains(&address) && text.contains("gRPC") && text.contains(&holder),
        "{text}"
    );
}

#[tokio::test]
async fn one_store_has_one_node() {
    let node = TestNode::start().await;
    node.publish(&Wallet::new(1), Vec::new()).await;
    let folder = node.stop().await;
    let first = Process::start(folder.path(), "");
    let second = Command::new(BINARY)
        .args([
            "--http",
            "127.0.0.1:0",
            "--grpc",
            "127.0.0.1:0",
            "--metrics",
            "127.0.0.1:0",
            "--data",
        ])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(
        said.contains("in use by another node") && said.contains(&first.child.id().to_string()),
        "{said}"
    );
}

#[tokio::test]
async fn sigkill_under_load_loses_no_acknowledged_envelope() {
    let folder = tempfile::tempdir().unwrap();
    let alice = Wallet::new(1);
    let mut ledger: Vec<Envelope> = Vec::new();
    for round in 0..4_u64 {
        let mut node = Process::start(folder.path(), "");
        let mut publishers = JoinSet::new();
        for publisher in 0..32_u64 {
            let mut client = node.client().await;
            let bearer = alice.bearer.clone();
            publishers.spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    let time = round << 48 | publisher << 32 | number;
                    let sent = envelope(&format!("test-{publisher}"), time, time.to_be_bytes().repeat(64));
                    let request = PublishRequest {
                        envelopes: vec![sent.clone()],
                    };
                    if client.publish(with_header(request, &bearer)).await.is_err() {
                        break;
                    }
                    acknowledged.push(sent);
                }
                acknowledged
            });
        }
        let mut probe = node.client().await;
        until("the load is on", async || {
            let query = query(["test-0"], 2, 1);
            let page = probe.query(query).await.unwrap().into_inner();
            page.envelopes
                .first()
                .is_some_and(|newest| newest.timestamp_ns > (round << 48) + 20)
        })
        .await;
        node.child.kill().unwrap();
        node.child.wait().unwrap();
        while let Some(acknowledged) = publishers.join_next().await {
            ledger.extend(acknowledged.unwrap());
        }
    }
    assert!(ledger.len() > 1_000, "{} acknowledged", ledger.len());
    let node = TestNode::start_in(folder, |_| {}).await;
    for publisher in 0..32 {
        let topic = format!("test-{publisher}");
        let stored = node.stored(&topic).await;
        let mut acknowledged = ledger.iter().filter(|envelope| envelope.content_topic == topic);
        assert!(acknowledged.all(|envelope| {
            stored
                .binary_search_by_key(&envelope.timestamp_ns, |row| row.timestamp_ns)
                .is_ok_and(|found| stored[found] == *envelope)
        }));
    }
}

#[tokio::test]
async fn a_disk_that_takes_no_more_stops_acknowledgements_and_readiness_but_not_reading() {
    let folder = tempfile::tempdir().unwrap();
    let alice = Wallet::new(1);
    // No file may grow beyond 4 MiB (units of 512 bytes); the write then fails instead of ending the process.
    let mut node = Process::start(folder.path(), "trap '' XFSZ; ulimit -f 8192;");
    let mut client = node.client().await;
    let mut acknowledged = 0;
    let refused = loop {
        let sent = envelope("test-full", acknowledged, vec![9; 100_000]);
        match client
            .publish(alice.sign(PublishRequest {
                envelopes: vec![sent],
            }))
            .await
        {
            Ok(_) => acknowledged += 1,
            Err(status) => break status,
        }
        assert!(acknowledged < 100, "the limit is reached");
    };
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Unavailable, "store cannot write")
    );
    let small = PublishRequest {
        envelopes: vec![envelope("test-full", 1 << 40, b"small")],
    };
    let again = client.publish(alice.sign(small)).await.unwrap_err();
    assert_eq!(
        (again.code(), again.message()),
        (Code::Unavailable, "store cannot write")
    );
    let ready = http()
        .get(format!("http://{}/readyz", node.metrics))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (ready.status().as_u16(), ready.text().await.unwrap().as_str()),
        (503, "store cannot write\n")
    );
    let mut health = HealthClient::new(channel(node.grpc).await);
    assert_eq!(
        health
            .check(HealthCheckRequest::default())
            .await
            .unwrap()
            .into_inner()
            .status,
        2
    );
    let page = client.query(ascending(["test-full"])).await.unwrap().into_inner();
    assert!(!page.envelopes.is_empty());
    drop((client, health));
    let ended = node.terminate();
    assert_eq!(ended, Some(1));
    let node = TestNode::start_in(folder, |_| {}).await;
    assert_eq!(node.stored("test-full").await.len() as u64, acknowledged);
}

const BINARY: &str = env!("CARGO_BIN_EXE_herald-node");

/// A node in a process of its own.
struct Process {
    child: Child,
    grpc: SocketAddr,
    metrics: SocketAddr,
}

impl Process {
    /// `before` runs in the shell that becomes the node.
    fn start(folder: &Path, before: &str) -> Self {
        let script = format!(
            "{before} exec '{BINARY}' --http 127.0.0.1:0 --grpc 127.0.0.1:0 --metrics 127.0.0.1:0 --data '{}'",
            folder.display()
        );
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = |name: &str| ready[name].as_str().unwrap().parse().unwrap();
        Self {
            grpc: address("grpc"),
            metrics: address("metrics"),
            child,
        }
    }

    async fn client(&self) -> MessageApiClient<Channel> {
        MessageApiClient::new(channel(self.grpc).await)
    }

    /// Exit code after SIGTERM.
    fn terminate(&mut self) -> Option<i32> {
        Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
