//! What does not decrypt or verify is dropped and counted, and the stream goes on.

use herald::{
    client::{Api, Client},
    content::Content,
};
use herald_protocol::{
    bundle::PrivateKeyBundle,
    invitation::Invitation,
    key_bundle::SealedKeyBundle,
    message_v2::{Conversation, Outgoing},
    proto::api::Envelope,
    topic::Topic,
};

use crate::harness::{
    house::{Herald, House},
    people::{Person, address, entropy, now, person, wallet},
};

const BOT: &str = "herald: 1
bot: echo
identity: env:BOT_KEY
commands:
  /ping: { reply: pong }
";

/// Somebody's keys, as only that wallet can read them from the network.
async fn keys(herald: &Herald, name: &str) -> PrivateKeyBundle {
    let api = Api::new(herald.node()).unwrap();
    let stored = api
        .newest_of_each(&[Topic::private_store(address(name))], 1)
        .await;
    let sealed = SealedKeyBundle::decode(&stored.unwrap()[0][0].message).unwrap();
    let signature = wallet(name).sign_text(&sealed.text());
    sealed.open(&signature).unwrap().bundle
}

async fn publish(client: &Client, topic: &str, message: Vec<u8>) {
    let envelope = Envelope {
        content_topic: topic.to_owned(),
        timestamp_ns: now().as_ns(),
        message: message.into(),
    };
    client.publish(vec![envelope]).await.unwrap();
}

/// A message in the conversation of two others, sealed with its key by a third wallet.
fn intrusion(
    alice: &PrivateKeyBundle,
    bot: &PrivateKeyBundle,
    mallory: &PrivateKeyBundle,
) -> (Topic, Envelope) {
    let invitation = Invitation::derive(alice, bot.public(), None);
    let members = [alice.address(), bot.address()];
    let conversation = Conversation::new(invitation.topic.clone(), invitation.key_material.clone(), members);
    let outgoing = Outgoing {
        created: now(),
        now: now(),
        should_push: true,
    };
    let text = Content::Text("/ping".to_owned()).encode();
    let sealed = conversation.seal(mallory, &text, &outgoing, entropy());
    let envelope = Envelope {
        content_topic: conversation.topic().to_string(),
        timestamp_ns: sealed.created.as_ns(),
        message: sealed.bytes.into(),
    };
    (invitation.topic, envelope)
}

async fn people() -> (House, Herald, Person, Person) {
    let house = House::of(BOT);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let mallory = person("mallory", herald.node()).await;
    (house, herald, alice, mallory)
}

#[tokio::test]
async fn a_message_that_does_not_open_is_dropped_and_the_next_one_is_answered() {
    let (_house, herald, alice, mallory) = people().await;
    let bot = herald.address();
    alice.asks(bot, "/ping", &["pong"]).await;
    assert!(herald.counter("herald_messages_dropped_total").await.abs() < 0.5);
    let topic = alice.conversations_with(bot).await[0].topic().clone();

    publish(mallory.client(), topic.as_str(), vec![7; 200]).await;
    publish(mallory.client(), topic.as_str(), Vec::new()).await;
    herald.counted("herald_messages_dropped_total", 2.0).await;
    let (alices, bots) = (keys(&herald, "alice").await, keys(&herald, "bot").await);
    let mallorys = keys(&herald, "mallory").await;
    let (derived, intrusion) = intrusion(&alices, &bots, &mallorys);
    assert_eq!(derived, topic, "the key is the conversation's own");
    mallory.client().publish(vec![intrusion]).await.unwrap();
    herald.counted("herald_messages_dropped_total", 3.0).await;

    alice.asks(bot, "/ping", &["pong"]).await;
    alice.reads(bot, &["pong", "pong"]).await;
    let said = herald.talk().matches("left out what breaks a rule").count();
    assert_eq!(said, 3, "each is said once:\n{}", herald.talk());
    assert_eq!(herald.events("delivered").len(), 2);
}

#[tokio::test]
async fn an_invitation_that_does_not_open_is_dropped_and_the_next_one_is_taken() {
    let (_house, herald, alice, mallory) = people().await;
    let bot = herald.address();
    let invites = Topic::invite(bot).to_string();
    publish(mallory.client(), &invites, vec![7; 200]).await;
    herald.counted("herald_invitations_dropped_total", 1.0).await;
    // An invitation of two others that somebody puts on the bot's topic.
    mallory.say(alice.address(), "hello").await;
    let (alices, mallorys) = (keys(&herald, "alice").await, keys(&herald, "mallory").await);
    let invitation = Invitation::derive(&mallorys, alices.public(), None);
    let created = now();
    let sealed = invitation.seal(&mallorys, alices.public(), created, entropy());
    let envelope = Envelope {
        content_topic: invites,
        timestamp_ns: created.as_ns(),
        message: sealed.into(),
    };
    mallory.client().publish(vec![envelope]).await.unwrap();
    herald.counted("herald_invitations_dropped_total", 2.0).await;
    alice.asks(bot, "/ping", &["pong"]).await;
}
