//! Answers that a test gives in place of others: nothing outside is asked.

use std::net::TcpListener;

use serde_json::Value;

use crate::harness::house::House;

/// A bot whose audiences come from elsewhere: a source on this server, and a database that a secret names.
fn bot(server: &str, tests: &str) -> String {
    format!(
        "herald: 1
bot: sale
identity: env:NO_SUCH_KEY
defaults: {{ consent: any }}
sources:
  customers: {{ http: http://{server}/customers, auth: env:NO_SUCH_TOKEN, pick: body.people, next: body.next }}
rules:
  sale:
    when: {{ manual: true }}
    to: {{ source: customers, column: owner, where: row.points > 1 }}
    send: You have {{{{ to.points }}}} points.
  reminder:
    when: {{ manual: true }}
    to: {{ sql: SELECT wallet FROM late, url: env:NO_SUCH_URL }}
    send: \"{{{{ to.due }}}} is due.\"
tests:
{tests}"
    )
}

/// What `herald test --json` tells of the only test. Nobody asks the server.
async fn outcome(test: &str) -> Value {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let house = House::of(&bot(&server.local_addr().unwrap().to_string(), test));
    // What the project allows is no matter.
    let project = "herald: 1\nfetch: { allow: [127.0.0.1/32] }\n";
    std::fs::write(house.folder().join("herald.yaml"), project).unwrap();
    let ended = house.run(&["test", "bot.yaml", "--json"]).await;
    let lines = ended.json_lines();
    assert_eq!(lines.len(), 1, "{ended:?}");
    let asked = server.accept().map(|(_, from)| from);
    assert!(asked.is_err(), "the server was asked by {asked:?}");
    lines[0].clone()
}

#[tokio::test]
async fn a_mock_is_what_a_source_gives_until_it_is_replaced() {
    let told = outcome(
        "  - name: points
    do:
      - mock: { customers: [{ owner: alice, points: 3 }, { owner: bob, points: 1 }, { points: 9 }] }
      - run: sale
      - restart: true
      - run: sale
      - mock: { customers: [{ owner: bob, points: 2 }] }
      - run: sale
    expect:
      - { to: alice, text: You have 3 points. }
      - { to: alice, text: You have 3 points. }
      - { to: bob, text: You have 2 points. }
",
    )
    .await;
    assert_eq!(told["ok"], true, "{told}");
}

#[tokio::test]
async fn the_rows_of_a_query_are_mocked_by_the_name_of_its_rule() {
    let told = outcome(
        "  - name: late
    do:
      - mock: { reminder: [{ wallet: alice, due: Book 7 }] }
      - run: reminder
    expect: [{ to: alice, text: Book 7 is due. }]
",
    )
    .await;
    assert_eq!(told["ok"], true, "{told}");
}

#[tokio::test]
async fn a_call_that_is_not_mocked_fails_once_and_says_what_to_write() {
    for (rule, what) in [("sale", "source `customers`"), ("reminder", "the query")] {
        let told = outcome(&format!(
            "  - {{ name: forgotten, do: [{{ run: {rule} }}, {{ wait: 1h }}], expect: [] }}\n"
        ))
        .await;
        assert_eq!(told["ok"], false, "{told}");
        let problems = told["problems"].as_array().unwrap();
        let name = if rule == "sale" { "customers" } else { "reminder" };
        let wanted = format!(
            "error: {rule}: its audience cannot be read: {what}: it is not mocked; put the step `mock: {{ {name}: [{{ wallet: alice }}] }}` before this one"
        );
        assert_eq!(problems.as_slice(), [wanted], "{told}");
    }
}

#[tokio::test]
async fn a_mock_that_nobody_used_fails_with_its_line() {
    let told = outcome(
        "  - name: unused
    do:
      - mock: { customers: [{ owner: alice, points: 3 }] }
      - mock: { customers: [{ owner: bob, points: 3 }], reminder: [] }
      - run: sale
    expect: [{ to: bob, text: 3 points }]
",
    )
    .await;
    assert_eq!(told["ok"], false, "{told}");
    let problems: Vec<&str> = told["problems"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        matches!(problems.as_slice(), [first, second]
            if first.ends_with("bot.yaml:19: nobody asked for the mock of `customers`; leave it out")
                && second.ends_with("bot.yaml:20: nobody asked for the mock of `reminder`; leave it out")),
        "{told}"
    );
}

/// A bot that writes to the holders of two tokens.
const HOLDERS: &str = "herald: 1
bot: tokens
identity: env:NO_SUCH_KEY
defaults: { consent: any }
rules:
  coins:
    when: { manual: true }
    to: { holders: { chain: ethereum, token: 0x1111111111111111111111111111111111111111, min: 10 }, where: to.balance < 100 }
    send: \"{{ to.balance }} coins\"
  ticket:
    when: { manual: true }
    to: { holders: { chain: ethereum, token: 0x2222222222222222222222222222222222222222, id: 7 } }
    send: \"{{ to.balance }} of ticket 7\"
tests:
";

#[tokio::test]
async fn holders_are_given_by_token_and_filtered_as_on_chain() {
    let tests = "  - name: both
    given:
      holders:
        0x1111111111111111111111111111111111111111:
          - { wallet: alice, balance: 10 }
          - { wallet: bob, balance: 9 }
          - { wallet: carol, balance: 60 }
          - { wallet: carol, balance: 40 }
        0x2222222222222222222222222222222222222222:
          - { wallet: alice, id: 8 }
          - { wallet: bob, id: 7, balance: 3 }
          - { wallet: carol }
    do: [{ run: coins }, { run: ticket }]
    expect:
      - { to: alice, text: 10 coins }
      - { to: bob, text: 3 of ticket 7 }
      - { to: carol, text: 1 of ticket 7 }
";
    let house = House::of(&format!("{HOLDERS}{tests}"));
    let told = house.run(&["test", "bot.yaml", "--json"]).await.json_lines();
    assert_eq!(told[0]["ok"], true, "{told:?}");
    let tests = "  - name: none
    given: { holders: { 0x1111111111111111111111111111111111111111: [{ wallet: alice, balance: 10 }] } }
    do: [{ run: ticket }]
    expect: []
";
    let house = House::of(&format!("{HOLDERS}{tests}"));
    let told = house.run(&["test", "bot.yaml", "--json"]).await.json_lines();
    assert_eq!(told[0]["ok"], false, "{told:?}");
    let said = told[0].to_string();
    assert!(
        said.contains("the holders of 0x2222222222222222222222222222222222222222 are not given"),
        "{said}"
    );
}
