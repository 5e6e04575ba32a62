//! Times: each instant once, whatever restarts; late ones once or, when they are worth nothing any more, not at all.

use chrono::{SecondsFormat, TimeDelta};
use herald::bot::to_utc;
use serde_json::Value;

use crate::harness::{
    house::{House, Node},
    people::{LOOK, address, now, person},
    program::Program,
};

/// A bot whose rules go to Alice.
fn bot(rules: &str) -> String {
    let rules = rules.replace("TO", &format!("to: {{ wallet: {} }}", address("alice")));
    format!(
        "herald: 1
bot: clock
identity: env:BOT_KEY
defaults: {{ consent: transactional }}
rules:
{rules}
commands:
  /ping: {{ reply: pong }}
"
    )
}

/// The keys of a rule's occurrences in a run.
fn fired(program: &Program, rule: &str) -> Vec<String> {
    let mut events = program.events("occurrence");
    events.retain(|event| event["rule"] == rule);
    let key = |event: &Value| event["key"].as_str().unwrap().to_owned();
    events.iter().map(key).collect()
}

fn tick(key: &str) -> u32 {
    let number = key.strip_prefix("tick ").and_then(|rest| rest.split(' ').next());
    number.unwrap_or_else(|| panic!("{key}")).parse().unwrap()
}

async fn ticks(program: &Program, count: usize) -> Vec<u32> {
    let is_tick = |line: &&Value| line["event"] == "occurrence" && line["rule"] == "pulse";
    program
        .until("ticks", |lines| lines.iter().filter(is_tick).count() >= count)
        .await;
    fired(program, "pulse").iter().map(|key| tick(key)).collect()
}

#[tokio::test]
async fn every_second_is_one_tick_and_those_of_a_standstill_are_not_made_up_for() {
    let house = House::of(&bot("  pulse: { when: { every: 1s }, TO, ttl: 1h, send: beat }"));
    let mut herald = house.start().await;
    let before = ticks(&herald, 3).await;
    assert_eq!(before[..3], [1, 2, 3]);
    let at: Vec<i64> = herald
        .events("occurrence")
        .iter()
        .map(|event| millis(&event["at"]))
        .collect();
    assert!(
        at.windows(2)
            .all(|pair| (900..1_900).contains(&(pair[1] - pair[0]))),
        "{at:?}"
    );
    herald.kill();
    // At least two ticks pass unseen.
    let resume = now().as_ms() + 2_200;
    while now().as_ms() < resume {
        tokio::time::sleep(LOOK).await;
    }
    let herald = house.start().await;
    let after = ticks(&herald, 2).await;
    let last = *before.last().unwrap();
    assert!(
        after[0] >= last + 2,
        "late ticks are not caught up with: {before:?} {after:?}"
    );
    assert_eq!(after[1], after[0] + 1);
}

fn millis(time: &Value) -> i64 {
    chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap())
        .unwrap()
        .timestamp_millis()
}

fn instant(away: TimeDelta) -> String {
    (to_utc(now()) + away).to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[tokio::test]
async fn an_instant_runs_once_across_restarts_and_one_older_than_its_ttl_never() {
    // Alice is there before the bot is.
    let node = Node::start().await;
    let alice = person("alice", node.address()).await;
    let text = bot(&format!(
        "  just: {{ when: {{ at: {} }}, TO, send: just now }}
  long: {{ when: {{ at: {} }}, TO, ttl: 5s, send: long ago }}
  soon: {{ when: {{ at: {} }}, TO, send: at last }}
  pulse: {{ when: {{ every: 1s }}, TO, if: false, send: beat }}",
        instant(TimeDelta::seconds(-5)),
        instant(TimeDelta::seconds(-30)),
        instant(TimeDelta::seconds(2)),
    ));
    let house = House::of(&format!("{text}node: grpc://{}\n", node.grpc()));
    let mut herald = house.start().await;
    let missed = herald.event("skipped", |event| event["rule"] == "long").await;
    assert!(
        missed["reason"].as_str().unwrap().starts_with("missed"),
        "{missed}"
    );
    alice.reads(herald.address(), &["just now", "at last"]).await;
    for _ in 0..2 {
        herald.kill();
        herald = house.start().await;
        // A tick is judged after the other instants.
        ticks(&herald, 1).await;
        assert!(
            herald
                .events("skipped")
                .iter()
                .all(|event| event["rule"] == "pulse")
        );
        assert_eq!(
            (fired(&herald, "just").len(), fired(&herald, "soon").len()),
            (0, 0)
        );
    }
    alice.asks(herald.address(), "/ping", &["pong"]).await;
    alice
        .reads(herald.address(), &["just now", "at last", "pong"])
        .await;
}

#[tokio::test]
async fn started_rules_fire_once_for_each_version_of_the_file() {
    let text = |version: &str| {
        bot(&format!(
            "  news: {{ when: {{ started: true }}, TO, send: version {version} }}"
        ))
    };
    let house = House::of(&text("one"));
    let mut herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    alice.reads(herald.address(), &["version one"]).await;
    herald.stop().await;
    let mut herald = house.start().await;
    alice.asks(herald.address(), "/ping", &["pong"]).await;
    assert_eq!(fired(&herald, "news").len(), 0);
    herald.kill();
    house.rewrite(&text("two"));
    let mut herald = house.start().await;
    alice
        .reads(herald.address(), &["version one", "pong", "version two"])
        .await;
    // A version that ran before is no news.
    herald.stop().await;
    house.rewrite(&text("one"));
    let herald = house.start().await;
    alice.asks(herald.address(), "/ping", &["pong"]).await;
    assert_eq!(fired(&herald, "news").len(), 0);
}
