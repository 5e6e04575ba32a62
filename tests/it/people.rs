//! What every bot with lists answers: a person sees what is known, changes it, and has it erased.

use serde_json::json;

use crate::harness::{house::House, people::person};

const BOT: &str = "herald: 1
bot: paper
identity: env:BOT_KEY
lists:
  readers: { join: /subscribe <topic:word>, welcome: \"Welcome, it is {{ sub.tz }}\" }
  artists: { join: /arts }
commands:
  /secret <what:text>: { reply: \"I know {{ args.what }}\" }
rules:
  echo:
    when: { message: echo }
    to: { wallet: message.from }
    send: \"{{ message.text }}\"
  note:
    when: { manual: true }
    to: { wallet: body.wallet }
    consent: any
    send: \"{{ body.text }}\"
";

#[tokio::test]
async fn a_person_sets_zone_and_quiet_hours_and_sees_what_is_known() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let help = "/arts\n/subscribe <topic:word>\n/secret <what:text>\n/tz ZONE - your time zone, such as Europe/Lisbon\n\
                /quiet 22:00-08:00 - when I do not write to you, by your clock; /quiet off ends it\n/me - what I know of you\n\
                /forget me - forgets all of it, and you are not written to again";
    alice.asks(bot, "help", &[help]).await;
    let stranger = "I keep the time zones of members only. To join: /arts";
    alice.asks(bot, "/tz Europe/Lisbon", &[stranger]).await;
    alice.asks(bot, "/subscribe news", &["Welcome, it is UTC"]).await;
    alice
        .asks(
            bot,
            "/TZ europe/lisbon",
            &["Your time zone is Europe/Lisbon now."],
        )
        .await;
    alice
        .asks(bot, "/subscribe news", &["Welcome, it is Europe/Lisbon"])
        .await;
    let wrong = "Usage: /tz ZONE\nexpected a time zone like `Europe/Lisbon`, found `Atlantis`";
    alice.asks(bot, "/tz Atlantis", &[wrong]).await;
    let quiet = "I do not write to you 22:00-08:00, by your clock.";
    alice.asks(bot, "/quiet 22:00-08:00", &[quiet]).await;
    let wrong = "Usage: /quiet 22:00-08:00\nexpected hours like `22:00-08:00`, found `late`";
    alice.asks(bot, "/quiet late", &[wrong]).await;
    // Another list takes over the zone that is known. Nothing is said, so the next answer shows it.
    alice.say(bot, "/arts").await;
    let today = chrono::DateTime::from_timestamp(
        i64::try_from(crate::harness::people::now().as_seconds()).unwrap(),
        0,
    );
    let today = today.unwrap().format("%-d %b %Y");
    let known = format!(
        "Wallet: {}\nOn the list artists since {today}: tz Europe/Lisbon\nOn the list readers since {today}: topic news, tz \
         Europe/Lisbon\nQuiet hours: 22:00-08:00\nConsent: you joined",
        alice.address()
    );
    alice.asks(bot, "/me", &[&known]).await;
    alice
        .asks(bot, "/quiet off", &["You have no quiet hours any more."])
        .await;
}

#[tokio::test]
async fn who_is_forgotten_leaves_nothing_in_the_store_and_is_not_written_to_again() {
    let house = House::of(BOT);
    let mut herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    alice
        .asks(bot, "/subscribe kittiwakes", &["Welcome, it is UTC"])
        .await;
    alice
        .asks(bot, "/secret about kittiwakes", &["I know about kittiwakes"])
        .await;
    alice.asks(bot, "echo kittiwakes", &["echo kittiwakes"]).await;
    herald
        .fire_for("note", alice.address(), "news of kittiwakes")
        .await;
    herald.count("delivered", 4).await;
    let usage = "Usage: /forget me\nexpected `me`, found ``";
    alice.asks(bot, "/forget", &[usage]).await;
    let done = "Done. I have forgotten you and do not write to you again. To join: /arts";
    alice.asks(bot, "/forget me", &[done]).await;
    // Not even by a rule that asks for no consent.
    herald
        .fire(
            "note",
            &json!({ "wallet": alice.address().to_string(), "text": "are you there?" }),
        )
        .await;
    herald
        .event("skipped", |event| event["reason"] == "the wallet left")
        .await;
    let known = format!("Wallet: {}\nOn no list\nConsent: none, you left", alice.address());
    alice.asks(bot, "/me", &[&known]).await;
    herald.stop().await;
    // Her words are in no row of the store.
    let nowhere: [&str; 0] = [];
    assert_eq!(house.keeps("kittiwakes"), nowhere);
    let store = rusqlite::Connection::open(house.data().join("herald.db")).unwrap();
    let members: i64 = store
        .query_row("SELECT count(*) FROM member", [], |row| row.get(0))
        .unwrap();
    assert_eq!(members, 0);
    // Her own messages bring her back.
    let herald = house.start().await;
    alice
        .asks(herald.address(), "/subscribe gulls", &["Welcome, it is UTC"])
        .await;
}
