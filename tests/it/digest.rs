//! Digests and follow-ups on a real node: one message a period, later messages to who got the first, and what ends them.

use serde_json::{Value, json};

use crate::harness::{house::House, people::person};

const BOT: &str = "herald: 1
bot: post
identity: env:BOT_KEY
defaults: { consent: transactional }
lists:
  readers: { join: /join, fields: { seen: { type: int, default: 0 } } }
  course: { join: /course }
rules:
  news:
    when: { manual: true }
    if: body.text != 'ad'
    to: { wallet: body.wallet }
    digest: { every: 3s, max: 2, order: item.body.rank }
    send: \"{{ items | length }} and {{ items_left }} more:{% for one in items %} {{ one.body.text }}{% endfor %}\"
  lesson:
    when: { manual: true }
    to: { wallet: body.wallet }
    send: \"lesson {{ body.text }}\"
    then:
      - { after: 1s, if: body.text != 'last', send: \"did you read {{ body.text }}?\" }
      - { after: 3s, unless_reply: Done, send: \"still there?\" }
      - { at: delivery.at + 4s, cancel_if: body.text == 'last', send: \"bye\" }
      - { after: 5s, send: \"really\" }
  once:
    when: { joined: course }
    to: course
    send: hello
    after: { leave: course }
  count:
    when: { manual: true }
    to: readers
    send: \"{{ to.seen }}\"
    after: { set: { seen: to.seen + 1 } }
";

fn to(wallet: herald_protocol::address::Address, text: &str, rank: u32) -> Value {
    json!({ "wallet": wallet.to_string(), "text": text, "rank": rank })
}

#[tokio::test]
async fn a_period_is_one_message_with_its_items_in_order_and_the_next_period_another() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let (alice, bob) = (
        person("alice", herald.node()).await,
        person("bob", herald.node()).await,
    );
    for (text, rank) in [("third", 3), ("ad", 0), ("second", 2), ("first", 1)] {
        herald.fire("news", &to(alice.address(), text, rank)).await;
    }
    herald.fire("news", &to(bob.address(), "own", 9)).await;
    let post = herald.address();
    alice.reads(post, &["2 and 1 more: first second"]).await;
    bob.reads(post, &["1 and 0 more: own"]).await;
    herald.fire("news", &to(alice.address(), "later", 1)).await;
    alice
        .reads(post, &["2 and 1 more: first second", "1 and 0 more: later"])
        .await;
    house.settled().await;
    let rows = house.deliveries(&["--rule", "news"]).await;
    let states: Vec<&str> = rows.iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["delivered"; 5]);
    let carrier = &rows[0]["delivery"];
    let with = rows
        .iter()
        .filter(|row| row["reason"] == format!("in the digest of delivery {carrier}"));
    assert_eq!(with.count(), 2, "{rows:?}");
}

#[tokio::test]
async fn a_digest_that_waits_survives_a_kill_and_goes_out_once() {
    let house = House::of(BOT);
    let mut herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    for text in ["a", "b"] {
        herald.fire("news", &to(alice.address(), text, 1)).await;
    }
    herald.count("held", 2).await;
    herald.kill();
    let herald = house.start().await;
    alice.client().sync_conversations().await.ok();
    let alice = person("alice", herald.node()).await;
    alice.reads(herald.address(), &["2 and 0 more: a b"]).await;
    house.settled().await;
    alice.reads(herald.address(), &["2 and 0 more: a b"]).await;
}

#[tokio::test]
async fn follow_ups_come_after_the_delivery_unless_they_answered_or_the_author_cancels() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let post = herald.address();
    let (quiet, answers, last) = (
        person("quiet", herald.node()).await,
        person("answers", herald.node()).await,
        person("last", herald.node()).await,
    );
    herald.fire_for("lesson", quiet.address(), "one").await;
    herald.fire_for("lesson", answers.address(), "one").await;
    herald.fire_for("lesson", last.address(), "last").await;
    answers.reads(post, &["lesson one", "did you read one?"]).await;
    answers.say(post, " DONE ").await;
    quiet
        .reads(
            post,
            &["lesson one", "did you read one?", "still there?", "bye", "really"],
        )
        .await;
    last.reads(post, &["lesson last", "still there?"]).await;
    house.settled().await;
    answers
        .reads(post, &["lesson one", "did you read one?", "bye", "really"])
        .await;
    let skipped = house.deliveries(&["--state", "skipped"]).await;
    let reasons: Vec<&str> = skipped
        .iter()
        .map(|row| row["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons
            .iter()
            .filter(|reason| **reason == "they answered `done`")
            .count(),
        1,
        "{reasons:?}"
    );
    assert_eq!(
        reasons
            .iter()
            .filter(|reason| **reason == "`cancel_if` is true")
            .count(),
        2
    );
    assert_eq!(
        reasons
            .iter()
            .filter(|reason| **reason == "`if` is false")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_delivery_takes_its_reader_off_a_list_or_changes_its_fields() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let post = herald.address();
    let alice = person("alice", herald.node()).await;
    alice.say(post, "/course").await;
    alice.reads(post, &["hello"]).await;
    alice.say(post, "/join").await;
    herald
        .event("joined", |event| event["rule"] == "list:readers")
        .await;
    herald.fire("count", &Value::Null).await;
    alice.reads(post, &["hello", "0"]).await;
    herald.count("delivered", 2).await;
    herald.fire("count", &Value::Null).await;
    alice.reads(post, &["hello", "0", "1"]).await;
    // Off the list, so joining again is news.
    alice.say(post, "/course").await;
    alice.reads(post, &["hello", "0", "1", "hello"]).await;
}
