//! `deliveries`: the log, in the documented shape, by every filter.

use std::collections::BTreeSet;

use serde_json::Value;

use super::run;
use crate::harness::{
    house::House,
    people::{address, person},
};

#[tokio::test]
async fn the_log_has_the_documented_shape_and_every_filter_filters() {
    let house = House::of(
        "herald: 1
bot: post
identity: env:BOT_KEY
defaults: { consent: transactional }
rules:
  note:
    when: { manual: true }
    to: { wallet: body.wallet }
    send: \"{{ body.text }}\"
  news:
    when: { manual: true }
    to: { wallet: body.wallet }
    consent: opted_in
    send: \"{{ body.text }}\"
",
    );
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire_for("note", alice.address(), "one").await;
    let delivered = herald.event("delivered", |_| true).await;
    herald.fire_for("note", address("nobody"), "two").await;
    herald.event("held", |_| true).await;
    herald.fire_for("news", alice.address(), "three").await;
    herald.event("skipped", |_| true).await;

    // Beside the running herald.
    let rows = house.deliveries(&[]).await;
    let wanted =
        "bot created_at delivery envelope key message reason rule settled_at state tries until wallet";
    let wanted: BTreeSet<&str> = wanted.split(' ').collect();
    for row in &rows {
        assert_eq!(
            row.as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect::<BTreeSet<_>>(),
            wanted
        );
    }
    let states: Vec<&str> = rows.iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["delivered", "held", "skipped"]);
    for field in ["delivery", "envelope", "message", "wallet", "key", "rule", "bot"] {
        assert_eq!(rows[0][field], delivered[field], "{field}");
    }
    assert_eq!((&rows[0]["tries"], &rows[0]["until"]), (&1.into(), &Value::Null));
    assert!(
        rows[1]["until"].is_string() && rows[1]["envelope"].is_null(),
        "{}",
        rows[1]
    );
    assert_eq!(rows[2]["reason"], "the wallet has not opted in");

    let (alices, since) = (
        alice.address().to_string(),
        rows[1]["created_at"].as_str().unwrap(),
    );
    let filters: [(&[&str], &[usize]); 8] = [
        (&["--bot", "post"], &[0, 1, 2]),
        (&["--bot", "other"], &[]),
        (&["--rule", "note"], &[0, 1]),
        (&["--wallet", &alices], &[0, 2]),
        (&["--state", "held"], &[1]),
        (&["--since", since], &[1, 2]),
        (&["--since", "2999-01-01T00:00:00Z"], &[]),
        (
            &["--rule", "note", "--state", "delivered", "--wallet", &alices],
            &[0],
        ),
    ];
    for (filter, wanted) in filters {
        let found: Vec<Value> = house
            .deliveries(filter)
            .await
            .iter()
            .map(|row| row["delivery"].clone())
            .collect();
        let wanted: Vec<Value> = wanted.iter().map(|at| rows[*at]["delivery"].clone()).collect();
        assert_eq!(found, wanted, "{filter:?}");
    }
    let newest = house
        .run(&["deliveries", "--limit", "1", "--json"])
        .await
        .expect(0);
    assert_eq!(newest.json()["state"], "skipped");
    let lines = house.run(&["deliveries"]).await.expect(0).out;
    assert_eq!(lines.lines().count(), 3);
    assert!(lines.lines().nth(1).unwrap().contains("held"), "{lines}");

    house.run(&["deliveries", "--state", "lost"]).await.expect(2);
    house.run(&["deliveries", "--since", "yesterday"]).await.expect(2);
    let empty = tempfile::tempdir().unwrap();
    let absent = run(empty.path(), &["deliveries"], &[], "").await.expect(2);
    assert!(absent.talk.contains("--data"), "{}", absent.talk);
}
