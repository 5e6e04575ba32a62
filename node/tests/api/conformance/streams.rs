//! Live streams.

use std::time::Duration;

use herald_protocol::proto::api::SubscribeRequest;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::numbered;
use crate::{
    client::{Client, Live},
    harness::*,
    process::Process,
};

/// Line 4.
#[tokio::test]
async fn what_is_published_comes_out_of_the_stream_and_of_a_query() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    for client in Client::both(&node).await {
        let topic = format!("test-ten-{}", client.name());
        let mut stream = client.subscribe(&[&topic]).await.unwrap();
        let ten = numbered(&topic, 1, 10);
        client.publish(Some(&alice.bearer), ten.clone()).await.unwrap();
        assert_eq!(stream.take(10).await, ten);
        assert_eq!(client.query(ascending([&topic])).await.unwrap().envelopes, ten);
    }
}

/// Lines 5 and 6.
#[tokio::test]
async fn ephemeral_envelopes_come_out_of_the_stream_only() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    for client in Client::both(&node).await {
        for topic in ["/xmtp/0/dmE-123/proto", "/xmtp/0/mE-123/proto"] {
            let mut stream = client.subscribe(&[topic]).await.unwrap();
            let one = numbered(topic, 1, 1);
            client.publish(Some(&alice.bearer), one.clone()).await.unwrap();
            assert_eq!(stream.take(1).await, one);
            assert_eq!(client.query(ascending([topic])).await.unwrap().envelopes, []);
        }
    }
}

/// Lines 13, 14 and 15: what a client closes is closed in the node as well, and nothing else is.
#[tokio::test]
async fn a_client_closes_its_stream_and_the_node_lets_go_of_it() {
    let place = Place::new();
    let node = Process::start(&place, "");
    let alice = Wallet::new(1);
    let grpc = Client::Grpc(node.client().await);
    let open = async || {
        let metrics = http()
            .get(format!("http://{}/metrics", node.metrics))
            .send()
            .await;
        let text = metrics.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with("herald_node_streams "));
        line.and_then(|line| line.split(' ').nth(1)?.parse::<u32>().ok())
    };
    let topic = "/xmtp/0/m-closed/proto";
    let mut time = 0;
    for client in [&grpc, &Client::Http(format!("http://{}", node.http))] {
        for kind in 0..3 {
            let (requests, updates) = mpsc::channel(1);
            let mut stream = match (kind, client) {
                (0, client) => client.subscribe(&[topic]).await.unwrap(),
                (1, client) => client.subscribe_all().await.unwrap(),
                (_, Client::Http(_)) => continue,
                (_, Client::Grpc(grpc)) => {
                    let opened = grpc.clone().subscribe2(ReceiverStream::new(updates)).await;
                    let content_topics = vec![topic.to_owned()];
                    requests.send(SubscribeRequest { content_topics }).await.unwrap();
                    let mut stream = Live::Grpc(opened.unwrap().into_inner());
                    // The switch has no answer of its own.
                    let probe = async {
                        loop {
                            time += 1;
                            let probe = numbered(topic, time, 1);
                            client.publish(Some(&alice.bearer), probe).await.unwrap();
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    };
                    tokio::select! {
                        () = probe => unreachable!("it probes for ever"),
                        _ = stream.next() => {}
                    }
                    stream
                }
            };
            let five = numbered(topic, time + 1, 5);
            time += 6;
            client.publish(Some(&alice.bearer), five.clone()).await.unwrap();
            // Probes may come first.
            let mut taken = stream.take(1).await;
            while taken.last() != five.last() {
                taken.extend(stream.take(1).await);
            }
            assert!(taken.ends_with(&five), "{taken:?}");
            assert_eq!(open().await, Some(1));
            drop(stream);
            drop(requests);
            client
                .publish(Some(&alice.bearer), numbered(topic, time, 5))
                .await
                .unwrap();
            time += 5;
            until("the stream is gone", async || open().await == Some(0)).await;
        }
    }
}

/// Line 17, as herald has it: whoever listens is told why it ends.
#[tokio::test]
async fn a_node_that_stops_ends_its_streams_with_a_reason() {
    let node = TestNode::start().await;
    let mut streams = Vec::new();
    for client in Client::both(&node).await {
        streams.push(client.subscribe(&["test-stop"]).await.unwrap());
        streams.push(client.subscribe_all().await.unwrap());
    }
    node.begin_shutdown();
    for stream in &mut streams {
        stream
            .next()
            .await
            .unwrap_err()
            .assert(14, "node is shutting down");
    }
    node.stop().await;
}

/// Line 19.
#[tokio::test]
async fn streams_of_one_topic_come_and_go_without_touching_each_other() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    for client in Client::both(&node).await {
        let topic = format!("test-three-{}", client.name());
        let mut first = client.subscribe(&[&topic]).await.unwrap();
        let mut second = client.subscribe(&[&topic]).await.unwrap();
        let five = numbered(&topic, 1, 5);
        client.publish(Some(&alice.bearer), five.clone()).await.unwrap();
        assert_eq!(first.take(5).await, five);
        assert_eq!(second.take(5).await, five);
        drop(first);
        let mut third = client.subscribe(&[&topic]).await.unwrap();
        let next = numbered(&topic, 6, 5);
        client.publish(Some(&alice.bearer), next.clone()).await.unwrap();
        assert_eq!(second.take(5).await, next);
        assert_eq!(third.take(5).await, next);
    }
}
