//! Callbacks: what became of a delivery is told, signed, until it is taken; a kill loses none; no receiver holds up anything else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    harness::{
        house::{Herald, House},
        people::{LOOK, address, person},
        program::DEADLINE,
        receiver::{Answers, Receiver, Told},
        shop::{self, SECRET},
        web::http,
    },
    secrets::{contains, forms},
};

/// A bot that calls the receiver back, in a project that lets it.
fn house(receiver: &Receiver) -> House {
    let house = House::of(&bot(receiver)).set("CALLBACK_SECRET", &shop::secret());
    let project = "herald: 1\nfetch: { allow: [127.0.0.1/32] }\n";
    std::fs::write(house.folder().join("herald.yaml"), project).unwrap();
    house
}

fn bot(receiver: &Receiver) -> String {
    let url = |path: &str| format!("url: \"{}\", sign: env:CALLBACK_SECRET", receiver.url(path));
    let (all, some, news) = (url("/hooks?token=Kq7xW2"), url("/hooks"), url("/ok/news"));
    let rule = "when: { manual: true }\n    to: { wallet: body.wallet }\n";
    format!(
        "herald: 1
bot: shop
identity: env:BOT_KEY
defaults: {{ consent: transactional, retry: {{ from: 1s, to: 1s }} }}
rules:
  order:
    {rule}    send: \"{{{{ body.text }}}}{{% if body.text == 'odd' %}}{{{{ 1 / 0 }}}}{{% endif %}}\"
    callback: {{ {all} }}
  brief:
    {rule}    ttl: 2s
    send: \"{{{{ body.text }}}}\"
    callback: {{ events: [delivered, expired], {some} }}
  news:
    {rule}    digest: {{ every: 2s }}
    send: \"{{{{ items | length }}}}\"
    callback: {{ events: delivered, {news} }}
  quiet:
    {rule}    send: \"{{{{ body.text }}}}\"
"
    )
}

/// What `herald callbacks --json` lists, oldest first.
async fn callbacks(house: &House, arguments: &[&str]) -> Vec<Value> {
    let mut rows = house
        .run(&[&["callbacks", "--json"], arguments].concat())
        .await
        .expect(0)
        .json_lines();
    rows.reverse();
    rows
}

/// Waits until the states of all callbacks, oldest first, are these.
async fn states(house: &House, wanted: &[&str]) -> Vec<Value> {
    let waiting = async {
        loop {
            let rows = callbacks(house, &[]).await;
            if rows
                .iter()
                .map(|row| row["state"].as_str().unwrap())
                .eq(wanted.iter().copied())
            {
                return rows;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let Ok(rows) = tokio::time::timeout(DEADLINE, waiting).await else {
        panic!("wanted {wanted:?}, found {:#?}", callbacks(house, &[]).await)
    };
    rows
}

fn of_event<'t>(told: &'t [Told], event: &str) -> Vec<&'t Told> {
    told.iter().filter(|told| told.body["event"] == event).collect()
}

/// Waits for the end of a callback that is given up, and gives the reason.
async fn given_up(herald: &Herald) -> String {
    let event = herald.event("callback_dead", |_| true).await;
    event["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_became_of_a_delivery_is_told_with_its_envelope_and_reason() {
    let receiver = Receiver::start().await;
    let house = house(&receiver);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire_for("order", alice.address(), "one").await;
    receiver.count(1).await;
    herald.fire_for("order", alice.address(), "odd").await;
    receiver.count(2).await;
    herald.fire_for("brief", address("nobody"), "late").await;
    // Larger than any answer that is read.
    receiver.answers(Answers::With(
        201,
        Box::leak("x".repeat(9_000_000).into_boxed_str()),
    ));
    let told = receiver.count(3).await;
    herald.fire_for("quiet", alice.address(), "two").await;
    alice.reads(herald.address(), &["one", "two"]).await;

    let rows = house.deliveries(&[]).await;
    let done = states(&house, &["done", "done", "done"]).await;
    for (at, (state, rule)) in [
        ("delivered", "order"),
        ("rejected", "order"),
        ("expired", "brief"),
    ]
    .into_iter()
    .enumerate()
    {
        let (told, row, callback) = (&told[at], &rows[at], &done[at]);
        let wanted = json!({
            "event": state, "bot": "shop", "rule": rule, "delivery": row["delivery"], "wallet": row["wallet"],
            "envelope": row["envelope"], "at": row["settled_at"], "reason": row["reason"],
        });
        assert_eq!(told.body, wanted);
        assert_eq!(row["state"], state);
        assert_eq!(told.body["envelope"].is_string(), state == "delivered");
        assert_eq!(
            (&callback["webhook_id"], &callback["delivery"]),
            (&json!(told.id), &row["delivery"])
        );
        assert_eq!(callback["tries"], 1, "{callback}");
    }
    let ids: BTreeSet<&str> = told.iter().map(|told| told.id.as_str()).collect();
    assert_eq!(ids.len(), 3);
    let lines = house.run(&["callbacks"]).await.expect(0).out;
    assert!(
        lines.lines().count() == 3 && lines.contains("shop/brief  expired"),
        "{lines}"
    );
}

#[tokio::test]
async fn the_first_message_of_the_wallet_since_a_delivery_is_told_once() {
    let receiver = Receiver::start().await;
    let house = house(&receiver);
    let mut herald = house.start().await;
    let (alice, bob) = (
        person("alice", herald.node()).await,
        person("bob", herald.node()).await,
    );
    // Before the delivery: it replies to nothing.
    alice.say(herald.address(), "hello?").await;
    herald.fire_for("order", alice.address(), "one").await;
    herald.fire_for("order", bob.address(), "one").await;
    receiver.count(2).await;
    alice.reads(herald.address(), &["one"]).await;
    alice.say(herald.address(), "thanks").await;
    let told = receiver.count(3).await;
    let reply = &told[2].body;
    assert_eq!(
        (&reply["event"], &reply["wallet"], &reply["reason"]),
        (
            &json!("replied"),
            &json!(alice.address().to_string()),
            &Value::Null
        )
    );
    let delivered = of_event(&told, "delivered");
    let of_alice = delivered
        .iter()
        .find(|told| told.body["wallet"] == reply["wallet"])
        .unwrap();
    assert_eq!(reply["delivery"], of_alice.body["delivery"]);
    assert_eq!(reply["envelope"], of_alice.body["envelope"]);

    // Another word of hers replies to nothing new, also after a kill, until she is written to again.
    alice.say(herald.address(), "really").await;
    herald.kill();
    let herald = house.start().await;
    alice.say(herald.address(), "and once more").await;
    herald.fire_for("order", alice.address(), "two").await;
    alice.reads(herald.address(), &["one", "two"]).await;
    receiver
        .until("two", |told| of_event(told, "delivered").len() == 3)
        .await;
    alice.say(herald.address(), "thanks again").await;
    let told = receiver
        .until("again", |told| of_event(told, "replied").len() > 1)
        .await;
    let replied: Vec<&Value> = of_event(&told, "replied")
        .iter()
        .map(|told| &told.body["delivery"])
        .collect();
    let second = &of_event(&told, "delivered")[2].body["delivery"];
    assert_eq!(replied, [&reply["delivery"], second]);
    states(&house, &["done"; 5]).await;
}

#[tokio::test]
async fn one_that_is_not_taken_is_told_again_with_the_same_id_and_body_until_its_time_is_over() {
    let receiver = Receiver::start().await;
    receiver.answers(Answers::With(500, ""));
    let house = house(&receiver);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire_for("order", alice.address(), "one").await;
    receiver.count(3).await;
    let waiting = callbacks(&house, &["--state", "waiting"]).await.remove(0);
    assert_eq!(waiting["reason"], "it was answered with 500, wanted 200 to 299");
    receiver.answers(Answers::With(200, ""));
    let done = states(&house, &["done"]).await.remove(0);
    let told = receiver.told();
    assert!(done["tries"] == told.len() && told.len() > 3, "{done}");
    assert!(
        told.iter()
            .all(|again| again.id == told[0].id && again.text == told[0].text)
    );

    // `ttl: 2s`: it is given up soon.
    receiver.answers(Answers::With(503, ""));
    herald.fire_for("brief", alice.address(), "two").await;
    let reason = given_up(&herald).await;
    assert_eq!(
        reason,
        "`delivered` could not be told: it was answered with 503, wanted 200 to 299"
    );
    let dead = states(&house, &["done", "dead"]).await.remove(1);
    assert!(dead["tries"].as_u64() >= Some(2), "{dead}");
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_goes_out_again_with_its_first_id() {
    let receiver = Receiver::start().await;
    receiver.answers(Answers::With(410, ""));
    let house = house(&receiver);
    let mut herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    for (rule, text) in [("order", "one"), ("brief", "two")] {
        herald.fire_for(rule, alice.address(), text).await;
    }
    herald.count("callback_dead", 2).await;
    let dead = states(&house, &["dead", "dead"]).await;
    let event = &herald.events("callback_dead")[0];
    let of_event = dead
        .iter()
        .find(|row| row["callback"] == event["callback"])
        .unwrap();
    for field in ["bot", "rule", "delivery", "wallet"] {
        assert_eq!(event[field], of_event[field], "{field}");
    }
    assert_eq!(of_event["tries"], 1, "410 is not asked again");
    let filters: [(&[&str], usize); 6] = [
        (&["--bot", "shop"], 2),
        (&["--bot", "other"], 0),
        (&["--rule", "brief"], 1),
        (&["--state", "dead"], 2),
        (&["--state", "done"], 0),
        (&["--limit", "1"], 1),
    ];
    for (filter, count) in filters {
        assert_eq!(callbacks(&house, filter).await.len(), count, "{filter:?}");
    }
    house.run(&["callbacks", "--state", "lost"]).await.expect(2);
    house.run(&["callbacks", "replay"]).await.expect(2);
    house.run(&["callbacks", "replay", "1", "--dead"]).await.expect(2);

    // One by its id, of the herald that runs; then all that are left, of the one that is named.
    receiver.answers(Answers::With(200, ""));
    let id = dead[0]["callback"].to_string();
    let missing = house.run(&["callbacks", "replay", &id, "77"]).await.expect(1);
    assert!(missing.talk.contains("there is no callback 77"), "{missing:?}");
    let replayed = house.run(&["callbacks", "replay", &id, "--json"]).await.expect(0);
    assert_eq!(replayed.json(), json!({ "replayed": 1 }));
    receiver.count(3).await;
    states(&house, &["done", "dead"]).await;
    let token = house.data().join("api.token");
    let token = format!("file:{}", token.display());
    let arguments = [
        "callbacks",
        "replay",
        "--dead",
        "--api",
        &herald.api(),
        "--token",
        &token,
    ];
    assert_eq!(house.run(&arguments).await.expect(0).out, "1 to be told again\n");
    receiver.count(4).await;
    states(&house, &["done", "done"]).await;

    // One that was taken, beside a store that nobody serves.
    herald.stop().await;
    let arguments = ["callbacks", "replay", &id, "--bots", "bot.yaml"];
    house.run(&arguments).await.expect(0);
    let herald = house.start().await;
    let told = receiver.count(5).await;
    let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for told in &told {
        ids.entry(&told.id).or_default().push(&told.text);
    }
    let mut times: Vec<usize> = ids.values().map(Vec::len).collect();
    times.sort_unstable();
    assert_eq!(times, [2, 3]);
    assert!(
        ids.values()
            .all(|texts| texts.iter().all(|text| text == &texts[0]))
    );
    let refused = [
        json!({}),
        json!({ "dead": true, "callbacks": [1] }),
        json!({ "all": 1 }),
    ];
    let url = format!("{}/v1/callbacks/replay", herald.api());
    for body in refused {
        let asking = http().post(&url).bearer_auth(herald.token()).json(&body);
        let status = asking.send().await.unwrap().status();
        assert!(status.is_client_error(), "{body}: {status}");
    }
    let strange = http()
        .post(&url)
        .json(&json!({ "dead": true }))
        .send()
        .await
        .unwrap();
    assert_eq!(strange.status(), 401);
}

#[tokio::test]
async fn a_kill_between_settling_and_telling_loses_none_and_makes_none_twice() {
    let receiver = Receiver::start().await;
    receiver.answers(Answers::Silence);
    let house = house(&receiver);
    let mut herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let texts = ["a", "b", "c", "d", "e", "f"];
    for text in texts {
        herald.fire_for("order", alice.address(), text).await;
    }
    herald.count("delivered", texts.len()).await;
    receiver.count(1).await;
    herald.kill();
    let before = receiver.told().len();
    receiver.answers(Answers::With(200, ""));
    let _herald = house.start().await;
    let rows = states(&house, &["done"; 6]).await;
    let told = receiver.told();
    let ids: BTreeSet<&str> = told.iter().map(|told| told.id.as_str()).collect();
    let after: BTreeSet<&str> = told[before..].iter().map(|told| told.id.as_str()).collect();
    assert_eq!(
        (ids.len(), after.len()),
        (6, 6),
        "each again, with the id it had: {told:#?}"
    );
    let deliveries: BTreeSet<String> = rows.iter().map(|row| row["delivery"].to_string()).collect();
    assert_eq!(deliveries.len(), 6);
    let delivered = alice.texts_of(address("bot")).await;
    assert_eq!(delivered.len(), 6, "{delivered:?}");
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_neither_deliveries_nor_what_other_rules_tell() {
    let receiver = Receiver::start().await;
    receiver.answers(Answers::Silence);
    let house = house(&receiver);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    for _ in 0..12 {
        herald.fire_for("order", alice.address(), "held").await;
    }
    receiver.count(1).await;
    herald.fire_for("quiet", alice.address(), "goes").await;
    herald.fire_for("news", alice.address(), "goes").await;
    herald.event("delivered", |event| event["rule"] == "quiet").await;
    let told = receiver
        .until("news", |told| told.iter().any(|told| told.path == "/ok/news"))
        .await;
    let hanging = told.iter().filter(|told| told.path == "/hooks").count();
    assert!(hanging <= 8, "at most eight of a rule at once, found {hanging}");
    herald.count("delivered", 14).await;
    assert!(herald.events("callback_dead").is_empty());
}

#[tokio::test]
async fn the_rows_of_a_digest_are_told_each_with_the_envelope_of_their_message() {
    let receiver = Receiver::start().await;
    let house = house(&receiver);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire_for("news", alice.address(), "a").await;
    herald.fire_for("news", alice.address(), "b").await;
    alice.reads(herald.address(), &["2"]).await;
    let told = receiver.count(2).await;
    let of = |field: &str| {
        told.iter()
            .map(|told| told.body[field].to_string())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        (of("delivery").len(), of("envelope").len(), told.len()),
        (2, 1, 2)
    );
    assert!(told.iter().all(|told| told.body["envelope"].is_string()));
    states(&house, &["done", "done"]).await;
}

#[tokio::test]
async fn private_addresses_are_refused_also_behind_a_redirect() {
    let (receiver, inner) = (
        Receiver::start().await,
        Receiver::start_at([127, 0, 0, 2].into()).await,
    );
    let house = house(&receiver);
    let mut herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    receiver.answers(Answers::To(inner.url("/hooks")));
    herald.fire_for("brief", alice.address(), "one").await;
    let reason = given_up(&herald).await;
    assert!(
        reason.ends_with("it was answered with 302, wanted 200 to 299"),
        "{reason}"
    );
    let before = receiver.told().len();

    herald.stop().await;
    std::fs::remove_file(house.folder().join("herald.yaml")).unwrap();
    let herald = house.start().await;
    herald.fire_for("brief", alice.address(), "two").await;
    let reason = given_up(&herald).await;
    assert!(
        reason.contains("a loopback address; wanted a public one"),
        "{reason}"
    );
    assert_eq!((receiver.told().len(), inner.told().len()), (before, 0));
}

#[tokio::test]
async fn what_a_rule_does_not_tell_any_more_is_given_up() {
    let receiver = Receiver::start().await;
    receiver.answers(Answers::With(500, ""));
    let house = house(&receiver);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire_for("order", alice.address(), "one").await;
    receiver.count(1).await;
    house.rewrite(&bot(&receiver).replace("    callback: ", "    # callback: "));
    let reason = given_up(&herald).await;
    assert_eq!(
        reason,
        "`delivered` could not be told: the rule has no `callback` now"
    );
    states(&house, &["dead"]).await;
}

#[tokio::test]
async fn the_secret_that_signs_and_the_token_in_the_url_appear_nowhere() {
    let receiver = Receiver::start().await;
    receiver.answers(Answers::With(500, ""));
    let house = house(&receiver).set("HERALD_LOG", "trace");
    let mut herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire_for("order", alice.address(), "one").await;
    receiver.count(2).await;
    receiver.answers(Answers::With(200, ""));
    states(&house, &["done"]).await;
    herald.stop().await;
    let out: Vec<String> = herald.lines().iter().map(ToString::to_string).collect();
    let mut places = vec![out.join("\n").into_bytes(), herald.talk().into_bytes()];
    for file in std::fs::read_dir(house.data()).unwrap() {
        let file = file.unwrap().path();
        if file.is_file() {
            places.push(std::fs::read(file).unwrap());
        }
    }
    let mut secrets = forms("the secret", SECRET);
    secrets.push(("the secret as written".to_owned(), shop::secret().into_bytes()));
    secrets.push(("the token of the URL".to_owned(), b"Kq7xW2".to_vec()));
    for place in &places {
        for (name, secret) in &secrets {
            assert!(!contains(place, secret), "{name} appears");
        }
    }
}

#[tokio::test]
async fn a_test_of_the_bot_calls_nobody_back_and_needs_no_secret() {
    let receiver = Receiver::start().await;
    let house = house(&receiver);
    let url = receiver.url("/hooks");
    house.rewrite(&format!(
        "herald: 1
bot: shop
identity: env:NO_SUCH_KEY
lists: {{ people: {{ join: /join }} }}
rules:
  hello:
    when: {{ manual: true }}
    to: people
    send: hi
    callback: {{ url: \"{url}\", sign: env:NO_SUCH_SECRET }}
tests:
  - name: one
    given: {{ people: [{{ wallet: alice }}] }}
    do: [{{ run: hello }}, {{ message: {{ from: alice, text: thanks }} }}, {{ wait: 1h }}]
    expect: [{{ to: alice, text: hi }}]
"
    ));
    house.run(&["test", "bot.yaml"]).await.expect(0);
    assert!(receiver.told().is_empty());
}
