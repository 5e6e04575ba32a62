//! A node that is away or asks for time delays; it loses nothing.

use std::time::Duration;

use herald_protocol::topic::{self, TopicKind};
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::harness::{
    house::{House, Node},
    people::{Person, now, person, text},
    scripted::{Answer, Call, Scripted},
    shop::{self, Shop},
};

/// `policy` is more keys of the rule.
fn bot_with(node: &str, policy: &str) -> String {
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
{policy}"
    )
}

fn bot(node: &str) -> String {
    bot_with(node, "")
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

#[tokio::test]
async fn no_row_follows_another_into_a_refusal_that_names_a_wait() {
    let node = Scripted::start().await;
    let url = node.address().to_string();
    let house = House::of(&bot(url.strip_prefix("grpc://").unwrap())).set("SECRET", &shop::secret());
    let alice = person("alice", node.address()).await;
    let bob = person("bob", node.address()).await;
    let herald = house.start().await;
    let shop = Shop::of(&herald, "post/order");
    let wait = Duration::from_secs(2);
    let mut refused = None;
    node.answers(move |call| {
        let Call::Publish { envelopes, .. } = call else {
            return None;
        };
        let opens = |topic: &str| matches!(topic::kind(topic), TopicKind::Invite(_));
        if !envelopes.iter().any(|envelope| opens(&envelope.content_topic)) {
            return None;
        }
        let refused = *refused.get_or_insert_with(std::time::Instant::now);
        let details = ErrorDetails::with_retry_info(Some(wait));
        let refusal = Status::with_error_details(Code::ResourceExhausted, "exceeds rate limit", details);
        (refused.elapsed() < wait).then(|| Answer::Refusal(refusal))
    });
    let body = |to: &Person| json!({ "wallet": to.address().to_string(), "text": "hello" });
    shop.posts("one", &body(&alice)).await;
    let told = herald.event("error", |_| true).await;
    assert!(
        told["reason"].as_str().unwrap().contains("over its limit"),
        "{told}"
    );
    shop.posts("two", &body(&bob)).await;
    herald.count("delivered", 2).await;
    for row in house.deliveries(&[]).await {
        assert_eq!(row["tries"], 1, "{row}");
    }
    for reader in [&alice, &bob] {
        reader.reads(herald.address(), &["hello"]).await;
    }
    assert_eq!(herald.events("error").len(), 1);
}

#[tokio::test]
async fn a_message_is_tried_again_as_its_rule_says_and_ends_when_that_is_over() {
    let node = Scripted::start().await;
    let url = node.address().to_string();
    let policy = "    retry: { for: 4s, from: 1s, to: 1s }\n";
    let house = House::of(&bot_with(url.strip_prefix("grpc://").unwrap(), policy));
    let house = house.set("SECRET", &shop::secret());
    let alice = person("alice", node.address()).await;
    let herald = house.start().await;
    let shop = Shop::of(&herald, "post/order");
    // It answers everything else.
    node.answers(|call| match call {
        Call::Publish { .. } => Some(Answer::Refusal(Status::unavailable("not now"))),
        _ => None,
    });
    node.calls();
    let body = json!({ "wallet": alice.address().to_string(), "text": "hello" });
    shop.posts("one", &body).await;
    let expired = herald.event("expired", |_| true).await;
    let reason = expired["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("it is not tried any longer: cannot reach the node"),
        "{reason}"
    );
    let calls = node.calls();
    let tries: Vec<_> = calls
        .iter()
        .filter(|made| matches!(made.call, Call::Publish { .. }))
        .map(|made| made.at)
        .collect();
    let (first, last) = (tries.first().unwrap(), tries.last().unwrap());
    assert!(tries.len() >= 3, "it is tried again and again: {}", tries.len());
    assert!(*last - *first < Duration::from_secs(5), "{:?}", *last - *first);
    node.is_itself();
    shop.posts("two", &body).await;
    herald.event("delivered", |told| told["key"] == "two").await;
    alice.reads(herald.address(), &["hello"]).await;
}
