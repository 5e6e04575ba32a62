//! A changed bot file is taken while herald runs, whole or not at all; nothing is lost or doubled.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    house::{Herald, House},
    people::{Person, person},
};

/// A bot whose answers carry a version.
fn bot(version: &str) -> String {
    format!(
        "herald: 1
bot: desk
identity: env:BOT_KEY
lists:
  readers: {{ join: /subscribe, fields: {{ level: int }} }}
rules:
  note:
    when: {{ manual: true }}
    to: {{ wallet: body.wallet }}
    consent: transactional
    send: \"{version}: {{{{ body.text }}}}\"
commands:
  /say <what:text>: {{ reply: \"{version}: {{{{ args.what }}}}\" }}
"
    )
}

/// Waits for the error that tells why a changed file was not taken, and gives its reason.
async fn refusal(herald: &Herald, part: &str) -> String {
    let has_part = |event: &Value| {
        event["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains(part))
    };
    let event = herald.event("error", has_part).await;
    event["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_changed_file_is_taken_within_two_seconds_and_the_difference_is_told() {
    let house = House::of(&bot("one"));
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire_for("note", alice.address(), "a").await;
    alice.reads(herald.address(), &["one: a"]).await;

    let text = bot("two").replace(
        "commands:",
        "  extra:\n    when: { started: true }\n    to: readers\n    send: x\ncommands:",
    );
    let written = Instant::now();
    house.rewrite(&text.replace("/say <what:text>", "/repeat <what:text>"));
    let event = herald.event("reloaded", |_| true).await;
    let took = written.elapsed();
    // The promise is two seconds; a machine that is busy with other tests may take longer to be seen.
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(
        (
            &event["bot"],
            &event["added"],
            &event["removed"],
            &event["changed"]
        ),
        (
            &json!("desk"),
            &json!(["extra", "command:/repeat"]),
            &json!(["command:/say"]),
            &json!(["note"])
        )
    );
    herald.fire_for("note", alice.address(), "b").await;
    alice.reads(herald.address(), &["one: a", "two: b"]).await;
    alice.asks(herald.address(), "/repeat c", &["two: c"]).await;
    // Its file is another one now, so what fires at the start fires; the bot is connected as before.
    herald.event("occurrence", |event| event["rule"] == "extra").await;
    assert_eq!(herald.events("ready").len(), 1);
}

#[tokio::test]
async fn a_file_with_a_mistake_is_told_with_its_place_and_the_old_one_keeps_running() {
    let house = House::of(&bot("one"));
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    house.rewrite(&bot("two").replace("body.wallet", "body wallet"));
    let reason = refusal(&herald, "is not taken").await;
    assert!(reason.contains("bot.yaml:9:"), "{reason}");
    assert!(reason.contains("error E104"), "{reason}");
    herald.says("body wallet").await;
    herald.fire_for("note", alice.address(), "a").await;
    alice.reads(herald.address(), &["one: a"]).await;
    alice.asks(herald.address(), "/say b", &["one: b"]).await;
    assert!(herald.events("reloaded").is_empty());
    // Once it is mended it is taken.
    house.rewrite(&bot("three"));
    herald.event("reloaded", |_| true).await;
    alice.asks(herald.address(), "/say c", &["three: c"]).await;
}

#[tokio::test]
async fn a_running_bot_keeps_its_name_its_wallet_its_node_and_the_types_of_its_lists() {
    let house = House::of(&bot("one")).set("OTHER_KEY", &crate::harness::people::key("other"));
    let herald = house.start().await;
    for (before, after, line, way_out) in [
        ("bot: desk", "bot: counter", "2:6", "keeps its name"),
        (
            "env:BOT_KEY",
            "env:OTHER_KEY",
            "3:11",
            "the wallet it was started with",
        ),
        ("lists:", "node: local\nlists:", "4:7", "is connected to built-in"),
        ("level: int", "level: text", "5:", "keep `level` as int"),
    ] {
        house.rewrite(&bot("two").replace(before, after));
        let reason = refusal(&herald, way_out).await;
        assert!(reason.contains(&format!("bot.yaml:{line}")), "{reason}");
        assert!(reason.contains("E401"), "{reason}");
    }
    herald.says("hint: restart herald to run it as another bot").await;
    herald.says("hint: give the new field another name").await;
    assert!(herald.events("reloaded").is_empty());
}

#[tokio::test]
async fn messages_that_arrive_during_reloads_are_answered_once() {
    let house = House::of(&bot("v0"));
    let herald = house.start().await;
    let bob = person("bob", herald.node()).await;
    let mut writers = Vec::new();
    for version in 1..=3 {
        // Others each time, and few words of each: who answers at once again and again is taken for a program.
        let writer = person(&format!("writer-{version}"), herald.node()).await;
        house.rewrite(&bot(&format!("v{version}")));
        herald.signal("HUP");
        for number in 0..4 {
            let text = format!("{version}.{number}");
            writer.say(herald.address(), &format!("/say {text}")).await;
            herald.fire_for("note", bob.address(), &text).await;
        }
        herald.count("reloaded", version).await;
        writers.push(writer);
    }
    herald.count("delivered", 24).await;
    let answered = async |person: &Person| -> Vec<String> {
        let texts = person.texts_of(herald.address()).await;
        let answers = texts.iter().filter_map(|text| text.split(": ").nth(1));
        answers.map(ToOwned::to_owned).collect()
    };
    let numbers =
        |version: usize| -> Vec<String> { (0..4).map(|number| format!("{version}.{number}")).collect() };
    for (writer, version) in writers.iter().zip(1..) {
        assert_eq!(answered(writer).await, numbers(version));
    }
    assert_eq!(
        answered(&bob).await,
        (1..=3).flat_map(numbers).collect::<Vec<_>>()
    );
}
