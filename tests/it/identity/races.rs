//! Several clients of one wallet that store keys at once, and clients whose keys or clocks are behind.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use herald::client::TimestampNs;
use herald_protocol::{
    contact::{self, ContactBundle},
    proto::api::QueryResponse,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;
use crate::harness::scripted::{Answer, Call, Scripted};

/// A wallet whose owner lets something else happen before they sign.
#[derive(Clone)]
struct Absent {
    wallet: WalletKey,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    asked: usize,
    meanwhile: Option<(usize, BoxFuture<'static, ()>)>,
}

impl std::fmt::Debug for Absent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Absent")
    }
}

impl Absent {
    fn new(name: &str) -> Self {
        Self {
            wallet: wallet(name),
            state: Arc::default(),
        }
    }

    /// Counts anew, and has this happen before the text of that number is signed.
    fn before(&self, text: usize, meanwhile: impl Future<Output = ()> + Send + 'static) {
        *self.state.lock().unwrap() = State {
            asked: 0,
            meanwhile: Some((text, Box::pin(meanwhile))),
        };
    }

    fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }
}

impl Signer for Absent {
    fn address(&self) -> Address {
        self.wallet.address()
    }

    fn sign_text<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Zeroizing<[u8; 65]>, SignerError>> {
        let mut state = self.state.lock().unwrap();
        state.asked += 1;
        let asked = state.asked;
        let meanwhile = state.meanwhile.take_if(|(text, _)| *text == asked);
        Box::pin(async move {
            if let Some((_, meanwhile)) = meanwhile {
                meanwhile.await;
            }
            Signer::sign_text(&self.wallet, text).await
        })
    }

    fn is_deterministic(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_rotation_elsewhere_while_the_wallet_is_asked_loses_no_pre_key() {
    let folder = tempfile::tempdir().unwrap();
    for storage in [KeyStorage::Network, KeyStorage::File(folder.path().join("alice"))] {
        let node = Node::start().await;
        let other = connect(alice(&node).key_storage(storage.clone())).await;
        let wallet = Absent::new("alice");
        let one = Client::builder(wallet.clone(), node.address()).key_storage(storage.clone());
        let one = connect(one).await;
        // The first text opens the stored keys, the second seals the new ones.
        let address_of_node = node.address();
        wallet.before(2, async move {
            other.client().rotate_pre_key().await.unwrap();
            let bob = person("bob", address_of_node).await;
            bob.say(address("alice"), "to the other's pre-key").await;
        });
        one.client().rotate_pre_key().await.unwrap();
        assert_eq!(
            wallet.asked(),
            4,
            "the other's keys are opened and all are sealed"
        );
        let carol = person("carol", node.address()).await;
        carol.say(address("alice"), "after both").await;
        let fresh = connect(alice(&node).key_storage(storage)).await;
        for alice in [&one, &fresh] {
            alice.reads(address("bob"), &["to the other's pre-key"]).await;
            alice.reads(carol.address(), &["after both"]).await;
        }
    }
}

#[tokio::test]
async fn a_bundle_that_comes_between_the_look_and_the_own_is_joined_before_the_contact_is_published() {
    let node = Scripted::start().await;
    let client = Client::builder(wallet("alice"), node.address())
        .connect()
        .await
        .unwrap();
    let keys = PrivateKeyBundle::decode(&client.export_keys().unwrap()).unwrap();
    let others = keys
        .rotated(PrivateKey::from_bytes(&[7; 32]).unwrap(), now())
        .unwrap();
    let store = Topic::private_store(address("alice")).to_string();
    let theirs = Envelope {
        content_topic: store.clone(),
        timestamp_ns: now().as_ns(),
        message: sealed(&wallet("alice"), &others).into(),
    };
    let (of_store, mut own) = (store.clone(), None);
    let mut theirs = Some(theirs);
    node.answers(move |call| {
        match call {
            Call::Publish { envelopes, .. } if envelopes[0].content_topic == of_store => {
                own = Some(envelopes[0].clone());
            }
            Call::Query(query) if query.content_topics == [of_store.clone()] && own.is_some() => {
                let envelopes = vec![theirs.take()?, own.clone()?];
                let page = QueryResponse {
                    envelopes,
                    paging_info: None,
                };
                return Some(Answer::Page(page));
            }
            _ => {}
        }
        None
    });
    node.calls();
    client.rotate_pre_key().await.unwrap();

    let rotated = PrivateKeyBundle::decode(&client.export_keys().unwrap()).unwrap();
    assert!(rotated.has_all_of(&others) && others.has_all_of(&keys) && !others.has_all_of(&rotated));
    let stored = alice_at(&node).load_keys().await.unwrap().unwrap();
    assert!(stored.has_all_of(&rotated));
    let published = node.calls().into_iter().filter_map(|made| match made.call {
        Call::Publish { envelopes, .. } => Some(envelopes[0].content_topic.clone()),
        _ => None,
    });
    let contact = Topic::contact(address("alice")).to_string();
    assert_eq!(
        published.collect::<Vec<_>>(),
        [&*store, &store, &contact, &contact]
    );
}

fn alice_at(node: &Scripted) -> Builder {
    Client::builder(wallet("alice"), node.address())
}

#[tokio::test]
async fn keys_stored_by_a_clock_that_is_ahead_are_followed_all_the_same() {
    fn ahead() -> TimestampNs {
        now().checked_add(Duration::from_mins(30)).unwrap()
    }
    let node = Node::start().await;
    let ahead = connect(alice(&node).clock(ahead)).await;
    let one = connect(alice(&node)).await;
    ahead.client().rotate_pre_key().await.unwrap();
    one.client().rotate_pre_key().await.unwrap();
    // The pre-key of the last rotation is the newest one, though its clock is behind.
    connect(alice(&node).keys(ahead.keys())).await;
    let bob = person("bob", node.address()).await;
    bob.say(one.address(), "hello").await;
    one.reads(bob.address(), &["hello"]).await;
    // Bob's invitation is sealed to that one.
    assert!(ahead.conversations_with(bob.address()).await.is_empty());
    let fresh = connect(alice(&node)).await;
    fresh.reads(bob.address(), &["hello"]).await;
    assert_eq!(
        fresh.client().export_keys().unwrap(),
        one.client().export_keys().unwrap()
    );
}

#[tokio::test]
async fn two_clients_that_start_a_new_wallet_at_once_have_one_identity() {
    let node = Node::start().await;
    let wallet = Absent::new("alice");
    let faster = Arc::new(Mutex::new(None));
    let (address_of_node, kept) = (node.address(), Arc::clone(&faster));
    // The first text makes the identity key, the second seals it.
    wallet.before(2, async move {
        *kept.lock().unwrap() = Some(person("alice", address_of_node).await);
    });
    let slower = connect(Client::builder(wallet, node.address())).await;
    let faster = faster.lock().unwrap().take().unwrap();
    assert!(faster.client().is_new_identity() && !slower.client().is_new_identity());
    let exported = |person: &Person| person.client().export_keys().unwrap();
    assert_eq!(exported(&slower), exported(&faster));
    assert_eq!(exported(&slower), exported(&connect(alice(&node)).await));
}

#[tokio::test]
async fn keys_are_stored_as_late_as_the_node_asks_and_again_when_it_was_away() {
    const WAIT: Duration = Duration::from_millis(300);
    let node = Scripted::start().await;
    let store = Topic::private_store(address("alice")).to_string();
    let (of_store, mut tries) = (store.clone(), 0);
    node.answers(move |call| {
        let Call::Publish { envelopes, .. } = call else {
            return None;
        };
        if envelopes[0].content_topic != of_store {
            return None;
        }
        tries += 1;
        match tries {
            1 => {
                let details = ErrorDetails::with_retry_info(Some(WAIT));
                let status = Status::with_error_details(Code::ResourceExhausted, "rate limit", details);
                Some(Answer::Refusal(status))
            }
            2 => Some(Answer::Refusal(Status::unavailable("restarting"))),
            _ => None,
        }
    });
    let start = Instant::now();
    let client = alice_at(&node).connect().await.unwrap();
    assert!(client.is_new_identity() && start.elapsed() >= WAIT);
    assert_eq!(node.stored(&store).len(), 1);
}

async fn newest_contact(node: &Node) -> ContactBundle {
    let api = Api::new(node.address()).unwrap();
    let topics = [Topic::contact(address("alice"))];
    let envelopes = api.newest_of_each(&topics, 1).await.unwrap();
    let messages = envelopes[0].iter().map(|envelope| envelope.message.as_ref());
    contact::select(address("alice"), messages).contact.unwrap()
}

#[tokio::test]
async fn keys_from_before_a_rotation_do_not_undo_it() {
    let (node, elsewhere) = (Node::start().await, Node::start().await);
    let replaced = connect(alice(&elsewhere)).await.keys();
    let first = connect(alice(&node)).await;
    let before = first.keys();
    first.client().rotate_pre_key().await.unwrap();
    let after = first.keys();
    let contact_of = |keys: &PrivateKeyBundle| ContactBundle::V2(keys.public().bundle().clone());
    assert_eq!(newest_contact(&node).await, contact_of(&after));
    connect(Client::builder_from_keys(before.clone(), node.address())).await;
    let outdated = connect(alice(&node).keys(before)).await;
    assert_eq!(newest_contact(&node).await, contact_of(&after));
    // It learns of the newer pre-key when it rotates itself, and then it publishes.
    outdated.client().rotate_pre_key().await.unwrap();
    assert!(outdated.keys().has_all_of(&after));
    assert_eq!(newest_contact(&node).await, contact_of(&outdated.keys()));
    // Given keys that are newer than the contact are published.
    let newer = outdated
        .keys()
        .rotated(PrivateKey::from_bytes(&[7; 32]).unwrap(), now());
    let newer = newer.unwrap();
    connect(alice(&node).keys(newer.clone())).await;
    assert_eq!(newest_contact(&node).await, contact_of(&newer));
    // They were stored nowhere: the next start goes back to those that are.
    connect(alice(&node)).await;
    assert_eq!(newest_contact(&node).await, contact_of(&outdated.keys()));
    // A contact of another identity is none to leave.
    connect(alice(&node).keys(replaced.clone())).await;
    assert_eq!(newest_contact(&node).await, contact_of(&replaced));
}
