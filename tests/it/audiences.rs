//! Audiences: whom a rule writes to, from lists, files and sets of them, on a real node.

/// Sources.
mod source;
/// Queries.
mod sql;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{
    house::{Herald, House},
    people::{address, key, person},
};

/// A bot with these rules (without `when`), which write to anybody.
fn bot(rules: &str) -> String {
    format!(
        "herald: 1
bot: post
identity: env:BOT_KEY
defaults: {{ consent: transactional }}
lists:
  readers: {{ join: /join <level:int> }}
  guests: {{ join: /visit <seats:int> }}
rules:
{rules}"
    )
}

/// One manual rule.
fn rule(name: &str, to: &str, send: &str) -> String {
    format!("  {name}:\n    when: {{ manual: true }}\n    to: {to}\n    send: \"{send}\"\n")
}

/// A wallet that nobody has.
fn nobody(number: u64) -> String {
    let mut bytes = [7; 20];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    herald_protocol::address::Address::from_bytes(bytes).to_string()
}

/// The wallets and states of the rows of a rule, in the order they were planned.
async fn rows(house: &House, rule: &str) -> Vec<Value> {
    house.deliveries(&["--rule", rule]).await
}

/// The broken rows, as `source row reason`.
async fn broken(house: &House) -> Vec<String> {
    let listed = house
        .run(&["deliveries", "--broken", "--json", "--limit", "1000000"])
        .await;
    let line = |row: Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", text("source"), row["row"], text("reason"))
    };
    listed.expect(0).json_lines().into_iter().map(line).collect()
}

/// Waits until so many rows of a rule are planned.
async fn planned(house: &House, herald: &Herald, rule: &str, body: &Value, count: u32) {
    herald.fire(rule, body).await;
    let planned = async {
        loop {
            let store = rusqlite::Connection::open(house.data().join("herald.db")).unwrap();
            let query =
                "SELECT state, (SELECT count(*) FROM delivery WHERE occurrence = o.id) FROM occurrence AS o
                         WHERE rule = ?1 ORDER BY id DESC LIMIT 1";
            let (state, rows): (String, u32) = store
                .query_row(query, [rule], |row| Ok((row.get(0)?, row.get(1)?)))
                .unwrap();
            if state != "planning" {
                assert_eq!((state.as_str(), rows), ("planned", count));
                return;
            }
            tokio::time::sleep(crate::harness::people::LOOK).await;
        }
    };
    let waited = tokio::time::timeout(crate::harness::program::DEADLINE, planned).await;
    assert!(waited.is_ok(), "not planned in time\n{}", **herald);
}

#[tokio::test]
async fn a_file_writes_to_its_rows_and_tells_of_those_it_cannot_read() {
    let rules = rule(
        "csv",
        "{ csv: lists/team.csv, column: who }",
        "{{ to.name }}: {{ to.seats or 0 }}",
    );
    let house = House::of(&bot(&rules));
    std::fs::create_dir(house.folder().join("lists")).unwrap();
    let (alice, bob) = (
        address("alice").to_string(),
        address("bob").to_string().to_lowercase(),
    );
    // Line 31 has a wrong checksum.
    let mut text = format!("\u{feff}who,name,seats\r\n{alice},Alice,2\r\n{bob},Bob,\r\n");
    for number in 0..27 {
        writeln!(text, "{},x,\r", nobody(number)).unwrap();
    }
    let wrong = alice.replace(['a', 'A'], "A");
    assert_ne!(wrong, alice);
    write!(
        text,
        "{wrong},Wrong,1\r\n{alice},Twice,9\r\n=1+1,Formula,\r\n{},Self,\r\n",
        address("bot")
    )
    .unwrap();
    std::fs::write(house.folder().join("lists/team.csv"), text).unwrap();
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    herald.fire("csv", &json!({})).await;
    alice.reads(herald.address(), &["Alice: 2"]).await;
    bob.reads(herald.address(), &["Bob: 0"]).await;
    assert_eq!(
        rows(&house, "csv").await.len(),
        29,
        "two people and 27 wallets without one"
    );
    let told = broken(&house).await;
    let starts = [
        "lists/team.csv 31 address `0x",
        "lists/team.csv 33 found `=1+1`",
        "lists/team.csv 34 `0x",
    ];
    assert_eq!(told.len(), starts.len(), "{told:?}");
    for (told, start) in told.iter().zip(starts) {
        assert!(told.starts_with(start), "{told}");
    }
    let events = herald.events("skipped");
    let reasons: Vec<_> = events
        .iter()
        .filter_map(|event| event["reason"].as_str())
        .collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(
        reasons[0].starts_with("row 31 of `lists/team.csv`: address `0x"),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn sets_of_lists_and_files_hold_whom_they_should_with_the_variables_of_all() {
    let rules = [
        rule(
            "deep",
            "{ list: readers, where: sub.level > body.level }",
            "deep {{ to.level }}",
        ),
        rule(
            "any",
            "{ any: [readers, { csv: team.csv }, { wallet: body.wallet }] }",
            "any {{ to.level }}/{{ to.seats }}",
        ),
        rule(
            "all",
            "{ all: [{ csv: team.csv, where: row.seats > 1 }, { any: [readers, guests] }] }",
            "all {{ to.level }}/{{ to.seats }}",
        ),
        rule(
            "but",
            "{ any: [readers, guests], except: { csv: team.csv } }",
            "but {{ to.level }}/{{ to.seats }}",
        ),
        rule("one", "{ any: [readers, guests], sample: 1 }", "one"),
        rule(
            "none",
            "{ all: [readers, { csv: team.csv, where: row.seats > 99 }] }",
            "none",
        ),
    ];
    let house = House::of(&bot(&rules.concat()));
    let text = format!("wallet,seats\n{},5\n{},1\n", address("alice"), address("carol"));
    std::fs::write(house.folder().join("team.csv"), text).unwrap();
    let herald = house.start().await;
    let bot = herald.address();
    // Alice reads at level 3 and is in the file, Bob reads at level 1 and visits, Carol is in the file alone.
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    let carol = person("carol", herald.node()).await;
    alice.say(bot, "/join 3").await;
    bob.say(bot, "/join 1").await;
    bob.say(bot, "/visit 4").await;
    herald.count("joined", 3).await;

    let body = json!({ "level": 2, "wallet": bob.address().to_string() });
    planned(&house, &herald, "deep", &body, 1).await;
    planned(&house, &herald, "any", &body, 3).await;
    planned(&house, &herald, "all", &body, 1).await;
    planned(&house, &herald, "but", &body, 1).await;
    planned(&house, &herald, "one", &body, 1).await;
    herald.fire("none", &body).await;
    herald
        .event("skipped", |event| {
            event["rule"] == "none" && event["reason"] == "`to` names no wallet"
        })
        .await;
    house.settled().await;
    let drawn = rows(&house, "one").await[0]["wallet"]
        .as_str()
        .unwrap()
        .to_owned();
    let texts = |who: &herald_protocol::address::Address, texts: &[&str]| {
        let mut texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        if who.to_string() == drawn {
            texts.push("one".to_owned());
        }
        texts
    };
    assert_eq!(
        alice.texts_of(bot).await,
        texts(&alice.address(), &["deep 3", "any 3/5", "all 3/5"])
    );
    assert_eq!(
        bob.texts_of(bot).await,
        texts(&bob.address(), &["any 1/", "but 1/4"])
    );
    assert_eq!(carol.texts_of(bot).await, ["any /1"]);
}

#[tokio::test]
async fn a_hundred_thousand_rows_for_one_wallet_are_one_message() {
    let house = House::of(&bot(&rule("csv", "{ csv: team.csv }", "{{ to.n }}")));
    let alice = address("alice").to_string();
    let mut text = "wallet,n\n".to_owned();
    for number in 0..100_000 {
        let spelled = if number % 2 == 0 {
            alice.clone()
        } else {
            alice.to_lowercase()
        };
        writeln!(text, "{spelled},{number}").unwrap();
    }
    std::fs::write(house.folder().join("team.csv"), text).unwrap();
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire("csv", &json!({})).await;
    alice.reads(herald.address(), &["0"]).await;
    assert_eq!(rows(&house, "csv").await.len(), 1);
}

#[tokio::test]
async fn an_audience_that_cannot_be_read_is_tried_again_and_holds_up_nobody() {
    let rules = [
        rule(
            "csv",
            "{ any: [{ wallet: body.wallet }, { csv: team.csv }] }",
            "csv",
        ),
        rule("plain", "{ wallet: body.wallet }", "plain"),
    ];
    let house = House::of(&bot(&rules.concat()));
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    let body = json!({ "wallet": alice.address().to_string() });
    herald.fire("csv", &body).await;
    let failed = herald.event("error", |event| event["rule"] == "csv").await;
    assert_eq!(
        failed["reason"],
        "its audience cannot be read: there is no file `team.csv`"
    );
    assert!(failed["until"].is_string(), "{failed}");
    herald.fire("plain", &body).await;
    alice.reads(herald.address(), &["plain"]).await;
    assert_eq!(rows(&house, "csv").await.len(), 0, "no part of it is sent");
    std::fs::write(
        house.folder().join("team.csv"),
        format!("wallet\n{}\n", bob.address()),
    )
    .unwrap();
    bob.reads(herald.address(), &["csv"]).await;
    alice.reads(herald.address(), &["plain", "csv"]).await;
}

#[tokio::test]
async fn the_list_of_another_bot_is_written_to_as_long_as_its_members_stay() {
    let rules = [
        rule("news", "{ list: shop/readers, where: sub.level > 1 }", "news {{ to.level + 1 }}"),
        "  strict:\n    when: { manual: true }\n    to: shop/readers\n    consent: opted_in\n    send: strict\n".to_owned(),
    ];
    let shop =
        "herald: 1\nbot: shop\nidentity: env:SHOP_KEY\nlists: { readers: { join: /read <level:int> } }\n";
    let house = House::of(&bot(&rules.concat())).set("SHOP_KEY", &key("shop"));
    let alone = house.run(&["check", "--json", "bot.yaml"]).await.expect(1);
    let found = alone.json_lines();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        (&found[0]["code"], &found[0]["message"]),
        (&json!("E222"), &json!("bot `shop` is not loaded with this one"))
    );
    let house = house.beside("shop.yaml", shop);
    house.run(&["check", "bot.yaml", "shop.yaml"]).await.expect(0);
    let herald = house.start_for("post").await;
    herald.event("ready", |ready| ready["bot"] == "shop").await;
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    alice.say(address("shop"), "/read 3").await;
    bob.say(address("shop"), "/read 1").await;
    herald.count("joined", 2).await;
    planned(&house, &herald, "news", &json!({}), 1).await;
    alice.reads(address("bot"), &["news 4"]).await;
    planned(&house, &herald, "strict", &json!({}), 2).await;
    herald.count("skipped", 2).await;
    let reasons: Vec<_> = rows(&house, "strict")
        .await
        .iter()
        .map(|row| row["reason"].clone())
        .collect();
    assert_eq!(
        reasons,
        ["the wallet has not opted in", "the wallet has not opted in"]
    );
    alice.say(address("shop"), "stop").await;
    herald.event("left", |_| true).await;
    herald.fire("news", &json!({})).await;
    herald
        .event("skipped", |event| event["reason"] == "`to` names no wallet")
        .await;
    assert_eq!(alice.texts_of(address("bot")).await, ["news 4"]);
}

/// State, runs and rows of the occurrence.
type Progress = (String, u32, u32);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_herald_while_it_plans_loses_no_row_and_doubles_none() {
    const COUNT: u32 = 20_000;
    let rules = rule("csv", "{ csv: team.csv, except: { csv: out.csv } }", "{{ to.n }}");
    let house = House::of(&bot(&rules));
    let mut text = "wallet,n\n".to_owned();
    let mut out = "wallet\n".to_owned();
    for number in 0..u64::from(COUNT) {
        // In no order.
        let mixed = nobody(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        writeln!(text, "{mixed},{number}").unwrap();
        if number % 4 == 0 {
            writeln!(out, "{mixed}").unwrap();
        }
    }
    std::fs::write(house.folder().join("team.csv"), text).unwrap();
    std::fs::write(house.folder().join("out.csv"), out).unwrap();
    let mut herald = house.start().await;
    herald.fire("csv", &json!({})).await;
    let progress = || {
        let store = rusqlite::Connection::open(house.data().join("herald.db")).unwrap();
        let query = "SELECT state, runs, (SELECT count(*) FROM delivery) FROM occurrence";
        let read: Progress = store
            .query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap();
        read
    };
    // Killed while the audience is read, while it is planned, and before it is tidied up.
    let points: [fn(&Progress) -> bool; 4] = [
        |(_, runs, _)| *runs >= 1,
        |(_, _, rows)| *rows >= 1,
        |(_, _, rows)| *rows >= COUNT / 2,
        |(state, _, _)| state == "planned",
    ];
    let mut seen = Vec::new();
    for is_reached in points {
        let reached = async {
            while !is_reached(&progress()) {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(crate::harness::program::DEADLINE, reached).await;
        herald.kill();
        assert!(waited.is_ok(), "{:?}\n{}", progress(), *herald);
        seen.push(progress());
        herald = house.start().await;
    }
    eprintln!("killed at {seen:?}");
    let tidied = async {
        while progress().1 > 0 {
            tokio::time::sleep(crate::harness::people::LOOK).await;
        }
    };
    tokio::time::timeout(crate::harness::program::DEADLINE, tidied)
        .await
        .unwrap();
    herald.kill();
    let store = rusqlite::Connection::open(house.data().join("herald.db")).unwrap();
    let count = |query: &str| store.query_row(query, [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM delivery"), COUNT / 4 * 3);
    assert_eq!(
        count("SELECT count(DISTINCT wallet) FROM delivery"),
        COUNT / 4 * 3
    );
    assert_eq!(
        count("SELECT count(*) FROM delivery WHERE json_extract(vars, '$.n') % 4 = 0"),
        0
    );
    assert_eq!(count("SELECT count(*) FROM audience_row"), 0);
}
