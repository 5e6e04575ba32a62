use herald_node::{Config, listen};
use herald_protocol::proto::api::{Envelope, PublishRequest, SubscribeRequest};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::Code;
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
    let place = node.stop().await;
    let node = TestNode::start_in(place, |_| {}).await;
    assert_eq!(node.stored("test-r").await, sent);
    // A duplicate of what an earlier run stored is still one.
    node.publish(&alice, sent.clone()).await;
    assert_eq!(node.stored("test-r").await, sent);
}

/// Conformance lines 3, 17 and 80.
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
