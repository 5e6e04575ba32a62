//! A wallet without contact: its messages wait for it, as long as they are worth anything.

use herald_protocol::address::Address;

use crate::harness::{
    house::{House, Node},
    people::{address, person},
};

const BOT: &str = "herald: 1
bot: post
identity: env:BOT_KEY
defaults: { consent: transactional }
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
";

#[tokio::test]
async fn a_message_to_a_wallet_that_is_not_there_waits_for_it() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let carol = address("carol");
    herald.fire_for("note", carol, "welcome to the network").await;
    let held = herald.event("held", |event| event["rule"] == "note").await;
    assert_eq!(held["reason"], "the wallet is not on the network");
    assert_eq!(held["wallet"], carol.to_string());
    let time = |field: &str| chrono::DateTime::parse_from_rfc3339(held[field].as_str().unwrap()).unwrap();
    let waits = time("until") - time("at");
    assert!(
        (86_300..=86_400).contains(&waits.num_seconds()),
        "its ttl is a day: {held}"
    );
    let row = &house.deliveries(&["--state", "held"]).await[0];
    assert_eq!(row["reason"], "the wallet is not on the network");
    assert!(row["until"].is_string() && row["settled_at"].is_null(), "{row}");

    let carol = person("carol", herald.node()).await;
    carol.reads(herald.address(), &["welcome to the network"]).await;
    herald.count("delivered", 1).await;
    // It was told once that the message waits, however often herald looked.
    assert_eq!(herald.events("held").len(), 1);
}

#[tokio::test]
async fn a_message_to_a_wallet_that_never_comes_expires_with_its_ttl() {
    let house = House::of(BOT);
    let herald = house.start().await;
    herald.fire_for("brief", address("nobody"), "quick").await;
    herald.event("held", |_| true).await;
    let expired = herald.event("expired", |_| true).await;
    assert!(
        expired["reason"].as_str().unwrap().contains("not on the network"),
        "{expired}"
    );
    assert_eq!(house.deliveries(&["--state", "expired"]).await.len(), 1);
    // It has come too late.
    let nobody = person("nobody", herald.node()).await;
    herald.fire_for("note", nobody.address(), "hello").await;
    nobody.reads(herald.address(), &["hello"]).await;
}

#[tokio::test]
async fn who_is_on_the_network_is_told_among_more_wallets_than_one_batch_holds() {
    let node = Node::start().await;
    let alice = person("alice", node.address()).await;
    let bob = person("bob", node.address()).await;
    let mut wallets: Vec<Address> = (1..=120)
        .map(|number| Address::from_bytes([number; 20]))
        .collect();
    wallets.insert(70, bob.address());
    let reachable = alice.client().can_message(&wallets).await.unwrap();
    let there: Vec<usize> = (0..wallets.len()).filter(|at| reachable[*at]).collect();
    assert_eq!((reachable.len(), there), (121, vec![70]));
}
