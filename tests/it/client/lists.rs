//! Conversations that are found late, and what must not keep them from being found.

use std::time::Duration;

use herald::client::{Cache, Client, InvitationContext, TimestampNs};
use herald_protocol::address::Address;

use crate::harness::{
    house::Node,
    people::{Person, now, person, text, wallet},
    program::DEADLINE,
};

const HOUR: Duration = Duration::from_hours(1);

fn ago(time: Duration) -> TimestampNs {
    now().saturating_sub(time)
}

/// Writes to somebody new; invitation and message are dated.
async fn writes(from: &Person, to: Address, words: &str, sent: TimestampNs) {
    let conversation = from.client().conversation_with(to).await.unwrap();
    conversation.draft(words).sent_at(sent).send().await.unwrap();
}

fn lists(client: &Client, peer: Address) -> bool {
    client.conversations().iter().any(|known| known.peer() == peer)
}

#[tokio::test]
async fn a_conversation_found_late_is_told_from_the_time_that_was_asked_for() {
    let node = Node::start().await;
    let (alice, bob) = (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    );
    let carol = person("carol", node.address()).await;
    alice.say(bob.address(), "hello").await;
    bob.say(alice.address(), "today").await;
    // Nobody has told Alice's client of this conversation, and its message is older than any overlap.
    writes(&carol, alice.address(), "three days ago", ago(72 * HOUR)).await;
    let mut stream = alice.client().stream_all_messages(ago(96 * HOUR));
    let mut told = Vec::new();
    while told.len() < 3 {
        let message = tokio::time::timeout(DEADLINE, stream.next()).await;
        told.push(text(&message.expect("a message in time").unwrap()));
    }
    told.sort();
    assert_eq!(told, ["hello", "three days ago", "today"]);
}

#[tokio::test]
async fn what_was_sent_says_nothing_of_how_far_the_lists_were_read() {
    let node = Node::start().await;
    let (alice, bob) = (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    );
    let carol = person("carol", node.address()).await;
    writes(&carol, alice.address(), "five hours ago", ago(5 * HOUR)).await;
    let reached = alice
        .client()
        .reach(&[bob.address()])
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let sealed = reached.draft("twice").seal().await.unwrap();
    sealed.publish().await.unwrap();
    sealed.publish().await.unwrap();
    alice.client().sync_conversations().await.unwrap();
    assert!(lists(alice.client(), carol.address()));
}

#[tokio::test]
async fn an_invitation_to_a_pre_key_that_was_rotated_elsewhere_is_listed_after_the_next_start() {
    let node = Node::start().await;
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        let cache = Cache::open(&folder.path().join("client.db")).unwrap();
        let builder = Client::builder(wallet("alice"), node.address()).cache(cache);
        builder.connect().await.unwrap()
    };
    let running = start().await;
    let elsewhere = person("alice", node.address()).await;
    elsewhere.client().rotate_pre_key().await.unwrap();
    let (carol, dave) = (
        person("carol", node.address()).await,
        person("dave", node.address()).await,
    );
    writes(&carol, running.address(), "to the new key", ago(5 * HOUR)).await;
    writes(&dave, running.address(), "to the new key", now()).await;
    running.sync_conversations().await.unwrap();
    assert!(
        running.conversations().is_empty(),
        "neither opens with the old key"
    );
    for _ in 0..2 {
        let restarted = start().await;
        assert!(lists(&restarted, carol.address()) && lists(&restarted, dave.address()));
    }
}

#[tokio::test]
async fn however_many_conversations_are_opened_while_streaming_each_message_is_told_once() {
    let node = Node::start().await;
    let (alice, bob) = (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    );
    let mut stream = alice.client().stream_all_messages(now());
    stream.connect().await.unwrap();
    let mut wanted = Vec::new();
    let writing = async {
        for round in 0..2 {
            // More than the subscriptions a stream holds, twice over.
            for number in 0..150 {
                let context = InvitationContext::new(format!("{number}"));
                let conversation = bob
                    .client()
                    .conversation_about(alice.address(), context)
                    .await
                    .unwrap();
                wanted.push(format!("{round} in {number}"));
                conversation.send(format!("{round} in {number}")).await.unwrap();
            }
        }
    };
    let mut told = Vec::new();
    let reading = async {
        while told.len() < 300 {
            let message = tokio::time::timeout(DEADLINE, stream.next()).await;
            told.push(text(&message.expect("a message in time").unwrap()));
        }
    };
    tokio::join!(writing, reading);
    let more = tokio::time::timeout(Duration::from_millis(500), stream.next()).await;
    assert!(more.is_err(), "nothing is told twice");
    told.sort();
    wanted.sort();
    assert_eq!(told, wanted);
}
