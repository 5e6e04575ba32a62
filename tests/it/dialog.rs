//! Messages to a bot: each handled once, in order, whether herald was running or not.

use herald_protocol::{bundle::UnsignedIdentity, contact::ContactBundle, key::PrivateKey, topic::Topic};

use crate::harness::{
    house::{House, Node},
    people::{Person, address, now, person, wallet},
    site::{Answer, Site},
};

fn bot(node: &str) -> String {
    format!(
        "herald: 1
bot: echo
identity: env:BOT_KEY
node: {node}
commands:
  /say <what:text>: {{ reply: \"you said {{{{ args.what }}}}\" }}
lists:
  readers: {{ join: /subscribe }}
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
async fn a_message_is_answered_once_however_often_herald_starts() {
    let node = Node::start().await;
    let house = House::of(&bot(&format!("grpc://{}", node.grpc())));
    let mut herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", node.address()).await;
    let gone = "Done. I will not write to you any more. To come back: /subscribe";
    alice.say(bot, "/subscribe").await;
    alice.asks(bot, "stop", &[gone]).await;
    alice.asks(bot, "/say one", &["you said one"]).await;
    herald.stop().await;
    // Written while herald is down.
    alice.say(bot, "/say two").await;
    alice.say(bot, "/say three").await;
    let mut herald = house.start().await;
    alice
        .reads(bot, &[gone, "you said one", "you said two", "you said three"])
        .await;
    herald.kill();
    let again = house.start().await;
    alice.asks(bot, "/say four", &["you said four"]).await;
    let texts = [
        gone,
        "you said one",
        "you said two",
        "you said three",
        "you said four",
    ];
    alice.reads(bot, &texts).await;
    // The first words are read again from the network at every start; they are not obeyed again.
    for herald in [herald, again] {
        assert!(herald.events("joined").is_empty() && herald.events("left").is_empty());
    }
}

#[tokio::test]
async fn a_restart_opens_no_history_again() {
    let node = Node::start().await;
    let house = House::of(&bot(&format!("grpc://{}", node.grpc())));
    let mut herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", node.address()).await;
    alice.say(bot, "/subscribe").await;
    alice.asks(bot, "/say one", &["you said one"]).await;
    herald.stop().await;
    let herald = house.start().await;
    alice.asks(bot, "/say two", &["you said two"]).await;
    let invitations = herald.counter("herald_invitations_opened_total").await;
    assert!(invitations < 1.0, "{invitations} invitations were opened");
    // The new message, and the bot's own answer to it when the stream has brought it.
    let opened = herald.counter("herald_messages_opened_total").await;
    assert!((1.0..2.5).contains(&opened), "{opened} messages were opened");
}

#[tokio::test]
async fn what_was_written_to_a_known_wallet_before_the_bot_first_started_is_history() {
    let node = Node::start().await;
    let bot = person("bot", node.address()).await;
    let alice = person("alice", node.address()).await;
    alice.say(bot.address(), "/say old").await;
    let house = House::of(&crate::dialog::bot(&format!("grpc://{}", node.grpc())));
    let _herald = house.start().await;
    alice.asks(bot.address(), "/say new", &["you said new"]).await;
}

#[tokio::test]
async fn a_bot_does_not_answer_itself() {
    let house = House::of(
        "herald: 1
bot: mirror
identity: env:BOT_KEY
rules:
  mirror:
    when: { message: any }
    to: { wallet: message.from }
    consent: transactional
    send: \"{{ message.text }}\"
",
    );
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    alice.asks(bot, "one", &["one"]).await;
    // The wallet's owner writes from a client of their own: that is no message to the bot.
    let owner = person("bot", herald.node()).await;
    owner.say(alice.address(), "by hand").await;
    alice.asks(bot, "two", &["two"]).await;
    alice.reads(bot, &["one", "by hand", "two"]).await;
    assert_eq!(herald.events("occurrence").len(), 2);
}

/// Publishes a contact of new keys that only V2 knows.
async fn has_native_keys(person: &Person) {
    let key = |byte| PrivateKey::from_bytes(&[byte; 32]).unwrap();
    let identity = UnsignedIdentity::native(key(1), now());
    let signature = wallet("carol").sign_text(&identity.text());
    let keys = identity
        .signed(person.address(), &signature, key(2), now())
        .unwrap();
    let contact = ContactBundle::V2(keys.public().bundle().clone()).encode();
    person.put(Topic::contact(person.address()), now(), contact).await;
}

#[tokio::test]
async fn an_answer_that_can_never_be_sealed_keeps_back_no_other_and_is_forgotten_with_who_it_was_for() {
    let node = Node::start().await;
    let house = House::of(&bot(&format!("grpc://{}", node.grpc())));
    let alice = person("alice", node.address()).await;
    let carol = person("carol", node.address()).await;
    carol.reads_v1_only().await;
    let mut herald = house.start().await;
    herald.fire_for("note", carol.address(), "in V1").await;
    carol.reads(address("bot"), &["in V1"]).await;
    herald.stop().await;
    has_native_keys(&carol).await;
    let in_v1 = carol.conversations_with(address("bot")).await.remove(0);
    in_v1.send("/say one").await.unwrap();
    let herald = house.start().await;
    alice.asks(herald.address(), "/say two", &["you said two"]).await;
    let rejected = herald.event("rejected", |_| true).await;
    let reason = rejected["reason"].as_str().unwrap();
    assert!(reason.contains("no V1 form"), "{rejected}");
    assert_eq!(rejected["wallet"], carol.address().to_string());
    assert!(herald.events("error").is_empty(), "{}", *herald);
    // What it said stays, to be sent again, until she is forgotten.
    assert_eq!(house.keeps("you said one"), ["delivery.body"]);
    let carol = carol.address().to_string();
    let forget = ["subscribers", "forget", &carol, "--bots", "bot.yaml"];
    house.run(&forget).await.expect(0);
    let nowhere: [&str; 0] = [];
    assert_eq!(house.keeps("you said one"), nowhere);
    house.run(&["deliveries", "replay", "--dead"]).await.expect(0);
    let forgotten = "what it said is forgotten";
    herald
        .event("rejected", |event| event["reason"] == forgotten)
        .await;
}

#[tokio::test]
async fn who_asks_what_takes_long_keeps_nobody_else_waiting_and_is_answered_in_order() {
    let site = Site::start(|_| Answer::Silence).await;
    let house = House::of(&format!(
        "herald: 1
bot: desk
identity: env:BOT_KEY
sources: {{ slow: {{ http: \"{}\", pick: body, timeout: 10s }} }}
commands:
  /slow: {{ reply: \"{{{{ slow }}}}\" }}
  /say <what:text>: {{ reply: \"you said {{{{ args.what }}}}\" }}
",
        site.url("/slow")
    ));
    let house = house.asking_this_machine();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let carol = person("carol", herald.node()).await;
    for text in ["/slow", "/say one", "/say two", "/say three"] {
        alice.say(bot, text).await;
    }
    site.is_asked(1).await;
    carol.asks(bot, "/say hello", &["you said hello"]).await;
    assert!(alice.texts_of(bot).await.is_empty(), "the first of hers waits");
    let later = "I cannot look that up right now. Please try again in a few minutes.";
    alice
        .reads(bot, &[later, "you said one", "you said two", "you said three"])
        .await;
}
