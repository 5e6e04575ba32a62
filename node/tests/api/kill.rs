use std::time::Duration;

use herald_protocol::proto::api::PublishRequest;
use tokio::task::JoinSet;

use crate::{harness::*, process::Process};

const CLIENTS: u64 = 8;
const IN_FLIGHT: u64 = 32;

/// What a publisher knows: this many were acknowledged and so are stored; the one after may be.
struct Ledger {
    topic: String,
    first: u64,
    acknowledged: u64,
}

/// Its envelopes are told from all others, and a torn one from a whole one.
fn numbered(topic: &str, number: u64) -> herald_protocol::proto::api::Envelope {
    envelope(topic, number, number.to_be_bytes().repeat(96))
}

/// F2: in a round, 8 clients publish with 32 in flight each, until the node is killed.
async fn killed_under_load(place: &Place, round: u64) -> Vec<Ledger> {
    let mut node = Process::start(place, "");
    let mut publishers = JoinSet::new();
    for client in 0..CLIENTS {
        let connection = node.client().await;
        for publisher in 0..IN_FLIGHT {
            let mut connection = connection.clone();
            publishers.spawn(async move {
                let bearer = Wallet::new(1).bearer;
                let mut ledger = Ledger {
                    topic: format!("test-{client}-{publisher}"),
                    first: round << 40,
                    acknowledged: 0,
                };
                loop {
                    let sent = numbered(&ledger.topic, ledger.first + ledger.acknowledged);
                    let request = PublishRequest {
                        envelopes: vec![sent],
                    };
                    if connection.publish(with_header(request, &bearer)).await.is_err() {
                        return ledger;
                    }
                    ledger.acknowledged += 1;
                }
            });
        }
    }
    let mut probe = node.client().await;
    until("the load is on", async || {
        let page = probe
            .query(query(["test-7-31"], 2, 1))
            .await
            .unwrap()
            .into_inner();
        page.envelopes
            .first()
            .is_some_and(|newest| newest.timestamp_ns > (round << 40) + 3)
    })
    .await;
    // Each time in another moment of the load.
    tokio::time::sleep(Duration::from_millis(round * 7 % 50)).await;
    node.child.kill().unwrap();
    node.child.wait().unwrap();
    publishers.join_all().await
}

#[tokio::test]
async fn sigkill_under_load_loses_no_acknowledged_envelope_and_leaves_none_that_nobody_sent() {
    let place = Place::new();
    let kills = if crate::ON_POSTGRES { 4 } else { 20 };
    let mut ledgers = Vec::new();
    for round in 0..kills {
        ledgers.extend(killed_under_load(&place, round).await);
    }
    let mut node = Process::start(&place, "");
    let ready = http()
        .get(format!("http://{}/readyz", node.metrics))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), 200);
    assert_eq!(node.terminate().await, Some(0), "SIGTERM ends it well");
    let node = TestNode::start_in(place, |_| {}).await;
    let mut acknowledged = 0;
    for client in 0..CLIENTS {
        for publisher in 0..IN_FLIGHT {
            let topic = format!("test-{client}-{publisher}");
            let stored = node.stored(&topic).await;
            let mut left = stored.as_slice();
            for ledger in ledgers.iter().filter(|ledger| ledger.topic == topic) {
                acknowledged += ledger.acknowledged;
                let last = ledger.first + ledger.acknowledged;
                let expected: Vec<_> = (ledger.first..last)
                    .map(|number| numbered(&topic, number))
                    .collect();
                left = left
                    .strip_prefix(expected.as_slice())
                    .expect("all that was acknowledged, whole");
                // In flight when the node was killed: whole or not at all.
                left = left.strip_prefix(&[numbered(&topic, last)]).unwrap_or(left);
            }
            assert_eq!(left, [], "nobody sent these");
        }
    }
    assert!(acknowledged > 256 * kills, "{acknowledged} acknowledged");
}
