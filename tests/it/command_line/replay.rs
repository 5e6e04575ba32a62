//! `deliveries show`, `why` and `replay`.

use serde_json::json;

use crate::harness::{
    house::House,
    people::{address, person},
};

const BOT: &str = "herald: 1
bot: post
identity: env:BOT_KEY
defaults: { consent: transactional }
lists: { readers: { join: /read } }
rules:
  note:
    when: { manual: true }
    to: { wallet: body.wallet }
    send: \"{{ body.text }}\"
  brief:
    when: { manual: true }
    to: { wallet: body.wallet }
    ttl: 1s
    send: \"{{ body.text }}\"
  news: { when: { manual: true }, to: readers, send: News! }
  never: { when: { manual: true }, if: body.n == 1, to: readers, send: No. }
";

async fn why(house: &House, wallet: &str, rule: &str) -> String {
    house
        .run(&["deliveries", "why", wallet, rule])
        .await
        .expect(0)
        .out
}

#[tokio::test]
async fn one_sentence_says_why_a_wallet_got_a_message_or_did_not() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let (alices, bobs) = (alice.address().to_string(), address("bob").to_string());
    herald.fire_for("note", alice.address(), "one").await;
    let delivered = herald.event("delivered", |_| true).await;
    herald.fire_for("note", address("bob"), "two").await;
    herald.event("held", |_| true).await;
    let sentence = why(&house, &alices, "post/note").await;
    assert!(
        sentence.starts_with("delivered at ") && sentence.lines().count() == 1,
        "{sentence}"
    );
    let sentence = why(&house, &bobs, "post/note").await;
    assert!(
        sentence.starts_with("held until ")
            && sentence.contains(" because the wallet is not on the network (delivery "),
        "{sentence}"
    );
    let sentence = why(&house, &alices, "post/news").await;
    assert_eq!(sentence, "no message: the rule has never fired\n");
    let dave = person("dave", herald.node()).await;
    dave.say(herald.address(), "/read").await;
    herald.event("joined", |_| true).await;
    herald.fire("news", &json!({})).await;
    herald.count("delivered", 2).await;
    herald.fire("never", &json!({})).await;
    herald.event("skipped", |_| true).await;
    let sentence = why(&house, &alices, "post/never").await;
    assert!(
        sentence.ends_with("wrote to nobody because `if` is false\n"),
        "{sentence}"
    );
    let sentence = why(&house, &alices, "post/news").await;
    assert!(
        sentence.starts_with("no message: the wallet was not in the audience when the rule fired, at ")
            && sentence.ends_with("; it is on no list of the bot\n"),
        "{sentence}"
    );
    alice.say(herald.address(), "/read").await;
    herald.count("joined", 2).await;
    let sentence = why(&house, &alices, "post/news").await;
    assert!(sentence.contains("; it is on `readers` since "), "{sentence}");

    let id = delivered["delivery"].to_string();
    let shown = house
        .run(&["deliveries", "show", &id, "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(
        (&shown["state"], &shown["part"]),
        (&json!("delivered"), &json!(0))
    );
    assert_eq!(shown["envelope"], delivered["envelope"]);
    let lines = house.run(&["deliveries", "show", &id]).await.expect(0).out;
    assert!(
        lines.contains("delivered") && lines.contains("settled_at"),
        "{lines}"
    );
    house.run(&["deliveries", "show", "999"]).await.expect(1);
    house.run(&["deliveries", "why", &alices, "note"]).await.expect(2);
}

#[tokio::test]
async fn what_expired_is_sent_when_it_is_replayed_and_what_was_delivered_never_again() {
    let house = House::of(BOT);
    let mut herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire_for("note", alice.address(), "one").await;
    let delivered = herald.event("delivered", |_| true).await;
    herald.fire_for("brief", address("bob"), "two").await;
    let expired = herald.event("expired", |_| true).await;
    let bob = person("bob", herald.node()).await;
    let id = |event: &serde_json::Value| event["delivery"].to_string();
    house
        .run(&["deliveries", "replay", &id(&delivered)])
        .await
        .expect(1);
    house.run(&["deliveries", "replay"]).await.expect(2);
    // Beside the running herald, which owns the store.
    let replayed = house
        .run(&["deliveries", "replay", &id(&expired), "--json"])
        .await
        .expect(0);
    assert_eq!(replayed.json(), json!({ "replayed": [expired["delivery"]] }));
    bob.reads(herald.address(), &["two"]).await;
    alice.reads(herald.address(), &["one"]).await;
    assert_eq!(
        house.run(&["deliveries", "replay", "--dead"]).await.expect(0).out,
        "0 deliveries are tried again now\n"
    );

    herald.fire_for("brief", address("carol"), "three").await;
    herald.count("expired", 2).await;
    herald.stop().await;
    let other = house
        .run(&[
            "deliveries",
            "replay",
            "--dead",
            "--bot",
            "post",
            "--rule",
            "note",
        ])
        .await
        .expect(0);
    assert_eq!(other.out, "0 deliveries are tried again when herald runs\n");
    let all = house.run(&["deliveries", "replay", "--dead"]).await.expect(0);
    assert_eq!(all.out, "1 delivery is tried again when herald runs\n");
    let rows = house.deliveries(&["--state", "planned"]).await;
    assert_eq!(
        (rows.len(), &rows[0]["wallet"]),
        (1, &json!(address("carol").to_string()))
    );
}
