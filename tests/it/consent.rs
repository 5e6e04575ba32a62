//! Who is written to: those who opted in, those who caused it, and nobody who said stop.

use serde_json::json;

use crate::harness::{house::House, people::person};

const BOT: &str = "herald: 1
bot: club
identity: env:BOT_KEY
lists:
  readers: { join: /subscribe, welcome: Welcome., goodbye: Bye. }
rules:
  news:
    when: { manual: true }
    to: { wallet: body.wallet }
    send: \"news {{ body.text }}\"
  issue:
    when: { manual: true }
    to: readers
    send: \"issue {{ body.text }}\"
  receipt:
    when: { manual: true }
    to: { wallet: body.wallet }
    consent: transactional
    send: \"receipt {{ body.text }}\"
  shout:
    when: { manual: true }
    to: { wallet: body.wallet }
    consent: any
    send: \"shout {{ body.text }}\"
  again:
    when: { manual: true }
    to: { wallet: body.wallet }
    consent: transactional
    limit: 1/2s
    send: \"again {{ body.text }}\"
  party:
    when: { joined: readers }
    to: { wallet: sub.wallet }
    send: A party for you!
commands:
  /ping: { reply: pong }
";

#[tokio::test]
async fn a_stranger_gets_what_it_caused_and_no_news() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire_for("news", alice.address(), "1").await;
    let skipped = herald.event("skipped", |event| event["rule"] == "news").await;
    assert_eq!(skipped["reason"], "the wallet has not opted in");
    assert_eq!(skipped["wallet"], alice.address().to_string());
    herald.fire_for("receipt", alice.address(), "2").await;
    herald.fire_for("shout", alice.address(), "3").await;
    alice.reads(herald.address(), &["receipt 2", "shout 3"]).await;
    alice
        .asks(herald.address(), "/subscribe", &["Welcome.", "A party for you!"])
        .await;
    herald.fire_for("news", alice.address(), "4").await;
    herald.fire("issue", &json!({ "text": "5" })).await;
    let bot = herald.address();
    alice
        .reads(
            bot,
            &[
                "receipt 2",
                "shout 3",
                "Welcome.",
                "A party for you!",
                "news 4",
                "issue 5",
            ],
        )
        .await;
}

#[tokio::test]
async fn a_leave_word_ends_queued_and_later_messages_whatever_their_consent() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    alice
        .asks(bot, "/subscribe", &["Welcome.", "A party for you!"])
        .await;
    alice.reads(bot, &["Welcome.", "A party for you!"]).await;
    herald.fire_for("again", alice.address(), "1").await;
    herald.count("delivered", 3).await;
    herald.fire_for("again", alice.address(), "2").await;
    // It is queued when she leaves.
    herald.event("held", |event| event["rule"] == "again").await;
    alice.say(bot, "Stop.").await;
    herald
        .event("left", |event| event["rule"] == "list:readers")
        .await;
    let queued = herald.event("skipped", |event| event["rule"] == "again").await;
    assert_eq!(queued["reason"], "the wallet left");
    for rule in ["news", "receipt", "shout"] {
        herald.fire_for(rule, alice.address(), "later").await;
        let skipped = herald.event("skipped", |event| event["rule"] == rule).await;
        assert_eq!(skipped["reason"], "the wallet left", "{rule}");
    }
    herald.fire("issue", &json!({ "text": "later" })).await;
    // Commands are answered still: she asks, and is not written to unasked.
    alice.asks(bot, "/ping", &["pong"]).await;
    alice
        .reads(bot, &["Welcome.", "A party for you!", "again 1", "Bye.", "pong"])
        .await;

    // Joining lifts it.
    alice
        .asks(bot, "/subscribe", &["Welcome.", "A party for you!"])
        .await;
    herald.fire("issue", &json!({ "text": "back" })).await;
    let texts = [
        "Welcome.",
        "A party for you!",
        "again 1",
        "Bye.",
        "pong",
        "Welcome.",
        "A party for you!",
        "issue back",
    ];
    alice.reads(bot, &texts).await;
}

#[tokio::test]
async fn joined_rules_fire_once_after_the_welcome_and_not_when_a_member_joins_again() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    alice.say(bot, "/subscribe").await;
    alice.reads(bot, &["Welcome.", "A party for you!"]).await;
    alice.asks(bot, "subscribe", &["Welcome."]).await;
    alice.asks(bot, "/ping", &["pong"]).await;
    alice
        .reads(bot, &["Welcome.", "A party for you!", "Welcome.", "pong"])
        .await;
    assert_eq!(herald.events("joined").len(), 1);
    assert_eq!(house.occurrences(), 1);
}
