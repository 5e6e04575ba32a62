//! Killing `herald run` at any moment loses no message and doubles none.

use std::{collections::HashMap, time::Duration};

use futures::StreamExt as _;
use serde_json::json;

use crate::harness::{
    house::{Herald, House, Node},
    people::{TOWN, address, residents, text, town, townspeople},
};

fn bot(node: &str) -> String {
    format!(
        "herald: 1
bot: crier
identity: env:BOT_KEY
node: {node}
rules:
  cry:
    when: {{ manual: true }}
    to: {{ wallets: body.wallets }}
    consent: transactional
    send: \"Hear, hear: {{{{ body.news }}}}\"
"
    )
}

/// Fires one announcement to the town and kills herald at random moments until all of it is delivered.
async fn announce_and_kill(house: &House, kills: u32) -> Herald {
    let wallets: Vec<String> = townspeople().iter().map(ToString::to_string).collect();
    let mut herald = house.start().await;
    herald
        .fire("cry", &json!({ "wallets": wallets, "news": "bread is ready" }))
        .await;
    let mut moments = Vec::new();
    for kill in 0..kills {
        // The first kill comes while the audience is planned or sealed, the others at any moment of a batch.
        let moment = Duration::from_millis(if kill == 0 { 0 } else { random(MOMENTS) });
        tokio::select! {
            () = tokio::time::sleep(moment) => {}
            () = house.settled() => break,
        }
        moments.push(moment);
        herald.kill();
        herald = house.start().await;
    }
    eprintln!("killed so long after its starts: {moments:?}");
    assert!(moments.len() > 1, "it was killed amid the deliveries");
    house.settled().await;
    herald
}

/// Milliseconds in which a started herald has dealt with a part of the town.
const MOMENTS: u32 = 600;

fn random(below: u32) -> u64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).unwrap();
    u64::from(u32::from_le_bytes(bytes) % below)
}

/// Every resident has one conversation with the bot and one message in it, and the store says so, too.
async fn each_has_one_message(house: &House, herald: &Herald, node: herald::client::NodeAddress) {
    let bot = herald.address();
    let read: Vec<(String, usize, Vec<String>)> = futures::stream::iter(residents(&node).await)
        .map(|resident| async move {
            let conversations = resident.conversations_with(address("bot")).await.len();
            let messages = resident.messages_of(bot).await;
            let ids = messages.iter().map(|message| message.id.to_string());
            let ids = ids.collect();
            assert!(
                messages
                    .iter()
                    .all(|message| text(message) == "Hear, hear: bread is ready")
            );
            (resident.address().to_string(), conversations, ids)
        })
        .buffered(64)
        .collect()
        .await;
    let rows = house.deliveries(&[]).await;
    let mut told: HashMap<String, String> = HashMap::new();
    for row in &rows {
        assert_eq!(row["state"], "delivered", "{row}");
        let message = row["message"].as_str().unwrap().to_owned();
        let before = told.insert(row["wallet"].as_str().unwrap().to_owned(), message);
        assert_eq!(before, None, "two rows for one wallet: {row}");
    }
    assert_eq!((rows.len(), read.len()), (TOWN, TOWN));
    for (wallet, conversations, ids) in read {
        assert_eq!(conversations, 1, "conversations of {wallet}");
        assert_eq!(ids, [told[&wallet].clone()], "messages of {wallet}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_herald_amid_a_thousand_deliveries_loses_none_and_doubles_none() {
    let node = Node::start_with(town().await).await;
    let house = House::of(&bot(&format!("grpc://{}", node.grpc())));
    let herald = announce_and_kill(&house, 5).await;
    each_has_one_message(&house, &herald, node.address()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_herald_and_its_built_in_node_loses_none_and_doubles_none() {
    let house = House::of(&bot("built-in"));
    std::fs::rename(town().await.keep(), house.data()).unwrap();
    let herald = announce_and_kill(&house, 4).await;
    each_has_one_message(&house, &herald, herald.node()).await;
}
