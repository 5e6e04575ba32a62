//! A node that is away delays; it loses nothing.

use serde_json::json;

use crate::harness::{
    house::{House, Node},
    people::{now, person, text},
    shop::{self, Shop},
};

fn bot(node: &str) -> String {
    format!(
        "herald: 1
bot: post
identity: env:BOT_KEY
node: grpc://{node}
rules:
  order:
    when:
      webhook: /orders
      verify: {{ scheme: standard-webhooks, secret: env:SECRET }}
      body: {{ wallet: wallet, text: text }}
    to: {{ wallet: body.wallet }}
    consent: transactional
    send: \"{{{{ body.text }}}}\"
"
    )
}

#[tokio::test]
async fn what_is_triggered_while_the_node_is_down_is_delivered_once_when_it_is_back() {
    let node = Node::start().await;
    let house = House::of(&bot(node.grpc())).set("SECRET", &shop::secret());
    let alice = person("alice", node.address()).await;
    let mut stream = alice.client().stream_all_messages(now());
    let herald = house.start().await;
    let shop = Shop::of(&herald, "post/order");
    let body = |text: &str| json!({ "wallet": alice.address().to_string(), "text": text });

    shop.posts("one", &body("one")).await;
    assert_eq!(text(&stream.next().await.unwrap()), "one");
    let node = node.kill();
    // 202 while the node is down: the shop need not send them again.
    for word in ["two", "three", "four"] {
        assert_eq!(shop.posts(word, &body(word)).await, word);
    }
    herald
        .until("a failure to deliver", |lines| {
            lines.iter().any(|line| line["event"] == "error")
        })
        .await;
    assert_eq!(herald.events("delivered").len(), 1);
    let node = node.start().await;
    herald.count("delivered", 4).await;
    // Her stream broke with the node, and what came meanwhile is in the store only.
    for word in ["two", "three", "four"] {
        let message = tokio::time::timeout(crate::harness::program::DEADLINE, stream.next()).await;
        assert_eq!(text(&message.unwrap().unwrap()), word);
    }
    let alice = person("alice", node.address()).await;
    alice
        .reads(herald.address(), &["one", "two", "three", "four"])
        .await;
    assert_eq!(alice.conversations_with(herald.address()).await.len(), 1);
}

#[tokio::test]
async fn a_bot_that_starts_before_its_node_records_triggers_and_delivers_later() {
    let node = Node::start().await;
    let house = House::of(&bot(node.grpc())).set("SECRET", &shop::secret());
    let alice = person("alice", node.address()).await;
    // The ports, and the token of the API.
    let mut herald = house.start().await;
    let shop = Shop::of(&herald, "post/order");
    herald.stop().await;
    let node = node.kill();
    let late = house.start_without_waiting();
    late.until("an error", |lines| {
        lines.iter().any(|line| line["event"] == "error")
    })
    .await;
    let body = json!({ "wallet": alice.address().to_string(), "text": "patience" });
    shop.posts("early", &body).await;
    assert!(late.events("ready").is_empty());
    let node = node.start().await;
    late.event("ready", |_| true).await;
    late.count("delivered", 1).await;
    let alice = person("alice", node.address()).await;
    alice.reads(herald.address(), &["patience"]).await;
}
