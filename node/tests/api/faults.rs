use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use herald_protocol::proto::api::PublishRequest;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    access::{access, changed, refusal},
    harness::*,
    process::Process,
};

#[tokio::test]
async fn one_store_has_one_node() {
    let node = TestNode::start().await;
    node.publish(&Wallet::new(1), Vec::new()).await;
    let place = node.stop().await;
    let first = Process::start(&place, "");
    let second = Process::command(&place, "")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(
        said.contains("in use by another node") && said.contains(&first.child.id().to_string()),
        "{said}"
    );
}

#[tokio::test]
async fn a_disk_that_takes_no_more_stops_acknowledgements_and_readiness_but_not_reading() {
    let place = Place::new();
    let alice = Wallet::new(1);
    // No file may grow beyond 4 MiB (units of 512 bytes); the write then fails instead of ending the process.
    let mut node = Process::start(&place, "trap '' XFSZ; ulimit -f 8192;");
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
    let ended = node.terminate().await;
    assert_eq!(ended, Some(1));
    let node = TestNode::start_in(place, |_| {}).await;
    assert_eq!(node.stored("test-full").await.len() as u64, acknowledged);
}

#[tokio::test]
async fn lists_that_cannot_be_read_change_nothing_and_are_told_once() {
    let place = Place::new();
    let log = place.path().join("log");
    let before = format!("export HERALD_LOG=warn; exec 2>'{}';", log.display());
    let node = Process::start(&place, &before);
    let bob = Wallet::new(2);
    let mut client = node.client().await;
    refusal(&mut client, &bob, &[]).await;
    changed(&place, &["deny", &bob.address()]);
    until("the denial is seen", async || {
        refusal(&mut client, &bob, &[]).await.is_some()
    })
    .await;
    let store = rusqlite::Connection::open(&place.url).unwrap();
    let broken = "BEGIN IMMEDIATE; DELETE FROM access; INSERT INTO access VALUES ('nobody', 'deny', 1, '');
        UPDATE access_version SET version = version + 1; COMMIT;";
    store.execute_batch(broken).unwrap();
    let told = || {
        std::fs::read_to_string(&log)
            .unwrap()
            .matches("the access lists cannot be read")
            .count()
    };
    until("it is told", async || told() > 0).await;
    // Two more looks at it.
    let start = Instant::now();
    until("two more looks", async || {
        assert!(refusal(&mut client, &bob, &[]).await.is_some());
        start.elapsed() > Duration::from_millis(2_200)
    })
    .await;
    assert_eq!(told(), 1);
    assert!(!access(&place, &["list"]).status.success());
    store.execute("DELETE FROM access", []).unwrap();
    until("the lists are read again", async || {
        refusal(&mut client, &bob, &[]).await.is_none()
    })
    .await;
    assert_eq!(told(), 1);
}

#[tokio::test]
async fn a_node_does_not_start_on_lists_it_cannot_read() {
    let node = TestNode::start().await;
    node.publish(&Wallet::new(1), Vec::new()).await;
    let place = node.stop().await;
    let store = rusqlite::Connection::open(&place.url).unwrap();
    let broken = "INSERT INTO access VALUES ('0x12', 'deny', 1, '')";
    store.execute(broken, []).unwrap();
    drop(store);
    let ended = Process::command(&place, "")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        said.contains("the access lists cannot be read") && said.contains("found `0x12`"),
        "{said}"
    );
}
