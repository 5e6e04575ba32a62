//! A publish whose answer is lost: the node has the message, the bot does not know it.

use herald::client::ConsentState;
use herald_protocol::topic::Topic;

use crate::harness::{
    house::{House, Node},
    people::{LOOK, address, person},
    program::DEADLINE,
    proxy::Proxy,
};

fn bot(node: &str) -> String {
    format!(
        "herald: 1
bot: post
identity: env:BOT_KEY
node: grpc://{node}
rules:
  note:
    when: {{ manual: true }}
    to: {{ wallet: body.wallet }}
    consent: transactional
    send: \"{{{{ body.text }}}}\"
"
    )
}

#[tokio::test]
async fn a_message_whose_acknowledgement_is_lost_is_not_sent_again() {
    let node = Node::start().await;
    let proxy = Proxy::to(node.grpc()).await;
    let house = House::of(&bot(proxy.address()));
    let alice = person("alice", node.address()).await;
    let mut herald = house.start().await;
    let bot = herald.address();

    // The first message brings the conversation, the second finds it.
    let invite = Topic::invite(alice.address()).to_string();
    proxy.hold_answers_after(&invite);
    herald.fire_for("note", alice.address(), "first").await;
    proxy.until_held().await;
    alice.reads(bot, &["first"]).await;
    let first = alice.messages_of(bot).await[0].id;
    assert_eq!(herald.events("delivered").len(), 0, "its answer is held");
    proxy.cut();
    let told = herald.event("delivered", |_| true).await;
    assert_eq!(told["message"], first.to_string());
    // Whom it has written to may write back, for all clients of its wallet.
    let owner = person("bot", node.address()).await;
    let allowed = async {
        while owner.client().consent_of(alice.address()) != ConsentState::Allowed {
            tokio::time::sleep(LOOK).await;
            owner.client().sync_consent().await.unwrap();
        }
    };
    let allowed = tokio::time::timeout(DEADLINE / 4, allowed).await;
    assert!(allowed.is_ok(), "the wallet is allowed in time\n{}", *herald);

    let topic = alice.conversations_with(bot).await[0].topic().to_string();
    proxy.hold_answers_after(&topic);
    herald.fire_for("note", alice.address(), "second").await;
    proxy.until_held().await;
    alice.reads(bot, &["first", "second"]).await;
    let second = alice.messages_of(bot).await[1].id;
    // This time herald itself is gone before the answer could come.
    herald.kill();
    proxy.cut();
    let herald = house.start().await;
    let told = herald.event("delivered", |_| true).await;
    assert_eq!(told["message"], second.to_string());

    herald.fire_for("note", alice.address(), "third").await;
    herald.count("delivered", 2).await;
    alice.reads(bot, &["first", "second", "third"]).await;
    assert_eq!(alice.conversations_with(bot).await.len(), 1);
    assert_eq!(address("bot"), bot);
}
