//! The policy of rules on a real node: hours, consent, limits of whole rules, what becomes of the unreached, who goes first.

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use serde_json::Value;

use crate::harness::{
    house::House,
    people::{address, person, wallet},
};

/// A bot with a rule for each of these policies; each takes a wallet and a text.
fn bot(rules: &[(&str, &str)]) -> String {
    let rules = rules.iter().map(|(name, policy)| {
        let send = format!("\"{name} {{{{ body.text }}}}\"");
        let rule = "when: { manual: true }, to: { wallet: body.wallet }";
        format!("  {name}: {{ {rule}, send: {send}, {policy} }}\n")
    });
    let top = "herald: 1\nbot: post\nidentity: env:BOT_KEY\nlists: { club: { join: /join } }\nrules:\n";
    top.to_owned() + &rules.collect::<String>()
}

/// The hours around now in UTC, as a window and its end.
fn hours_around_now() -> (String, DateTime<Utc>) {
    let minute = now().with_second(0).unwrap().with_nanosecond(0).unwrap();
    let (from, to) = (minute - TimeDelta::minutes(60), minute + TimeDelta::minutes(60));
    (format!("{}-{}", from.format("%H:%M"), to.format("%H:%M")), to)
}

fn now() -> DateTime<Utc> {
    herald::bot::to_utc(herald::clock::now())
}

fn until(event: &Value) -> DateTime<Utc> {
    event["until"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn quiet_hours_hold_what_is_not_urgent_until_they_end() {
    let (around, ends) = hours_around_now();
    let quiet = format!("consent: transactional, quiet: {around} UTC");
    let house = House::of(&bot(&[
        ("later", &quiet),
        ("urgent", &format!("{quiet}, priority: urgent")),
        ("office", &format!("consent: transactional, hours: {around}")),
        (
            "closed",
            "consent: transactional, hours: mon-sun 00:00-00:01 Pacific/Kiritimati",
        ),
    ]));
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    for rule in ["later", "closed", "urgent", "office"] {
        herald.fire_for(rule, alice.address(), "x").await;
    }
    alice.reads(herald.address(), &["urgent x", "office x"]).await;
    let held = herald.event("held", |event| event["rule"] == "later").await;
    assert_eq!(held["reason"], format!("quiet hours {around} UTC"));
    assert_eq!(until(&held), ends);
    let row = &house.deliveries(&["--rule", "later"]).await[0];
    assert_eq!(
        (row["state"].as_str(), row["reason"].as_str()),
        (Some("held"), held["reason"].as_str())
    );
    // But for the one minute a day in which it is midnight there.
    let kiritimati = now() + TimeDelta::hours(14);
    if kiritimati.hour() > 0 {
        let held = herald.event("held", |event| event["rule"] == "closed").await;
        assert_eq!(until(&held).hour(), 10, "{held}");
    }
}

#[tokio::test]
async fn each_level_of_consent_writes_to_those_it_names_and_says_why_not_to_others() {
    let levels = ["opted_in", "allowed", "not_denied", "transactional", "any"];
    let rules: Vec<_> = levels
        .iter()
        .map(|level| (*level, format!("consent: {level}")))
        .collect();
    let rules: Vec<_> = rules
        .iter()
        .map(|(name, policy)| (*name, policy.as_str()))
        .collect();
    let house = House::of(&bot(&rules));
    let herald = house.start().await;
    let post = herald.address();
    let stranger = person("stranger", herald.node()).await;
    let writer = person("writer", herald.node()).await;
    let member = person("member", herald.node()).await;
    writer.say(post, "hello").await;
    member.say(post, "/join").await;
    herald.event("joined", |_| true).await;
    for person in [&stranger, &writer, &member] {
        for level in levels {
            herald.fire_for(level, person.address(), "x").await;
        }
    }
    house.settled().await;
    stranger
        .reads(post, &["not_denied x", "transactional x", "any x"])
        .await;
    writer
        .reads(post, &["allowed x", "not_denied x", "transactional x", "any x"])
        .await;
    member
        .reads(
            post,
            &[
                "opted_in x",
                "allowed x",
                "not_denied x",
                "transactional x",
                "any x",
            ],
        )
        .await;
    let reason = |wallet: String, rule: &'static str| {
        let skipped = herald.events("skipped");
        let event = skipped
            .iter()
            .find(|event| event["wallet"] == wallet && event["rule"] == rule);
        event.unwrap()["reason"].clone()
    };
    assert_eq!(
        reason(writer.address().to_string(), "opted_in"),
        "the wallet has not opted in"
    );
    assert_eq!(
        reason(stranger.address().to_string(), "allowed"),
        "the wallet has neither opted in nor written to the bot"
    );
}

#[tokio::test]
async fn a_wallet_that_is_denied_or_leaves_gets_nothing_of_what_waits_for_it() {
    let house = House::of(&bot(&[
        (
            "wait",
            "consent: transactional, hours: 00:00-00:01 Pacific/Kiritimati, limit: 1/1h",
        ),
        ("now", "consent: any"),
    ]));
    let herald = house.start().await;
    let post = herald.address();
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    for person in [&alice, &bob] {
        herald.fire_for("wait", person.address(), "x").await;
        let wallet = person.address().to_string();
        herald.event("held", |event| event["wallet"] == wallet).await;
    }
    bob.say(post, "stop").await;
    // Another client of the bot's wallet, such as its owner's phone.
    let phone = herald::client::Client::builder(wallet("bot"), herald.node())
        .connect()
        .await
        .unwrap();
    phone.deny(&[alice.address()]).await.unwrap();
    let ended = |person: String| move |event: &Value| event["wallet"] == person;
    let denied = herald.event("skipped", ended(alice.address().to_string())).await;
    assert_eq!(denied["reason"], "the bot's consent list denies the wallet");
    let left = herald.event("skipped", ended(bob.address().to_string())).await;
    assert_eq!(left["reason"], "the wallet left");
    herald.fire_for("now", alice.address(), "x").await;
    herald.event("skipped", |event| event["rule"] == "now").await;
    phone.allow(&[alice.address()]).await.unwrap();
    let allowed = async {
        while alice.texts_of(post).await.is_empty() {
            herald.fire_for("now", alice.address(), "again").await;
        }
    };
    tokio::time::timeout(crate::harness::program::DEADLINE, allowed)
        .await
        .unwrap();
}

#[tokio::test]
async fn limits_of_a_rule_and_of_the_bot_hold_what_is_over_them_whoever_it_is_for() {
    let house = House::of(&bot(&[
        ("two", "consent: any, limit: { rule: 2/1h }"),
        ("four", "consent: any, limit: { bot: 4/1h, recipient: 3/1h }"),
    ]));
    let herald = house.start().await;
    let mut people = Vec::new();
    for name in ["a1", "a2", "a3"] {
        people.push(person(name, herald.node()).await);
    }
    for person in &people {
        herald.fire_for("two", person.address(), "x").await;
    }
    let held = herald.event("held", |event| event["rule"] == "two").await;
    assert_eq!(held["reason"], "over the limit of 2/1h");
    let waits = until(&held) - now();
    assert!(
        waits > TimeDelta::minutes(59) && waits <= TimeDelta::minutes(60),
        "{held}"
    );
    herald.count("delivered", 2).await;
    for person in &people {
        herald.fire_for("four", person.address(), "x").await;
    }
    let held = herald.event("held", |event| event["rule"] == "four").await;
    assert_eq!(held["reason"], "over the limit of 4/1h");
    herald.count("delivered", 4).await;
    assert_eq!(herald.events("held").len(), 2);
}

#[tokio::test]
async fn an_unreached_wallet_is_skipped_where_the_rule_says_so() {
    let house = House::of(&bot(&[("skip", "consent: any, unreached: skip")]));
    let herald = house.start().await;
    herald.fire_for("skip", address("nobody"), "x").await;
    let skipped = herald.event("skipped", |_| true).await;
    assert_eq!(skipped["reason"], "the wallet is not on the network");
}
