//! Conversations before their first message, and what is left out of them.

use std::sync::{Arc, Mutex};

use herald::client::{Client, ConsentState, DroppedKind};
use herald_protocol::{message::MessageId, proto::api::Envelope};

use crate::harness::{
    house::Node,
    people::{Person, address, now, person, wallet},
};

#[tokio::test]
async fn a_conversation_that_is_opened_ahead_is_listed_by_the_peer_and_goes_on_with_the_first_message() {
    let node = Node::start().await;
    let [alice, bob] = [
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    ];
    let opened = alice.client().conversation_with(bob.address()).await.unwrap();
    assert!(bob.conversations_with(alice.address()).await.is_empty());
    opened.open().await.unwrap();
    assert!(opened.is_open());
    assert_eq!(alice.client().consent_of(bob.address()), ConsentState::Allowed);
    let listed = bob.conversations_with(alice.address()).await;
    assert_eq!(listed, std::slice::from_ref(&opened));

    let sealed = opened.draft("hello").seal().await.unwrap();
    assert!(!sealed.is_new(), "the invitation is out");
    sealed.publish().await.unwrap();
    bob.reads(alice.address(), &["hello"]).await;
    assert_eq!(bob.conversations_with(alice.address()).await.len(), 1);
}

#[tokio::test]
async fn a_proof_of_consent_counts_once_the_conversations_were_read() {
    let node = Node::start().await;
    let [alice, bob] = [
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    ];
    let proof = bob.client().prove_consent(alice.address()).await.unwrap();
    let asked = alice.client().conversation_by_consent(bob.address(), None, proof);
    asked.await.unwrap().open().await.unwrap();
    assert_eq!(bob.client().consent_of(alice.address()), ConsentState::Unknown);
    bob.client().sync_conversations().await.unwrap();
    assert_eq!(bob.client().consent_of(alice.address()), ConsentState::Allowed);
}

#[tokio::test]
async fn what_is_left_out_is_told_with_its_id_and_again_whenever_it_is_read() {
    let node = Node::start().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let builder = Client::builder(wallet("alice"), node.address()).on_dropped(move |dropped| {
        tell.lock()
            .unwrap()
            .push((dropped.kind, dropped.topic.to_owned(), dropped.id));
    });
    let alice = Person::of(builder.connect().await.unwrap());
    let bob = person("bob", node.address()).await;
    bob.say(address("alice"), "before").await;
    let conversation = alice.conversations_with(bob.address()).await.remove(0);
    let garbage = Envelope {
        content_topic: conversation.topic().to_string(),
        timestamp_ns: now().as_ns(),
        message: vec![10, 3, 1, 2, 3].into(),
    };
    let id = MessageId::of(&garbage.message);
    bob.client().publish(vec![garbage]).await.unwrap();
    for _ in 0..2 {
        assert_eq!(alice.texts_of(bob.address()).await, ["before"]);
    }
    let wanted = (DroppedKind::Message, conversation.topic().to_string(), Some(id));
    assert_eq!(*told.lock().unwrap(), [wanted.clone(), wanted]);
}
