//! `herald test`: what a test in a bot's file shows, how it fails, and what it leaves behind.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::house::House;

mod callbacks;
mod flows;
mod mocks;
mod steps;

/// A bot with a webhook, commands, a schedule and a list, and these tests.
fn bot(tests: &str) -> String {
    format!(
        "herald: 1
bot: shop
identity: env:NO_SUCH_KEY
lists:
  readers: {{ join: /subscribe <topic:word=all>, welcome: \"Hello, {{{{ sub.topic }}}}.\" }}
rules:
  order:
    when:
      webhook: /orders
      verify: {{ scheme: standard-webhooks, secret: env:NO_SUCH_SECRET }}
      body: {{ id: text, wallet: wallet, total: decimal, note: optional text }}
    to: {{ wallet: body.wallet }}
    key: [body.id]
    consent: transactional
    send: Order {{{{ body.id }}}} is {{{{ body.total | usd }}}}.
  morning:
    when: {{ cron: 0 9 * * *, tz: Europe/Paris }}
    to: readers
    send: Good morning.
  news:
    when: {{ manual: true }}
    to: readers
    limit: 1/day
    send: [{{ text: News. }}, {{ text: More news. }}]
commands:
  /add <a:decimal> <b:decimal>: {{ reply: \"{{{{ args.a + args.b }}}}\" }}
tests:
{tests}"
    )
}

/// Runs `herald test` on a bot with these tests; no secret of it is set.
async fn run(tests: &str, arguments: &[&str], code: i32) -> (House, String, String) {
    let house = House::of(&bot(tests));
    let ended = house
        .run(&[&["test", "bot.yaml"], arguments].concat())
        .await
        .expect(code);
    (house, ended.out, ended.talk)
}

/// What `herald test --json` tells of the only test.
async fn outcome(test: &str) -> Value {
    let house = House::of(&bot(test));
    let ended = house.run(&["test", "bot.yaml", "--json"]).await;
    let lines = ended.json_lines();
    assert_eq!(lines.len(), 1, "{ended:?}");
    lines[0].clone()
}

fn read(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("bot.yaml")).unwrap()
}

#[tokio::test]
async fn a_test_plays_messages_webhooks_time_and_restarts_without_secrets() {
    let tests = r#"
  - name: everything
    given: { now: 2026-11-20T00:00:00Z, readers: [{ wallet: carol, tz: Asia/Tokyo }] }
    do:
      - message: { from: alice, text: /subscribe art }
      - join: { list: readers, wallet: bob }
      - webhook: { order: { id: 7, wallet: alice, total: 42 } }
      - restart: true
      - webhook: { order: { id: 7, wallet: alice, total: 42 } }
      - webhook: { order: { id: 8, wallet: alice, total: 1 } }
        signature: wrong
        answer: 401
      - { webhook: { order: { id: 9, wallet: nobody } }, answer: 400 }
      - message: { from: alice, text: /add 1.5 2 }
      - message: { from: bob, text: stop }
      - wait: 8h
    expect:
      - { to: alice, text: "Hello, art.", rule: list:readers, type: text }
      - { to: alice, text: Order 7 is $42.00, rule: order, time: 2026-11-20T00:00:00Z }
      - { to: alice, text: "3.5", rule: command:/add }
      - { to: alice, text: Good morning, time: 2026-11-20T08:00:00Z }
      - { to: bob, text: "Hello, all." }
      - { to: bob, text: I will not write to you }
      - { to: carol, text: Good morning, time: 2026-11-20T08:00:00Z }
"#;
    let (_, out, talk) = run(tests, &[], 0).await;
    assert!(
        out.starts_with("ok shop: everything (7 messages, "),
        "{out}{talk}"
    );
    assert!(out.ends_with("1 test, 0 failed\n"), "{out}");
}

#[tokio::test]
async fn one_message_more_or_less_or_another_one_fails_and_is_shown_beside_what_was_expected() {
    let tests = r"
  - name: wrong
    do:
      - webhook: { order: { id: 1, wallet: alice, total: 1 } }
      - webhook: { order: { id: 2, wallet: alice, total: 2 } }
      - webhook: { order: { id: 3, wallet: bob, total: 3 } }
    expect:
      - { to: alice, text: Order 1 }
      - { to: alice, text: Order 2, time: 2026-01-01T00:01:00Z }
      - { to: carol, text: Order 4 }
";
    let (_, out, _) = run(tests, &[], 1).await;
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    assert!(lines[0].starts_with("FAILED shop: wrong (3 messages, "), "{out}");
    let shown = |mark: &str, expected: &str, received: &str| {
        let fits = |line: &&&str| {
            line.trim_start().starts_with(mark) && line.contains(expected) && line.contains(received)
        };
        assert!(
            lines.iter().any(|line| fits(&line)),
            "{mark} {expected} {received}\n{out}"
        );
    };
    shown(
        "=",
        "alice: Order 1",
        "alice: Order 1 is $1.00. (order, text, 2026-01-01T00:00:00Z)",
    );
    shown(
        "!",
        "alice: Order 2 (2026-01-01T00:01:00Z)",
        "alice: Order 2 is $2.00.",
    );
    shown(
        "^",
        "time is 2026-01-01T00:00:00Z",
        "expected 2026-01-01T00:01:00Z",
    );
    shown("-", "carol: Order 4", "");
    shown("+", "", "bob: Order 3 is $3.00.");
}

#[tokio::test]
async fn a_step_that_does_not_do_what_it_says_fails_with_its_line() {
    let test = r#"
  - name: answers
    do:
      - webhook: { order: { id: "1", wallet: alice, total: 1 } }
        answer: 401
    expect: [{ to: alice, text: Order 1 }]
"#;
    let told = outcome(test).await;
    assert_eq!(told["ok"], false);
    let problem = told["problems"][0].as_str().unwrap();
    assert!(
        problem.contains("bot.yaml:31: the webhook answered 202, expected 401"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_row_that_was_not_delivered_is_named_by_its_state() {
    let test = r"
  - name: the second time on one day waits
    given: { readers: [{ wallet: alice }] }
    do: [{ run: news }, { run: news }]
    expect:
      - { to: alice, text: News. }
      - { to: alice, text: More news. }
      - { to: alice, rule: news, state: held }
      - { to: alice, rule: news, state: held }
";
    let told = outcome(test).await;
    assert_eq!(told["ok"], true, "{told}");
    let wrong = outcome(&test.replace("held", "skipped")).await;
    assert_eq!(wrong["ok"], false);
    let undelivered = wrong["undelivered"][0].as_str().unwrap();
    assert!(undelivered.starts_with("news held to 0x"), "{undelivered}");
    assert!(undelivered.ends_with("over the limit of 1/1d"), "{undelivered}");
}

#[tokio::test]
async fn a_rule_that_wrote_to_nobody_says_why() {
    let test = r"
  - name: nobody reads
    do: [{ run: news }]
    expect: [{ to: alice, text: News. }]
";
    let told = outcome(test).await;
    assert_eq!(told["ok"], false);
    assert_eq!(told["undelivered"], json!(["news skipped: `to` names no wallet"]));
}

#[tokio::test]
async fn a_test_may_change_the_file_and_what_fires_at_a_start_fires_again() {
    let text = bot(r"
  - name: reloads
    given:
      readers: [{ wallet: alice }]
      files:
        next.yaml: |
          herald: 1
          bot: shop
          identity: env:NO_SUCH_KEY
          lists: { readers: { join: /subscribe } }
          rules:
            hello: { when: { started: true }, to: readers, send: A new file. }
    do: [{ reload: next.yaml }, { restart: true }]
    expect: [{ to: alice, text: A new file. }]
");
    let house = House::of(&text);
    house.run(&["test", "bot.yaml"]).await.expect(0);
}

#[tokio::test]
async fn update_writes_what_arrived_and_keeps_every_other_byte() {
    let tests = r#"
  # what a shop says
  - name: block   # kept
    do:
      - webhook: { order: { id: 1, wallet: alice, total: 1 } }
      - webhook: { order: { id: 2, wallet: alice, total: 2 } }
    expect:
      - { to: alice, text: Order 1 }   # fits
      - { to: bob, text: gone }
    # behind it
  - { name: flow, do: [{ message: { from: bob, text: /add 1 2 } }], expect: [] }   # flow
  - name: right
    do: []
    expect: []
  - name: empty
    do: [{ message: { from: bob, text: "/add 1" } }]
    expect: []
"#;
    let (house, out, _) = run(tests, &["--update"], 0).await;
    assert!(out.contains("updated shop: block (2 messages, "), "{out}");
    assert!(out.contains("ok shop: right (0 messages, "), "{out}");
    assert!(out.ends_with("4 tests, 0 failed, 3 updated\n"), "{out}");
    let expected = bot(r#"
  # what a shop says
  - name: block   # kept
    do:
      - webhook: { order: { id: 1, wallet: alice, total: 1 } }
      - webhook: { order: { id: 2, wallet: alice, total: 2 } }
    expect:
      - { to: alice, text: Order 1 }
      - { to: alice, text: Order 2 is $2.00. }
    # behind it
  - { name: flow, do: [{ message: { from: bob, text: /add 1 2 } }], expect: [{ to: bob, text: 3 }] }   # flow
  - name: right
    do: []
    expect: []
  - name: empty
    do: [{ message: { from: bob, text: "/add 1" } }]
    expect:
      - { to: bob, text: "Usage: /add <a:decimal> <b:decimal>
"#);
    let (expected, read) = (expected.trim_end(), read(house.folder()));
    assert!(read.starts_with(expected), "{read}\n---\n{expected}");
    let again = house.run(&["test", "bot.yaml"]).await.expect(0);
    assert!(again.out.ends_with("4 tests, 0 failed\n"), "{}", again.out);
}

#[tokio::test]
async fn junit_tells_every_test_and_why_one_failed() {
    let tests = r#"
  - { name: "right & <good>", do: [], expect: [] }
  - { name: wrong, do: [], expect: [{ to: alice, text: "a \"b\"" }] }
"#;
    let (house, _, _) = run(tests, &["--junit", "out.xml"], 1).await;
    let xml = std::fs::read_to_string(house.folder().join("out.xml")).unwrap();
    for part in [
        "<testsuite name=\"shop\" file=\"bot.yaml\" tests=\"2\" failures=\"1\"",
        "<testcase classname=\"shop\" name=\"right &amp; &lt;good&gt;\"",
        "<failure message=\"1 of 1 messages are not as expected\">",
        "alice: a &quot;b&quot;",
    ] {
        assert!(xml.contains(part), "{part}\n{xml}");
    }
}

#[tokio::test]
async fn a_file_with_a_mistake_or_without_tests_is_said() {
    let (_, out, _) = run("  - { name: a, do: [{ run: nwes }], expect: [] }", &[], 1).await;
    assert!(out.contains("E106: there is no rule `nwes`"), "{out}");
    assert!(out.contains("hint: did you mean `news`?"), "{out}");
    let house = House::of("herald: 1\nbot: quiet\nidentity: env:BOT_KEY\n");
    let ended = house.run(&["test", "bot.yaml"]).await.expect(2);
    assert!(ended.talk.contains("no bot here has `tests:`"), "{}", ended.talk);
}

#[tokio::test]
async fn json_tells_a_test_in_one_object() {
    let told = outcome("  - { name: right, do: [{ message: { from: bob, text: /add 1 2 } }], expect: [{ to: bob, text: 3 }] }").await;
    assert_eq!(
        (
            &told["bot"],
            &told["test"],
            &told["ok"],
            &told["messages"],
            &told["file"]
        ),
        (
            &json!("shop"),
            &json!("right"),
            &json!(true),
            &json!(1),
            &json!("bot.yaml")
        )
    );
    assert_eq!(told["lines"][0]["expected"], "bob: 3");
}

#[tokio::test]
async fn a_long_time_passes_at_once_and_every_instant_of_it_happens() {
    let mornings: Vec<String> = (1..=30)
        .map(|day| format!("      - {{ to: alice, text: Good morning, time: 2026-06-{day:02}T07:00:00Z }}\n"))
        .collect();
    let test = format!(
        "  - name: a month\n    given: {{ now: 2026-06-01T00:00:00Z, readers: [{{ wallet: alice }}] }}\n    do: [{{ wait: 30d }}]\n    expect:\n{}",
        mornings.concat()
    );
    let told = outcome(&test).await;
    assert_eq!(told["ok"], true, "{told}");
}
