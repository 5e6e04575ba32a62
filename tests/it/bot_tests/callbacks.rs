//! Callbacks in tests of a bot: made as ever, answered by the test, and held against what it expects.

use std::net::TcpListener;

use herald::bot::testing::wallet;
use serde_json::{Value, json};

use crate::harness::house::House;

/// A bot whose rule calls this server back, in a project that lets it.
fn house(server: &str, tests: &str) -> House {
    let house = House::of(&format!(
        "herald: 1
bot: shop
identity: env:NO_SUCH_KEY
defaults: {{ retry: {{ from: 1m, to: 1m }} }}
lists: {{ people: {{ join: /join }} }}
rules:
  order:
    when: {{ manual: true }}
    to: people
    ttl: 1h
    send: \"Order.{{% if to.name == 'odd' %}}{{{{ 1 / 0 }}}}{{% endif %}}\"
    callback: {{ url: \"http://{server}/told\", sign: env:NO_SUCH_SECRET }}
tests:
{tests}"
    ));
    let project = "herald: 1\nfetch: { allow: [127.0.0.1/32] }\n";
    std::fs::write(house.folder().join("herald.yaml"), project).unwrap();
    house
}

/// What `herald test --json` tells of the tests. Nobody asks the server.
async fn outcomes(tests: &str) -> Vec<Value> {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let house = house(&server.local_addr().unwrap().to_string(), tests);
    let ended = house.run(&["test", "bot.yaml", "--json"]).await;
    let asked = server.accept().map(|(_, from)| from);
    assert!(asked.is_err(), "the server was asked by {asked:?}");
    ended.json_lines()
}

#[tokio::test]
async fn a_callback_is_made_as_ever_and_answered_by_the_test() {
    let told = outcomes(
        "  - name: all of it
    given: { people: [{ wallet: alice }, { wallet: bob, name: odd }] }
    do:
      - run: order
      - message: { from: alice, text: thanks }
      - message: { from: alice, text: thanks again }
    expect:
      - { to: alice, text: Order. }
      - { to: alice, rule: order, callback: delivered }
      - { to: alice, callback: replied }
      - { to: bob, state: rejected }
      - { to: bob, callback: rejected, state: done }
",
    )
    .await
    .remove(0);
    assert_eq!(told["ok"], true, "{told}");
    let callbacks = told["callbacks"].as_array().unwrap();
    let of = |event: &str| {
        let mut found = callbacks.iter().filter(|callback| callback["event"] == event);
        found.next().unwrap()
    };
    assert_eq!(callbacks.len(), 3, "{told}");
    let delivered = of("delivered");
    assert_eq!(
        [&delivered["state"], &delivered["reason"], &delivered["tries"]],
        [&json!("done"), &Value::Null, &json!(1)]
    );
    let body = &delivered["body"];
    assert_eq!(
        *body,
        json!({
            "event": "delivered", "bot": "shop", "rule": "order", "delivery": body["delivery"],
            "wallet": wallet("alice").address().to_string(), "envelope": body["envelope"],
            "at": "2026-01-01T00:00:00.000Z", "reason": null,
        })
    );
    assert!(
        body["delivery"].is_i64() && body["envelope"].is_string(),
        "{body}"
    );
    assert_eq!(of("replied")["body"]["delivery"], body["delivery"]);
    let reason = of("rejected")["body"]["reason"].as_str().unwrap();
    assert!(reason.contains("division by zero"), "{reason}");
}

#[tokio::test]
async fn one_that_is_refused_is_tried_again_on_the_virtual_clock_until_its_time_is_over() {
    let tests = "  - name: told later
    given: { people: [{ wallet: alice }] }
    do:
      - mock: { order.callback: 503 }
      - run: order
      - wait: 5m
      - restart: true
      - mock: { order.callback: 204 }
      - wait: 5m
    expect: [{ to: alice, text: Order. }, { to: alice, callback: delivered }]
  - name: tried still
    given: { people: [{ wallet: alice }] }
    do: [{ mock: { order.callback: 503 } }, { run: order }, { wait: 5m }]
    expect: [{ to: alice, text: Order. }, { to: alice, callback: delivered, state: waiting }]
  - name: given up
    given: { people: [{ wallet: alice }] }
    do: [{ mock: { order.callback: 503 } }, { run: order }, { wait: 2h }]
    expect: [{ to: alice, text: Order. }, { to: alice, callback: delivered, state: dead }]
  - name: gone
    given: { people: [{ wallet: alice }] }
    do: [{ mock: { order.callback: 410 } }, { run: order }]
    expect: [{ to: alice, text: Order. }, { to: alice, callback: delivered, state: dead }]
";
    let told = outcomes(tests).await;
    // A wait is a minute, give or take a fifth of it.
    let tries = [6..=8, 5..=7, 50..=77, 1..=1];
    let reasons = [
        None,
        Some("it was answered with 503"),
        Some("it was answered with 503"),
        Some("it was answered with 410: gone"),
    ];
    assert_eq!(told.len(), tries.len(), "{told:#?}");
    for ((told, tries), reason) in told.iter().zip(tries).zip(reasons) {
        assert_eq!(told["ok"], true, "{told}");
        let [callback] = told["callbacks"].as_array().unwrap().as_slice() else {
            panic!("{told}")
        };
        assert!(tries.contains(&callback["tries"].as_u64().unwrap()), "{callback}");
        let why = callback["reason"].as_str();
        let is_why = why
            .zip(reason)
            .is_some_and(|(why, reason)| why.starts_with(reason));
        assert!(is_why || why == reason, "{callback}");
    }
}

#[tokio::test]
async fn one_that_is_not_as_expected_fails_and_all_of_them_are_shown() {
    let tests = "  - name: wrong
    given: { people: [{ wallet: alice }] }
    do:
      - mock: { order.callback: 503 }
      - run: order
    expect: [{ to: alice, text: Order. }, { to: alice, rule: order, callback: delivered }, { to: bob, callback: delivered, state: waiting }]
  - name: unused
    do: [{ mock: { order.callback: 503 } }]
    expect: []
";
    let house = house("127.0.0.1:9999", tests);
    let out = house.run(&["test", "bot.yaml"]).await.expect(1).out;
    let shown = format!(
        "  callback: order delivered to {}: waiting, it was answered with 503, wanted 200 to 299\n",
        wallet("alice").address()
    );
    for part in [
        "    - alice: callback delivered: done (order)\n",
        "    - bob: callback delivered: waiting\n",
        &shown,
        "bot.yaml:21: nobody asked for the mock of `order.callback`; leave it out\n",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    // What is not there is not written; what is there stays.
    let tests = "  - name: kept
    given: { people: [{ wallet: alice }] }
    do: [{ mock: { order.callback: 410 } }, { run: order }]
    expect:
      - { to: alice, callback: delivered, state: dead }
      - { to: alice, rule: order, callback: replied }
";
    let house = self::house("127.0.0.1:9999", tests);
    house.run(&["test", "bot.yaml", "--update"]).await.expect(0);
    let written = std::fs::read_to_string(house.folder().join("bot.yaml")).unwrap();
    let expect = "    expect:
      - { to: alice, text: Order. }
      - { to: alice, callback: delivered, state: dead }
";
    assert!(written.ends_with(expect), "{written}");
    house.run(&["test", "bot.yaml"]).await.expect(0);
}

#[tokio::test]
async fn what_a_file_does_not_tell_any_more_is_given_up_by_a_reload() {
    let told = outcomes(
        "  - name: reloads
    given:
      people: [{ wallet: alice }]
      files:
        next.yaml: |
          herald: 1
          bot: shop
          identity: env:NO_SUCH_KEY
          lists: { people: { join: /join } }
          rules:
            order: { when: { manual: true }, to: people, send: Order. }
    do: [{ mock: { order.callback: 500 } }, { run: order }, { reload: next.yaml }, { wait: 1h }]
    expect: [{ to: alice, text: Order. }, { to: alice, callback: delivered, state: dead }]
",
    )
    .await
    .remove(0);
    assert_eq!(told["ok"], true, "{told}");
    let callback = &told["callbacks"][0];
    assert_eq!(
        [&callback["reason"], &callback["tries"]],
        [&json!("the rule has no `callback` now"), &json!(1)]
    );
}
