//! A wallet without contact: its messages wait for it, as long as they are worth anything.

use herald::client::{Api, Error};
use herald_protocol::{Error::Invalid, Reason, address::Address, limits, proto::api::Envelope, topic::Topic};

use crate::harness::{
    house::{House, Node},
    people::{address, now, person},
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
async fn a_message_to_a_wallet_whose_contacts_another_one_signed_waits_for_its_own() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let carol = person("carol", herald.node()).await;
    let mallory = person("mallory", herald.node()).await;
    let topics = [Topic::contact(carol.address()), Topic::contact(mallory.address())];
    let api = Api::new(herald.node()).unwrap();
    let mallorys = api.newest_of_each(&topics[1..], 1).await.unwrap()[0][0]
        .message
        .clone();
    let published = now().as_ns();
    let of_another = |number: u64| Envelope {
        content_topic: topics[0].to_string(),
        timestamp_ns: published + number,
        message: mallorys.clone(),
    };
    let looked_at = u64::try_from(limits::CONTACTS).unwrap();
    let envelopes = (0..looked_at).map(of_another).collect();
    carol.client().publish(envelopes).await.unwrap();

    let wallets = [carol.address()];
    assert_eq!(mallory.client().can_message(&wallets).await.unwrap(), [false]);
    let refused = mallory.client().reach(&wallets).await.unwrap().remove(0);
    let Err(Error::Contact { wallet, source }) = refused else {
        panic!("{refused:?}");
    };
    let other_wallet = Reason::OtherWallet {
        found: mallory.address(),
        wanted: carol.address(),
    };
    assert_eq!((wallet, &source), (carol.address(), &Invalid(other_wallet)));

    herald.fire_for("note", carol.address(), "are you there?").await;
    let held = herald.event("held", |_| true).await;
    let reason = format!("the wallet has published no contact that can be used: {source}");
    assert_eq!(held["reason"], reason);
    assert!(herald.counter("herald_contacts_dropped_total").await > 4.5);

    // Her client sees that her contact is gone and publishes it again.
    let carol = person("carol", herald.node()).await;
    carol.reads(herald.address(), &["are you there?"]).await;
    herald.count("delivered", 1).await;
    assert_eq!(herald.events("held").len(), 1);
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
