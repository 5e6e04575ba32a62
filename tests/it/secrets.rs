//! Keys and secrets appear nowhere: not in what herald prints or logs at its most talkative, not in its files.

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::harness::{
    house::{Herald, House},
    people::{key, person, secret},
    program::DEADLINE,
    shop::{self, SECRET, Shop},
    web::http,
};

/// A secret in the forms in which it could slip out.
pub(crate) fn forms(name: &str, secret: &[u8]) -> Vec<(String, Vec<u8>)> {
    let hex = const_hex::encode(secret);
    let mut forms = vec![
        ("raw", secret.to_vec()),
        ("hex", hex.clone().into_bytes()),
        ("upper hex", hex.to_uppercase().into_bytes()),
        ("as numbers", format!("{secret:?}").into_bytes()),
    ];
    // Inside longer base64 a secret starts at one of three offsets; its ends mix with what is around it.
    for offset in 0..3 {
        let encoded = STANDARD_NO_PAD.encode([&vec![0; offset][..], secret].concat());
        let inner = encoded.get(4..encoded.len() - 4).unwrap().to_owned();
        forms.push(("base64", inner.into_bytes()));
    }
    let named = |(form, bytes)| (format!("{name} as {form}"), bytes);
    forms.into_iter().map(named).collect()
}

pub(crate) fn contains(text: &[u8], secret: &[u8]) -> bool {
    text.windows(secret.len()).any(|window| window == secret)
}

/// What a herald has printed and said, and the files of its house.
fn places(house: &House, herald: &Herald) -> Vec<(String, Vec<u8>)> {
    let lines: Vec<String> = herald.lines().iter().map(ToString::to_string).collect();
    let mut places = vec![
        ("stdout".to_owned(), lines.join("\n").into_bytes()),
        ("stderr".to_owned(), herald.talk().into_bytes()),
    ];
    for file in std::fs::read_dir(house.data()).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "api.token" && file.file_type().unwrap().is_file() {
            let bytes = std::fs::read(file.path()).unwrap();
            places.push((file.path().display().to_string(), bytes));
        }
    }
    places
}

#[track_caller]
fn in_none(secrets: &[(String, Vec<u8>)], places: &[(String, Vec<u8>)]) {
    for (place, bytes) in places {
        for (name, secret) in secrets {
            assert!(!contains(bytes, secret), "{name} is in {place}");
        }
    }
}

#[tokio::test]
async fn no_secret_is_printed_logged_or_stored() {
    let house = House::example("orders.yaml", "ORDERS_KEY")
        .and("hello.yaml", "HELLO_KEY", "hello")
        .set("ORDERS_WEBHOOK_SECRET", &shop::secret())
        .set("HERALD_LOG", "trace");
    let mut herald = house.start().await;
    herald.count("ready", 2).await;
    let alice = person("alice", herald.node()).await;
    let hello = crate::harness::people::address("hello");
    alice.asks(hello, "/add 1 2", &["1 + 2 = 3"]).await;
    let shop = Shop::of_event(
        &herald.event("ready", |ready| ready["bot"] == "orders").await,
        "orders/order",
    );
    let order = json!({ "id": "A1", "wallet": alice.address().to_string(), "status": "paid", "total": 42 });
    shop.posts("1", &order).await;
    let orders = crate::harness::people::address("bot");
    alice
        .reads(orders, &["Thank you! Order A1 is paid ($42.00)."])
        .await;
    let token = herald.token();
    let fired = http()
        .post(format!("{}/v1/bots/hello/rules/news", herald.api()))
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    assert_eq!(fired.status(), 409);
    herald.stop().await;

    let talk = herald.talk();
    assert!(
        talk.contains("TRACE") || talk.contains("DEBUG"),
        "it talks:\n{talk:.2000}"
    );
    let places = places(&house, &herald);
    assert!(places.len() >= 5, "stdout, stderr and three stores");
    let mut secrets = forms("the key of orders", &secret("bot"));
    secrets.extend(forms("the key of hello", &secret("hello")));
    secrets.extend(forms("the secret of the shop", SECRET));
    secrets.push((
        "the secret of the shop as written".to_owned(),
        shop::secret().into_bytes(),
    ));
    secrets.push(("the API token".to_owned(), token.into_bytes()));
    in_none(&secrets, &places);
    // The search finds what is there.
    let line = format!("key {}", key("hello"));
    assert!(
        secrets
            .iter()
            .any(|(_, secret)| contains(line.as_bytes(), secret))
    );
}

/// A bot that asks others by secrets. Nothing that it asks gives it what it wants.
fn asking(site: &str) -> String {
    format!(
        "herald: 1
bot: post
identity: {{ mnemonic: env:WORDS, path: \"m/44'/60'/0'/0/0\" }}
defaults: {{ consent: transactional }}
sources:
  people:
    http: {site}
    auth: env:SOURCE_TOKEN
    headers: {{ x-key: env:SOURCE_HEADER }}
rules:
  source: {{ when: {{ manual: true }}, to: {{ source: people }}, send: hi }}
  sql: {{ when: {{ manual: true }}, to: {{ sql: SELECT wallet FROM t, url: env:DATABASE }}, send: hi }}
  file:
    when: {{ manual: true }}
    to: {{ wallet: body.wallet }}
    send: {{ remote: {{ file: poster.txt, upload: bucket }} }}
"
    )
}

/// A site that always fails: its URL, and by which headers it was asked. It ends with the last.
async fn failing_site() -> (String, watch::Receiver<HeaderMap>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/people", listener.local_addr().unwrap());
    let (sender, asked) = watch::channel(HeaderMap::new());
    let routes = Router::new().fallback(async move |headers: HeaderMap| {
        sender.send_replace(headers);
        StatusCode::INTERNAL_SERVER_ERROR
    });
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (url, asked, serving)
}

#[tokio::test]
async fn what_a_bot_asks_others_by_is_printed_logged_or_stored_by_no_command() {
    let (site, mut asked, _serving) = failing_site().await;
    let words = "test test test test test test test test test test test junk";
    let named = [
        ("SOURCE_TOKEN", "kNz4-source-token-canary"),
        ("SOURCE_HEADER", "kNz4-source-header-canary"),
        ("S3_KEY", "KNZ4S3KEYCANARY"),
        ("S3_SECRET", "kNz4-s3-secret-canary"),
        ("DATABASE_PASSWORD", "kNz4-database-canary"),
        ("WORDS", words),
    ];
    let mut house = House::of(&asking(&site)).set("HERALD_LOG", "trace");
    for (name, value) in named {
        house = house.set(name, value);
    }
    let [.., (_, password), _] = named;
    let house = house.set(
        "DATABASE",
        &format!("postgres://shop:{password}@127.0.0.1:1/shop"),
    );
    let project = "herald: 1
fetch: { allow: [127.0.0.1/32] }
uploads:
  bucket: { s3: drops, public: https://media.example, key: env:S3_KEY, secret: env:S3_SECRET, endpoint: http://127.0.0.1:1 }
";
    std::fs::write(house.folder().join("herald.yaml"), project).unwrap();
    std::fs::write(house.folder().join("poster.txt"), "a poster").unwrap();

    let mut herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire("source", &json!({})).await;
    herald.fire("sql", &json!({})).await;
    let wallet = alice.address().to_string();
    let body = json!({ "wallet": wallet });
    herald.fire("file", &body).await;
    for rule in ["source", "sql"] {
        herald.event("error", |told| told["rule"] == rule).await;
    }
    let held = herald.event("held", |told| told["rule"] == "file").await;
    assert_eq!(
        held["reason"],
        "upload target `bucket`: the upload store did not take the file: Connection refused (os error 111)"
    );
    let is_asked = asked.wait_for(|headers| {
        headers
            .get("authorization")
            .is_some_and(|value| value == "Bearer kNz4-source-token-canary")
            && headers
                .get("x-key")
                .is_some_and(|value| value == "kNz4-source-header-canary")
    });
    tokio::time::timeout(DEADLINE, is_asked).await.unwrap().unwrap();

    let mut places = places(&house, &herald);
    std::fs::write(house.folder().join("event.json"), body.to_string()).unwrap();
    for arguments in [
        &["check", ".", "--connect"][..],
        &["doctor", "."],
        &["status"],
        &["deliveries"],
        &["deliveries", "--broken"],
        &["broadcast", "status", "post/source"],
        &["broadcast", "plan", "post/sql"],
        &["preview", "post/source"],
        &["preview", "post/sql"],
        &["preview", "post/file", "--event", "event.json"],
        &["subscribers", "show", &wallet],
        &["callbacks"],
    ] {
        let ended = house.run(arguments).await;
        let command = arguments.join(" ");
        assert_ne!(ended.code, Some(2), "{command}: {ended:?}");
        places.push((format!("what `{command}` prints"), ended.out.into_bytes()));
        places.push((format!("what `{command}` says"), ended.talk.into_bytes()));
    }
    herald.stop().await;
    places.extend(self::places(&house, &herald));

    let mut secrets = Vec::new();
    for (name, value) in named {
        secrets.extend(forms(name, value.as_bytes()));
    }
    in_none(&secrets, &places);
}
