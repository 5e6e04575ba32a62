//! Manual rules: for whoever holds the token, once a key.

use serde_json::{Value, json};

use crate::harness::{
    house::{Herald, House},
    people::person,
    web::http,
};

const BOT: &str = "herald: 1
bot: desk
identity: env:BOT_KEY
defaults: { consent: transactional }
rules:
  note:
    when: { manual: true }
    to: { wallet: body.wallet }
    send: \"{{ body.text }}\"
  greeting:
    when: { message: hi }
    to: { wallet: message.from }
    send: hi
";

/// Posts to the API; gives the status and the answer.
async fn post(herald: &Herald, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
    let mut request = http().post(format!("{}/v1/bots/{path}", herald.api()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.body(body.to_owned()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn the_holder_of_the_token_fires_a_rule_and_an_idempotency_key_fires_it_once() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let token = format!("Bearer {}", herald.token());
    let authorised = ("authorization", token.as_str());
    let body = |text: &str| json!({ "wallet": alice.address().to_string(), "text": text }).to_string();

    let keyed = [authorised, ("idempotency-key", "monday")];
    for text in ["first", "first", "another text, the same key"] {
        let (status, answer) = post(&herald, "desk/rules/note", &keyed, &body(text)).await;
        assert_eq!(
            (status, &answer["occurrence"]),
            (202, &json!("monday")),
            "{answer}"
        );
    }
    // Without a key each request is its own.
    let mut occurrences = Vec::new();
    for _ in 0..2 {
        let (status, answer) = post(&herald, "desk/rules/note", &[authorised], &body("again")).await;
        assert_eq!(status, 202, "{answer}");
        occurrences.push(answer["occurrence"].clone());
    }
    assert_ne!(occurrences[0], occurrences[1]);
    alice.reads(herald.address(), &["first", "again", "again"]).await;
    assert_eq!(house.occurrences(), 3);
}

/// The status, then the request: path, headers, body.
type Case<'a> = (u16, &'a str, &'a [(&'a str, &'a str)], &'a str);

#[tokio::test]
async fn what_the_api_refuses_fires_nothing() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let token = format!("Bearer {}", herald.token());
    let authorised = ("authorization", token.as_str());
    let longer = format!("{token}0");
    let long = "k".repeat(256);
    let body = json!({ "wallet": "0x0000000000000000000000000000000000000001", "text": "x" }).to_string();
    let token_alone = herald.token();
    let cases: &[Case<'_>] = &[
        (401, "desk/rules/note", &[], &body),
        (401, "desk/rules/note", &[("authorization", &longer)], &body),
        (401, "desk/rules/note", &[("authorization", &token_alone)], &body),
        // Without the token not even names are told.
        (401, "other/rules/note", &[], &body),
        (404, "other/rules/note", &[authorised], &body),
        (404, "desk/rules/other", &[authorised], &body),
        (409, "desk/rules/greeting", &[authorised], &body),
        (400, "desk/rules/note", &[authorised], "{"),
        (
            400,
            "desk/rules/note",
            &[authorised, ("idempotency-key", "")],
            &body,
        ),
        (
            400,
            "desk/rules/note",
            &[authorised, ("idempotency-key", &long)],
            &body,
        ),
    ];
    for (status, path, headers, body) in cases {
        let (found, answer) = post(&herald, path, headers, body).await;
        assert_eq!(found, *status, "{path} {answer}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    assert_eq!(house.occurrences(), 0);
}
