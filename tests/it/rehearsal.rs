//! `herald preview` and `herald broadcast plan`: what a rule would write to whom, and what it takes. Nothing is sent, and nothing
//! of it is kept.

use serde_json::{Value, json};

use crate::harness::{
    house::{Herald, House},
    people::{Person, address, person},
};

mod follow_ups;

const BOT: &str = "herald: 1
bot: post
identity: env:BOT_KEY
lists: { readers: { join: /read, fields: { level: int } } }
rules:
  news:
    when: { manual: true }
    if: to.level != 3
    to: readers
    send: [ { text: \"Hello {{ to.wallet | short }}: {{ body.text }}\" }, { markdown: \"**{{ body.text }}**\" } ]
  late:
    when: { manual: true }
    to: readers
    quiet: 00:00-24:00
    thread: late
    send: Late!
  order:
    when: { manual: true }
    key: body.id
    consent: transactional
    to: { wallet: body.wallet }
    send: \"Order {{ body.id }}\"
  table:
    when: { manual: true }
    consent: any
    to: { csv: wallets.csv }
    send: \"{{ to.name }}\"
";

/// A herald with readers: alice and bob on the network, carol not, dave whom the condition leaves out.
async fn readers(house: &House) -> (Herald, Person, Person) {
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    person("dave", herald.node()).await;
    for (name, level) in [("alice", "1"), ("bob", "2"), ("carol", "2"), ("dave", "3")] {
        let wallet = address(name).to_string();
        let level = format!("level={level}");
        house
            .run(&["subscribers", "add", "post/readers", &wallet, "--field", &level])
            .await
            .expect(0);
    }
    (herald, alice, bob)
}

/// A file with what makes a rule fire.
fn event(house: &House, event: &Value) -> String {
    let file = house.folder().join("event.json");
    std::fs::write(&file, event.to_string()).unwrap();
    file.to_string_lossy().into_owned()
}

fn of<'a>(preview: &'a Value, name: &str) -> Vec<&'a Value> {
    let wallet = address(name).to_string();
    let messages = preview["messages"].as_array().unwrap().iter();
    messages
        .filter(|message| message["wallet"] == wallet.as_str())
        .collect()
}

#[tokio::test]
async fn a_preview_shows_who_would_get_what_and_why_not_and_sends_nothing() {
    let house = House::of(BOT);
    let (mut herald, alice, bob) = readers(&house).await;
    let text = event(&house, &json!({ "text": "gm" }));
    let arguments = ["preview", "post/news", "--event", &text, "-n", "20", "--json"];
    let preview = house.run(&arguments).await.expect(0).json();
    assert_eq!(
        (&preview["wallets"], &preview["repeated"], &preview["reason"]),
        (&json!(4), &json!(false), &Value::Null)
    );
    let alices = of(&preview, "alice");
    let text = alices[0]["text"].as_str().unwrap();
    assert!(text.starts_with("Hello 0x") && text.ends_with(": gm"), "{text}");
    let shape =
        |message: &Value| [&message["outcome"], &message["type"], &message["envelopes"]].map(Value::clone);
    assert_eq!(
        (shape(alices[0]), shape(alices[1])),
        (
            [json!("sent"), json!("text"), json!(4)],
            [json!("sent"), json!("markdown"), json!(1)]
        )
    );
    assert!(alices[0]["bytes"].as_u64().unwrap() > 20);
    let carols = of(&preview, "carol")[0];
    assert_eq!(
        (&carols["outcome"], &carols["reason"]),
        (&json!("held"), &json!("the wallet is not on the network"))
    );
    let daves = of(&preview, "dave")[0];
    assert_eq!(
        (&daves["outcome"], &daves["reason"], &daves["text"]),
        (&json!("skipped"), &json!("`if` is false"), &Value::Null)
    );
    // A wallet of one's choice, for people.
    let bobs = bob.address().to_string();
    let late = house
        .run(&["preview", "post/late", "--as", &bobs])
        .await
        .expect(0);
    assert!(
        late.out.contains("thread late  held until ")
            && late.out.contains(": quiet hours 00:00-24:00")
            && late.out.contains("\n    Late!\n")
            && !late.out.contains(&alice.address().to_string()),
        "{}",
        late.out
    );
    let stranger = address("eve").to_string();
    let nobody = house
        .run(&["preview", "post/late", "--as", &stranger])
        .await
        .expect(0);
    assert!(
        nobody.talk.contains("is not among the 4 wallets of the audience"),
        "{}",
        nobody.talk
    );
    // Nothing of it happened.
    assert!(house.deliveries(&["--rule", "news"]).await.is_empty());
    let status = house.run(&["broadcast", "status", "post/news"]).await.expect(2);
    assert!(
        status.talk.contains("has not been broadcast yet"),
        "{}",
        status.talk
    );
    // The store alone tells the same, but for what only the node knows.
    herald.stop().await;
    let aside = house.run(&arguments).await.expect(0);
    let alices = of(&aside.json(), "alice")[0].clone();
    assert_eq!(
        (&alices["outcome"], &alices["envelopes"]),
        (&json!("sent"), &Value::Null)
    );
    let wrong = house.run(&["preview", "post/nothing"]).await.expect(1);
    assert!(wrong.talk.contains("has no rule `nothing`"), "{}", wrong.talk);
}

#[tokio::test]
async fn a_plan_counts_every_wallet_once_and_what_it_takes() {
    let house = House::of(BOT);
    let (herald, _alice, bob) = readers(&house).await;
    bob.say(herald.address(), "stop").await;
    herald.event("left", |_| true).await;
    let text = event(&house, &json!({ "text": "gm" }));
    let arguments = ["broadcast", "plan", "post/news", "--event", &text, "--json"];
    let plan = house.run(&arguments).await.expect(0).json();
    // Who leaves is on no list any more.
    let counts = [
        "wallets",
        "reachable",
        "not_on_network",
        "denied",
        "skipped",
        "rejected",
        "new",
        "known",
        "envelopes",
    ];
    let counted = |plan: &Value| counts.map(|name| plan[name].as_u64().unwrap());
    assert_eq!(counted(&plan), [3, 1, 1, 0, 1, 0, 1, 0, 5], "{plan}");
    assert_eq!(
        (&plan["complete"], &plan["seconds"]),
        (&json!(true), &Value::Null)
    );
    assert!(house.deliveries(&["--rule", "news"]).await.is_empty());
    herald.fire("news", &json!({ "text": "gm" })).await;
    herald.count("delivered", 2).await;
    let plan = house.run(&arguments).await.expect(0).json();
    assert_eq!(counted(&plan), [3, 1, 1, 0, 1, 0, 0, 1, 2], "{plan}");
    let sentence = house.run(&arguments[..5]).await.expect(0).out;
    assert_eq!(
        sentence,
        "3 wallets: 1 reachable, 1 not on the network, 1 left out by a condition; 2 envelopes for 0 new and 1 known\n"
    );
    // A bot that opens a conversation by itself may not write to who denied it.
    let order = json!({ "id": "o1", "wallet": bob.address().to_string() });
    let file = event(&house, &order);
    let arguments = ["broadcast", "plan", "post/order", "--event", &file, "--json"];
    let plan = house.run(&arguments).await.expect(0).json();
    assert_eq!(counted(&plan), [1, 0, 0, 1, 0, 0, 0, 0, 0], "{plan}");
    herald.fire("order", &order).await;
    let repeated = house.run(&arguments).await.expect(0).json();
    assert_eq!(repeated["repeated"], json!(true), "{repeated}");
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_named_by_a_plan() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let good = address("alice").to_string();
    let rows = format!("wallet,name\n{good},Al\nnonsense,Bo\n{good},Al\n0x12,Cy\n");
    std::fs::write(house.folder().join("wallets.csv"), rows).unwrap();
    let plan = house
        .run(&["broadcast", "plan", "post/table", "--json"])
        .await
        .expect(0)
        .json();
    let rows: Vec<u64> = plan["broken"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["row"].as_u64().unwrap())
        .collect();
    assert_eq!(
        (&plan["wallets"], &plan["broken_rows"]),
        (&json!(1), &json!(2)),
        "{plan}"
    );
    assert_eq!(rows, [3, 5]);
    drop(herald);
    let away = house.run(&["broadcast", "plan", "post/table"]).await.expect(3);
    assert!(away.talk.contains("no herald runs on "), "{}", away.talk);
}
