//! Watches: an edge fires once for each subject, whatever restarts and fails meanwhile.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use herald_protocol::address::Address;
use serde_json::json;

use crate::harness::{
    chain::Evm,
    house::{House, edited},
    people::{LOOK, person},
    program::DEADLINE,
    rpc_proxy::RpcProxy,
    site::{Answer, Site, ok},
};

#[tokio::test]
async fn each_member_is_warned_once_by_a_line_of_their_own_also_across_restarts() {
    let health: Arc<Mutex<BTreeMap<String, f64>>> = Arc::default();
    let shown = Arc::clone(&health);
    let site = Site::start(move |path| {
        let health = shown.lock().unwrap();
        match health.get(path.trim_start_matches('/')) {
            Some(health) => ok(&json!({ "health": health })),
            None => Answer::Whole("500 Oops", String::new(), Vec::new()),
        }
    })
    .await;
    let house = House::of(&format!(
        "herald: 1
bot: guard
identity: env:BOT_KEY
lists: {{ guarded: {{ join: \"/guard <warn_at:decimal=1.10>\" }} }}
sources: {{ position: {{ http: \"{}/{{{{ sub.wallet }}}}\" }} }}
rules:
  at-risk:
    when: {{ watch: position.health, each: guarded, every: 1s, below: sub.warn_at, clear: sub.warn_at + 0.05 }}
    to: {{ wallet: sub.wallet }}
    send: \"risk {{{{ value }}}} below {{{{ sub.warn_at }}}}\"
  safe:
    when: {{ cleared: at-risk }}
    to: {{ wallet: sub.wallet }}
    send: \"safe {{{{ value }}}}\"
",
        site.url("")
    ));
    let house = house.asking_this_machine();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    let (of_alice, of_bob) = (alice.address().to_string(), bob.address().to_string());
    health.lock().unwrap().insert(of_alice.clone(), 1.05);
    alice.say(bot, "/guard").await;
    // Nobody knows of bob: he is not warned, and holds up nobody.
    bob.say(bot, "/guard 1.5").await;
    alice.reads(bot, &["risk 1.05 below 1.10"]).await;
    let told = herald.event("error", |event| event["rule"] == "at-risk").await;
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.starts_with("what is watched cannot be read: "), "{reason}");
    assert!(
        reason.contains("source `position`: ") && reason.contains("status 500"),
        "{reason}"
    );
    drop(herald);
    health.lock().unwrap().insert(of_alice.clone(), 1.14);
    let herald = house.start().await;
    health.lock().unwrap().insert(of_bob, 1.2);
    bob.reads(bot, &["risk 1.2 below 1.5"]).await;
    assert_eq!(alice.texts_of(bot).await.len(), 1, "it is not cleared yet");
    health.lock().unwrap().insert(of_alice.clone(), 1.15);
    alice.reads(bot, &["risk 1.05 below 1.10", "safe 1.15"]).await;
    health.lock().unwrap().insert(of_alice, 1.0);
    alice
        .reads(bot, &["risk 1.05 below 1.10", "safe 1.15", "risk 1.0 below 1.10"])
        .await;
    drop(herald);
}

#[tokio::test]
async fn a_value_of_its_own_fires_when_it_changes_and_when_a_condition_begins_to_hold() {
    let price = Arc::new(Mutex::new(10));
    let shown = Arc::clone(&price);
    let site = Site::start(move |_| ok(&json!({ "usd": *shown.lock().unwrap() }))).await;
    let house = House::of(&format!(
        "herald: 1
bot: bell
identity: env:BOT_KEY
lists: {{ readers: {{ join: /join }} }}
sources: {{ price: {{ http: \"{}\", pick: body.usd }} }}
rules:
  changes: {{ when: {{ watch: price, every: 1s, changes: true }}, to: readers, send: \"now {{{{ value }}}}\" }}
  round: {{ when: {{ watch: price, every: 1s, becomes: value % 10 == 0 }}, to: readers, send: \"round {{{{ value }}}}\" }}
  odd: {{ when: {{ cleared: round }}, to: readers, send: \"odd {{{{ value }}}}\" }}
",
        site.url("/")
    ));
    let house = house.asking_this_machine();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    alice.say(bot, "/join").await;
    herald.event("joined", |_| true).await;
    // The first reading of `changes` is what changes are told from; that of `becomes` fires, to whoever is there by then.
    herald.event("occurrence", |event| event["rule"] == "round").await;
    *price.lock().unwrap() = 13;
    for rule in ["changes", "odd"] {
        herald.event("occurrence", |event| event["rule"] == rule).await;
    }
    *price.lock().unwrap() = 20;
    let wanted = |texts: &[String]| {
        let count = |text: &str| texts.iter().filter(|found| *found == text).count();
        (count("now 13"), count("now 20"), count("round 20")) == (1, 1, 1)
    };
    let read = async {
        while !wanted(&alice.texts_of(bot).await) {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(DEADLINE, read).await.unwrap();
}

#[tokio::test]
async fn an_alert_of_the_price_bot_rings_once_for_its_owner_alone_and_is_gone() {
    let price = Arc::new(Mutex::new(2600));
    let shown = Arc::clone(&price);
    let site = Site::start(move |_| ok(&json!({ "usd": *shown.lock().unwrap() }))).await;
    let text = edited(
        "price.yaml",
        &[
            ("https://api.example", &site.url("")),
            ("PRICE_KEY", "BOT_KEY"),
            ("every: 20s", "every: 1s"),
            ("cache: 15s", "cache: 1s"),
        ],
    );
    let house = House::of(&text);
    let house = house.asking_this_machine();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    let set = "🔔 ETH below $2,500.00. See /alerts.";
    alice.asks(bot, "/alert ETH below 2500", &[set]).await;
    bob.asks(bot, "/alert ETH below 1", &["🔔 ETH below $1.00. See /alerts."])
        .await;
    alice.asks(bot, "/alerts", &["1. ETH below $2,500.00"]).await;
    drop(herald);
    *price.lock().unwrap() = 2490;
    let herald = house.start().await;
    let rings = "🔔 ETH is $2,490.00 (below $2,500.00).";
    herald.event("delivered", |event| event["rule"] == "ring").await;
    let texts = alice.texts_of(bot).await;
    assert_eq!(texts.iter().filter(|text| *text == rings).count(), 1, "{texts:?}");
    let none = "No alerts yet. Try: /alert ETH below 2500";
    alice.asks(bot, "/alerts", &[none]).await;
    bob.asks(bot, "/alerts", &["1. ETH below $1.00"]).await;
    assert_eq!(
        herald
            .events("delivered")
            .iter()
            .filter(|event| event["rule"] == "ring")
            .count(),
        1
    );
    // Both watched one symbol: each look asked for it once.
    let asked = site.asked();
    assert!(
        asked
            .iter()
            .all(|(head, _)| head.starts_with("GET /v1/price?symbol=ETH&vs=usd "))
    );
}

/// With two calls each a page of them needs more than one call of the chain takes.
const MEMBERS: usize = 450;

#[tokio::test]
async fn hundreds_of_members_are_each_read_by_their_own_calls() {
    let evm = Evm::start().await;
    let [one, other] = [evm.deploy("Mirror").await, evm.deploy("Mirror").await];
    evm.put_code(
        "Multicall",
        "0xcA11bde05977b3631167028862bE2a173976CA11".parse().unwrap(),
    )
    .await;
    let node = RpcProxy::to(evm.url()).await;
    let source = |at: Address| {
        format!(
            "{{ chain: local, at: {at}, call: look(address) returns (address seen), args: [sub.wallet] }}"
        )
    };
    let house = House::of(&format!(
        "herald: 1
bot: mirrors
identity: env:BOT_KEY
lists: {{ all: {{ join: /look }} }}
sources:
  one: {}
  other: {}
rules:
  wrong:
    when: {{ watch: one.seen == sub.wallet and other.seen == sub.wallet, each: all, every: 1s, becomes: not value }}
    to: {{ wallet: sub.wallet }}
    send: you are somebody else
",
        source(one),
        source(other)
    ));
    let house = house.on_chains(&[("local", 31337, &[node.url()])]);
    let wallets = (1..=MEMBERS).map(|number| format!("0x{:040x}", number * 0x0100_0001));
    let lines: Vec<String> = [String::from("wallet")].into_iter().chain(wallets).collect();
    std::fs::write(house.folder().join("all.csv"), lines.join("\n")).unwrap();
    let herald = house.start().await;
    house
        .run(&["subscribers", "import", "mirrors/all", "all.csv"])
        .await
        .expect(0);
    // A new block has them all asked anew, and when the next one does, what came of the first is known.
    let asked = || node.asked("eth_call").len();
    for _ in 0..2 {
        let before = asked();
        evm.mine(1).await;
        let all = async {
            while asked() < before + 2 * MEMBERS / 200 {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(DEADLINE, all).await.unwrap();
    }
    for kind in ["error", "occurrence"] {
        assert!(herald.events(kind).is_empty(), "{:?}", herald.events(kind));
    }
}
