//! V1: wallets whose clients read nothing else are written to in it, and what was written in it stays readable.

use herald::client::{Api, Conversation, InvitationContext, TimestampNs, Version};
use herald_protocol::topic::Topic;

use crate::harness::{
    house::Node,
    people::{Person, now, person, text},
    program::DEADLINE,
};

async fn texts(conversation: &Conversation) -> Vec<String> {
    let messages = conversation.messages(None).await.unwrap();
    messages.iter().map(text).collect()
}

async fn stored(node: &Node, topic: Topic) -> usize {
    let api = Api::new(node.address()).unwrap();
    api.newest_of_each(&[topic], 100).await.unwrap()[0].len()
}

/// Alice, and Bob whose client reads V1 only.
async fn alice_and_old_bob(node: &Node) -> (Person, Person) {
    let bob = person("bob", node.address()).await;
    bob.reads_v1_only().await;
    (person("alice", node.address()).await, bob)
}

#[tokio::test]
async fn a_v1_wallet_is_introduced_once_and_then_written_to() {
    let node = Node::start().await;
    let (alice, bob) = alice_and_old_bob(&node).await;
    let conversation = alice.client().conversation_with(bob.address()).await.unwrap();
    assert_eq!(
        (conversation.version(), conversation.is_open()),
        (Version::V1, false)
    );
    let dm = Topic::dm(alice.address(), bob.address());
    let intros = [bob.address(), alice.address()].map(Topic::intro);
    let first = conversation.send("first").await.unwrap();
    let topics: Vec<&str> = first
        .envelopes()
        .iter()
        .map(|envelope| &*envelope.content_topic)
        .collect();
    assert_eq!(topics, [intros[0].as_str(), intros[1].as_str(), dm.as_str()]);
    assert!(first.is_new() && conversation.is_open());
    let second = conversation.send("second").await.unwrap();
    assert!(!second.is_new());
    // A client that starts anew knows of the conversation, too.
    let alice_later = person("alice", node.address()).await;
    alice_later.say(bob.address(), "third").await;
    let of_bob = bob.conversations_with(alice.address()).await;
    assert_eq!(of_bob.len(), 1);
    assert_eq!((of_bob[0].version(), of_bob[0].topic()), (Version::V1, &dm));
    of_bob[0].send("answer").await.unwrap();
    for side in [&of_bob[0], &conversation] {
        assert_eq!(texts(side).await, ["first", "second", "third", "answer"]);
    }
    for intro in intros {
        assert_eq!(stored(&node, intro).await, 1);
    }
}

#[tokio::test]
async fn a_v1_conversation_that_is_opened_while_one_streams_is_streamed_each_message_once() {
    let node = Node::start().await;
    let (alice, bob) = alice_and_old_bob(&node).await;
    let mut streams = [&alice, &bob].map(|reader| reader.client().stream_all_messages(now()));
    for (number, word) in ["first", "second", "third"].into_iter().enumerate() {
        let (writer, peer) = if number == 1 {
            (&bob, &alice)
        } else {
            (&alice, &bob)
        };
        writer.say(peer.address(), word).await;
        for stream in &mut streams {
            let message = tokio::time::timeout(DEADLINE, stream.next()).await;
            let message = message.expect("a message in time").unwrap();
            assert_eq!(
                (text(&message).as_str(), message.sender),
                (word, writer.address())
            );
            assert_eq!(message.conversation.version(), Version::V1);
        }
    }
}

#[tokio::test]
async fn a_conversation_id_makes_a_conversation_of_its_own_beside_the_v1_history() {
    let node = Node::start().await;
    let (alice, bob) = alice_and_old_bob(&node).await;
    alice.say(bob.address(), "in V1").await;
    let context = InvitationContext::new("https://example.org/trade");
    let about = alice
        .client()
        .conversation_about(bob.address(), context)
        .await
        .unwrap();
    assert_eq!(about.version(), Version::V2);
    about.send("in V2").await.unwrap();
    // The wallet has a newer client now; what began in V1 goes on in it.
    bob.reads_v2().await;
    let later = person("alice", node.address()).await;
    let known = later.client().conversation_with(bob.address()).await.unwrap();
    assert_eq!(known.version(), Version::V1);
    known.send("still in V1").await.unwrap();
    for reader in [&alice, &bob] {
        let peer = if reader.address() == bob.address() {
            alice.address()
        } else {
            bob.address()
        };
        let conversations = reader.conversations_with(peer).await;
        assert_eq!(conversations.len(), 2);
        for conversation in conversations {
            let (wanted, id) = match conversation.version() {
                Version::V1 => (vec!["in V1", "still in V1"], None),
                Version::V2 => (vec!["in V2"], Some("https://example.org/trade")),
            };
            assert_eq!(texts(&conversation).await, wanted);
            assert_eq!(conversation.conversation_id(), id);
        }
    }
}

#[tokio::test]
async fn what_was_sealed_to_an_older_pre_key_is_read_after_a_rotation() {
    let node = Node::start().await;
    let (alice, bob) = alice_and_old_bob(&node).await;
    let carol = person("carol", node.address()).await;
    alice.say(bob.address(), "before").await;
    let of_alice = alice.client().conversation_with(bob.address()).await.unwrap();
    // In V1 every message is sealed to the pre-key, in V2 the invitation is.
    let v1 = of_alice.draft("sealed before").seal().await.unwrap();
    let introduced = carol.client().conversation_with(bob.address()).await.unwrap();
    let intro = introduced.draft("of Carol").seal().await.unwrap();
    let context = InvitationContext::new("id");
    let invited = alice
        .client()
        .conversation_about(bob.address(), context)
        .await
        .unwrap();
    let v2 = invited.draft("by invitation").seal().await.unwrap();
    bob.client().rotate_pre_key().await.unwrap();
    for sealed in [&v1, &intro, &v2] {
        sealed.publish().await.unwrap();
    }
    for reader in [bob, person("bob", node.address()).await] {
        let mut read = Vec::new();
        for peer in [alice.address(), carol.address()] {
            read.extend(reader.texts_of(peer).await);
        }
        read.sort();
        assert_eq!(read, ["before", "by invitation", "of Carol", "sealed before"]);
        let mut answered = reader.conversations_with(alice.address()).await;
        answered.retain(|conversation| conversation.version() == Version::V1);
        answered[0].send("answer").await.unwrap();
    }
    let read = of_alice.messages(Some(TimestampNs::from_ns(0))).await.unwrap();
    assert_eq!(read.iter().filter(|message| !message.is_own()).count(), 2);
}
