//! `let`: what a rule computes when it fires stays what it was, and what depends on the recipient is the recipient's.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::harness::{
    house::House,
    people::{LOOK, address, now, person},
};

const BOT: &str = "herald: 1
bot: post
identity: env:BOT_KEY
defaults: { consent: transactional }
rules:
  note:
    when: [{ manual: true }, { message: note }]
    let:
      twice: body.n * 2
      fired: now
      own: body.names[to.wallet | checksum] or \"nobody\"
      greeting: '[own, twice] | join(\", \")'
    if: twice > 2 and own != \"carol\"
    to: { wallets: [body.wallet, message.from] }
    key: twice
    send: \"{{ greeting }}, {{ fired }}\"
  broken:
    when: { manual: true }
    let: { share: 1 / body.n }
    to: { wallet: body.wallet }
    send: \"{{ share }}\"
  own:
    when: { manual: true }
    let: { share: '[1 / body.n, to.wallet | checksum | length]' }
    to: { wallet: body.wallet }
    send: \"{{ share | first }}\"
";

/// A body for some wallets, by their names.
fn body(n: i64, names: &[&str]) -> Value {
    let wallets: Vec<String> = names.iter().map(|name| address(name).to_string()).collect();
    let names: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| (address(name).to_string(), json!(name)))
        .collect();
    json!({ "n": n, "wallet": wallets, "names": names })
}

#[tokio::test]
async fn what_a_rule_computed_when_it_fired_is_sent_however_late_and_after_a_kill() {
    let house = House::of(BOT);
    let mut herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire("note", &body(2, &["alice", "bob", "carol"])).await;
    herald.event("held", |_| true).await;
    herald.count("delivered", 1).await;
    let fired_before = herald::bot::to_utc(now());
    herald.kill();
    let herald = house.start().await;
    let bot = herald.address();
    let bob = person("bob", herald.node()).await;
    let mut fired = Vec::new();
    for (person, name) in [(&alice, "alice"), (&bob, "bob")] {
        while person.texts_of(bot).await.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
        let [text] = &person.texts_of(bot).await[..] else {
            panic!("one message is expected")
        };
        let time = text
            .strip_prefix(&format!("{name}, 4, "))
            .unwrap_or_else(|| panic!("{text}"));
        fired.push(DateTime::parse_from_rfc3339(time).unwrap().to_utc());
    }
    assert_eq!(fired[0], fired[1], "both read when the rule fired");
    assert!(fired[0] < fired_before, "{fired:?}");
    let rows = house.deliveries(&["--state", "skipped"]).await;
    assert_eq!(
        (rows.len(), &rows[0]["wallet"], &rows[0]["reason"]),
        (1, &json!(address("carol").to_string()), &json!("`if` is false"))
    );
    // The key is a value of a `let`: fired again it is the same occurrence.
    herald.fire("note", &body(2, &["alice"])).await;
    assert_eq!(house.occurrences(), 1);
}

#[tokio::test]
async fn a_let_that_cannot_be_computed_is_said_and_writes_to_nobody() {
    let house = House::of(BOT);
    let herald = house.start().await;
    herald
        .fire(
            "broken",
            &json!({ "n": 0, "wallet": address("alice").to_string() }),
        )
        .await;
    let skipped = herald.event("skipped", |_| true).await;
    assert_eq!(skipped["reason"], "`let` share: division by zero");
    assert!(house.deliveries(&[]).await.is_empty());
}

#[tokio::test]
async fn a_let_that_fails_for_a_recipient_rejects_that_message_and_says_why() {
    let house = House::of(BOT);
    let herald = house.start().await;
    person("alice", herald.node()).await;
    let body = json!({ "n": 0, "wallet": address("alice").to_string() });
    herald.fire("own", &body).await;
    let rejected = herald.event("rejected", |event| event["rule"] == "own").await;
    let reason = rejected["reason"].as_str().unwrap();
    assert!(reason.starts_with("`let` share: "), "{rejected}");
}
