//! `send` and `inbox`.

use std::collections::BTreeSet;

use herald::content::Custom;
use herald_protocol::{
    content::{self, ContentTypeId},
    proto::api::QueryResponse,
};
use serde_json::{Value, json};

use super::run;
use crate::harness::{
    house::Node,
    people::{address, key, person, text},
    program::{Program, herald},
    scripted::{Answer, Call, Scripted},
};

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn what_send_publishes_is_what_inbox_shows_in_the_documented_shapes() {
    let node = Node::start().await;
    let url = node.address().to_string();
    let alice = person("alice", node.address()).await;
    let to = alice.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (alices, bobs) = (key("alice"), key("bob"));
    let wallets = [("ALICE", &*alices), ("BOB", &*bobs)];
    let bob = ["--key", "env:BOB", "--node", &url];
    let send = |text: &'static str, more: &[&'static str]| [&["send", &to, text][..], &bob, more].concat();

    let first = run(folder, &send("gm ☀", &["--json"]), &wallets, "")
        .await
        .expect(0)
        .json();
    assert_eq!(
        keys(&first),
        BTreeSet::from(["envelope", "message", "wallet", "conversation", "sent_ns", "new"])
    );
    assert_eq!((&first["wallet"], &first["new"]), (&json!(to), &json!(true)));
    let second = run(folder, &send("-", &["--json"]), &wallets, "from\nstdin")
        .await
        .expect(0)
        .json();
    assert_eq!(
        (&second["conversation"], &second["new"]),
        (&first["conversation"], &json!(false))
    );
    let third = run(folder, &send("third", &[]), &wallets, "").await.expect(0);
    assert!(
        third.out.starts_with("published ") && third.out.ends_with(" (known conversation)\n"),
        "{}",
        third.out
    );
    alice
        .reads(address("bob"), &["gm ☀", "from\nstdin", "third"])
        .await;

    let mut odd = content::text("x");
    odd.content_type = ContentTypeId::new("example.org", "poll", 1, 0);
    odd.fallback = Some("a poll".to_owned());
    alice
        .client()
        .send(address("bob"), Custom::from(odd))
        .await
        .unwrap();

    let inbox = |more: &[&'static str]| [&["inbox", "--key", "env:ALICE", "--node", &url][..], more].concat();
    let shown = run(folder, &inbox(&["--json"]), &wallets, "")
        .await
        .expect(0)
        .json_lines();
    let wanted = BTreeSet::from([
        "id",
        "conversation",
        "from",
        "sent_ns",
        "type",
        "text",
        "content",
        "fallback",
    ]);
    assert!(shown.iter().all(|message| keys(message) == wanted), "{shown:?}");
    let texts: Vec<_> = shown
        .iter()
        .map(|message| message["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["gm ☀", "from\nstdin", "third", "a poll"]);
    assert_eq!(shown[0]["id"], first["message"]);
    assert_eq!(shown[0]["sent_ns"], first["sent_ns"]);
    assert_eq!(shown[0]["from"], address("bob").to_string());
    assert_eq!(
        (&shown[0]["type"], &shown[0]["fallback"]),
        (&json!("xmtp.org/text:1.0"), &Value::Null)
    );
    assert_eq!(
        (&shown[3]["type"], &shown[3]["fallback"]),
        (&json!("example.org/poll:1.0"), &json!("a poll"))
    );

    // Only those with one wallet.
    person("carol", node.address())
        .await
        .say(alice.address(), "it is me")
        .await;
    let carol = address("carol").to_string();
    let only = [&inbox(&["--json"])[..], &[&carol]].concat();
    let only = run(folder, &only, &wallets, "").await.expect(0);
    assert_eq!(only.json()["text"], "it is me");
    let lines = run(folder, &inbox(&[]), &wallets, "").await.expect(0).out;
    assert!(
        lines.contains(&format!("── {carol}\n")) && lines.contains(": it is me\n"),
        "{lines}"
    );
}

#[tokio::test]
async fn inbox_follow_shows_messages_as_they_come_until_it_is_told_to_end() {
    let node = Node::start().await;
    let url = node.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    let alice = person("alice", node.address()).await;
    let bob = person("bob", node.address()).await;
    bob.say(alice.address(), "before").await;
    let arguments = [
        "inbox",
        "--follow",
        "--json",
        "--key",
        "env:ALICE",
        "--node",
        &url,
    ];
    let environment = [("ALICE".to_owned(), key("alice"))];
    let mut inbox = Program::start("herald inbox", herald(folder.path(), arguments, &environment));
    let shows = |text: &'static str| move |lines: &[Value]| lines.iter().any(|line| line["text"] == text);
    inbox.until("the message before", shows("before")).await;
    bob.say(alice.address(), "after").await;
    inbox.until("the message after", shows("after")).await;
    // Somebody new, too.
    let carol = person("carol", node.address()).await;
    carol.say(alice.address(), "from carol").await;
    inbox.until("a new conversation", shows("from carol")).await;
    inbox.stop().await;
    let texts: Vec<_> = inbox.lines().iter().map(|line| line["text"].clone()).collect();
    assert_eq!(texts, ["before", "after", "from carol"]);
    assert_eq!(
        alice
            .messages_of(bob.address())
            .await
            .iter()
            .map(text)
            .collect::<Vec<_>>(),
        ["before", "after"]
    );
}

#[tokio::test]
async fn inbox_follow_shows_what_came_after_its_history_was_read_and_nothing_twice() {
    let node = Scripted::start().await;
    let url = node.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    let alice = person("alice", node.address()).await;
    let bob = person("bob", node.address()).await;
    let carol = person("carol", node.address()).await;
    bob.say(alice.address(), "meanwhile").await;
    carol.say(alice.address(), "before").await;
    let topic = alice.conversations_with(bob.address()).await[0]
        .topic()
        .to_string();
    // As if Bob's message were not there yet when his conversation is read for the first time.
    let mut is_read = false;
    node.answers(move |call| match call {
        Call::Query(query) if !is_read && query.content_topics == [topic.as_str()] => {
            is_read = true;
            Some(Answer::Page(QueryResponse::default()))
        }
        _ => None,
    });
    let arguments = [
        "inbox",
        "--follow",
        "--json",
        "--key",
        "env:ALICE",
        "--node",
        &url,
    ];
    let environment = [("ALICE".to_owned(), key("alice"))];
    let mut inbox = Program::start("herald inbox", herald(folder.path(), arguments, &environment));
    let shows = |text: &'static str| move |lines: &[Value]| lines.iter().any(|line| line["text"] == text);
    inbox.until("the message meanwhile", shows("meanwhile")).await;
    carol.say(alice.address(), "after").await;
    inbox.until("the message after", shows("after")).await;
    inbox.stop().await;
    let texts: Vec<_> = inbox.lines().iter().map(|line| line["text"].clone()).collect();
    assert_eq!(texts, ["before", "meanwhile", "after"]);
}

#[tokio::test]
async fn what_cannot_be_sent_says_why_with_an_exit_code_of_its_own() {
    let node = Node::start().await;
    let url = node.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    let (nobody, own) = (address("nobody").to_string(), address("bob").to_string());
    let wrong = nobody.to_uppercase().replace("0X", "0x");
    let bobs = key("bob");
    let cases = [
        (1, &*nobody, "hi", &*url, "is not on the network"),
        (1, &own, "hi", &url, "own wallet"),
        (2, &nobody, " ", &url, "empty"),
        (2, &wrong, "hi", &url, "checksum"),
        (2, "0x12", "hi", &url, "0x12"),
        (2, &nobody, "hi", "http://127.0.0.1:1", "grpc://host:port"),
        (3, &nobody, "hi", "grpc://127.0.0.1:1", "cannot reach the node"),
    ];
    for (code, to, text, at, why) in cases {
        let arguments = ["send", to, text, "--key", "env:BOB", "--node", at];
        let ended = run(folder.path(), &arguments, &[("BOB", &bobs)], "").await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.talk.contains(why) && ended.out.is_empty(), "{ended:?}");
        assert!(!ended.talk.contains(&bobs));
    }
    let away = ["inbox", "--key", "env:BOB", "--node", "grpc://127.0.0.1:1"];
    let away = run(folder.path(), &away, &[("BOB", &bobs)], "").await.expect(3);
    assert!(away.talk.contains("hint: is the node running?"), "{}", away.talk);
    let unset = ["inbox", "--key", "env:ABSENT", "--node", &url];
    run(folder.path(), &unset, &[], "").await.expect(2);
}
