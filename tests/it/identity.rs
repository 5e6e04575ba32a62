//! Identities: who signs and how often, where keys are kept, and pre-keys that are replaced.

mod races;

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::future::BoxFuture;
use herald::client::{
    Api, Builder, Client, Error, ExternalSigner, IdentityError, KeyFileError, KeyStorage, NodeAddress,
    Signer, SignerError,
};
use herald_protocol::{
    address::Address,
    bundle::PrivateKeyBundle,
    ciphertext::Entropy,
    key::PrivateKey,
    key_bundle::SealedKeyBundle,
    proto::{api::Envelope, contents::EncryptedPrivateKeyBundle},
    token,
    topic::Topic,
    wallet::{WalletKey, enable_identity_text},
};
use prost::Message as _;
use zeroize::Zeroizing;

use crate::{
    harness::{
        house::Node,
        people::{Person, address, key, now, person, secret, wallet},
    },
    secrets::{contains, forms},
};

fn alice(node: &Node) -> Builder {
    Client::builder(wallet("alice"), node.address())
}

async fn connect(builder: Builder) -> Person {
    Person::of(builder.connect().await.unwrap())
}

#[track_caller]
fn refused<T>(result: Result<T, Error>) -> IdentityError {
    match result {
        Err(Error::Identity(error)) => error,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it works"),
    }
}

/// A wallet that counts what it is asked.
#[derive(Debug)]
struct Counting {
    wallet: WalletKey,
    asked: Arc<AtomicUsize>,
    is_deterministic: bool,
}

impl Signer for Counting {
    fn address(&self) -> Address {
        self.wallet.address()
    }

    fn sign_text<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Zeroizing<[u8; 65]>, SignerError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Signer::sign_text(&self.wallet, text)
    }

    fn is_deterministic(&self) -> bool {
        self.is_deterministic
    }
}

#[tokio::test]
async fn a_wallet_is_asked_as_often_as_said_and_never_more() {
    let node = Node::start().await;
    for (name, is_deterministic, first) in [("alice", true, 2), ("bob", false, 3)] {
        let asked = Arc::new(AtomicUsize::new(0));
        let builder = || {
            let signer = Counting {
                wallet: wallet(name),
                asked: Arc::clone(&asked),
                is_deterministic,
            };
            Client::builder(signer, node.address())
        };
        let times = || asked.swap(0, Ordering::Relaxed);
        let client = builder().connect().await.unwrap();
        assert_eq!((client.is_new_identity(), times()), (true, first));
        let client = builder().connect().await.unwrap();
        assert_eq!((client.is_new_identity(), times()), (false, 1));
        client.rotate_pre_key().await.unwrap();
        assert_eq!(times(), 2);
        let keys = PrivateKeyBundle::decode(&client.export_keys().unwrap()).unwrap();
        let client = builder().keys(keys).connect().await.unwrap();
        assert_eq!((client.is_new_identity(), times()), (false, 0));
    }
}

#[tokio::test]
async fn a_wallet_behind_a_program_signs_in_and_is_the_same_wallet() {
    let node = Node::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alice.key");
    std::fs::write(&file, key("alice")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let program = |name: &str, key: &Path| {
        let key = format!("file:{}", key.display());
        let arguments = ["keys", "sign", "--key", key.as_str()];
        let signer = ExternalSigner::new(address(name), env!("CARGO_BIN_EXE_herald"), arguments);
        Client::builder(signer, node.address())
    };
    let behind = connect(program("alice", &file)).await;
    let bob = person("bob", node.address()).await;
    bob.say(behind.address(), "hello").await;
    let direct = connect(alice(&node)).await;
    assert!(!direct.client().is_new_identity());
    for person in [&behind, &direct] {
        person.reads(bob.address(), &["hello"]).await;
    }

    let other = refused(program("carol", &file).connect().await);
    assert!(
        matches!(other, IdentityError::Signer(SignerError::OtherWallet { found: Some(found), .. }) if found == address("alice"))
    );
    let absent = refused(program("carol", &folder.path().join("absent")).connect().await);
    let IdentityError::Signer(SignerError::Refused { reason, .. }) = absent else {
        panic!("{absent:?}")
    };
    assert!(reason.contains("there is no file"), "{reason}");
    let carol = Client::builder(wallet("carol"), node.address());
    assert!(carol.load_keys().await.unwrap().is_none(), "nothing was stored");
}

#[tokio::test]
async fn keys_in_a_file_are_sealed_its_owners_and_nowhere_else() {
    let node = Node::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/alice");
    let in_file = || alice(&node).key_storage(KeyStorage::File(path.clone()));
    let first = connect(in_file()).await;
    assert!(first.client().is_new_identity());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert!(
        alice(&node).load_keys().await.unwrap().is_none(),
        "the network has none"
    );
    let exported = first.client().export_keys().unwrap();
    let keys = PrivateKeyBundle::decode(&exported).unwrap();
    let stored = std::fs::read(&path).unwrap();
    for secret in [keys.identity_key(), keys.pre_key()] {
        assert!(contains(&exported, secret.to_bytes().as_slice()));
        assert!(!contains(&stored, secret.to_bytes().as_slice()));
    }

    let bob = person("bob", node.address()).await;
    bob.say(first.address(), "hello").await;
    let again = connect(in_file()).await;
    assert!(!again.client().is_new_identity());
    again.reads(bob.address(), &["hello"]).await;
    again.client().rotate_pre_key().await.unwrap();
    assert_eq!(mode(&path), 0o600);
    bob.say(first.address(), "later").await;
    connect(in_file())
        .await
        .reads(bob.address(), &["hello", "later"])
        .await;

    let bobs = Client::builder(wallet("bob"), node.address()).key_storage(KeyStorage::File(path.clone()));
    let other = refused(bobs.connect().await);
    assert!(matches!(other, IdentityError::Unreadable { .. }), "{other:?}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let open = refused(in_file().connect().await);
    assert!(
        matches!(open, IdentityError::File(KeyFileError::Open { mode: 0o640, .. })),
        "{open:?}"
    );
}

#[tokio::test]
async fn keys_of_the_network_are_taken_over_into_a_file() {
    let node = Node::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alice");
    let bob = person("bob", node.address()).await;
    let before = connect(alice(&node)).await;
    bob.say(before.address(), "hello").await;
    for _ in 0..2 {
        let moved = connect(alice(&node).key_storage(KeyStorage::File(path.clone()))).await;
        assert!(!moved.client().is_new_identity());
        assert_eq!(
            moved.client().export_keys().unwrap(),
            before.client().export_keys().unwrap()
        );
        moved.reads(bob.address(), &["hello"]).await;
        assert!(path.is_file());
    }
}

#[tokio::test]
async fn exported_keys_are_a_client_without_a_wallet_and_no_other_wallets() {
    let node = Node::start().await;
    let exported = connect(alice(&node)).await.client().export_keys().unwrap();
    let bob = person("bob", node.address()).await;
    bob.say(address("alice"), "hello").await;
    let keys = || PrivateKeyBundle::decode(&exported).unwrap();
    let alone = connect(Client::builder_from_keys(keys(), node.address())).await;
    assert_eq!(alone.address(), address("alice"));
    alone.reads(bob.address(), &["hello"]).await;
    alone.say(bob.address(), "from keys alone").await;
    bob.reads(alone.address(), &["from keys alone"]).await;
    let unsigned = refused(alone.client().rotate_pre_key().await);
    assert!(matches!(unsigned, IdentityError::NoSigner { wallet } if wallet == address("alice")));

    let bobs = Client::builder(wallet("bob"), node.address()).keys(keys());
    let other = refused(bobs.connect().await);
    assert_eq!(
        other.to_string(),
        format!(
            "the keys are of {}, wanted keys of {}",
            address("alice"),
            address("bob")
        )
    );
}

#[tokio::test]
async fn after_a_rotation_old_and_new_messages_are_readable_and_writers_use_the_new_pre_key() {
    let node = Node::start().await;
    let alice_before = connect(alice(&node)).await;
    let (bob, carol) = (
        person("bob", node.address()).await,
        person("carol", node.address()).await,
    );
    bob.say(alice_before.address(), "before").await;
    let unrotated = alice_before.client().export_keys().unwrap();
    alice_before.client().rotate_pre_key().await.unwrap();
    bob.say(alice_before.address(), "after").await;
    carol.say(alice_before.address(), "first").await;
    // The running client, one that starts later, and an answer each.
    let alice_after = connect(alice(&node)).await;
    for alice in [&alice_before, &alice_after] {
        alice.reads(bob.address(), &["before", "after"]).await;
        alice.reads(carol.address(), &["first"]).await;
    }
    alice_after.say(carol.address(), "answer").await;
    carol.reads(alice_after.address(), &["answer"]).await;
    assert_eq!(
        alice_before.client().export_keys().unwrap(),
        alice_after.client().export_keys().unwrap()
    );
    // Carol's invitation is sealed to the new pre-key: the old keys alone do not open it.
    let unrotated = PrivateKeyBundle::decode(&unrotated).unwrap();
    let outdated = connect(Client::builder_from_keys(unrotated, node.address())).await;
    assert!(outdated.conversations_with(carol.address()).await.is_empty());
    assert_eq!(outdated.conversations_with(bob.address()).await.len(), 1);
}

#[tokio::test]
async fn two_clients_that_rotate_do_not_lose_each_others_pre_keys() {
    let node = Node::start().await;
    let (one, other) = (connect(alice(&node)).await, connect(alice(&node)).await);
    for (number, client) in [&one, &other, &one].into_iter().enumerate() {
        client.client().rotate_pre_key().await.unwrap();
        let name = format!("stranger {number}");
        person(&name, node.address())
            .await
            .say(address("alice"), &name)
            .await;
    }
    // Two at once on one client take turns.
    let (first, second) = tokio::join!(one.client().rotate_pre_key(), one.client().rotate_pre_key());
    first.and(second).unwrap();
    let fresh = connect(alice(&node)).await;
    for number in 0..3 {
        let name = format!("stranger {number}");
        fresh.reads(address(&name), &[&name]).await;
    }
}

fn sealed(wallet: &WalletKey, keys: &PrivateKeyBundle) -> Vec<u8> {
    let signature = wallet.sign_text(&enable_identity_text(&[9; 32]));
    let sealed = SealedKeyBundle::seal(keys, [9; 32], &signature, Entropy::from_bytes([9; 44]));
    sealed.unwrap().encode()
}

/// Stores sealed keys of a wallet, and publishes no contact.
async fn store(node: &NodeAddress, wallet: &WalletKey, keys: &PrivateKeyBundle, sealed: Vec<u8>) {
    let envelope = Envelope {
        content_topic: Topic::private_store(wallet.address()).to_string(),
        timestamp_ns: now().as_ns(),
        message: sealed.into(),
    };
    let token = token::bearer(keys, now()).unwrap();
    let api = Api::new(node.clone()).unwrap();
    api.publish(vec![envelope], &token).await.unwrap();
}

#[tokio::test]
async fn a_crash_between_storing_and_publishing_leaves_a_working_identity() {
    let node = Node::start().await;
    let before = connect(alice(&node)).await.client().export_keys().unwrap();
    let rotated = PrivateKeyBundle::decode(&before)
        .unwrap()
        .rotated(PrivateKey::from_bytes(&[7; 32]).unwrap(), now())
        .unwrap();
    let stored = sealed(&wallet("alice"), &rotated);
    store(&node.address(), &wallet("alice"), &rotated, stored).await;
    // The contact names the old pre-key still.
    let bob = person("bob", node.address()).await;
    bob.say(address("alice"), "in between").await;
    let restarted = connect(alice(&node)).await;
    restarted.reads(bob.address(), &["in between"]).await;
    let carol = person("carol", node.address()).await;
    carol.say(address("alice"), "after").await;
    restarted.reads(carol.address(), &["after"]).await;
    // Carol has seen the new one.
    let outdated = Client::builder_from_keys(PrivateKeyBundle::decode(&before).unwrap(), node.address());
    let outdated = connect(outdated).await;
    assert!(outdated.conversations_with(carol.address()).await.is_empty());
}

#[tokio::test]
async fn keys_in_a_form_of_older_clients_are_used_and_stored_anew() {
    let node = Node::start().await;
    let exported = connect(alice(&node)).await.client().export_keys().unwrap();
    let keys = PrivateKeyBundle::decode(&exported).unwrap();
    // Without the wrapper: its one field, a tag and two bytes of length.
    let bare = sealed(&wallet("alice"), &keys).split_off(3);
    assert!(SealedKeyBundle::decode(&bare).is_ok());
    store(&node.address(), &wallet("alice"), &keys, bare).await;
    let api = Api::new(node.address()).unwrap();
    let newest = async || {
        let topics = [Topic::private_store(address("alice"))];
        let envelopes = api.newest_of_each(&topics, 1).await.unwrap();
        let newest = envelopes.into_iter().flatten().next().unwrap();
        EncryptedPrivateKeyBundle::decode(newest.message)
    };
    assert!(newest().await.is_err());
    let client = connect(alice(&node)).await;
    assert_eq!(client.client().export_keys().unwrap(), exported);
    assert!(newest().await.unwrap().version.is_some());
}

#[tokio::test]
async fn a_client_whose_identity_was_replaced_does_not_rotate_over_the_new_one() {
    let (here, elsewhere) = (Node::start().await, Node::start().await);
    let exported = connect(alice(&elsewhere)).await.client().export_keys().unwrap();
    let replaced = connect(alice(&here)).await;
    let keys = PrivateKeyBundle::decode(&exported).unwrap();
    let client = connect(alice(&here).keys(keys)).await;
    let error = refused(client.client().rotate_pre_key().await);
    assert!(matches!(error, IdentityError::Replaced { .. }), "{error:?}");
    let stored = alice(&here).load_keys().await.unwrap().unwrap();
    assert_eq!(
        stored.encode_v1().unwrap(),
        replaced.client().export_keys().unwrap()
    );
}

#[tokio::test]
async fn debug_output_of_whatever_has_keys_shows_none() {
    let node = Node::start().await;
    let client = connect(alice(&node)).await;
    let exported = client.client().export_keys().unwrap();
    let keys = PrivateKeyBundle::decode(&exported).unwrap();
    let file = KeyStorage::File("alice".into());
    let builder = alice(&node).keys(keys.clone()).key_storage(file);
    let program = ExternalSigner::new(address("alice"), "sign", [key("alice")]);
    let shown = format!(
        "{builder:?} {builder:#?} {:?} {keys:?} {program:?} {:?}",
        client.client(),
        Client::builder(program.clone(), node.address())
    );
    let mut secrets = forms("the wallet's key", &secret("alice"));
    for (name, key) in [
        ("the identity key", keys.identity_key()),
        ("the pre-key", keys.pre_key()),
    ] {
        secrets.extend(forms(name, key.to_bytes().as_slice()));
    }
    for (name, secret) in &secrets {
        assert!(!contains(shown.as_bytes(), secret), "{name} is in {shown}");
    }
    // The search finds what a derived Debug would print.
    let derived = format!("{:?}", exported.as_slice());
    assert!(!derived.is_empty() && secrets.iter().any(|(_, secret)| contains(&exported, secret)));
}
