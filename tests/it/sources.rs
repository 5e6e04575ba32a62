//! Sources by name in expressions: what a message says is asked of real servers, for each reader, once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;

use crate::harness::{
    house::House,
    people::person,
    site::{Answer, Site, ok},
};

#[tokio::test]
async fn what_a_message_needs_is_asked_for_each_reader_and_waits_while_it_is_away() {
    let is_away = Arc::new(AtomicBool::new(true));
    let away = Arc::clone(&is_away);
    let site = Site::start(move |path| match path {
        _ if away.load(Ordering::SeqCst) => Answer::Whole("503 Later", String::new(), Vec::new()),
        "/base" => ok(&json!({ "base": 7 })),
        path => ok(&json!({ "sky": format!("sky of {}", path.trim_start_matches('/')) })),
    })
    .await;
    let house = House::of(&format!(
        "herald: 1
bot: asker
identity: env:BOT_KEY
lists: {{ readers: {{ join: \"/join <city:word>\" }} }}
sources:
  base: {{ http: \"{url}/base\", pick: body.base }}
  sky: {{ http: \"{url}/{{{{ to.city }}}}\", pick: body.sky, timeout: 2s }}
commands:
  /base: {{ reply: \"{{{{ base }}}}\" }}
rules:
  daily:
    when: {{ manual: true }}
    let: {{ twice: base * 2 }}
    if: base > 1
    to: readers
    send: \"{{{{ twice }}}} {{{{ sky }}}}\"
",
        url = site.url("")
    ));
    let house = house.asking_this_machine();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    alice.say(bot, "/join lisbon").await;
    bob.say(bot, "/join porto").await;
    herald.count("joined", 2).await;
    let sorry = "I cannot look that up right now. Please try again in a few minutes.";
    alice.asks(bot, "/base", &[sorry]).await;
    herald.fire("daily", &json!({})).await;
    let waits = herald
        .event("error", |event| {
            event["rule"] == "daily" && !event["until"].is_null()
        })
        .await;
    let reason = waits["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("what it needs cannot be read: source `base`: ") && reason.contains("status 503"),
        "{reason}"
    );
    is_away.store(false, Ordering::SeqCst);
    alice.reads(bot, &[sorry, "14 sky of lisbon"]).await;
    bob.reads(bot, &["14 sky of porto"]).await;
    alice.asks(bot, "/base", &["7"]).await;
    let asked = |path: &str| {
        let all = site.asked();
        all.iter()
            .filter(|(head, _)| head.starts_with(&format!("GET {path} ")))
            .count()
    };
    assert_eq!((asked("/lisbon"), asked("/porto")), (1, 1));
}

#[tokio::test]
async fn a_message_waits_for_what_only_its_reader_needs() {
    let is_away = Arc::new(AtomicBool::new(true));
    let away = Arc::clone(&is_away);
    let site = Site::start(move |path| match path {
        "/porto" if away.load(Ordering::SeqCst) => Answer::Whole("500 Oops", String::new(), Vec::new()),
        path => ok(&json!({ "sky": path })),
    })
    .await;
    let house = House::of(&format!(
        "herald: 1
bot: asker
identity: env:BOT_KEY
lists: {{ readers: {{ join: \"/join <city:word>\" }} }}
sources: {{ sky: {{ http: \"{}/{{{{ to.city }}}}\", pick: body.sky }} }}
rules:
  daily: {{ when: {{ manual: true }}, to: readers, send: \"{{{{ sky }}}}\" }}
",
        site.url("")
    ));
    let house = house.asking_this_machine();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    alice.say(bot, "/join lisbon").await;
    bob.say(bot, "/join porto").await;
    herald.count("joined", 2).await;
    herald.fire("daily", &json!({})).await;
    alice.reads(bot, &["/lisbon"]).await;
    let held = herald
        .event("held", |event| event["wallet"] == bob.address().to_string())
        .await;
    assert!(
        held["reason"].as_str().unwrap().starts_with("source `sky`: "),
        "{held}"
    );
    is_away.store(false, Ordering::SeqCst);
    bob.reads(bot, &["/porto"]).await;
    assert_eq!(alice.texts_of(bot).await.len(), 1);
}
