//! Joining by web: the wallet's signature is the proof, kept, and carried in the invitation of the first conversation.

use herald_protocol::{
    address::Address,
    consent::{ConsentProof, consent_proof_text},
    time::TimestampNs,
};
use serde_json::{Value, json};

use crate::harness::{
    house::{Herald, House},
    people::{address, now, person, wallet},
    web::http,
};

const BOT: &str = "herald: 1
bot: paper
identity: env:BOT_KEY
lists:
  readers:
    join: /subscribe <topic:news|art> <age:int>
    confirm: signature
    fields: { age: { min: 18, max: 150 }, site: optional text }
    welcome: \"Welcome to {{ list }}: {{ sub.topic }}, {{ sub.age }}, {{ sub.tz }}\"
  open: {}
rules:
  hello:
    when: { joined: readers }
    to: { wallet: sub.wallet }
    send: \"joined {{ list }}\"
  gone:
    when: { left: readers }
    to: { wallet: vars.operator }
    consent: transactional
    send: \"left: {{ sub.topic }} {{ list }}\"
  note:
    when: { manual: true }
    to: { wallet: body.wallet }
    send: \"{{ body.text }}\"
";

fn house() -> House {
    House::of(&format!("{BOT}vars: {{ operator: {} }}\n", address("operator")))
}

async fn ask(herald: &Herald, method: &str, path: &str, body: Option<Value>, token: bool) -> (u16, Value) {
    let url = format!("{}/v1/bots/paper/{path}", herald.api());
    let mut request = http().request(method.parse().unwrap(), url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    if token {
        request = request.bearer_auth(herald.token());
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

async fn join(herald: &Herald, body: Value) -> (u16, Value) {
    ask(herald, "POST", "lists/readers/members", Some(body), false).await
}

/// A join that a wallet signs now, or at another time.
fn signed(name: &str, sender: Address, at: TimestampNs) -> Value {
    let proof = ConsentProof::sign(&wallet(name), sender, at);
    json!({
        "wallet": address(name).to_string(),
        "signature": proof.signature,
        "timestamp": proof.timestamp_ms,
        "fields": { "topic": "art", "age": 30, "tz": "Europe/Lisbon" },
    })
}

#[tokio::test]
async fn a_signed_join_is_welcomed_and_its_proof_travels_in_the_first_invitation() {
    let house = house();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    // The text as a page asks for it, signed as a wallet signs.
    let path = format!("lists/readers/consent-text?wallet={}", alice.address());
    let (status, asked) = ask(&herald, "GET", &path, None, false).await;
    assert_eq!(
        (status, &asked["sender"]),
        (200, &json!(bot.to_string())),
        "{asked}"
    );
    let at = TimestampNs::from_ms(asked["timestamp"].as_u64().unwrap()).unwrap();
    assert_eq!(asked["text"], consent_proof_text(bot, at));
    let signature = wallet("alice").sign_text(asked["text"].as_str().unwrap());
    let body = json!({
        "wallet": alice.address().to_string(),
        "signature": const_hex::encode_prefixed(signature),
        "timestamp": asked["timestamp"],
        // A form gives text.
        "fields": { "topic": "ART", "age": "30", "tz": "Europe/Lisbon" },
    });
    let (status, answer) = join(&herald, body.clone()).await;
    assert_eq!((status, &answer["joined"]), (201, &json!(true)), "{answer}");
    let welcome = "Welcome to readers: art, 30, Europe/Lisbon";
    alice.reads(bot, &[welcome, "joined readers"]).await;
    let conversations = alice.conversations_with(bot).await;
    let proof = conversations[0]
        .consent_proof()
        .expect("a proof in the invitation");
    assert_eq!(proof.timestamp_ms, at.as_ms());
    // Again: a welcome for new fields, and nothing is joined a second time.
    let mut again = body;
    again["fields"] = json!({ "age": 31 });
    let (status, answer) = join(&herald, again).await;
    assert_eq!((status, &answer["joined"]), (200, &json!(false)), "{answer}");
    let second = "Welcome to readers: art, 31, Europe/Lisbon";
    alice.reads(bot, &[welcome, "joined readers", second]).await;
    let (_, page) = ask(&herald, "GET", "lists/readers/members", None, true).await;
    let member = &page["members"][0];
    assert_eq!(member["fields"]["age"], 31, "{page}");
    assert_eq!(
        (page["members"].as_array().unwrap().len(), &page["next"]),
        (1, &Value::Null)
    );
}

#[tokio::test]
async fn a_join_that_is_not_signed_by_its_wallet_now_is_refused_with_the_reason() {
    let house = house();
    let herald = house.start().await;
    let bot = herald.address();
    let right = signed("alice", bot, now());
    let with = |key: &str, value: Value| {
        let mut body = right.clone();
        body[key] = value;
        body
    };
    let day = 86_400_000;
    let later = |ms: i64| {
        let ms = now().as_ms().checked_add_signed(ms).unwrap();
        signed("alice", bot, TimestampNs::from_ms(ms).unwrap())
    };
    let cases = [
        ("signature", signed("alice", address("mallory"), now())),
        ("signature", with("wallet", json!(address("bob").to_string()))),
        ("signature", with("timestamp", json!(now().as_ms() - 5_000))),
        ("signature", with("signature", json!("0x12"))),
        ("signature", later(-30 * day - 2_000)),
        ("signature", later(60_000)),
        ("signature", with("signature", Value::Null)),
        ("timestamp", with("timestamp", Value::Null)),
        ("wallet", with("wallet", json!("0x12"))),
        ("fields.age", with("fields", json!({ "topic": "art", "age": 17 }))),
        (
            "fields.age",
            with("fields", json!({ "topic": "art", "age": "old" })),
        ),
        ("fields.age", with("fields", json!({ "topic": "art" }))),
        (
            "fields.topic",
            with("fields", json!({ "topic": "sport", "age": 20 })),
        ),
        (
            "fields.tz",
            with("fields", json!({ "topic": "art", "age": 20, "tz": "Mars/X" })),
        ),
        ("fields.ag", with("fields", json!({ "topic": "art", "ag": 20 }))),
        (
            "fields",
            with(
                "fields",
                json!({ "topic": "art", "age": 20, "site": "x".repeat(20_000) }),
            ),
        ),
    ];
    for (field, body) in cases {
        let (status, answer) = join(&herald, body.clone()).await;
        assert_eq!(
            (status, &answer["field"]),
            (400, &json!(field)),
            "{body} {answer}"
        );
        assert!(
            answer["error"].as_str().is_some_and(|error| error.len() > 5),
            "{answer}"
        );
    }
    for body in [json!([]), with("more", json!(1))] {
        assert_eq!(join(&herald, body).await.0, 400);
    }
    // An operator needs a proof for this list too, and none for another.
    let plain = json!({ "wallet": address("alice").to_string(), "fields": { "topic": "art", "age": 20 } });
    let (status, answer) = ask(&herald, "POST", "lists/readers/members", Some(plain), true).await;
    assert_eq!((status, &answer["field"]), (400, &json!("signature")), "{answer}");
    let plain = json!({ "wallet": address("alice").to_string() });
    for (token, wanted) in [(false, 400), (true, 201)] {
        let joined = ask(&herald, "POST", "lists/open/members", Some(plain.clone()), token).await;
        assert_eq!(joined.0, wanted, "{joined:?}");
    }
    for (path, wanted) in [("lists/none/members", 404), ("lists/readers/members", 401)] {
        let method = if wanted == 404 { "POST" } else { "GET" };
        let body = (wanted == 404).then(|| right.clone());
        assert_eq!(ask(&herald, method, path, body, false).await.0, wanted, "{path}");
    }
    assert_eq!(house.occurrences(), 0);
}

#[tokio::test]
async fn a_page_of_any_origin_may_join_and_nothing_else() {
    let house = house();
    let herald = house.start().await;
    let options = |path: &str| {
        let url = format!("{}/v1/bots/paper/{path}", herald.api());
        http()
            .request("OPTIONS".parse().unwrap(), url)
            .header("origin", "https://dapp.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .send()
    };
    let allowed = options("lists/readers/members").await.unwrap();
    assert_eq!(allowed.headers()["access-control-allow-origin"], "*");
    assert_eq!(allowed.headers()["access-control-allow-headers"], "content-type");
    let refused = options("rules/note").await.unwrap();
    assert!(refused.headers().get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn who_left_is_brought_back_by_a_newer_proof_alone_and_rules_hear_of_leaving() {
    let house = house();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let operator = person("operator", herald.node()).await;
    let before = signed(
        "alice",
        bot,
        TimestampNs::from_ms(now().as_ms() - 10_000).unwrap(),
    );
    assert_eq!(join(&herald, before.clone()).await.0, 201);
    let welcome = "Welcome to readers: art, 30, Europe/Lisbon";
    alice.reads(bot, &[welcome, "joined readers"]).await;
    let gone = "Done. I will not write to you any more. To come back: /subscribe <topic:news|art> <age:int>";
    alice.asks(bot, "stop", &[gone]).await;
    operator.reads(bot, &["left: art readers"]).await;
    // The old signature is known to whoever saw the request.
    let (status, answer) = join(&herald, before).await;
    assert_eq!(status, 409, "{answer}");
    let plain = json!({ "wallet": alice.address().to_string() });
    assert_eq!(
        ask(&herald, "POST", "lists/open/members", Some(plain), true)
            .await
            .0,
        409
    );
    let after = signed("alice", bot, now());
    assert_eq!(join(&herald, after).await.0, 201);
    alice
        .reads(bot, &[welcome, "joined readers", gone, welcome, "joined readers"])
        .await;
    // Taken off by the operator: nothing is said to her, and the rule hears of it.
    let path = format!("lists/readers/members/{}", alice.address());
    assert_eq!(ask(&herald, "DELETE", &path, None, false).await.0, 401);
    assert_eq!(ask(&herald, "DELETE", &path, None, true).await.0, 204);
    assert_eq!(ask(&herald, "DELETE", &path, None, true).await.0, 404);
    operator
        .reads(bot, &["left: art readers", "left: art readers"])
        .await;
    // She is on no list, and her proof went with the membership.
    herald.fire_for("note", alice.address(), "still there?").await;
    herald
        .event("skipped", |event| {
            event["reason"] == "the wallet has not opted in"
        })
        .await;
}
