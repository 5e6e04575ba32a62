//! V2: conversations told apart by their ids, invitations of older clients, what is not stored, and what is sealed long before
//! it is sent.

use herald::client::{Client, Conversation, InvitationContext, MessageStream, Version};
use herald_protocol::{
    invitation::Invitation,
    proto::api::{Envelope, PublishRequest},
    topic::Topic,
};
use prost::Message as _;
use tokio::time::timeout;

use crate::harness::{
    house::Node,
    people::{LOOK, Person, address, entropy, now, person, text, wallet},
    program::DEADLINE,
};

async fn texts(conversation: &Conversation) -> Vec<String> {
    let messages = conversation.messages(None).await.unwrap();
    messages.iter().map(text).collect()
}

async fn alice_and_bob(node: &Node) -> (Person, Person) {
    (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    )
}

#[tokio::test]
async fn conversations_are_told_apart_by_their_id_and_bring_their_metadata() {
    let node = Node::start().await;
    let (alice, bob) = alice_and_bob(&node).await;
    let about = |id: &str| {
        let mut context = InvitationContext::new(id);
        context.metadata = vec![
            ("title".to_owned(), format!("about {id:?} ☀")),
            (String::new(), String::new()),
        ];
        context
    };
    for id in ["one", "two", ""] {
        let conversation = alice
            .client()
            .conversation_about(bob.address(), about(id))
            .await
            .unwrap();
        conversation.send(format!("of {id:?}")).await.unwrap();
        // Asked for again, by either side, it is the same one.
        for person in [&alice, &bob] {
            let peer = if person.address() == bob.address() {
                alice.address()
            } else {
                bob.address()
            };
            let again = person
                .client()
                .conversation_about(peer, InvitationContext::new(id))
                .await
                .unwrap();
            assert_eq!(again.topic(), conversation.topic());
            assert!(again.is_open());
        }
    }
    let plain = alice.client().conversation_with(bob.address()).await.unwrap();
    assert_eq!(plain.context(), Some(&about("")), "an empty id is none");
    assert_eq!(plain.conversation_id(), None);
    let of_bob = bob.conversations_with(alice.address()).await;
    assert_eq!(of_bob.len(), 3);
    for (conversation, id) in of_bob.iter().zip(["one", "two", ""]) {
        assert_eq!(conversation.context(), Some(&about(id)));
        assert_eq!(texts(conversation).await, [format!("of {id:?}")]);
    }
}

#[tokio::test]
async fn two_who_open_a_conversation_at_once_have_one() {
    let node = Node::start().await;
    let (alice, bob) = alice_and_bob(&node).await;
    let mut sealed = Vec::new();
    for (writer, peer) in [(&alice, &bob), (&bob, &alice)] {
        let conversation = writer.client().conversation_with(peer.address()).await.unwrap();
        assert!(!conversation.is_open());
        sealed.push(
            conversation
                .draft(format!("by {}", writer.address()))
                .seal()
                .await
                .unwrap(),
        );
    }
    for sealed in &sealed {
        sealed.publish().await.unwrap();
    }
    let mut wanted: Vec<_> = sealed
        .iter()
        .map(|sealed| (sealed.sent(), sealed.message_id()))
        .collect();
    wanted.sort_by_key(|(sent, _)| *sent);
    for (reader, peer) in [(&alice, &bob), (&bob, &alice)] {
        let conversations = reader.conversations_with(peer.address()).await;
        assert_eq!(conversations.len(), 1);
        let messages = conversations[0].messages(None).await.unwrap();
        let read: Vec<_> = messages
            .iter()
            .map(|message| (message.sent, message.id))
            .collect();
        assert_eq!(read, wanted);
    }
}

#[tokio::test]
async fn an_invitation_of_an_older_client_to_a_random_topic_is_a_conversation() {
    let node = Node::start().await;
    let (alice, bob) = alice_and_bob(&node).await;
    let invitation = Invitation {
        topic: Topic::conversation("kDw2vUqLz-older-clients-took-random-ones").unwrap(),
        key_material: vec![7; 32].into(),
        context: None,
        consent_proof: None,
    };
    let created = now();
    let sealed = invitation.seal(&alice.keys(), bob.keys().public(), created, entropy());
    for wallet in [bob.address(), alice.address()] {
        alice.put(Topic::invite(wallet), created, sealed.clone()).await;
    }
    for (writer, peer) in [(&alice, &bob), (&bob, &alice)] {
        let conversation = writer.conversations_with(peer.address()).await.remove(0);
        assert_eq!(*conversation.topic(), invitation.topic);
        assert_eq!(
            (conversation.version(), conversation.created()),
            (Version::V2, created)
        );
        writer
            .say(peer.address(), &format!("by {}", writer.address()))
            .await;
    }
    let wanted = [&alice, &bob].map(|writer| format!("by {}", writer.address()));
    for (reader, peer) in [(&alice, &bob), (&bob, &alice)] {
        let conversations = reader.conversations_with(peer.address()).await;
        assert_eq!(conversations.len(), 1, "nobody opened another one");
        assert_eq!(texts(&conversations[0]).await, wanted);
    }
}

async fn next(stream: &mut MessageStream) -> String {
    let message = timeout(DEADLINE, stream.next()).await;
    text(&message.expect("a message in time").unwrap())
}

#[tokio::test]
async fn ephemeral_messages_reach_those_who_listen_and_are_not_stored() {
    let node = Node::start().await;
    let (alice, bob) = alice_and_bob(&node).await;
    let old = person("old", node.address()).await;
    old.reads_v1_only().await;
    for listener in [&bob, &old] {
        alice.say(listener.address(), "stored").await;
        let heard = listener.conversations_with(alice.address()).await.remove(0);
        let mut stream = heard.stream_ephemeral();
        while !stream.is_live() {
            assert!(timeout(LOOK, stream.next()).await.is_err());
        }
        let conversation = alice
            .client()
            .conversation_with(listener.address())
            .await
            .unwrap();
        for number in 0..3 {
            conversation
                .draft(number.to_string())
                .ephemeral()
                .send()
                .await
                .unwrap();
            assert_eq!(
                next(&mut stream).await,
                number.to_string(),
                "{:?}",
                heard.version()
            );
        }
        alice.say(listener.address(), "stored, too").await;
        let mut late = heard.stream_ephemeral();
        assert!(timeout(LOOK, late.next()).await.is_err());
        assert_eq!(texts(&heard).await, ["stored", "stored, too"]);
    }
}

#[tokio::test]
async fn a_message_that_was_sealed_before_is_there_once_however_often_it_is_published() {
    let node = Node::start().await;
    let (alice, bob) = alice_and_bob(&node).await;
    let mut stream = bob.client().stream_all_messages(now());
    let conversation = alice.client().conversation_with(bob.address()).await.unwrap();
    let opening = conversation.draft("opening").seal().await.unwrap();
    let following = conversation.draft("following").seal().await.unwrap();
    assert!(opening.is_new());
    assert!(
        bob.conversations_with(alice.address()).await.is_empty(),
        "nothing went out"
    );
    let bytes = opening.request();
    drop((conversation, alice));

    // After a restart only the bytes are left.
    let alice = Client::builder(wallet("alice"), node.address())
        .connect()
        .await
        .unwrap();
    let envelopes: Vec<Envelope> = PublishRequest::decode(bytes.as_slice()).unwrap().envelopes;
    assert_eq!(
        alice.stored(&envelopes).await.unwrap(),
        vec![false; envelopes.len()]
    );
    for _ in 0..2 {
        alice.publish(envelopes.clone()).await.unwrap();
        alice.acknowledged(&envelopes).await.unwrap();
    }
    assert_eq!(
        alice.stored(&envelopes).await.unwrap(),
        vec![true; envelopes.len()]
    );
    assert_eq!(alice.conversation_count(), 1);
    for _ in 0..2 {
        opening.publish().await.unwrap();
        following.publish().await.unwrap();
    }
    alice.send(address("bob"), "last").await.unwrap();
    let wanted = ["opening", "following", "last"];
    for word in wanted {
        assert_eq!(next(&mut stream).await, word);
    }
    bob.reads(alice.address(), &wanted).await;
    assert_eq!(bob.conversations_with(alice.address()).await.len(), 1);
}
