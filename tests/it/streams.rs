//! Streams of a client: every message once, whoever opened the conversation and however the reader reads.

use std::time::Duration;

use crate::harness::{
    house::Node,
    people::{now, person, text},
    program::DEADLINE,
};

#[tokio::test]
async fn a_reader_that_gives_up_and_asks_again_misses_nothing() {
    let node = Node::start().await;
    let alice = person("alice", node.address()).await;
    let bob = person("bob", node.address()).await;
    let mut stream = alice.client().stream_all_messages(now());
    let wanted: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let writing = async {
        for word in &wanted {
            bob.say(alice.address(), word).await;
        }
    };
    let mut read = Vec::new();
    let reading = async {
        // Some are shorter than it takes to open a message.
        let mut patience = [100, 1, 2, 40].into_iter().cycle().map(Duration::from_millis);
        while read.len() < wanted.len() {
            if let Ok(message) = tokio::time::timeout(patience.next().unwrap(), stream.next()).await {
                read.push(text(&message.unwrap()));
            }
        }
    };
    let both = async { tokio::join!(writing, reading) };
    let ended = tokio::time::timeout(DEADLINE / 2, both).await;
    assert_eq!(read, wanted, "in time: {}", ended.is_ok());
}

#[tokio::test]
async fn a_reply_in_a_conversation_that_the_reader_opened_is_streamed() {
    let node = Node::start().await;
    let alice = person("alice", node.address()).await;
    let bob = person("bob", node.address()).await;
    let mut stream = alice.client().stream_all_messages(now());
    let next = async |stream: &mut herald::client::MessageStream| {
        let message = tokio::time::timeout(DEADLINE, stream.next()).await;
        text(&message.expect("a message in time").unwrap())
    };
    // The stream is live before there is any conversation.
    let live = tokio::time::timeout(Duration::from_millis(500), stream.next()).await;
    assert!(live.is_err() && stream.is_live());
    alice.say(bob.address(), "hello").await;
    assert_eq!(next(&mut stream).await, "hello");
    bob.say(alice.address(), "good day").await;
    assert_eq!(next(&mut stream).await, "good day");
}

/// What is not stored is heard by a confirmed subscription only.
#[tokio::test]
async fn what_is_sent_after_a_stream_has_connected_is_heard() {
    let node = Node::start().await;
    let alice = person("alice", node.address()).await;
    let bob = person("bob", node.address()).await;
    alice.say(bob.address(), "hello").await;
    let conversation = bob.conversations_with(alice.address()).await.remove(0);
    let mut stream = conversation.stream_ephemeral();
    stream.connect().await.unwrap();
    let typing = alice.client().conversation_with(bob.address()).await.unwrap();
    typing.draft("…").ephemeral().send().await.unwrap();
    let heard = tokio::time::timeout(DEADLINE, stream.next()).await;
    assert_eq!(text(&heard.expect("a message in time").unwrap()), "…");
}
