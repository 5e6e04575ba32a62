//! The example bots, as they are shipped.

/// Those that read feeds, services and chains, or keep what people tell them.
mod services;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{
    house::House,
    people::person,
    program::{Program, herald},
    shop::{self, Shop},
    web::http,
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
async fn letter_waits_for_its_approval() {
    let house = House::example("letter.yaml", "LETTER_KEY");
    let herald = house.start().await;
    let (bot, alice) = (herald.address(), person("alice", herald.node()).await);
    let welcome = "Welcome! One letter a month, and nothing else. Write stop to leave.";
    alice.asks(bot, "/letter", &[welcome]).await;
    herald.fire("monthly", &json!({})).await;
    herald.event("awaiting_approval", |_| true).await;
    let approve = ["broadcast", "approve", "letter/monthly"];
    house.run(&approve).await.expect(0);
    herald.count("delivered", 2).await;
    let texts = alice.texts_of(bot).await;
    assert!(
        texts[1].starts_with("**The letter of ")
            && texts[1].contains("Dear reader, it is here: https://letter.example/archive/"),
        "{texts:?}"
    );
}

#[tokio::test]
async fn tickets_keeps_what_the_tracker_posts_for_the_day() {
    let house = House::example("tickets.yaml", "TICKETS_KEY").set("TICKETS_SECRET", "the key");
    let herald = house.start().await;
    let (bot, alice) = (herald.address(), person("alice", herald.node()).await);
    let welcome = "Your tickets come once a day, at 18:00 (UTC). Write /tz to change the zone.";
    alice.asks(bot, "/tickets 18", &[welcome]).await;
    let wallet = alice.address().to_string();
    let body = json!({ "ticket": "T1", "title": "A light", "state": "opened", "owner": wallet }).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"the key").unwrap();
    mac.update(body.as_bytes());
    let signature = const_hex::encode(mac.finalize().into_bytes());
    let url = herald.ready()["webhooks"]["tickets/change"].as_str().unwrap();
    let post = http().post(url).header("x-signature", signature).body(body);
    assert_eq!(post.send().await.unwrap().status(), 202);
    let held = herald.event("held", |_| true).await;
    assert!(
        held["until"].as_str().unwrap().ends_with("T18:00:00.000Z"),
        "{held}"
    );
}

#[tokio::test]
async fn course_begins_with_its_first_lesson_and_plans_the_others() {
    let house = House::example("course.yaml", "COURSE_KEY");
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let first = "Hello Ann! Lesson 1: write your recovery phrase on paper, and never type it into a page.
https://course.example/1";
    alice.asks(herald.address(), "/course Ann", &[first]).await;
    herald.count("delivered", 1).await;
    let rows = house.deliveries(&["--rule", "lessons"]).await;
    let states: Vec<&str> = rows.iter().filter_map(|row| row["state"].as_str()).collect();
    assert_eq!(states.len(), 4, "{rows:?}");
    assert_eq!(
        states.iter().filter(|state| **state == "delivered").count(),
        1,
        "{rows:?}"
    );
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
