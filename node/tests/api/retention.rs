use std::time::Duration;

use herald_node::{Config, config::Keep};
use herald_protocol::proto::api::Envelope;

use crate::harness::*;

fn others_are_kept_a_second(config: &mut Config) {
    config.retention.other = Keep::For(Duration::from_secs(1));
}

fn many(topic: &str, first: u64) -> Vec<Envelope> {
    (first..first + 1_000)
        .map(|number| envelope(topic, number, vec![7; 2_000]))
        .collect()
}

#[tokio::test]
async fn envelopes_are_deleted_when_their_kind_is_too_old_and_no_others_are() {
    let node = TestNode::start_with(others_are_kept_a_second).await;
    let alice = Wallet::new(1);
    let kept = vec![envelope("/xmtp/0/m-1/proto", 1, b"kept")];
    node.publish(&alice, kept.clone()).await;
    for first in [0, 1_000, 2_000] {
        node.publish(&alice, many("test-old", first)).await;
    }
    until("old ones are gone", async || {
        node.stored("test-old").await.is_empty()
    })
    .await;
    assert_eq!(node.stored("/xmtp/0/m-1/proto").await, kept);
    // After a restart what comes is deleted in its turn, and what was deleted may come again.
    let node = TestNode::start_in(node.stop().await, others_are_kept_a_second).await;
    let again = vec![envelope("test-old", 1, vec![7; 2_000])];
    node.publish(&alice, again.clone()).await;
    assert_eq!(node.stored("test-old").await, again);
    until("it is gone, too", async || {
        node.stored("test-old").await.is_empty()
    })
    .await;
    assert_eq!(node.stored("/xmtp/0/m-1/proto").await, kept);
}

#[tokio::test]
async fn a_stream_that_fell_behind_passes_over_what_was_deleted_meanwhile() {
    let node = TestNode::start_with(others_are_kept_a_second).await;
    let alice = Wallet::new(1);
    let mut client = node.grpc().await;
    let topics = herald_protocol::proto::api::SubscribeRequest {
        content_topics: vec!["test-old".to_owned(), "/xmtp/0/m-1/proto".to_owned()],
    };
    let mut slow = client.subscribe(topics).await.unwrap().into_inner();
    for first in [0, 1_000, 2_000, 3_000, 4_000] {
        node.publish(&alice, many("test-old", first)).await;
    }
    until("old ones are gone", async || {
        node.stored("test-old").await.is_empty()
    })
    .await;
    let last = envelope("/xmtp/0/m-1/proto", 1, b"live");
    node.publish(&alice, vec![last.clone()]).await;
    let mut seen = take(&mut slow, 1).await;
    while seen.last() != Some(&last) {
        seen.extend(take(&mut slow, 1).await);
    }
    let times: Vec<u64> = seen.iter().map(|envelope| envelope.timestamp_ns).collect();
    let (_, old) = times.split_last().unwrap();
    assert!(old.is_sorted() && old.len() < 5_000, "{} in order", old.len());
}
