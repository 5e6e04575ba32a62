//! People: wallets from fixed seeds, and the real client of each at a node.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use herald::client::{Client, Conversation, Message, NodeAddress};
use herald_protocol::{
    address::Address, bundle::PrivateKeyBundle, ciphertext::Entropy, contact::ContactBundle,
    proto::api::Envelope, time::TimestampNs, topic::Topic, wallet::WalletKey,
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{house::Node, program::DEADLINE};

/// How long people think before they write.
const THINKING: Duration = Duration::from_millis(1_100);

/// The secret of the wallet of this name, as 64 hex digits.
pub(crate) fn key(name: &str) -> String {
    const_hex::encode(secret(name))
}

pub(crate) fn secret(name: &str) -> [u8; 32] {
    Sha256::digest(format!("herald test wallet of {name}")).into()
}

pub(crate) fn wallet(name: &str) -> WalletKey {
    WalletKey::from_bytes(&secret(name)).unwrap()
}

pub(crate) fn address(name: &str) -> Address {
    wallet(name).address()
}

/// Somebody with a wallet and a client.
pub(crate) struct Person {
    client: Client,
}

/// Signs somebody in at a node.
pub(crate) async fn person(name: &str, node: NodeAddress) -> Person {
    let client = Client::builder(wallet(name), node).connect().await.unwrap();
    Person { client }
}

impl Person {
    /// Somebody with this client.
    pub(crate) fn of(client: Client) -> Self {
        Self { client }
    }

    pub(crate) fn address(&self) -> Address {
        self.client.address()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The XMTP keys, private.
    pub(crate) fn keys(&self) -> PrivateKeyBundle {
        PrivateKeyBundle::decode(&self.client.export_keys().unwrap()).unwrap()
    }

    /// Publishes bytes of the test's own making.
    pub(crate) async fn put(&self, topic: Topic, sent: TimestampNs, message: impl Into<bytes::Bytes>) {
        let envelope = Envelope {
            content_topic: topic.into(),
            timestamp_ns: sent.as_ns(),
            message: message.into(),
        };
        self.client.publish(vec![envelope]).await.unwrap();
    }

    /// Makes the wallet look like one whose client reads V1 only.
    pub(crate) async fn reads_v1_only(&self) {
        let contact = ContactBundle::V1(self.keys().public_v1().unwrap());
        self.put(Topic::contact(self.address()), now(), contact.encode())
            .await;
    }

    /// Makes the wallet look like one that has a client of today again.
    pub(crate) async fn reads_v2(&self) {
        let contact = ContactBundle::V2(self.keys().public().bundle().clone());
        self.put(Topic::contact(self.address()), now(), contact.encode())
            .await;
    }

    /// Sends a text and gives its message id.
    pub(crate) async fn say(&self, to: Address, text: &str) -> [u8; 32] {
        let sent = self.client.send(to, text).await;
        *sent.unwrap().message_id().as_bytes()
    }

    /// The conversations with somebody.
    pub(crate) async fn conversations_with(&self, peer: Address) -> Vec<Conversation> {
        self.client.sync_conversations().await.unwrap();
        let mut known = self.client.conversations();
        known.retain(|conversation| conversation.peer() == peer);
        known
    }

    /// What somebody wrote, oldest first, from all conversations with them.
    pub(crate) async fn messages_of(&self, peer: Address) -> Vec<Message> {
        let mut messages = Vec::new();
        for conversation in self.conversations_with(peer).await {
            messages.extend(conversation.messages(None).await.unwrap());
        }
        messages.retain(|message| message.sender == peer);
        messages
    }

    pub(crate) async fn texts_of(&self, peer: Address) -> Vec<String> {
        self.messages_of(peer).await.iter().map(text).collect()
    }

    /// Waits until somebody has written exactly these texts; more or others fail.
    pub(crate) async fn reads(&self, peer: Address, texts: &[&str]) {
        let mut read = Vec::new();
        let waiting = async {
            loop {
                read = self.texts_of(peer).await;
                if read.len() >= texts.len() {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, waiting).await;
        assert_eq!(read, texts, "in time: {}", waited.is_ok());
    }

    /// Waits for the text of this number that somebody has written, counted from 1.
    pub(crate) async fn hears(&self, peer: Address, number: usize) -> String {
        let waiting = async {
            loop {
                if let Some(text) = self.texts_of(peer).await.get(number - 1) {
                    return text.clone();
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let heard = tokio::time::timeout(DEADLINE, waiting).await;
        heard.unwrap_or_else(|_| panic!("no text {number} in time"))
    }

    /// Says something and waits until exactly these answers to it are there.
    pub(crate) async fn asks(&self, peer: Address, question: &str, answers: &[&str]) {
        let before = self.texts_of(peer).await;
        // Who answers within a second, again and again, is taken for a program.
        tokio::time::sleep(THINKING).await;
        self.say(peer, question).await;
        let before = before.iter().map(String::as_str);
        let expected: Vec<&str> = before.chain(answers.iter().copied()).collect();
        self.reads(peer, &expected).await;
    }
}

/// Between two looks at a node or a store. Waiting ends by what is seen, not by this.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

pub(crate) fn text(message: &Message) -> String {
    message.content.as_text().unwrap_or_default().to_owned()
}

/// The number of people in the town.
pub(crate) const TOWN: usize = 1_000;

static REGISTERED: OnceCell<TempDir> = OnceCell::const_new();

/// The wallets of the town.
pub(crate) fn townspeople() -> Vec<Address> {
    (0..TOWN).map(|number| address(&resident(number))).collect()
}

fn resident(number: usize) -> String {
    format!("resident {number}")
}

/// A copy of a node's data on which the whole town is registered; it is made once for all tests.
pub(crate) async fn town() -> TempDir {
    let data = REGISTERED.get_or_init(register).await;
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(data.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

async fn register() -> TempDir {
    let node = Node::start().await;
    residents(&node.address()).await;
    node.into_data().await
}

/// The client of everybody in the town.
pub(crate) async fn residents(node: &NodeAddress) -> Vec<Person> {
    let sign_in = |number| {
        let node = node.clone();
        async move {
            let client = Client::builder(wallet(&resident(number)), node);
            client.connect().await.map(|client| Person { client })
        }
    };
    futures::stream::iter(0..TOWN)
        .map(sign_in)
        .buffered(64)
        .try_collect()
        .await
        .unwrap()
}

/// Randomness for what a test seals itself.
pub(crate) fn entropy() -> Entropy {
    let mut bytes = [0; 44];
    getrandom::fill(&mut bytes).unwrap();
    Entropy::from_bytes(bytes)
}

/// The current time.
pub(crate) fn now() -> TimestampNs {
    herald::clock::now()
}
