use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use herald_protocol::proto::api::{Envelope, SubscribeAllRequest, SubscribeRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use crate::harness::*;

async fn subscribe(node: &TestNode, topics: &[&str]) -> Streaming<Envelope> {
    let request = SubscribeRequest {
        content_topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
    };
    let opened = tokio::time::timeout(DEADLINE, async { node.grpc().await.subscribe(request).await }).await;
    let response = opened.expect("headers come before the first envelope").unwrap();
    assert_eq!(response.metadata().get("subscribed").unwrap(), "true");
    response.into_inner()
}

fn numbered(topic: &str, numbers: std::ops::Range<u64>) -> Vec<Envelope> {
    numbers
        .map(|number| envelope(topic, number, number.to_be_bytes()))
        .collect()
}

/// Proves that nothing else came before it.
async fn mark(node: &TestNode, wallet: &Wallet, stream: &mut Streaming<Envelope>, topic: &str) {
    static MARKS: AtomicU64 = AtomicU64::new(1 << 40);
    let mark = envelope(topic, MARKS.fetch_add(1, Ordering::Relaxed), b"mark");
    node.publish(wallet, vec![mark.clone()]).await;
    assert_eq!(take(stream, 1).await, [mark]);
}

#[tokio::test]
async fn every_stream_of_a_topic_gets_each_envelope_once_and_in_order() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    node.publish(&alice, numbered("test-s", 0..3)).await;
    let mut one = subscribe(&node, &["test-s", "test-s"]).await;
    let mut other = subscribe(&node, &["test-other", "test-s"]).await;
    let sent = numbered("test-s", 3..13);
    node.publish(&alice, sent.clone()).await;
    node.publish(&alice, numbered("test-unheard", 0..3)).await;
    assert_eq!(take(&mut one, 10).await, sent);
    assert_eq!(take(&mut other, 10).await, sent);
    drop(one);
    let mut third = subscribe(&node, &["test-s"]).await;
    let more = numbered("test-s", 20..25);
    node.publish(&alice, more.clone()).await;
    assert_eq!(take(&mut other, 5).await, more);
    assert_eq!(take(&mut third, 5).await, more);
}

#[tokio::test]
async fn a_duplicate_is_not_streamed_again() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let mut stream = subscribe(&node, &["test-s"]).await;
    let once = numbered("test-s", 0..1);
    for _ in 0..3 {
        node.publish(&alice, once.clone()).await;
    }
    assert_eq!(take(&mut stream, 1).await, once);
    mark(&node, &alice, &mut stream, "test-s").await;
}

#[tokio::test]
async fn ephemeral_envelopes_are_streamed_and_never_stored() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    for topic in ["/xmtp/0/dmE-123/proto", "/xmtp/0/mE-123/proto"] {
        let mut stream = subscribe(&node, &[topic]).await;
        let sent = numbered(topic, 0..2);
        node.publish(&alice, sent.clone()).await;
        assert_eq!(take(&mut stream, 2).await, sent);
        assert_eq!(node.stored(topic).await, []);
    }
}

#[tokio::test]
async fn subscribe_all_gets_all_xmtp_topics_and_no_others() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let response = node
        .grpc()
        .await
        .subscribe_all(SubscribeAllRequest {})
        .await
        .unwrap();
    assert_eq!(response.metadata().get("subscribed").unwrap(), "true");
    let mut stream = response.into_inner();
    node.publish(&alice, numbered("test-other", 0..2)).await;
    let sent = [
        numbered("/xmtp/0/m-1/proto", 0..2),
        numbered("/xmtp/0/mE-1/proto", 0..1),
        numbered("/xmtp/mls/1/g-1/proto", 0..1),
    ]
    .concat();
    node.publish(&alice, sent.clone()).await;
    assert_eq!(take(&mut stream, 4).await, sent);
}

#[tokio::test]
async fn a_slow_reader_gets_ten_thousand_envelopes_without_gap_repetition_or_disorder() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let before = counter("herald_node_replayed_total");
    let mut slow = subscribe(&node, &["test-flood", "test-rare"]).await;
    let mut sent = Vec::new();
    for request in 0..20_u64 {
        let mut envelopes: Vec<Envelope> = (0..500)
            .map(|number| envelope("test-flood", request * 500 + number, vec![7; 1_000]))
            .collect();
        envelopes.push(envelope("test-unheard", request, b"x"));
        node.publish(&alice, envelopes.clone()).await;
        envelopes.pop();
        sent.extend(envelopes);
    }
    assert!(take(&mut slow, 10_000).await == sent, "10,000 in order");
    assert!(
        counter("herald_node_replayed_total") > before,
        "part of it came from the store"
    );
    // And back in the live feed.
    let live = numbered("test-rare", 0..5);
    node.publish(&alice, live.clone()).await;
    assert_eq!(take(&mut slow, 5).await, live);
}

#[tokio::test]
async fn a_reader_that_keeps_falling_behind_while_others_publish_loses_nothing() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let mut stream = subscribe(&node, &["test-race"]).await;
    let mut client = node.grpc().await;
    let publishing = async {
        for request in 0..100_u64 {
            let envelopes = (0..100)
                .map(|number| envelope("test-race", request * 100 + number, vec![1; 600]))
                .collect();
            let request = alice.sign(herald_protocol::proto::api::PublishRequest { envelopes });
            client.publish(request).await.unwrap();
        }
    };
    let reading = async {
        let mut times = Vec::new();
        while times.len() < 10_000 {
            let pause = Duration::from_millis(if times.len() % 3_000 == 0 { 150 } else { 0 });
            tokio::time::sleep(pause).await;
            times.extend(
                take(&mut stream, 500)
                    .await
                    .iter()
                    .map(|envelope| envelope.timestamp_ns),
            );
        }
        times
    };
    let ((), times) = tokio::join!(publishing, reading);
    assert!(times.iter().copied().eq(0..10_000), "in order, once each");
}

#[tokio::test]
async fn a_stream_that_is_not_read_at_all_is_cut_and_told_so() {
    let node = TestNode::start_with(|config| config.stall = Duration::from_millis(400)).await;
    let alice = Wallet::new(1);
    let mut stalled = subscribe(&node, &["test-stall"]).await;
    let mut reading = subscribe(&node, &["test-stall"]).await;
    let idle = subscribe(&node, &["test-idle"]).await;
    let cut = counter("herald_node_streams_cut_total");
    for request in 0..10_u64 {
        let large = (0..4)
            .map(|number| envelope("test-stall", request * 4 + number, vec![0; 1_000_000]))
            .collect();
        node.publish(&alice, large).await;
        take(&mut reading, 4).await;
    }
    until("the stream is cut", async || {
        counter("herald_node_streams_cut_total") > cut
    })
    .await;
    assert_eq!(end_of(&mut stalled).await.code(), Code::ResourceExhausted);
    // An idle stream waits for nothing, so nobody cuts it.
    let mut idle = idle;
    mark(&node, &alice, &mut idle, "test-idle").await;
    mark(&node, &alice, &mut reading, "test-stall").await;
}

/// Conformance lines 14 and 16.
#[tokio::test]
async fn subscribe2_changes_topics_without_a_hole_for_those_that_stay() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let (requests, updates) = mpsc::channel(8);
    let mut client = node.grpc().await;
    // Headers come before the first request.
    let response = client.subscribe2(ReceiverStream::new(updates)).await.unwrap();
    assert_eq!(response.metadata().get("subscribed").unwrap(), "true");
    let mut stream = response.into_inner();
    let topics = |topics: &[&str]| SubscribeRequest {
        content_topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
    };
    // The switch has no answer of its own: the new topic is probed until it comes through.
    let set = async |wanted: SubscribeRequest, stream: &mut Streaming<Envelope>, probe: &str| {
        requests.send(wanted).await.unwrap();
        for time in 0.. {
            node.publish(&alice, vec![envelope(probe, time, b"probe")]).await;
            let Ok(first) = tokio::time::timeout(Duration::from_millis(20), stream.message()).await else {
                continue;
            };
            let mut seen = first.unwrap().unwrap();
            while seen.timestamp_ns < time {
                seen = take(stream, 1).await.remove(0);
            }
            assert_eq!(seen.content_topic, probe);
            return;
        }
    };
    set(topics(&["test-kept", "test-a"]), &mut stream, "test-a").await;
    let kept: Vec<Envelope> = numbered("test-kept", 0..600);
    let publishing = async {
        let mut client = node.grpc().await;
        for chunk in kept.chunks(5) {
            let request = herald_protocol::proto::api::PublishRequest {
                envelopes: chunk.to_vec(),
            };
            client.publish(alice.sign(request)).await.unwrap();
        }
    };
    let switching = async {
        for round in 0..40 {
            let extra = format!("test-{round}");
            requests.send(topics(&["test-kept", &extra])).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let ((), (), found) = tokio::join!(publishing, switching, take(&mut stream, 600));
    assert_eq!(found, kept);
    // A topic that was dropped is silent.
    set(topics(&["test-b"]), &mut stream, "test-b").await;
    node.publish(&alice, numbered("test-kept", 1_000..1_003)).await;
    mark(&node, &alice, &mut stream, "test-b").await;
    // Closing the request side keeps the stream.
    drop(requests);
    mark(&node, &alice, &mut stream, "test-b").await;
}

#[tokio::test]
async fn ten_thousand_topics_may_be_subscribed_and_no_more() {
    let node = TestNode::start().await;
    let topics = |count: usize| SubscribeRequest {
        content_topics: (0..count).map(|n| format!("t{n}")).collect(),
    };
    let mut client = node.grpc().await;
    client.subscribe(topics(10_000)).await.unwrap();
    let status = client.subscribe(topics(10_001)).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "too many topics")
    );
}
