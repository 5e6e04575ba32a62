//! Streams of one conversation, of new conversations and of everything: each message once, whatever happens to the node and
//! however slow the reader is.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use herald::client::{
    Client, ConversationStream, InvitationContext, MessageStream, NodeAddress, Switchboard,
};
use herald_node::{Config, Host};
use herald_protocol::{proto::api::Envelope, time::TimestampNs};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::harness::{
    house::Node,
    people::{LOOK, Person, address, now, person, text, wallet},
    program::DEADLINE,
    proxy::Proxy,
};

async fn next(stream: &mut MessageStream) -> String {
    let message = tokio::time::timeout(DEADLINE, stream.next()).await;
    text(&message.expect("a message in time").unwrap())
}

/// Reads what the store has, until the stream is live.
async fn live(stream: &mut MessageStream) -> Vec<String> {
    let mut told = Vec::new();
    let start = Instant::now();
    while !stream.is_live() {
        assert!(start.elapsed() < DEADLINE, "the stream is live in time");
        if let Ok(message) = tokio::time::timeout(LOOK, stream.next()).await {
            told.push(text(&message.unwrap()));
        }
    }
    told
}

async fn alice_and_bob(node: NodeAddress) -> (Person, Person) {
    (person("alice", node.clone()).await, person("bob", node).await)
}

#[tokio::test]
async fn a_stream_of_one_conversation_tells_both_sides_and_nothing_of_others() {
    let node = Node::start().await;
    let (alice, bob) = alice_and_bob(node.address()).await;
    let carol = person("carol", node.address()).await;
    bob.say(alice.address(), "before").await;
    let with_bob = alice.conversations_with(bob.address()).await.remove(0);
    let mut stream = with_bob.stream(TimestampNs::from_ns(0));
    assert_eq!(live(&mut stream).await, ["before"]);
    carol.say(alice.address(), "of carol").await;
    let context = InvitationContext::new("another");
    let other = bob
        .client()
        .conversation_about(alice.address(), context)
        .await
        .unwrap();
    other.send("of another").await.unwrap();
    for (number, writer) in [&alice, &bob, &alice, &bob].into_iter().enumerate() {
        let peer = if number % 2 == 0 {
            bob.address()
        } else {
            alice.address()
        };
        writer.say(peer, &number.to_string()).await;
        assert_eq!(next(&mut stream).await, number.to_string());
    }
}

#[tokio::test]
async fn a_stream_of_others_leaves_out_what_the_wallet_wrote_from_any_of_its_clients() {
    let node = Node::start().await;
    let (alice, bob) = alice_and_bob(node.address()).await;
    alice.say(bob.address(), "own, from the store").await;
    bob.say(alice.address(), "from the store").await;
    let mut stream = alice
        .client()
        .stream_all_messages(TimestampNs::default())
        .of_others();
    assert_eq!(live(&mut stream).await, ["from the store"]);
    let elsewhere = person("alice", node.address()).await;
    for number in 0..3 {
        alice.say(bob.address(), "own").await;
        elsewhere.say(bob.address(), "own, of another client").await;
        bob.say(alice.address(), &number.to_string()).await;
        assert_eq!(next(&mut stream).await, number.to_string());
    }
}

#[tokio::test]
async fn conversations_are_streamed_known_ones_first_then_new_ones_of_either_side() {
    let node = Node::start().await;
    let (alice, bob) = alice_and_bob(node.address()).await;
    let next = async |stream: &mut ConversationStream| {
        let conversation = tokio::time::timeout(DEADLINE, stream.next()).await;
        conversation.expect("a conversation in time").unwrap()
    };
    bob.say(alice.address(), "hello").await;
    alice.client().sync_conversations().await.unwrap();
    let mut stream = alice.client().stream_conversations();
    assert_eq!(next(&mut stream).await.peer(), bob.address());
    for name in ["carol", "dave"] {
        let stranger = person(name, node.address()).await;
        stranger.say(alice.address(), "hello").await;
        let conversation = next(&mut stream).await;
        assert_eq!(conversation.peer(), stranger.address());
        assert_eq!(conversation.messages(None).await.unwrap().len(), 1);
    }
    let erin = person("erin", node.address()).await;
    alice.say(erin.address(), "hello").await;
    assert_eq!(next(&mut stream).await.peer(), erin.address());
    // Further messages are no further conversation.
    bob.say(alice.address(), "hello again").await;
    let frank = person("frank", node.address()).await;
    frank.say(alice.address(), "hello").await;
    assert_eq!(next(&mut stream).await.peer(), frank.address());
}

#[tokio::test]
async fn a_stream_of_everything_goes_on_after_the_node_was_killed_without_a_gap_and_each_once() {
    const KILLS: usize = 3;
    let mut node = Node::start().await;
    let (alice, bob) = alice_and_bob(node.address()).await;
    let mut stream = alice.client().stream_all_messages(TimestampNs::default());
    live(&mut stream).await;
    let mut wanted = Vec::new();
    let mut told = Vec::new();
    for kill in 0..KILLS {
        let carol = person(&format!("carol {kill}"), node.address()).await;
        for number in 0..10 {
            let word = format!("{kill}.{number}");
            bob.say(alice.address(), &word).await;
            wanted.push(word);
        }
        // Half of them are read before the node is gone.
        while told.len() < wanted.len() - 5 {
            told.push(next(&mut stream).await);
        }
        node = node.kill().start().await;
        for words in ["opened", "and more"] {
            let words = format!("{words} after {kill}");
            carol.say(alice.address(), &words).await;
            wanted.push(words);
        }
        bob.say(alice.address(), &format!("back after {kill}")).await;
        wanted.push(format!("back after {kill}"));
    }
    while told.len() < wanted.len() {
        told.push(next(&mut stream).await);
    }
    bob.say(alice.address(), "end").await;
    assert_eq!(next(&mut stream).await, "end", "nothing came twice");
    told.sort();
    wanted.sort();
    assert_eq!(told, wanted);
}

const MESSAGES: usize = 3_000;
const MESSAGE_BYTES: usize = 3_000;

/// Publishes many long messages.
async fn flood(bob: &Person, alice: &Person) {
    let conversation = bob.client().conversation_with(alice.address()).await.unwrap();
    for part in 0..MESSAGES / 100 {
        let mut envelopes: Vec<Envelope> = Vec::new();
        for number in part * 100..(part + 1) * 100 {
            let draft = conversation.draft(format!("{number:0>MESSAGE_BYTES$}"));
            envelopes.extend(draft.seal().await.unwrap().envelopes().last().cloned());
        }
        bob.client().publish(envelopes).await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_loses_nothing_and_keeps_little_in_memory() {
    let node = Node::start().await;
    let proxy = Proxy::to(node.grpc()).await;
    let alice = person("alice", NodeAddress::plain(proxy.address())).await;
    let bob = person("bob", node.address()).await;
    bob.say(alice.address(), "hello").await;
    let mut stream = alice.client().stream_all_messages(TimestampNs::default());
    assert_eq!(live(&mut stream).await, ["hello"]);
    let before = proxy.answered();
    flood(&bob, &alice).await;
    // What did not come through the proxy is in nobody's memory.
    let mut came = proxy.answered();
    loop {
        tokio::time::sleep(LOOK * 4).await;
        if came == proxy.answered() {
            break;
        }
        came = proxy.answered();
    }
    let came = came - before;
    assert!(
        came > 0 && came < 1 << 20,
        "{came} of {} bytes",
        MESSAGES * MESSAGE_BYTES
    );
    for number in 0..MESSAGES {
        assert_eq!(next(&mut stream).await, format!("{number:0>MESSAGE_BYTES$}"));
    }
    bob.say(alice.address(), "end").await;
    assert_eq!(next(&mut stream).await, "end", "nothing came twice");
}

#[tokio::test]
async fn of_readers_who_share_a_stream_a_slow_one_holds_up_no_other_and_loses_nothing() {
    let node = Node::start().await;
    let bob = person("bob", node.address()).await;
    let switchboard = Switchboard::default();
    let sharing = async |name: &str| {
        let builder = Client::builder(wallet(name), node.address()).switchboard(&switchboard);
        Person::of(builder.connect().await.unwrap())
    };
    let (slow, quick) = (sharing("slow").await, sharing("quick").await);
    let mut streams = Vec::new();
    for reader in [&slow, &quick] {
        bob.say(reader.address(), "hello").await;
        let mut stream = reader.client().stream_all_messages(TimestampNs::default());
        assert_eq!(live(&mut stream).await, ["hello"]);
        streams.push(stream);
    }
    node.streams(1.0).await;
    let [slowly, quickly] = streams.as_mut_slice() else {
        panic!("two streams")
    };
    flood(&bob, &slow).await;
    bob.say(quick.address(), "now").await;
    assert_eq!(next(quickly).await, "now");
    for number in 0..MESSAGES {
        assert_eq!(next(slowly).await, format!("{number:0>MESSAGE_BYTES$}"));
    }
    bob.say(slow.address(), "end").await;
    assert_eq!(next(slowly).await, "end", "nothing came twice");
}

/// A node in this process that has little patience with streams that are not read.
async fn impatient(
    folder: &Path,
    shutdown: CancellationToken,
) -> (NodeAddress, JoinSet<Result<(), herald_node::Error>>) {
    let config = Config {
        http: "127.0.0.1:0".to_owned(),
        grpc: "127.0.0.1:0".to_owned(),
        metrics: "127.0.0.1:0".to_owned(),
        store: folder.join("node.db").into(),
        stall: Duration::from_millis(20),
        ..Config::default()
    };
    let listeners = config.bind().await.unwrap();
    let address = NodeAddress::plain(listeners.addresses().grpc);
    let host = Host {
        clock: now.into(),
        metrics: PrometheusBuilder::new().build_recorder().handle(),
    };
    let mut running = JoinSet::new();
    running.spawn(herald_node::run(listeners, config, host, shutdown));
    (address, running)
}

#[tokio::test]
async fn a_reader_that_the_node_has_cut_for_not_reading_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let shutdown = CancellationToken::new();
    let (node, mut running) = impatient(folder.path(), shutdown.clone()).await;
    let (alice, bob) = alice_and_bob(node).await;
    bob.say(alice.address(), "hello").await;
    let mut stream = alice.client().stream_all_messages(TimestampNs::default());
    assert_eq!(live(&mut stream).await, ["hello"]);
    flood(&bob, &alice).await;
    let begin = Instant::now();
    for number in 0..MESSAGES {
        assert_eq!(next(&mut stream).await, format!("{number:0>MESSAGE_BYTES$}"));
    }
    bob.say(alice.address(), "end").await;
    assert_eq!(next(&mut stream).await, "end", "nothing came twice");
    assert!(begin.elapsed() < DEADLINE, "{:?}", begin.elapsed());
    drop((stream, alice, bob));
    shutdown.cancel();
    running.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn streams_that_nobody_reads_do_not_hold_up_other_calls() {
    const STREAMS: usize = 8;
    let node = Node::start().await;
    let (alice, bob) = alice_and_bob(node.address()).await;
    bob.say(alice.address(), "hello").await;
    let conversation = alice.conversations_with(bob.address()).await.remove(0);
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = conversation.stream(TimestampNs::default());
        live(&mut stream).await;
        streams.push(stream);
    }
    flood(&bob, &alice).await;
    let calls = async {
        conversation.send("I am still here").await.unwrap();
        let mut history = conversation.history().newest_first();
        let newest = history.next_page().await.unwrap().unwrap();
        assert_eq!(text(&newest[0]), "I am still here");
        assert_eq!(
            alice.client().can_message(&[address("nobody")]).await.unwrap(),
            [false]
        );
    };
    let done = tokio::time::timeout(Duration::from_secs(8), calls).await;
    assert!(done.is_ok(), "the calls are answered");
}
