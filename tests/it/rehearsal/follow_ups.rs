//! What follows a message, as a preview foresees it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{event, of};
use crate::harness::{
    house::{Herald, House},
    people::{address, person},
};

const SERIES: &str = "herald: 1
bot: series
identity: env:BOT_KEY
lists: { pupils: { join: /learn, fields: { level: int } } }
rules:
  lesson:
    when: { webhook: /lesson, verify: { scheme: none }, body: { ends: optional time } }
    to: pupils
    approve: true
    canary: { first: 1, wait: 10m }
    after: { set: { level: to.level + 1 } }
    send: [ { text: Lesson 1 }, { text: Have fun. } ]
    then:
      - after: 1d
        if: to.level > 2
        send: 'Lesson {{ to.level }} on {{ now | date(\"UTC\", \"%F\") }}'
      - after: 3d
        unless_reply: Done
        send: [ { reply: Is it done? }, { markdown: '**{{ delivery.at | date(\"UTC\", \"%F\") }}**' } ]
      - at: body.ends
        send: Over.
  held:
    when: { manual: true }
    to: pupils
    quiet: 00:00-24:00
    send: Hush.
    then:
      - { after: 1d, cancel_if: to.level > 1, send: A question. }
      - { after: 2d, send: Another. }
";

/// The instant that a text tells.
fn instant(time: &Value) -> DateTime<Utc> {
    let read = time.as_str().and_then(|time| time.parse().ok());
    read.unwrap_or_else(|| panic!("{time}"))
}

/// A herald with pupils on the network: alice of level 1, bob of level 2.
async fn pupils(house: &House) -> Herald {
    let herald = house.start().await;
    for (name, level) in [("alice", "1"), ("bob", "2")] {
        person(name, herald.node()).await;
        let (wallet, level) = (address(name).to_string(), format!("level={level}"));
        let arguments = ["subscribers", "add", "series/pupils", &wallet, "--field", &level];
        house.run(&arguments).await.expect(0);
    }
    herald
}

#[tokio::test]
async fn each_follow_up_is_shown_as_it_would_be_when_it_is_due() {
    let house = House::of(SERIES);
    let herald = pupils(&house).await;
    let body = event(&house, &json!({ "ends": "2099-01-01T00:00:00Z" }));
    let arguments = ["preview", "series/lesson", "--event", &body, "--json"];
    let preview = house.run(&arguments).await.expect(0).json();
    assert_eq!(
        (&preview["approve"], &preview["canary"]),
        (&json!(true), &json!({ "first": 1, "wait": "10m" }))
    );
    let messages = preview["messages"].as_array().unwrap();
    let canary: Vec<&Value> = messages.iter().map(|message| &message["canary"]).collect();
    assert_eq!(canary, [&json!(true), &json!(true), &json!(false), &json!(false)]);

    // The steps stand with the first message; what the delivery changes is so when they are due.
    let (alices, bobs) = (of(&preview, "alice"), of(&preview, "bob"));
    assert_eq!(alices[1]["then"], json!([]));
    let steps = alices[0]["then"].as_array().unwrap();
    let numbers: Vec<&Value> = steps.iter().map(|step| &step["step"]).collect();
    assert_eq!(numbers, [&json!(1), &json!(2), &json!(3)]);
    let (first, second) = (instant(&steps[0]["due"]), instant(&steps[1]["due"]));
    assert_eq!(second - first, TimeDelta::days(2));
    // Delivered at once, as far as is known.
    let at_once = first - TimeDelta::days(1) - instant(&herald.ready()["at"]);
    assert!((0..300).contains(&at_once.num_seconds()), "{at_once}");
    let text = format!("Lesson 2 on {}", first.format("%F"));
    let message = &steps[0]["messages"][0];
    assert_eq!(
        [
            &message["outcome"],
            &message["reason"],
            &message["text"],
            &message["type"]
        ],
        [
            &json!("skipped"),
            &json!("`if` is false"),
            &json!(text),
            &json!("text")
        ]
    );
    assert!(message["bytes"].as_u64() > Some(20), "{message}");
    assert_eq!(
        [&steps[0]["after"], &steps[0]["unknown"]],
        [&json!("1d"), &json!(["whether `if` holds then"])]
    );
    let message = &bobs[0]["then"][0]["messages"][0];
    assert_eq!(
        [&message["outcome"], &message["reason"]],
        [&json!("sent"), &Value::Null]
    );
    let unknown = steps[1]["unknown"].as_array().unwrap();
    assert_eq!(unknown[0], "whether they answer `done` before, which ends it");
    assert!(
        unknown[1]
            .as_str()
            .unwrap()
            .starts_with("when and under which id"),
        "{unknown:?}"
    );
    let parts = steps[1]["messages"].as_array().unwrap();
    assert_eq!(
        [&parts[0]["type"], &parts[1]["type"]],
        [&json!("reply"), &json!("markdown")]
    );
    assert!(parts[0]["bytes"].as_u64() > Some(64), "{parts:?}");
    assert_eq!(
        parts[1]["text"],
        json!(format!("**{}**", (first - TimeDelta::days(1)).format("%F")))
    );
    assert_eq!(
        [
            &steps[2]["after"],
            &steps[2]["due"],
            &steps[2]["messages"][0]["text"]
        ],
        [&Value::Null, &json!("2099-01-01T00:00:00.000Z"), &json!("Over.")]
    );

    // Nothing of it happened.
    assert!(house.deliveries(&[]).await.is_empty());
    let pupils = house
        .run(&["subscribers", "list", "series/pupils", "--json"])
        .await
        .expect(0)
        .out;
    assert!(
        pupils.contains("\"level\":1") && pupils.contains("\"level\":2"),
        "{pupils}"
    );
}

#[tokio::test]
async fn people_are_told_what_is_not_known_yet_and_which_brakes_hold() {
    let house = House::of(SERIES);
    let _herald = pupils(&house).await;
    let body = event(&house, &json!({}));
    let shown = house
        .run(&["preview", "series/lesson", "--event", &body])
        .await
        .expect(0);
    for part in [
        "  text, ",
        ", canary\n    Lesson 1\n    then 1, 1d after it is delivered, ",
        "  skipped: `if` is false\n            Lesson 2 on ",
        "\n        not known yet: whether they answer `done` before, which ends it\n",
        "\n    then 3, never: its `at` is none\n",
    ] {
        assert!(shown.out.contains(part), "{part}\n{}", shown.out);
    }
    for part in [
        "nothing would go out before `herald broadcast approve series/lesson`\n",
        "1 of the wallets would get it first (canary), all others 10m later\n",
    ] {
        assert!(shown.talk.contains(part), "{part}\n{}", shown.talk);
    }
}

#[tokio::test]
async fn what_follows_a_held_message_is_due_later_and_what_comes_too_late_or_is_cancelled_says_so() {
    let house = House::of(SERIES);
    let _herald = pupils(&house).await;
    let preview = house
        .run(&["preview", "series/held", "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(
        (&preview["approve"], &preview["canary"]),
        (&json!(false), &Value::Null)
    );
    let (alices, bobs) = (of(&preview, "alice"), of(&preview, "bob"));
    let step = &alices[0]["then"][0];
    assert_eq!(
        instant(&step["due"]) - instant(&alices[0]["until"]),
        TimeDelta::days(1)
    );
    assert_eq!(step["messages"][0]["outcome"], "held");
    for (step, text) in [(0, "A question."), (1, "Another.")] {
        let message = &bobs[0]["then"][step]["messages"][0];
        assert_eq!(
            [&message["outcome"], &message["reason"], &message["text"]],
            [&json!("skipped"), &json!("`cancel_if` is true"), &json!(text)]
        );
    }

    let body = event(&house, &json!({ "ends": "2020-01-01T00:00:00Z" }));
    let late = ["preview", "series/lesson", "--event", &body, "--json"];
    let late = house.run(&late).await.expect(0).json();
    let message = &of(&late, "bob")[0]["then"][2]["messages"][0];
    assert_eq!(
        [&message["outcome"], &message["reason"]],
        [&json!("expired"), &json!("its ttl passed")]
    );
}
