//! Keys and secrets appear nowhere: not in what herald prints or logs at its most talkative, not in its files.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::json;

use crate::harness::{
    house::House,
    people::{key, person, secret},
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

    let out = format!(
        "{:?}",
        herald.lines().iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    let talk = herald.talk();
    assert!(
        talk.contains("TRACE") || talk.contains("DEBUG"),
        "it talks:\n{talk:.2000}"
    );
    let mut places = vec![
        ("stdout".to_owned(), out.into_bytes()),
        ("stderr".to_owned(), talk.into_bytes()),
    ];
    for file in std::fs::read_dir(house.data()).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "api.token" && file.file_type().unwrap().is_file() {
            places.push((
                file.path().display().to_string(),
                std::fs::read(file.path()).unwrap(),
            ));
        }
    }
    assert!(places.len() >= 5, "stdout, stderr and three stores");
    let mut secrets = forms("the key of orders", &secret("bot"));
    secrets.extend(forms("the key of hello", &secret("hello")));
    secrets.extend(forms("the secret of the shop", SECRET));
    secrets.push((
        "the secret of the shop as written".to_owned(),
        shop::secret().into_bytes(),
    ));
    secrets.push(("the API token".to_owned(), token.into_bytes()));
    for (place, bytes) in &places {
        for (name, secret) in &secrets {
            assert!(!contains(bytes, secret), "{name} is in {place}");
        }
    }
    // The search finds what is there.
    let line = format!("key {}", key("hello"));
    assert!(
        secrets
            .iter()
            .any(|(_, secret)| contains(line.as_bytes(), secret))
    );
}
