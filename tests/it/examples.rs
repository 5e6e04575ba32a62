//! The example bots, as they are shipped.

use serde_json::{Value, json};

use crate::harness::{
    house::House,
    people::person,
    program::{Program, herald},
    shop::{self, Shop},
};

#[tokio::test]
async fn hello_welcomes_greets_adds_and_lets_go() {
    let house = House::example("hello.yaml", "HELLO_KEY");
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let greeting = format!("Hello, {}!", short(&alice.address().to_string()));
    alice
        .asks(
            bot,
            "gm",
            &[&greeting, "Write /subscribe to get the announcements."],
        )
        .await;
    let welcome = "Welcome! You will hear about weather. Write stop to leave.";
    alice.asks(bot, "/subscribe weather", &[welcome]).await;
    alice.asks(bot, "Hello there", &[&greeting]).await;
    alice.asks(bot, "/add 0.1 0.2", &["0.1 + 0.2 = 0.3"]).await;
    let usage = alice.texts_of(bot).await.len();
    alice.say(bot, "/add 1 x").await;
    let goodbye = "You left. Write /subscribe to come back.";
    alice.say(bot, "stop").await;
    herald.event("left", |_| true).await;
    herald.count("delivered", usage + 2).await;
    let texts = alice.texts_of(bot).await;
    assert!(
        texts[usage].starts_with("Usage: /add <a:decimal> <b:decimal>"),
        "{texts:?}"
    );
    assert_eq!(texts[usage + 1..], [goodbye]);
    assert_eq!(herald.events("joined").len(), 1);
}

fn short(address: &str) -> String {
    let (start, end) = (address.get(..4).unwrap(), address.get(40..).unwrap());
    format!("{start}…{end}")
}

#[tokio::test]
async fn orders_tells_a_customer_each_step_of_the_order() {
    let house = House::example("orders.yaml", "ORDERS_KEY").set("ORDERS_WEBHOOK_SECRET", &shop::secret());
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let shop = Shop::of(&herald, "orders/order");
    let order = |status: &str, tracking: Option<&str>| json!({ "id": "A1", "wallet": alice.address().to_string(), "status": status, "total": 42, "tracking": tracking });
    shop.posts("1", &order("draft", None)).await;
    shop.posts("2", &order("paid", None)).await;
    shop.posts("3", &order("paid", None)).await;
    shop.posts("4", &order("shipped", Some("https://parcels.example/1")))
        .await;
    shop.posts("5", &order("refunded", None)).await;
    let texts = [
        "Thank you! Order A1 is paid ($42.00).",
        "Order A1 is on its way.",
        "Follow it here: https://parcels.example/1",
        "Order A1 was refunded.",
    ];
    alice.reads(herald.address(), &texts).await;
    let skipped = herald.event("skipped", |event| event["wallet"].is_null()).await;
    assert_eq!(skipped["reason"], "`if` is false");
}

#[tokio::test]
async fn dev_shows_the_announcement_as_the_test_wallet_decrypts_it_at_every_start() {
    let folder = tempfile::tempdir().unwrap();
    let bot = concat!(env!("CARGO_MANIFEST_DIR"), "/bots/hello.yaml");
    let ports = ["--http", "--grpc", "--metrics", "--api"].into_iter();
    let ports: Vec<&str> = ports.flat_map(|flag| [flag, "127.0.0.1:0"]).collect();
    let announcement = "Hello from the herald bot! This is the first announcement.";
    let mut addresses = Vec::new();
    for json in [true, true, false] {
        let mut arguments = vec!["dev", bot];
        arguments.extend(ports.iter().copied());
        if json {
            arguments.push("--json");
        }
        let mut dev = Program::start("herald dev", herald(folder.path(), arguments, &[]));
        let shown = |line: &Value| {
            if json {
                line["event"] == "inbox" && line["text"] == announcement
            } else {
                line.as_str()
                    .is_some_and(|line| line.contains("inbox") && line.ends_with(announcement))
            }
        };
        dev.until("the announcement", |lines| lines.iter().any(shown))
            .await;
        if json {
            let ready = dev.event("ready", |_| true).await;
            addresses.push(ready["address"].clone());
            let inbox = dev.event("inbox", |line| line["text"] == announcement).await;
            assert_eq!(inbox["from"], ready["address"]);
        }
        dev.stop().await;
    }
    // The keys it made are kept.
    assert_eq!(addresses[0], addresses[1]);
}
