//! Big sends and their brakes: nothing before the approval, a canary that stops, a pause that keeps its place, a cancel; the
//! counts always add up, also across a kill.

use serde_json::{Value, json};

use crate::harness::{
    house::{Herald, House},
    people::{Person, person},
    program::DEADLINE,
};

const BOT: &str = "herald: 1
bot: post
identity: env:BOT_KEY
defaults: { consent: any }
rules:
  drop:
    when: { manual: true }
    to: { wallets: [body.wallets] }
    approve: true
    send: \"drop {{ body.text }}\"
  bird:
    when: { manual: true }
    to: { wallets: [body.wallets] }
    unreached: skip
    canary: { first: 2, wait: 2s, stop_if: failed > 0.4 }
    send: \"{% if body.text == 'bad' %}{{ 1 / 0 }}{% endif %}bird\"
  slow:
    when: { manual: true }
    to: { wallets: [body.wallets] }
    stop_if: rejected > 0 and settled >= 1
    hours: 00:00-24:00
    limit: { rule: 1/1s }
    send: \"{% if to.wallet == body.bad %}{{ 1 / 0 }}{% endif %}slow {{ body.text }}\"
";

async fn people(names: &[&str], herald: &Herald) -> Vec<Person> {
    let mut people = Vec::new();
    for name in names {
        people.push(person(name, herald.node()).await);
    }
    people
}

fn to(people: &[Person], text: &str) -> Value {
    let wallets: Vec<String> = people.iter().map(|person| person.address().to_string()).collect();
    json!({ "wallets": wallets, "text": text, "bad": null })
}

/// `herald broadcast ACTION post/RULE --json`.
async fn ask(house: &House, action: &str, rule: &str) -> Vec<Value> {
    let place = format!("post/{rule}");
    let arguments = ["broadcast", action, &place, "--json"];
    house.run(&arguments).await.expect(0).json_lines()
}

/// Waits until the newest broadcast of a rule is as wanted, and holds that its counts add up all the while.
async fn until(house: &House, rule: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let newest = ask(house, "status", rule).await.remove(0);
            let parts = ["delivered", "rejected", "expired", "skipped", "held", "left"];
            let sum: u64 = parts.iter().map(|part| newest[part].as_u64().unwrap()).sum();
            assert_eq!(newest["planned"].as_u64(), Some(sum), "{newest}");
            if wanted(&newest) {
                return newest;
            }
        }
    };
    let reached = tokio::time::timeout(DEADLINE, waiting).await;
    reached.unwrap_or_else(|_| panic!("the broadcast of {rule} does not get there"))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_before_the_approval_also_across_a_kill_and_each_occurrence_needs_its_own() {
    let house = House::of(BOT);
    let mut herald = house.start().await;
    let crowd = people(&["a1", "a2", "a3"], &herald).await;
    herald.fire("drop", &to(&crowd, "one")).await;
    herald.event("awaiting_approval", |_| true).await;
    let waits = until(&house, "drop", |status| status["planned"] == 3).await;
    assert_eq!((&waits["gate"], &waits["held"]), (&json!("approval"), &json!(3)));
    let rows = house.deliveries(&["--state", "held"]).await;
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(
        rows.iter().all(|row| row["reason"] == "it awaits approval"),
        "{rows:?}"
    );
    herald.kill();
    let herald = house.start().await;
    let post = herald.address();
    assert_eq!(ask(&house, "status", "drop").await[0]["held"], 3);
    let crowd = people(&["a1", "a2", "a3"], &herald).await;
    assert!(crowd[0].texts_of(post).await.is_empty());
    let approved = ask(&house, "approve", "drop").await;
    assert_eq!(approved[0]["broadcasts"].as_array().unwrap().len(), 1);
    for person in &crowd {
        person.reads(post, &["drop one"]).await;
    }
    herald.fire("drop", &to(&crowd[..1], "two")).await;
    let waits = until(&house, "drop", |status| status["planned"] == 1).await;
    assert_eq!(waits["gate"], "approval");
    let again = house.run(&["broadcast", "resume", "post/drop"]).await;
    let said = again.expect(1).talk;
    assert!(said.contains("no broadcast of `post/drop` is paused"), "{said}");
    ask(&house, "cancel", "drop").await;
    let cancelled = until(&house, "drop", |status| status["skipped"] == 1).await;
    assert_eq!(cancelled["gate"], "cancelled");
    crowd[0].reads(post, &["drop one"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_goes_first_and_stops_the_rest_when_it_fails() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let post = herald.address();
    let crowd = people(&["b1", "b2", "b3", "b4"], &herald).await;
    herald.fire("bird", &to(&crowd, "good")).await;
    let first = until(&house, "bird", |status| status["delivered"] == 2).await;
    assert_eq!((&first["gate"], &first["held"]), (&json!("canary"), &json!(2)));
    for person in &crowd {
        person.reads(post, &["bird"]).await;
    }
    herald.fire("bird", &to(&crowd, "bad")).await;
    let paused = herald.event("paused", |_| true).await;
    let reason = paused["reason"].as_str().unwrap();
    // Two fail at once, or one after the other.
    let failed =
        [1, 2].map(|count| format!("`stop_if` is true after 0 delivered, {count} rejected, 0 expired"));
    assert!(failed.iter().any(|failed| failed == reason), "{reason}");
    let stopped = until(&house, "bird", |status| status["rejected"] != 0).await;
    assert_eq!(stopped["gate"], "paused");
    assert!(stopped["held"].as_u64().unwrap() >= 2, "{stopped}");
    ask(&house, "cancel", "bird").await;
    until(&house, "bird", |status| {
        status["held"] == 0 && status["left"] == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_keeps_its_place_and_counts_that_say_so_stop_a_broadcast() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let post = herald.address();
    let crowd = people(&["c1", "c2", "c3"], &herald).await;
    herald.fire("slow", &to(&crowd, "x")).await;
    until(&house, "slow", |status| status["delivered"] != 0).await;
    ask(&house, "pause", "slow").await;
    let paused = until(&house, "slow", |status| status["left"] == 0).await;
    assert_eq!(paused["gate"], "paused");
    let before = paused["delivered"].as_u64().unwrap();
    assert!(before < 3, "{paused}");
    // Rows that wait for the limit are taken back, too.
    let parked = async {
        loop {
            let rows = house.deliveries(&["--state", "held"]).await;
            if rows.iter().all(|row| row["reason"] == "the broadcast is paused") {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, parked).await.unwrap();
    ask(&house, "resume", "slow").await;
    for person in &crowd {
        person.reads(post, &["slow x"]).await;
    }
    let mut bad = to(&crowd, "y");
    bad["bad"] = json!(crowd.iter().map(Person::address).min().unwrap().to_string());
    herald.fire("slow", &bad).await;
    let paused = herald
        .event("paused", |event| event["reason"] != "somebody paused it")
        .await;
    assert!(
        paused["reason"]
            .as_str()
            .unwrap()
            .starts_with("`stop_if` is true"),
        "{paused}"
    );
}

#[tokio::test]
async fn the_command_says_what_is_wrong_with_it() {
    let house = House::of(BOT);
    let said = house.run(&["broadcast", "status", "post"]).await.expect(2).talk;
    assert!(said.contains("expected `BOT/RULE`"), "{said}");
    let herald = house.start().await;
    let none = house.run(&["broadcast", "status", "post/none"]).await;
    assert!(none.expect(1).talk.contains("bot `post` has no rule `none`"));
    let never = house.run(&["broadcast", "status", "post/drop"]).await;
    assert!(never.expect(2).talk.contains("has not been broadcast yet"));
    let (gone, token) = ("http://127.0.0.1:9", "file:data/api.token");
    let gone = [
        "broadcast",
        "status",
        "post/drop",
        "--api",
        gone,
        "--token",
        token,
    ];
    let said = house.run(&gone).await.expect(3).talk;
    assert!(said.contains("no herald answers at http://127.0.0.1:9"), "{said}");
    drop(herald);
}

#[tokio::test]
async fn a_broadcast_that_ends_before_it_has_messages_is_told_with_its_reason() {
    let house = House::of(BOT);
    let herald = house.start().await;
    herald
        .fire("drop", &json!({ "wallets": ["0xbad"], "text": "" }))
        .await;
    herald.event("rejected", |_| true).await;
    let ended = ask(&house, "status", "drop").await.remove(0);
    assert_eq!(
        (&ended["gate"], &ended["complete"]),
        (&json!("rejected"), &json!(true))
    );
    let reason = ended["reason"].as_str().unwrap();
    assert!(reason.starts_with("`to`: "), "{ended}");
    let said = house
        .run(&["broadcast", "status", "post/drop"])
        .await
        .expect(0)
        .out;
    assert!(said.starts_with("rejected (`to`: "), "{said}");
}

#[tokio::test]
async fn a_broadcast_is_braked_in_the_store_where_no_herald_runs() {
    let house = House::of(BOT);
    let mut herald = house.start().await;
    let crowd = people(&["d1", "d2"], &herald).await;
    herald.fire("drop", &to(&crowd, "one")).await;
    until(&house, "drop", |status| status["planned"] == 2).await;
    herald.stop().await;
    let approve = ["broadcast", "approve", "post/drop", "--bots", "bot.yaml"];
    house.run(&approve).await.expect(0);
    let herald = house.start().await;
    let post = herald.address();
    for person in people(&["d1", "d2"], &herald).await {
        person.reads(post, &["drop one"]).await;
    }
}

#[tokio::test]
async fn a_broadcast_is_started_and_followed_to_its_end_on_the_command_line() {
    let house = House::of(BOT);
    let herald = house.start().await;
    let crowd = people(&["e1", "e2", "e3"], &herald).await;
    let body = to(&crowd, "good").to_string();
    let started = house
        .run(&["broadcast", "start", "post/bird", "--body", &body])
        .await;
    let said = started.expect(0).out;
    assert!(said.starts_with("started post/bird "), "{said}");
    let followed = house.run(&["broadcast", "status", "post/bird", "--follow"]).await;
    let lines = followed.expect(0).out;
    let last = lines.lines().last().unwrap();
    assert!(last.starts_with("done, 3 planned: 3 delivered  "), "{lines}");
    for person in &crowd {
        person.reads(herald.address(), &["bird"]).await;
    }
}
