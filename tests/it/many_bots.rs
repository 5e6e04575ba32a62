//! Many bots in one process share one connection and one stream; each hears what is written to it, whatever happens.

use herald_protocol::address::Address;

use crate::harness::{
    house::{Herald, House, Node},
    people::{Person, address, key, person},
};

const BOTS: usize = 60;

fn bot(number: usize, version: &str, node: &str) -> String {
    format!(
        "herald: 1
bot: b{number}
identity: env:KEY_{number}
node: grpc://{node}
commands:
  /say <what:text>: {{ reply: \"b{number} {version}: {{{{ args.what }}}}\" }}
"
    )
}

fn name(number: usize) -> String {
    format!("bot {number}")
}

fn wallets() -> Vec<Address> {
    (0..BOTS).map(|number| address(&name(number))).collect()
}

/// Says something to every bot, to each its own, and waits until all have answered.
async fn ask_all(person: &Person, herald: &Herald, word: &str, answered: usize) {
    for (number, bot) in wallets().into_iter().enumerate() {
        person.say(bot, &format!("/say {word} {number}")).await;
    }
    herald.count("delivered", answered).await;
}

#[tokio::test]
async fn bots_of_a_process_share_one_stream_and_each_hears_its_own_also_after_a_restart_of_the_node() {
    let node = Node::start().await;
    let mut house = House::of(&bot(0, "v1", node.grpc())).set("KEY_0", &key(&name(0)));
    for number in 1..BOTS {
        house = house
            .beside(&format!("b{number}.yaml"), &bot(number, "v1", node.grpc()))
            .set(&format!("KEY_{number}"), &key(&name(number)));
    }
    let herald = house.start().await;
    herald.count("ready", BOTS).await;
    node.streams(1.0).await;

    let alice = person("alice", node.address()).await;
    ask_all(&alice, &herald, "first", BOTS).await;
    // Each conversation is another topic.
    node.streams(1.0).await;

    let node = node.kill().start().await;
    ask_all(&alice, &herald, "second", 2 * BOTS).await;
    node.streams(1.0).await;

    house.rewrite(&bot(0, "v2", node.grpc()));
    herald.event("reloaded", |event| event["bot"] == "b0").await;
    ask_all(&alice, &herald, "third", 3 * BOTS).await;
    node.streams(1.0).await;

    for (number, bot) in wallets().into_iter().enumerate() {
        let version = if number == 0 { "v2" } else { "v1" };
        let wanted = [("first", "v1"), ("second", "v1"), ("third", version)]
            .map(|(word, version)| format!("b{number} {version}: {word} {number}"));
        assert_eq!(alice.texts_of(bot).await, wanted);
    }
    assert!(herald.counter("herald_messages_dropped_total").await < 0.5);
}
