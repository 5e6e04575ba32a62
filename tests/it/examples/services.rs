//! The example bots that read feeds, services and chains, or keep what people tell them, against real ones on this machine. Their pace is
//! changed, and where they ask.

use std::sync::{Arc, Mutex};

use herald_protocol::address::Address;
use serde_json::{Value, json};

use crate::harness::{
    chain::Evm,
    ens::Ens,
    house::{House, edited},
    people::{Person, address, now, person},
    site::{Answer, Site, ok},
};

/// What a site shows, which changes under its readers.
type Shown<T> = Arc<Mutex<T>>;

#[tokio::test]
async fn rss_sends_a_new_post_once_and_holds_the_next_one_of_the_day() {
    let posts: Shown<Vec<&str>> = Arc::new(Mutex::new(vec!["Old"]));
    let shown = Arc::clone(&posts);
    let site = Site::start(move |_| {
        let date = herald::bot::to_utc(now()).to_rfc2822();
        let item = |title: &&str| {
            format!("<item><guid>{title}</guid><title>{title}</title><description>&lt;b&gt;About&lt;/b&gt; {title}</description><pubDate>{date}</pubDate><link>https://blog.example/{title}</link></item>")
        };
        let items: String = shown.lock().unwrap().iter().map(item).collect();
        let feed = format!("<rss version=\"2.0\"><channel><title>Blog</title>{items}</channel></rss>");
        Answer::Whole("200 OK", String::new(), feed.into_bytes())
    })
    .await;
    let text = edited(
        "rss.yaml",
        &[
            ("https://blog.example/rss.xml", &site.url("/rss.xml")),
            ("RSS_KEY", "BOT_KEY"),
            ("every: 10m", "every: 1s"),
            // The reader's night may be now.
            ("    quiet: 22:00-08:00 recipient\n", ""),
        ],
    );
    let house = House::of(&text).asking_this_machine();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let welcome = hears_after(&alice, bot, "/subscribe", 1).await;
    assert!(welcome.starts_with("Thanks for reading."), "{welcome}");
    site.is_asked(site.asked().len() + 2).await;
    posts.lock().unwrap().push("Fresh");
    let post = alice.hears(bot, 2).await;
    assert_eq!(
        post.trim_end(),
        "**Fresh**\nAbout Fresh\nhttps://blog.example/Fresh"
    );
    posts.lock().unwrap().push("Second");
    let held = herald.event("held", |event| event["rule"] == "post").await;
    assert!(held["until"].is_string(), "{held}");
    assert_eq!(alice.texts_of(bot).await.len(), 2);
}

/// Says something and gives the text of this number.
async fn hears_after(person: &Person, bot: Address, text: &str, number: usize) -> String {
    person.say(bot, text).await;
    person.hears(bot, number).await
}

#[tokio::test]
async fn health_warns_below_ones_own_line_once_and_tells_when_it_is_well_again() {
    let health: Shown<f64> = Arc::new(Mutex::new(1.9));
    let shown = Arc::clone(&health);
    let site = Site::start(move |_| ok(&json!({ "health": *shown.lock().unwrap(), "debt": 1234.5 }))).await;
    let text = edited(
        "health.yaml",
        &[
            ("https://lender.example", &site.url("")),
            ("HEALTH_KEY", "BOT_KEY"),
            ("every: 30s", "every: 1s"),
            ("for: 1m", "for: 1s"),
        ],
    );
    let house = House::of(&text).asking_this_machine();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let welcome = hears_after(&alice, bot, "/guard 1.2", 1).await;
    assert_eq!(
        welcome,
        "I watch your position and write below 1.2. Write stop to end it."
    );
    *health.lock().unwrap() = 1.1;
    let warned = alice.hears(bot, 2).await;
    assert_eq!(
        warned.trim_end(),
        "⚠️ Your health factor is 1.10 (your line is 1.2).\nYour debt is $1,234.50."
    );
    *health.lock().unwrap() = 1.5;
    assert_eq!(alice.hears(bot, 3).await, "✅ Back to 1.50. Nothing more to do.");
    let own = format!("/positions/{}", alice.address());
    assert!(site.asked().iter().all(|(head, _)| head.contains(&own)));
}

#[tokio::test]
async fn notes_keeps_each_wallets_own_and_lets_keepers_write_to_all() {
    let house = House::example("notes.yaml", "NOTES_KEY");
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    alice
        .asks(bot, "/note buy milk", &["Note 1 is kept. See /notes."])
        .await;
    let notes = hears_after(&alice, bot, "/notes", 2).await;
    assert_eq!(notes.trim_end(), "1. buy milk");
    let none = hears_after(&bob, bot, "/notes", 1).await;
    assert_eq!(none.trim_end(), "No notes yet. Try: /note buy milk");
    bob.asks(bot, "/drop 1", &["Not found."]).await;
    alice.asks(bot, "/drop 1", &["Dropped: buy milk"]).await;
    bob.asks(bot, "hm", &["I only know /note, /notes and /drop."])
        .await;
    let add = [
        "subscribers",
        "add",
        "notes/keepers",
        &alice.address().to_string(),
    ];
    house.run(&add).await.expect(0);
    alice.say(bot, "/tell Hello, keepers!").await;
    let mut told = vec![alice.hears(bot, 4).await, alice.hears(bot, 5).await];
    told.sort();
    assert_eq!(told, ["Hello, keepers!", "It is on its way."]);
}

#[tokio::test]
async fn digest_sends_what_changed_in_ones_own_spaces() {
    let proposal = |id: &str, state: &str, space: &str| {
        let end = now().as_seconds() + 2 * 86_400 + 600;
        json!({ "id": id, "title": format!("Proposal {id}"), "state": state, "end": end, "space": { "id": space, "name": "A space" } })
    };
    let proposals: Shown<Vec<Value>> = Arc::new(Mutex::new(vec![proposal("old", "closed", "ens.eth")]));
    let shown = Arc::clone(&proposals);
    let site = Site::start(move |_| ok(&json!({ "data": { "proposals": *shown.lock().unwrap() } }))).await;
    let text = edited(
        "digest.yaml",
        &[
            ("https://hub.snapshot.org", &site.url("")),
            ("DIGEST_KEY", "BOT_KEY"),
            ("every: 5m", "every: 1s"),
            ("hour: sub.hour, tz: recipient", "every: 3s"),
        ],
    );
    let house = House::of(&text).asking_this_machine();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    alice.say(bot, "/daily Europe/Lisbon 9").await;
    alice
        .asks(bot, "/spaces ens.eth dao.eth", &["Following ens.eth, dao.eth."])
        .await;
    site.is_asked(site.asked().len() + 2).await;
    proposals.lock().unwrap().extend([
        proposal("new", "active", "dao.eth"),
        proposal("other", "active", "elsewhere.eth"),
    ]);
    let digest = alice.hears(bot, 2).await;
    assert_eq!(
        digest.trim_end(),
        "🏛️ 1 change(s) since yesterday\n• A space: Proposal new (active, ends in 2 days)"
    );
    let (_, asked) = site.asked().pop().unwrap();
    assert!(asked.contains("orderBy: \\\"created\\\""), "{asked}");
}

#[tokio::test]
async fn support_looks_up_a_transaction_and_hands_the_rest_to_people_by_their_names() {
    let evm = Evm::start().await;
    let ens = Ens::on(&evm).await;
    for who in ["ana", "bo", "lead"] {
        ens.register(&format!("{who}.eth"), address(who)).await;
    }
    let hook = Site::start(|_| ok(&json!({}))).await;
    let text = edited(
        "support.yaml",
        &[
            ("https://hooks.example/desk", &hook.url("/desk")),
            ("DESK_KEY", "BOT_KEY"),
            ("after: 1h", "after: 2s"),
            // The desk may be closed now.
            ("        hours: mon-fri 09:00-18:00 Europe/Lisbon\n", ""),
            (
                "        closed: We are back {{ opens | date(to.tz) }}. A person will answer then.\n",
                "",
            ),
        ],
    );
    let house = House::of(&text);
    let project = format!(
        "herald: 1\nchains: {{ ethereum: {{ id: 31337, rpc: {} }} }}\nfetch: {{ allow: [127.0.0.1/32] }}\n",
        evm.url()
    );
    std::fs::write(house.folder().join("herald.yaml"), project).unwrap();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let ana = person("ana", herald.node()).await;
    let bo = person("bo", herald.node()).await;
    let lead = person("lead", herald.node()).await;
    alice
        .asks(bot, "gm", &["Hi! 1: stuck transaction, 2: fees, 3: a person."])
        .await;
    alice.asks(bot, "1", &["Send me the transaction hash."]).await;
    let nobody = address("nobody");
    let hash = evm.submit(nobody, nobody, "nothing()", json!([])).await;
    let found = hears_after(&alice, bot, hash.as_str(), 3).await;
    assert!(
        found.starts_with("It is success, ") && found.ends_with(" Did that help?"),
        "{found}"
    );
    let soon = "A person will answer here, usually within an hour.";
    assert_eq!(hears_after(&alice, bot, "no", 4).await, soon);
    for one in [&ana, &bo] {
        let case = one.hears(bot, 1).await;
        assert!(case.starts_with("#1: ") && case.contains("no"), "{case}");
    }
    let called = lead.hears(bot, 1).await;
    assert!(called.starts_with("#1: nobody has answered yet"), "{called}");
    hook.is_asked(1).await;
    ana.say(bot, "It is through, all is well.").await;
    assert_eq!(alice.hears(bot, 5).await, "It is through, all is well.");
    for text in alice.texts_of(bot).await {
        assert!(!text.contains(&ana.address().to_string()), "{text}");
    }
}
