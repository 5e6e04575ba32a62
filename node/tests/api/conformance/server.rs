//! Requests as such: what is taken, what is too much.

use herald_node::Config;
use herald_protocol::limits;

use super::numbered;
use crate::{client::Client, harness::*};

/// Lines 5 and 6 are in `streams`. Line 8.
#[tokio::test]
async fn a_message_of_the_largest_size_is_taken_streamed_and_stored_and_one_more_byte_is_not() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    for client in Client::both(&node).await {
        let topic = format!("test-large-{}", client.name());
        let mut stream = client.subscribe(&[&topic]).await.unwrap();
        let largest = envelope(&topic, 1, vec![1; limits::MESSAGE_BYTES]);
        client
            .publish(Some(&alice.bearer), vec![largest.clone()])
            .await
            .unwrap();
        assert!(stream.take(1).await == [largest.clone()], "{topic} streams it");
        let page = client.query(ascending([&topic])).await.unwrap();
        assert!(page.envelopes == [largest], "{topic} stores it");
        let larger = envelope(&topic, 2, vec![1; limits::MESSAGE_BYTES + 1]);
        let refusal = client
            .publish(Some(&alice.bearer), vec![larger])
            .await
            .unwrap_err();
        refusal.assert(3, "message too big");
        assert_eq!(node.stored(&topic).await.len(), 1);
    }
}

/// Line 9, with the bound of this node's configuration.
#[tokio::test]
async fn a_request_just_under_the_bound_is_taken_streamed_and_stored_and_one_just_over_is_not() {
    let bound = 3_000_000;
    let node = TestNode::start_with(|config| config.max_request = bound).await;
    let alice = Wallet::new(1);
    for client in Client::both(&node).await {
        let topic = format!("test-three-{}", client.name());
        // JSON carries bytes in base64.
        let whole = if client.name() == "http" {
            bound / 4 * 3
        } else {
            bound
        };
        let three = |size: usize| {
            (0..3)
                .map(|n| envelope(&topic, n, vec![7; size]))
                .collect::<Vec<_>>()
        };
        let mut stream = client.subscribe(&[&topic]).await.unwrap();
        let under = three(whole / 3 - 200);
        client.publish(Some(&alice.bearer), under.clone()).await.unwrap();
        assert!(stream.take(3).await == under, "{topic} streams them");
        assert!(node.stored(&topic).await == under, "{topic} stores them");
        let over = three(whole / 3 + 1);
        let refusal = client.publish(Some(&alice.bearer), over).await.unwrap_err();
        assert_eq!(refusal.code, 8, "{refusal:?}");
        assert!(
            refusal
                .text
                .starts_with("grpc: received message larger than max (30")
                && refusal.text.ends_with("vs. 3000000)"),
            "{refusal:?}"
        );
        assert_eq!(node.stored(&topic).await.len(), 3);
    }
}

/// Lines 10, 11 and 12.
#[tokio::test]
async fn a_query_needs_topics_and_asks_for_a_hundred_rows_at_most() {
    let node = TestNode::start().await;
    for client in Client::both(&node).await {
        let refusal = client.query(ascending([])).await.unwrap_err();
        refusal.assert(3, "content topics required");
        let refusal = client.query(query(["test-x"], 0, 200)).await.unwrap_err();
        refusal.assert(3, "cannot exceed 100 rows per query");
        let page = client.query(ascending(["test-unknown"])).await.unwrap();
        assert_eq!(page.envelopes, []);
    }
}

/// Line 26, up to this node's bound.
#[tokio::test]
async fn a_query_takes_ever_more_topics_up_to_ten_thousand() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    node.publish(&alice, numbered("t0", 1, 1)).await;
    for client in Client::both(&node).await {
        let mut asked = ascending([]);
        let mut count = 1;
        while count <= 16_384 {
            asked.content_topics = (0..count).map(|number| format!("t{number}")).collect();
            match client.query(asked.clone()).await {
                Ok(page) => {
                    assert!(count <= 10_000);
                    assert_eq!(page.envelopes.len(), 1);
                }
                Err(refusal) => {
                    assert!(count > 10_000);
                    refusal.assert(3, "too many topics");
                }
            }
            count *= 2;
        }
    }
}

/// Line 27.
#[tokio::test]
async fn a_node_listens_on_a_name_or_on_every_address() {
    for host in ["localhost:0", "0.0.0.0:0"] {
        let config = Config {
            http: host.to_owned(),
            grpc: host.to_owned(),
            metrics: host.to_owned(),
            ..Config::default()
        };
        let addresses = config.bind().await.unwrap().addresses();
        assert_ne!(addresses.http.port(), 0);
        assert_ne!(addresses.grpc.port(), addresses.http.port());
    }
}
