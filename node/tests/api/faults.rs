use std::process::Stdio;

use herald_protocol::proto::api::PublishRequest;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{harness::*, process::Process};

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
