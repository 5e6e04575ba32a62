//! Consent: what a wallet has decided is known to all of its clients, live and after a restart, and is not overwritten by
//! accident.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use herald::client::{Client, ConsentProof, ConsentState, DroppedKind, NodeAddress, TimestampNs};
use tokio::time::timeout;

use crate::harness::{
    house::Node,
    people::{LOOK, address, now, person, wallet},
    program::DEADLINE,
};

async fn client(name: &str, node: NodeAddress) -> Client {
    Client::builder(wallet(name), node).connect().await.unwrap()
}

#[tokio::test]
async fn two_clients_of_a_wallet_see_each_others_decisions_live_and_after_a_restart() {
    let node = Node::start().await;
    let phone = client("alice", node.address()).await;
    let laptop = client("alice", node.address()).await;
    let [bob, carol] = ["bob", "carol"].map(address);
    let mut seen = [phone.stream_consent(), laptop.stream_consent()];
    let decisions = [
        (&phone, bob, ConsentState::Allowed),
        (&laptop, bob, ConsentState::Denied),
        (&laptop, carol, ConsentState::Denied),
        (&phone, carol, ConsentState::Allowed),
    ];
    for (decider, wallet, state) in decisions {
        match state {
            ConsentState::Allowed => decider.allow(&[wallet]).await.unwrap(),
            _ => decider.deny(&[wallet]).await.unwrap(),
        }
        assert_eq!(decider.consent_of(wallet), state);
        for stream in &mut seen {
            let change = timeout(DEADLINE, stream.next())
                .await
                .expect("a decision in time")
                .unwrap();
            assert_eq!((change.name, change.state), (wallet.to_string(), state));
        }
    }
    for client in [&phone, &laptop, &client("alice", node.address()).await] {
        assert_eq!(client.consent_of(bob), ConsentState::Denied);
        assert_eq!(client.consent_of(carol), ConsentState::Allowed);
        assert_eq!(client.consent_of(address("dave")), ConsentState::Unknown);
    }
}

#[tokio::test]
async fn who_is_written_to_is_allowed_from_then_on() {
    let node = Node::start().await;
    let bob = person("bob", node.address()).await;
    let alice = client("alice", node.address()).await;
    alice.send(bob.address(), "hello").await.unwrap();
    assert_eq!(alice.consent_of(bob.address()), ConsentState::Allowed);
    let later = client("alice", node.address()).await;
    assert_eq!(later.consent_of(bob.address()), ConsentState::Allowed);
    // Being written to decides nothing.
    let bob_later = client("bob", node.address()).await;
    assert_eq!(bob_later.consent_of(alice.address()), ConsentState::Unknown);
}

#[tokio::test]
async fn a_denial_made_elsewhere_is_not_overwritten_by_writing() {
    let node = Node::start().await;
    let bob = person("bob", node.address()).await;
    let phone = client("alice", node.address()).await;
    let laptop = client("alice", node.address()).await;
    laptop.deny(&[bob.address()]).await.unwrap();
    // The phone does not know.
    assert_eq!(phone.consent_of(bob.address()), ConsentState::Unknown);
    phone.send(bob.address(), "hello").await.unwrap();
    assert_eq!(phone.consent_of(bob.address()), ConsentState::Denied);
    let later = client("alice", node.address()).await;
    assert_eq!(later.consent_of(bob.address()), ConsentState::Denied);
}

/// Whether Bob allows Alice after an invitation of hers with this proof, and the reasons why proofs were left out.
async fn shown(
    node: &Node,
    proof: ConsentProof,
    alice: &Client,
    bob: &str,
) -> (ConsentState, Vec<&'static str>) {
    let conversation = alice
        .conversation_by_consent(address(bob), None, proof.clone())
        .await
        .unwrap();
    conversation.send("news").await.unwrap();
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&reasons);
    let builder = Client::builder(wallet(bob), node.address()).on_dropped(move |dropped| {
        assert_eq!(dropped.kind, DroppedKind::ConsentProof);
        told.lock().unwrap().push(dropped.error.label());
    });
    let client = builder.connect().await.unwrap();
    let [conversation] = client.conversations().try_into().unwrap();
    assert_eq!(conversation.consent_proof(), Some(&proof));
    assert_eq!(conversation.messages(None).await.unwrap().len(), 1);
    let reasons = reasons.lock().unwrap().clone();
    (client.consent_of(alice.address()), reasons)
}

#[tokio::test]
async fn a_proof_of_consent_allows_its_sender_if_it_is_the_wallets_own_and_young() {
    const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;
    let node = Node::start().await;
    let alice = client("alice", node.address()).await;
    let ago = |days: u64| TimestampNs::from_ns(now().as_ns() - days * DAY);
    let signed = |name: &str, at| ConsentProof::sign(&wallet(name), alice.address(), at);
    let proofs = [
        ("bob", signed("bob", ago(29)), ConsentState::Allowed, None),
        (
            "carol",
            signed("carol", ago(31)),
            ConsentState::Unknown,
            Some("consent_proof_expired"),
        ),
        (
            "dave",
            signed("bob", ago(1)),
            ConsentState::Unknown,
            Some("consent_proof_wallet"),
        ),
    ];
    for (name, proof, state, reason) in proofs {
        client(name, node.address()).await;
        let (found, reasons) = shown(&node, proof, &alice, name).await;
        assert_eq!((found, reasons.first().copied()), (state, reason), "{name}");
    }
    // The wallet's own client makes such a proof, and another of its clients takes it up as it comes.
    let erin = client("erin", node.address()).await;
    let proof = erin.prove_consent(alice.address()).await.unwrap();
    let mut stream = erin.stream_all_messages(now());
    let conversation = alice
        .conversation_by_consent(erin.address(), None, proof)
        .await
        .unwrap();
    conversation.send("news").await.unwrap();
    timeout(DEADLINE, stream.next())
        .await
        .expect("a message in time")
        .unwrap();
    assert_eq!(erin.consent_of(alice.address()), ConsentState::Allowed);
    // What was decided is not undone by a proof.
    let frank = client("frank", node.address()).await;
    let proof = frank.prove_consent(alice.address()).await.unwrap();
    frank.deny(&[alice.address()]).await.unwrap();
    let conversation = alice
        .conversation_by_consent(frank.address(), None, proof)
        .await
        .unwrap();
    conversation.send("news").await.unwrap();
    let later = client("frank", node.address()).await;
    assert_eq!(later.consent_of(alice.address()), ConsentState::Denied);
}

#[tokio::test]
async fn decisions_are_followed_by_whoever_streams_messages() {
    let node = Node::start().await;
    let phone = client("alice", node.address()).await;
    let laptop = client("alice", node.address()).await;
    let mut stream = phone.stream_all_messages(now());
    laptop.deny(&[address("bob")]).await.unwrap();
    let known = async {
        while phone.consent_of(address("bob")) != ConsentState::Denied {
            let message = timeout(LOOK, stream.next()).await;
            assert!(message.is_err(), "there are no messages");
        }
    };
    timeout(DEADLINE.min(Duration::from_secs(20)), known)
        .await
        .expect("it is known in time");
}
