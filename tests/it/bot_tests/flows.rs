//! Flows in tests: a file that would lose what is kept is refused as a running bot refuses it, and what is posted is told.

use serde_json::{Value, json};

use crate::harness::house::House;

const BOT: &str = "herald: 1
bot: desk
identity: env:NO_SUCH_KEY
lists: { readers: { join: /subscribe, fields: { level: int } } }
tables: { notes: { columns: { size: int } } }
flows:
  support:
    when: { message: begin }
    start: choose
    states:
      choose: { say: Which?, go: { on: human } }
      human:
        say: One moment.
        forward: { wallets: [ana.eth] }
        escalate: { after: 1h, wallets: [lead.eth], post: https://hooks.example/desk }
";

/// What `herald test --json` tells of a test in which the bot's file becomes this one while somebody is asked.
async fn reloaded(next: &str) -> Value {
    let next = next.trim_end().replace('\n', "\n          ");
    let test = format!(
        "tests:
  - name: reloads
    given:
      files:
        next.yaml: |
          {next}
    do:
      - message: {{ from: alice, text: begin }}
      - reload: next.yaml
      - message: {{ from: alice, text: \"on\" }}
      - wait: 2h
    expect:
      - {{ to: alice, text: Which? }}
      - {{ to: alice, text: moment }}
      - {{ to: ana.eth, text: '#1: on' }}
      - {{ to: lead.eth, text: nobody has answered }}
"
    );
    let ended = House::of(&format!("{BOT}{test}"))
        .run(&["test", "bot.yaml", "--json"])
        .await;
    ended.json_lines().remove(0)
}

#[tokio::test]
async fn a_reload_that_loses_a_state_or_changes_a_type_is_refused_with_the_way_out() {
    for (changes, why, way_out) in [
        (
            &[("choose:", "ask_size:"), ("start: choose", "start: ask_size")][..],
            "the state `choose` of `support` is gone, and 1 person is in it",
            "keep it until they are through",
        ),
        (
            &[("size: int", "size: text")],
            "rows of `notes` keep `size` as int, which is not text",
            "give the new column another name",
        ),
        (
            &[("level: int", "level: text")],
            "members of `readers` keep `level` as int, which is not text",
            "give the new field another name",
        ),
        (
            &[("bot: desk", "bot: other")],
            "a running bot keeps its name, `desk`",
            "restart herald to run it as another bot",
        ),
    ] {
        let mut next = BOT.to_owned();
        for (from, to) in changes {
            assert!(next.contains(from), "{from}");
            next = next.replace(from, to);
        }
        let told = reloaded(&next).await;
        let problems = told["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 1, "{told}");
        let problem = problems[0].as_str().unwrap();
        assert!(problem.contains("the file is not taken:\n"), "{problem}");
        assert!(problem.contains(why) && problem.contains(way_out), "{problem}");
        // The old file went on.
        let lines = told["lines"].as_array().unwrap();
        let is_right = |line: &Value| !line["received"].is_null() && line["differs"].is_null();
        assert!(lines.len() == 4 && lines.iter().all(is_right), "{told}");
    }
}

#[tokio::test]
async fn a_reload_that_keeps_the_states_is_taken_and_what_a_flow_posts_is_told() {
    let told = reloaded(&BOT.replace("One moment.", "A moment.")).await;
    assert_eq!(told["ok"], true, "{told}");
    let posts = told["callbacks"].as_array().unwrap();
    assert_eq!(posts.len(), 1, "{told}");
    assert_eq!(
        (&posts[0]["rule"], &posts[0]["event"], &posts[0]["state"]),
        (&json!("flow:support"), &json!("escalated"), &json!("done"))
    );
    assert_eq!(posts[0]["body"]["case"], 1, "{told}");
}

#[tokio::test]
async fn what_a_flow_posts_is_answered_as_the_test_says_and_posted_again_until_it_is_taken() {
    let test = "tests:
  - name: the desk is away
    do:
      - mock: { support.post: 503 }
      - message: { from: alice, text: begin }
      - message: { from: alice, text: \"on\" }
      - wait: 61m
      - mock: { support.post: 204 }
      - wait: 1h
    expect:
      - { to: alice, text: Which? }
      - { to: alice, text: moment }
      - { to: ana.eth, text: '#1: on' }
      - { to: lead.eth, text: nobody has answered }
";
    let house = House::of(&format!("{BOT}{test}"));
    let told = house
        .run(&["test", "bot.yaml", "--json"])
        .await
        .json_lines()
        .remove(0);
    assert_eq!(told["ok"], true, "{told}");
    let posts = told["callbacks"].as_array().unwrap();
    let states: Vec<&str> = posts.iter().map(|post| post["state"].as_str().unwrap()).collect();
    let (last, before) = states.split_last().unwrap();
    assert_eq!(*last, "done", "{told}");
    assert!(
        !before.is_empty() && before.iter().all(|state| *state == "waiting"),
        "{told}"
    );
}
