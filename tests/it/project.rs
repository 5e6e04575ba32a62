//! The project file: found beside the bots or above them, named by `--project`, and obeyed.

use serde_json::json;

use crate::harness::{house::House, people::person, web::http};

const BOT: &str = "herald: 1
bot: post
identity: env:BOT_KEY
defaults: { consent: transactional }
rules:
  letter:
    when: { manual: true }
    to: { wallet: body.wallet }
    send: \"{{ body.text }}\"
";

const PROJECT: &str = "herald: 1
store: sqlite:state/bots.db
api: { tokens: file:tokens }
limits: { recipient: 1/1d }
";

fn private(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_project_gives_its_bots_their_store_their_tokens_and_the_most_they_write_to_one_wallet() {
    let house = House::of(BOT);
    std::fs::write(house.folder().join("herald.yaml"), PROJECT).unwrap();
    private(
        &house.folder().join("tokens"),
        "an-operators-token-1\nan-operators-token-2\n",
    );
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let url = format!("{}/v1/bots/post/rules/letter", herald.api());
    for (token, status) in [("an-operators-token-2", 202), ("an-operators-token-3", 401)] {
        let body = json!({ "wallet": alice.address().to_string(), "text": "one" });
        let answer = http()
            .post(&url)
            .bearer_auth(token)
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status);
    }
    alice.reads(herald.address(), &["one"]).await;
    herald.fire_for("letter", alice.address(), "two").await;
    let held = herald.event("held", |_| true).await;
    assert_eq!(held["reason"], "over the limit of 1/1d");
    let states: Vec<_> = house
        .deliveries(&[])
        .await
        .into_iter()
        .map(|row| row["state"].clone())
        .collect();
    assert_eq!(states, ["delivered", "held"]);
    assert!(house.folder().join("state/bots.db").is_file());
    assert!(!house.data().join("herald.db").exists());
    let elsewhere = house
        .run(&["deliveries", "--project", "none.yaml"])
        .await
        .expect(2);
    assert!(elsewhere.out.contains("cannot read the file"), "{elsewhere:?}");
}

#[tokio::test]
async fn check_tells_what_is_wrong_in_the_project_and_bots_of_two_projects_do_not_start_together() {
    let house = House::of(BOT);
    let project = house.folder().join("herald.yaml");
    std::fs::write(&project, "herald: 1\nlimits: { recipient: many }\n").unwrap();
    let found = house.run(&["check", "--json", "bot.yaml"]).await.expect(1).json();
    assert_eq!(
        (&found["file"], &found["line"]),
        (&"herald.yaml".into(), &2.into()),
        "{found}"
    );
    assert_eq!(found["path"], "limits.recipient");
    house.run(&["run", "bot.yaml"]).await.expect(2);

    std::fs::write(&project, "herald: 1\n").unwrap();
    let other = house.folder().join("other");
    std::fs::create_dir(&other).unwrap();
    let bot = BOT.replace("bot: post", "bot: other");
    std::fs::write(other.join("bot.yaml"), bot).unwrap();
    // One above both is one project.
    house.run(&["check", "bot.yaml", "other"]).await.expect(0);
    std::fs::write(other.join("herald.yaml"), "herald: 1\n").unwrap();
    let two = house.run(&["run", "bot.yaml", "other"]).await.expect(2);
    assert!(two.talk.contains("two projects"), "{two:?}");
    house
        .run(&["check", "--project", "herald.yaml", "bot.yaml", "other"])
        .await
        .expect(0);
}
