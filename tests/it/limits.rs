//! How much a wallet gets: the rule's limit and the ceiling above it hold messages, and drop none.

use chrono::{DateTime, TimeDelta};
use herald_protocol::topic::Topic;
use serde_json::Value;

use crate::harness::{
    house::{House, Node},
    people::person,
    program::DEADLINE,
    proxy::Proxy,
};

const BOT: &str = "herald: 1
bot: post
identity: env:BOT_KEY
defaults: { consent: transactional }
rules:
  slow:
    when: { manual: true }
    to: { wallet: body.wallet }
    limit: 1/2s
    send: \"slow {{ body.text }}\"
  fast:
    when: { manual: true }
    to: { wallet: body.wallet }
    send: \"fast {{ body.text }}\"
commands:
  /ping: { reply: pong }
";

fn time(of: &Value) -> DateTime<chrono::FixedOffset> {
    DateTime::parse_from_rfc3339(of.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_message_over_the_limit_is_held_until_the_window_has_room() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire_for("slow", alice.address(), "1").await;
    let first = herald.event("delivered", |_| true).await;
    herald.fire_for("slow", alice.address(), "2").await;
    let held = herald.event("held", |_| true).await;
    assert_eq!(held["reason"], "over the limit of 1/2s");
    let (first, until) = (time(&first["at"]), time(&held["until"]));
    assert!(
        until > first && until - first <= TimeDelta::seconds(2),
        "{first} {until}"
    );
    // Others do not wait for it.
    herald.fire_for("fast", alice.address(), "3").await;
    let bot = herald.address();
    alice.reads(bot, &["slow 1", "fast 3", "slow 2"]).await;
    let sent = alice.messages_of(bot).await;
    let apart = sent[2].sent.as_ms() - sent[0].sent.as_ms();
    assert!(apart >= 2_000, "{apart} ms apart");
}

#[tokio::test]
async fn no_rule_raises_the_ceiling_of_twenty_a_day_and_answers_do_not_count() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let bot = herald.address();
    let mut texts = Vec::new();
    for number in 1..=20 {
        herald
            .fire_for("fast", alice.address(), &number.to_string())
            .await;
        texts.push(format!("fast {number}"));
    }
    herald.count("delivered", 20).await;
    assert_eq!(herald.events("held").len(), 0);
    herald.fire_for("fast", alice.address(), "21").await;
    let held = herald.event("held", |_| true).await;
    assert_eq!(held["reason"], "over the limit of 20/1d");
    let waits = time(&held["until"]) - time(&held["at"]);
    assert!(
        waits > TimeDelta::hours(23) && waits <= TimeDelta::hours(24),
        "{waits}"
    );
    alice.say(bot, "/ping").await;
    texts.push("pong".to_owned());
    alice
        .reads(bot, &texts.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    // Another wallet has its own share.
    let carol = person("carol", herald.node()).await;
    herald.fire_for("fast", carol.address(), "1").await;
    carol.reads(bot, &["fast 1"]).await;
}

#[tokio::test]
async fn what_is_not_sealed_yet_counts_towards_a_limit_of_all_recipients() {
    let node = Node::start().await;
    let proxy = Proxy::to(node.grpc()).await;
    let house = House::of(&format!(
        "herald: 1
bot: post
identity: env:BOT_KEY
node: grpc://{}
rules:
  one:
    when: {{ manual: true }}
    to: {{ wallet: body.wallet }}
    consent: transactional
    limit: {{ rule: 1/1h }}
    send: \"{{{{ body.text }}}}\"
",
        proxy.address()
    ));
    let alice = person("alice", node.address()).await;
    let carol = person("carol", node.address()).await;
    let herald = house.start().await;
    // The first one has passed its limits and waits for the contact of its wallet.
    proxy.hold_answers_after(Topic::contact(alice.address()).as_ref());
    herald.fire_for("one", alice.address(), "first").await;
    proxy.until_held().await;
    herald.fire_for("one", carol.address(), "second").await;
    let planned = async { while house.deliveries(&[]).await.len() < 2 {} };
    tokio::time::timeout(DEADLINE, planned).await.unwrap();
    proxy.release();
    let held = herald.event("held", |_| true).await;
    assert_eq!(held["reason"], "over the limit of 1/1h");
    alice.reads(herald.address(), &["first"]).await;
    assert_eq!(herald.events("delivered").len(), 1);
}
