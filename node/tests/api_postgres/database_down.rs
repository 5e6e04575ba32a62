use std::{sync::atomic::Ordering, time::Duration};

use herald_node::config::Location;
use herald_protocol::proto::api::{Envelope, PublishRequest};
use herald_test_postgres::Cluster;
use tokio::task::JoinSet;
use tonic::Code;

use crate::{harness::*, nodes::subscribe, proxy::Proxy};

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_acknowledged_and_stored_and_streamed_once() {
    let proxy = Proxy::start(&Cluster::shared().database(), "test-lost", 3);
    let store: Location = proxy.url.parse().unwrap();
    let node = TestNode::start_with(|config| config.store = store).await;
    let alice = Wallet::new(1);
    let mut stream = subscribe(&node, vec!["test-lost".to_owned(), "test-mark".to_owned()]).await;
    let sent: Vec<Envelope> = (0..50).map(|time| envelope("test-lost", time, b"m")).collect();
    node.publish(&alice, sent.clone()).await;
    assert_eq!(proxy.cuts.load(Ordering::Relaxed), 3);
    let mark = envelope("test-mark", 1, b"mark");
    node.publish(&alice, vec![mark.clone()]).await;
    assert_eq!(node.stored("test-lost").await, sent);
    assert_eq!(take(&mut stream, 51).await, [sent, vec![mark]].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_in_mid_load_loses_nothing_acknowledged_and_streams_each_once() {
    let cluster = Cluster::start(&std::env::temp_dir(), &[]);
    let store: Location = cluster.database().parse().unwrap();
    let nodes = [
        TestNode::start_with(|config| config.store = store.clone()).await,
        TestNode::start_with(|config| config.store = store.clone()).await,
    ];
    let mut streams = [
        subscribe(&nodes[0], vec!["test-load".to_owned()]).await,
        subscribe(&nodes[1], vec!["test-load".to_owned()]).await,
    ];
    let (done, _) = tokio::sync::broadcast::channel::<()>(1);
    let mut publishers = JoinSet::new();
    for publisher in 0..8_u64 {
        let mut client = nodes[usize::from(publisher % 2 == 1)].grpc().await;
        let mut done = done.subscribe();
        publishers.spawn(async move {
            let alice = Wallet::new(1);
            let mut acknowledged = Vec::new();
            for number in 0..u64::MAX {
                let sent = envelope("test-load", publisher << 32 | number, b"m");
                // Once more where the outcome was refused: that is what clients do.
                loop {
                    let envelopes = vec![sent.clone()];
                    match client.publish(alice.sign(PublishRequest { envelopes })).await {
                        Ok(_) => break,
                        Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
                    }
                }
                acknowledged.push(sent);
                if done.try_recv().is_ok() {
                    break;
                }
            }
            acknowledged
        });
    }
    for _ in 0..3 {
        let before = nodes[0].stored("test-load").await.len();
        until("publishing is under way", async || {
            nodes[0].stored("test-load").await.len() > before + 50
        })
        .await;
        tokio::task::block_in_place(|| cluster.crash_and_restart());
    }
    done.send(()).unwrap();
    let acknowledged = publishers.join_all().await.concat();
    let stored = nodes[1].stored("test-load").await;
    assert_eq!(stored.len(), acknowledged.len());
    assert!(acknowledged.iter().all(|sent| stored.contains(sent)));
    for stream in &mut streams {
        let mut seen = take(stream, acknowledged.len()).await;
        seen.sort_by_key(|envelope| envelope.timestamp_ns);
        assert!(seen == stored, "each once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stays_away_stops_acknowledgements_and_readiness_until_it_is_back() {
    let cluster = Cluster::start(&std::env::temp_dir(), &[]);
    let store: Location = cluster.database().parse().unwrap();
    let node = TestNode::start_with(|config| config.store = store).await;
    let alice = Wallet::new(1);
    node.publish(&alice, vec![envelope("test-a", 1, b"before")]).await;
    tokio::task::block_in_place(|| cluster.stop());
    let request = || PublishRequest {
        envelopes: vec![envelope("test-a", 2, b"meanwhile")],
    };
    let refused = node
        .grpc()
        .await
        .publish(alice.sign(request()))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Unavailable, "store cannot write")
    );
    let ready = async || {
        let url = format!("http://{}/readyz", node.addresses.metrics);
        let response = http()
            .get(url)
            .timeout(Duration::from_secs(10))
            .send()
            .await
            .unwrap();
        response.status().as_u16()
    };
    assert_eq!(ready().await, 503);
    tokio::task::block_in_place(|| cluster.start_again());
    until("the node is ready again", async || ready().await == 200).await;
    node.publish(&alice, vec![envelope("test-a", 3, b"after")]).await;
    let times: Vec<u64> = node
        .stored("test-a")
        .await
        .iter()
        .map(|row| row.timestamp_ns)
        .collect();
    assert_eq!(times, [1, 3]);
}
