//! Commands beside a running herald: `status`, `backup`; and a proof of consent, made without one.

use herald_protocol::consent::ConsentProof;
use serde_json::json;

use super::run;
use crate::harness::{
    house::House,
    people::{address, key, now, person},
};

const BOT: &str = "herald: 1
bot: post
identity: env:BOT_KEY
defaults: { consent: transactional }
rules:
  note:
    when: { manual: true }
    to: { wallet: body.wallet }
    send: \"{{ body.text }}\"
  morning: { when: { cron: 0 9 * * * }, to: { wallet: 0x1111111111111111111111111111111111111111 }, send: hi }
  idle: { when: { cron: 0 9 * * * }, to: { wallet: 0x1111111111111111111111111111111111111111 }, paused: true, send: hi }
";

#[tokio::test]
async fn a_running_herald_says_how_its_bots_stand() {
    let house = House::of(BOT);
    house.run(&["status"]).await.expect(3);
    let mut herald = house.start().await;
    herald.fire_for("note", address("bob"), "one").await;
    herald.event("held", |_| true).await;
    let status = house.run(&["status", "--json"]).await.expect(0).json();
    let bot = &status["bots"][0];
    assert_eq!(
        (&bot["bot"], &bot["wallet"]),
        (&json!("post"), &json!(herald.address().to_string()))
    );
    assert_eq!(
        bot["queue"],
        json!({ "planned": 0, "held": 1, "sealed": 0, "oldest": null })
    );
    assert_eq!(bot["paused"], json!(["idle"]));
    assert!(
        bot["next"][0]["at"].as_str().unwrap().ends_with("T09:00:00.000Z"),
        "{bot}"
    );
    let lines = house.run(&["status"]).await.expect(0).out;
    assert!(
        lines.contains("post  0x") && lines.contains("1 held") && lines.contains("paused: idle"),
        "{lines}"
    );
    // From elsewhere, with the token at hand.
    let elsewhere = tempfile::tempdir().unwrap();
    let token = [("TOKEN", herald.token())];
    let token: Vec<(&str, &str)> = token
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let arguments = ["status", "--json", "--api", &herald.api(), "--token", "env:TOKEN"];
    let same = run(elsewhere.path(), &arguments, &token, "")
        .await
        .expect(0)
        .json();
    assert_eq!(same["bots"][0]["queue"], bot["queue"]);
    let wrong = run(elsewhere.path(), &arguments, &[("TOKEN", "not the token")], "")
        .await
        .expect(1);
    assert!(wrong.talk.contains("Bearer"), "{}", wrong.talk);
    herald.stop().await;
    house.run(&["status"]).await.expect(3);
}

#[tokio::test]
async fn a_copy_of_the_store_takes_its_place() {
    let house = House::of(BOT);
    let mut herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire_for("note", alice.address(), "one").await;
    herald.event("delivered", |_| true).await;
    house.run(&["backup", "copy.db"]).await.expect(0);
    house.run(&["backup", "copy.db"]).await.expect(1);
    herald.fire_for("note", alice.address(), "two").await;
    herald.count("delivered", 2).await;
    herald.stop().await;
    let store = house.data().join("herald.db");
    for old in ["herald.db-wal", "herald.db-shm"] {
        let _ = std::fs::remove_file(house.data().join(old));
    }
    std::fs::rename(house.folder().join("copy.db"), &store).unwrap();
    let rows = house.deliveries(&[]).await;
    assert_eq!((rows.len(), &rows[0]["state"]), (1, &json!("delivered")));
    let herald = house.start().await;
    herald.fire_for("note", alice.address(), "three").await;
    herald.event("delivered", |_| true).await;
    alice.reads(herald.address(), &["one", "two", "three"]).await;
}

#[tokio::test]
async fn a_signed_consent_is_the_proof_that_an_invitation_carries() {
    let folder = tempfile::tempdir().unwrap();
    let bot = address("bot").to_string();
    let arguments = ["keys", "sign-consent", &bot, "--key", "env:KEY", "--json"];
    let signed = run(folder.path(), &arguments, &[("KEY", &key("alice"))], "")
        .await
        .expect(0)
        .json();
    let proof = ConsentProof {
        signature: signed["signature"].as_str().unwrap().to_owned(),
        timestamp_ms: signed["timestamp"].as_u64().unwrap(),
        payload_version: 1,
    };
    proof.verify(address("bot"), address("alice"), now()).unwrap();
    assert!(proof.verify(address("bob"), address("alice"), now()).is_err());
}
