use herald_protocol::proto::api::{Envelope, PublishRequest};
use tokio::task::JoinSet;

use crate::{harness::*, process::Process};

#[tokio::test]
async fn sigkill_under_load_loses_no_acknowledged_envelope() {
    let place = Place::new();
    let alice = Wallet::new(1);
    let mut ledger: Vec<Envelope> = Vec::new();
    for round in 0..4_u64 {
        let mut node = Process::start(&place, "");
        let mut publishers = JoinSet::new();
        for publisher in 0..32_u64 {
            let mut client = node.client().await;
            let bearer = alice.bearer.clone();
            publishers.spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    let time = round << 48 | publisher << 32 | number;
                    let sent = envelope(&format!("test-{publisher}"), time, time.to_be_bytes().repeat(64));
                    let request = PublishRequest {
                        envelopes: vec![sent.clone()],
                    };
                    if client.publish(with_header(request, &bearer)).await.is_err() {
                        break;
                    }
                    acknowledged.push(sent);
                }
                acknowledged
            });
        }
        let mut probe = node.client().await;
        until("the load is on", async || {
            let query = query(["test-0"], 2, 1);
            let page = probe.query(query).await.unwrap().into_inner();
            page.envelopes
                .first()
                .is_some_and(|newest| newest.timestamp_ns > (round << 48) + 20)
        })
        .await;
        node.child.kill().unwrap();
        node.child.wait().unwrap();
        while let Some(acknowledged) = publishers.join_next().await {
            ledger.extend(acknowledged.unwrap());
        }
    }
    assert!(ledger.len() > 1_000, "{} acknowledged", ledger.len());
    let mut node = Process::start(&place, "");
    let ready = http()
        .get(format!("http://{}/readyz", node.metrics))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), 200);
    assert_eq!(node.terminate(), Some(0), "SIGTERM ends it well");
    let node = TestNode::start_in(place, |_| {}).await;
    for publisher in 0..32 {
        let topic = format!("test-{publisher}");
        let stored = node.stored(&topic).await;
        let mut acknowledged = ledger.iter().filter(|envelope| envelope.content_topic == topic);
        assert!(acknowledged.all(|envelope| {
            stored
                .binary_search_by_key(&envelope.timestamp_ns, |row| row.timestamp_ns)
                .is_ok_and(|found| stored[found] == *envelope)
        }));
    }
}
