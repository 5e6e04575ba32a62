//! A node that says that its limit is reached is given the time it asks for: calls wait and then go on, and none fails for it.

use std::time::{Duration, Instant};

use herald::client::{Api, Client, Conversation, Disposition};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::harness::{
    people::{person, text},
    program::DEADLINE,
    scripted::{Answer, Call, Made, Scripted},
};

/// Asks for a wait in the way that gRPC has for it.
fn wait_by_detail(wait: Duration) -> Status {
    let details = ErrorDetails::with_retry_info(Some(wait));
    Status::with_error_details(Code::ResourceExhausted, "exceeds rate limit", details)
}

/// Asks for a wait in the way that HTTP has for it.
fn wait_by_header(seconds: u64) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("retry-after", seconds.to_string().parse().unwrap());
    Status::with_metadata(Code::ResourceExhausted, "exceeds rate limit", metadata)
}

async fn alice(node: &Scripted) -> (Client, Conversation) {
    let bob = person("bob", node.address()).await;
    let alice = person("alice", node.address()).await;
    alice.say(bob.address(), "hello").await;
    let conversation = alice.client().conversation_with(bob.address()).await.unwrap();
    node.calls();
    (alice.client().clone(), conversation)
}

fn is_publish(call: &Call) -> bool {
    matches!(call, Call::Publish { .. })
}

/// Refuses calls like this until the wait is over that the first refusal asked for.
fn refuse(node: &Scripted, refusal: Status, wait: Duration, concerns: fn(&Call) -> bool) {
    let mut first = None;
    node.answers(move |call| {
        if !concerns(call) {
            return None;
        }
        let first = *first.get_or_insert_with(Instant::now);
        (first.elapsed() < wait).then(|| Answer::Refusal(refusal.clone()))
    });
}

/// Checks that the calls were made before the node asked to wait or after the wait, and gives how many there were.
fn kept(calls: &[Made], wait: Duration) -> usize {
    let first = calls[0].at;
    let offsets: Vec<Duration> = calls.iter().map(|made| made.at - first).collect();
    // What was on its way when the first was refused is refused as well.
    let early = offsets.iter().filter(|at| (wait / 2..wait).contains(*at)).count();
    assert_eq!(early, 0, "{offsets:?}");
    calls.len()
}

const CALLS: usize = 8;

#[tokio::test]
async fn reads_wait_as_long_as_the_node_asks_and_go_on() {
    let second = Duration::from_secs(1);
    for (refusal, wait) in [
        (wait_by_header(1), second),
        (wait_by_detail(second * 3 / 5), second * 3 / 5),
    ] {
        let node = Scripted::start().await;
        let (_, conversation) = alice(&node).await;
        refuse(&node, refusal, wait, |_| true);
        let start = Instant::now();
        let reads = (0..CALLS).map(|_| conversation.messages(None));
        for read in futures::future::join_all(reads).await {
            assert_eq!(read.unwrap().len(), 1);
        }
        assert!(start.elapsed() >= wait);
        // Some of them ask together.
        let calls = kept(&node.calls(), wait);
        assert!((1..=2 * CALLS).contains(&calls), "{calls}");
    }
}

#[tokio::test]
async fn sends_wait_as_long_as_the_node_asks_and_go_on_while_reads_go_through() {
    let second = Duration::from_secs(1);
    for (refusal, wait) in [
        (wait_by_header(1), second),
        (wait_by_detail(second * 3 / 5), second * 3 / 5),
    ] {
        let node = Scripted::start().await;
        let (_, conversation) = alice(&node).await;
        refuse(&node, refusal, wait, is_publish);
        let start = Instant::now();
        let sends = (0..CALLS).map(|number| conversation.send(number.to_string()));
        let reading = async {
            // The publishes are on their way or wait.
            conversation.messages(None).await.unwrap();
            start.elapsed()
        };
        let (sent, read) = tokio::join!(futures::future::join_all(sends), reading);
        assert!(read < wait, "{read:?}");
        for sent in sent {
            sent.unwrap();
        }
        assert!(start.elapsed() >= wait);
        let mut calls = node.calls();
        calls.retain(|made| is_publish(&made.call));
        let calls = kept(&calls, wait);
        assert!((CALLS..=2 * CALLS).contains(&calls), "{calls}");
        assert_eq!(node.stored(conversation.topic().as_str()).len(), 1 + CALLS);
    }
}

#[tokio::test]
async fn no_call_fails_however_often_the_node_asks_for_time() {
    const OFTEN: usize = 10;
    let node = Scripted::start().await;
    let (_, conversation) = alice(&node).await;
    for concerns in [is_publish as fn(&Call) -> bool, |call| !is_publish(call)] {
        let mut asked = 0;
        node.answers(move |call| {
            asked += usize::from(concerns(call));
            let is_refused = concerns(call) && asked <= OFTEN;
            is_refused.then(|| Answer::Refusal(wait_by_detail(Duration::from_millis(5))))
        });
        conversation.send("1").await.unwrap();
        assert!(!conversation.messages(None).await.unwrap().is_empty());
        let calls = node.calls();
        let concerned = calls.iter().filter(|made| concerns(&made.call)).count();
        assert_eq!(concerned, OFTEN + 1);
    }
}

#[tokio::test]
async fn a_refusal_that_names_no_wait_is_not_answered_by_another_call_soon() {
    let node = Scripted::start().await;
    let (client, conversation) = alice(&node).await;
    node.answers(|_| Some(Answer::Refusal(Status::resource_exhausted("exceeds rate limit"))));
    let little = Duration::from_millis(1_500);
    let sealed = conversation.draft("1").seal().await.unwrap();
    let refused = client.publish(sealed.envelopes().to_vec()).await.unwrap_err();
    assert_eq!(
        refused.disposition(),
        Disposition::Retry(Some(Duration::from_mins(1)))
    );
    node.calls();
    let (sent, read) = tokio::join!(
        tokio::time::timeout(little, sealed.publish()),
        tokio::time::timeout(little, conversation.messages(None)),
    );
    assert!(sent.is_err() && read.is_err(), "both wait still");
    // The read alone: publishes wait since the first refusal.
    assert_eq!(node.calls().len(), 1);
    // Another connection has been asked for nothing.
    node.is_itself();
    let other = Api::new(node.address()).unwrap();
    let authorization = "Bearer of-another";
    other
        .publish(sealed.envelopes().to_vec(), authorization)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_stream_waits_as_long_as_the_node_asks_and_goes_on() {
    let wait = Duration::from_millis(1_500);
    let node = Scripted::start().await;
    let (_, conversation) = alice(&node).await;
    refuse(&node, wait_by_detail(wait), wait, |call| {
        matches!(call, Call::Subscribe(_))
    });
    let start = Instant::now();
    let mut stream = conversation.stream(herald::client::TimestampNs::default());
    let message = tokio::time::timeout(DEADLINE, stream.next()).await;
    assert_eq!(text(&message.expect("a message in time").unwrap()), "hello");
    assert!(start.elapsed() >= wait);
    let mut calls = node.calls();
    calls.retain(|made| matches!(made.call, Call::Subscribe(_)));
    assert_eq!(calls.len(), 2);
}
