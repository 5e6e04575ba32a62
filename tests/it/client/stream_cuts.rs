//! A stream that ends or fails is opened again with the same topics and filled from the store: nothing is lost, nothing comes
//! twice.

use std::time::{Duration, Instant};

use herald::client::{Client, MessageStream, TimestampNs};
use herald_protocol::proto::api::Envelope;
use tonic::Status;

use super::vectors::case;
use crate::harness::{
    people::{LOOK, person, text},
    program::DEADLINE,
    scripted::{Call, Made, Scripted},
};

/// A message that is sealed and nowhere yet.
async fn sealed(from: &Client, to: &Client, words: &str) -> Envelope {
    let conversation = from.conversation_with(to.address()).await.unwrap();
    let sealed = conversation.draft(words).seal().await.unwrap();
    sealed.envelopes().last().unwrap().clone()
}

async fn next(stream: &mut MessageStream) -> String {
    let message = tokio::time::timeout(DEADLINE, stream.next()).await;
    text(&message.expect("a message in time").unwrap())
}

/// Waits for a condition of the node.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(LOOK).await;
    }
}

fn subscriptions(node: &Scripted) -> Vec<(Instant, Vec<String>)> {
    let calls = node.calls().into_iter();
    calls
        .filter_map(|Made { at, call }| match call {
            Call::Subscribe(topics) => Some((at, topics)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_stream_that_ends_is_opened_again_and_filled() {
    let case = case("subscribe-framing-and-reconnect");
    let node = Scripted::start().await;
    let (alice, bob) = (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    );
    bob.say(alice.address(), "hello").await;
    alice.client().sync_conversations().await.unwrap();
    let conversation = alice.client().conversations().remove(0);
    let delivered = case.value("/expected/delivered").as_array().unwrap().len();
    let missed = sealed(bob.client(), alice.client(), "while it was cut").await;
    node.calls();

    let mut stream = conversation.stream(TimestampNs::default());
    assert_eq!(next(&mut stream).await, "hello");
    for number in 0..delivered {
        let word = number.to_string();
        node.put(&sealed(bob.client(), alice.client(), &word).await);
        assert_eq!(next(&mut stream).await, word);
    }
    node.put_unheard(missed);
    node.cut(None);
    assert_eq!(next(&mut stream).await, "while it was cut");
    node.put(&sealed(bob.client(), alice.client(), "live").await);
    assert_eq!(next(&mut stream).await, "live");

    let opened = subscriptions(&node);
    assert_eq!(
        opened.len(),
        1 + case.count("/expected/connection_lost_callbacks")
    );
    assert_eq!(opened[0].1, [conversation.topic().to_string()]);
    assert_eq!(opened[0].1, opened[1].1);
    let least = Duration::from_millis(case.number("/expected/reconnect_delay_ms_at_least"));
    assert!(
        opened[1].0 - opened[0].0 >= least,
        "{:?}",
        opened[1].0 - opened[0].0
    );
}

#[tokio::test]
async fn a_stream_that_fails_is_opened_again_and_filled() {
    let case = case("subscribe-error-line");
    let node = Scripted::start().await;
    let (alice, bob) = (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    );
    bob.say(alice.address(), "hello").await;
    alice.client().sync_conversations().await.unwrap();
    let conversation = alice.client().conversations().remove(0);
    let mut stream = conversation.stream(TimestampNs::default());
    node.calls();
    assert_eq!(next(&mut stream).await, "hello");
    node.put_unheard(sealed(bob.client(), alice.client(), "after").await);
    node.cut(Some(&Status::unavailable("x")));
    assert_eq!(next(&mut stream).await, "after");
    assert_eq!(subscriptions(&node).len(), case.count("/expected/connections"));
}

#[tokio::test]
async fn a_stream_that_was_cut_for_not_reading_goes_on_without_a_long_wait() {
    let node = Scripted::start().await;
    let (alice, bob) = (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    );
    bob.say(alice.address(), "hello").await;
    alice.client().sync_conversations().await.unwrap();
    let conversation = alice.client().conversations().remove(0);
    let mut stream = conversation.stream(TimestampNs::default());
    assert_eq!(next(&mut stream).await, "hello");
    let topic = conversation.topic().as_str();
    until("a stream", || node.listeners(topic) > 0).await;
    node.cut(Some(&Status::resource_exhausted("stream was not read")));
    node.put_unheard(sealed(bob.client(), alice.client(), "missed").await);
    let start = Instant::now();
    assert_eq!(next(&mut stream).await, "missed");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn over_many_cuts_nothing_is_lost_and_nothing_comes_twice() {
    const ROUNDS: usize = 4;
    let node = Scripted::start().await;
    let (alice, bob) = (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    );
    let mut stream = alice.client().stream_all_messages(TimestampNs::from_ns(0));
    let (sender, mut read) = tokio::sync::mpsc::channel(1_000);
    let mut reading = tokio::task::JoinSet::new();
    reading.spawn(async move {
        loop {
            let message = text(&stream.next().await.unwrap());
            sender.send(message).await.unwrap();
        }
    });
    let is_streamed = |topic: String| {
        let node = &node;
        async move { until("a stream", || node.listeners(&topic) > 0).await }
    };
    is_streamed(herald_protocol::topic::Topic::invite(alice.address()).to_string()).await;
    let mut wanted = Vec::new();
    for round in 0..ROUNDS {
        for number in 0..20 {
            let word = format!("{round}.{number}");
            bob.say(alice.address(), &word).await;
            wanted.push(word);
        }
        let end = (round % 2 == 0).then(|| Status::internal("cut"));
        node.cut(end.as_ref());
        // A conversation that is opened, and a message, while nobody listens.
        let stranger = person(&format!("stranger {round}"), node.address()).await;
        for words in ["first", "second"] {
            let words = format!("{words} of {round}");
            stranger.say(alice.address(), &words).await;
            wanted.push(words);
        }
        let topic = stranger.conversations_with(alice.address()).await[0]
            .topic()
            .to_string();
        is_streamed(topic).await;
    }
    bob.say(alice.address(), "end").await;
    let mut got = Vec::new();
    loop {
        let word = tokio::time::timeout(DEADLINE, read.recv()).await;
        let word = word.expect("a message in time").unwrap();
        if word == "end" {
            break;
        }
        got.push(word);
    }
    got.sort();
    wanted.sort();
    assert_eq!(got, wanted);
}
