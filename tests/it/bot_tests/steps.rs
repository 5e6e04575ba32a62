//! Steps of a test and what its expectations tell, each as the bot's author would write it.

use serde_json::Value;

use crate::harness::house::House;

const BOT: &str = "herald: 1
bot: press
identity: env:NO_SUCH_KEY
lists:
  readers:
    join: /subscribe <level:int>
    welcome: [{ markdown: '**Welcome**' }, { text: Good to see you. }]
    goodbye: Until soon.
rules:
  drop:
    when: { message: publish }
    to: readers
    approve: true
    canary: { first: 1, wait: 10m }
    send: The drop.
  kinds:
    when: { message: kinds }
    to: { wallet: message.from }
    consent: transactional
    send:
      - text: text
      - markdown: '**markdown**'
      - reply: reply
      - react: 👍
      - attach: map.png
      - remote: { file: poster.png, upload: media }
      - tx: { chain: base, hash: '\"0x1111111111111111111111111111111111111111111111111111111111111111\"' }
      - custom: { type: press.example/vote:1.0, content: yes, fallback: custom }
    then: [{ after: 1h, send: { markdown: '*later*' } }]
  upload:
    when: { message: upload }
    to: { wallet: message.from }
    consent: transactional
    send: { remote: { file: poster.png, upload: media } }
  echo:
    when: { message: any }
    to: { wallet: message.from }
    consent: transactional
    thread: 'of {{ message.from | short }}'
    send: '{{ message.type }} {{ message.text }}'
commands:
  /bold <what:int>: { reply: { markdown: '**{{ args.what }}**' } }
tests:
";

const PROJECT: &str = "herald: 1
uploads: { media: { s3: bucket/drops, public: https://media.example, key: env:NO_SUCH_KEY, secret: env:NO_SUCH_SECRET } }
";

/// What `herald test --json` tells of the only test.
async fn outcome(test: &str) -> Value {
    let house = House::of(&format!("{BOT}{test}"));
    std::fs::write(house.folder().join("herald.yaml"), PROJECT).unwrap();
    std::fs::write(house.folder().join("map.png"), b"a map").unwrap();
    let ended = house.run(&["test", "bot.yaml", "--json"]).await;
    let lines = ended.json_lines();
    assert_eq!(lines.len(), 1, "{ended:?}");
    lines[0].clone()
}

#[tokio::test]
async fn a_rule_that_awaits_approval_says_nothing_before_it_and_its_canary_waits() {
    let told = outcome(
        "  - name: approved
    given: { readers: [{ wallet: alice }, { wallet: bob }, { wallet: carol }] }
    do:
      - message: { from: erin, text: publish }
      - wait: 1h
      - approve: drop
      - wait: 9m
      - wait: 1m
    expect:
      - { to: erin, rule: echo }
      - { to: alice, rule: drop, time: 2026-01-01T01:10:00Z }
      - { to: bob, rule: drop, time: 2026-01-01T01:10:00Z }
      - { to: carol, rule: drop, time: 2026-01-01T01:00:00Z }
",
    )
    .await;
    // Who of them is the canary is told by the bytes of the wallets.
    let late = told["lines"].to_string().matches("2026-01-01T01:10:00Z)").count();
    let first = told["lines"].to_string().matches("2026-01-01T01:00:00Z)").count();
    assert_eq!(
        (late, first, told["messages"].as_u64()),
        (4, 2, Some(4)),
        "{told}"
    );
}

#[tokio::test]
async fn a_rule_that_is_run_is_approved_and_its_canary_waited_for() {
    let told = outcome(
        "  - name: run
    given: { readers: [{ wallet: alice }, { wallet: bob }] }
    do: [{ run: drop }]
    expect: [{ to: alice, text: The drop. }, { to: bob, text: The drop. }]
",
    )
    .await;
    assert_eq!(told["ok"], true, "{told}");
}

#[tokio::test]
async fn an_approval_that_nothing_awaits_fails_with_its_line() {
    let told = outcome("  - name: none\n    do:\n      - approve: drop\n    expect: []\n").await;
    assert_eq!(told["ok"], false);
    let problem = told["problems"][0].as_str().unwrap();
    assert!(
        problem.ends_with("bot.yaml:46: no broadcast of `drop` awaits approval"),
        "{problem}"
    );
}

#[tokio::test]
async fn every_key_of_send_is_told_as_it_is_written_and_files_are_given_or_the_bots() {
    let told = outcome(
        "  - name: kinds
    given: { files: { poster.png: a poster } }
    do:
      - message: { from: alice, text: kinds }
      - wait: 1h
    expect:
      - { to: alice, type: text, rule: echo }
      - { to: alice, type: text, rule: kinds }
      - { to: alice, type: markdown, text: '**markdown**' }
      - { to: alice, type: reply, text: reply }
      - { to: alice, type: react, text: 👍 }
      - { to: alice, type: attach, text: map.png }
      - { to: alice, type: remote, text: poster.png }
      - { to: alice, type: tx, text: '0x1111' }
      - { to: alice, type: custom, text: custom }
      - { to: alice, type: markdown, rule: kinds, text: '*later*', time: 2026-01-01T01:00:00Z }
",
    )
    .await;
    assert_eq!(told["ok"], true, "{told}");
}

#[tokio::test]
async fn an_upload_stays_in_the_test_and_waits_for_a_target_that_takes_none() {
    let told = outcome(
        "  - name: uploads
    given: { files: { poster.png: a poster } }
    do:
      - mock: { media: 503 }
      - message: { from: alice, text: upload }
      - wait: 5m
      - mock: { media: 200 }
      - wait: 1h
    expect:
      - { to: alice, rule: echo }
      - { to: alice, type: remote, text: poster.png }
",
    )
    .await;
    assert_eq!(told["ok"], true, "{told}");
    let waits = outcome(
        "  - name: uploads
    given: { files: { poster.png: a poster } }
    do:
      - mock: { media: 503 }
      - message: { from: alice, text: upload }
    expect:
      - { to: alice, rule: echo }
",
    )
    .await;
    let undelivered = waits["undelivered"][0].as_str().unwrap();
    assert!(
        undelivered.ends_with("upload target `media` answered with status 503, wanted 200 to 299"),
        "{undelivered}"
    );
}

#[tokio::test]
async fn answers_are_told_by_the_part_they_come_from() {
    let told = outcome(
        "  - name: answers
    do:
      - join: { list: readers, wallet: alice, level: 3 }
      - message: { from: alice, text: /subscribe high }
      - message: { from: alice, text: /bold 7 }
      - message: { from: alice, text: /bold x }
      - message: { from: alice, text: stop }
    expect:
      - { to: alice, rule: list:readers, type: markdown, text: '**Welcome**' }
      - { to: alice, rule: list:readers, type: text, text: Good to see you. }
      - { to: alice, rule: list:readers, type: text, text: 'Usage: /subscribe <level:int>' }
      - { to: alice, rule: command:/bold, type: markdown, text: '**7**' }
      - { to: alice, rule: command:/bold, type: text, text: 'Usage: /bold <what:int>' }
      - { to: alice, rule: list:readers, type: text, text: Until soon. }
",
    )
    .await;
    assert_eq!(told["ok"], true, "{told}");
}

#[tokio::test]
async fn replies_are_read_like_texts_reactions_and_receipts_are_not_and_threads_are_told() {
    let told = outcome(
        "  - name: messages
    do:
      - message: { from: alice, text: first }
      - message: { from: alice, text: second, type: reply }
      - message: { from: alice, text: 👍, type: react }
      - message: { from: alice, type: read_receipt }
    expect:
      - { to: alice, text: 'xmtp.org/text:1.0 first' }
      - { to: alice, text: 'xmtp.org/reply:1.0 second' }
",
    )
    .await;
    assert_eq!(told["ok"], true, "{told}");
    let other = outcome(
        "  - name: threads
    do: [{ message: { from: alice, text: first } }]
    expect: [{ to: alice, thread: of nobody }]
",
    )
    .await;
    let differs = other["lines"][0]["differs"].as_str().unwrap();
    assert!(differs.starts_with("thread is of 0x"), "{differs}");
    assert!(differs.ends_with(", expected of nobody"), "{differs}");
}

#[tokio::test]
async fn what_the_bot_has_no_use_for_is_said_at_its_place() {
    let tests = [
        (
            "given: { holders: [] }, do: []",
            "no rule of the bot writes to `holders`",
        ),
        ("do: [{ log: {} }]", "expected one rule and what the log says"),
    ];
    for (test, wanted) in tests {
        let house = House::of(&format!("{BOT}  - {{ name: useless, {test}, expect: [] }}\n"));
        std::fs::write(house.folder().join("herald.yaml"), PROJECT).unwrap();
        let ended = house.run(&["test", "bot.yaml"]).await.expect(1);
        assert!(ended.out.contains(wanted), "{test}: {}", ended.out);
    }
}

#[tokio::test]
async fn files_and_upload_targets_that_are_not_there_are_stood_in_for() {
    let house = House::of(
        "herald: 1
bot: press
identity: env:NO_SUCH_KEY
rules:
  drop:
    when: { manual: true }
    to: { wallet: alice.eth }
    consent: transactional
    send: [{ attach: art/map.png }, { remote: { file: poster.png, upload: media } }]
  team:
    when: { manual: true }
    to: { csv: team.csv }
    consent: transactional
    send: Hello!
tests:
  - name: without the files
    do: [{ run: drop }]
    expect: [{ to: alice.eth, type: attach }, { to: alice.eth, type: remote }]
  - name: a file of recipients is needed
    do: [{ run: team }]
    expect: [{ to: alice.eth, text: Hello! }]
",
    );
    let ended = house.run(&["test", "bot.yaml"]).await.expect(1);
    assert!(
        ended.out.contains("ok press: without the files (2 messages"),
        "{}",
        ended.out
    );
    assert!(
        ended.out.contains("FAILED press: a file of recipients is needed"),
        "{}",
        ended.out
    );
    for file in ["art/map.png", "poster.png"] {
        let said = format!("press: there is no file {file}; its tests send a text in its place");
        assert!(ended.talk.contains(&said), "{}", ended.talk);
    }
}
