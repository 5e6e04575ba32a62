use std::collections::HashSet;

use herald_node::config::Location;
use herald_protocol::proto::api::{Envelope, PublishRequest, SubscribeAllRequest, SubscribeRequest};
use herald_test_postgres::Cluster;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;
use tonic::Streaming;

use crate::harness::*;

async fn nodes_on(database: &str, count: usize) -> Vec<TestNode> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        let store: Location = database.parse().unwrap();
        nodes.push(TestNode::start_with(|config| config.store = store).await);
    }
    nodes
}

pub(crate) async fn subscribe(node: &TestNode, topics: Vec<String>) -> Streaming<Envelope> {
    let request = SubscribeRequest {
        content_topics: topics,
    };
    node.grpc().await.subscribe(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn nodes_that_start_together_on_an_empty_database_all_serve_it() {
    let database = Cluster::shared().database();
    let mut starting = JoinSet::new();
    for _ in 0..3 {
        let store: Location = database.parse().unwrap();
        starting.spawn(TestNode::start_with(|config| config.store = store));
    }
    let nodes = starting.join_all().await;
    let alice = Wallet::new(1);
    let sent = envelope("test-n", 1, b"m");
    nodes[0].publish(&alice, vec![sent.clone()]).await;
    for node in &nodes {
        assert_eq!(node.stored("test-n").await, std::slice::from_ref(&sent));
    }
}

#[tokio::test]
async fn streams_of_every_node_get_what_all_nodes_publish_at_once_in_one_order() {
    let nodes = nodes_on(&Cluster::shared().database(), 3).await;
    let topics: Vec<String> = (0..3).map(|node| format!("test-of-{node}")).collect();
    let mut streams = Vec::new();
    for node in &nodes {
        streams.push(subscribe(node, topics.clone()).await);
    }
    let mut publishing = JoinSet::new();
    for (number, node) in nodes.iter().enumerate() {
        for writer in 0..4_u64 {
            let (mut client, topic) = (node.grpc().await, topics[number].clone());
            publishing.spawn(async move {
                let alice = Wallet::new(1);
                for request in 0..25_u64 {
                    let time = writer << 32 | request << 8;
                    let envelopes = (0..4).map(|n| envelope(&topic, time | n, b"m")).collect();
                    client
                        .publish(alice.sign(PublishRequest { envelopes }))
                        .await
                        .unwrap();
                }
            });
        }
    }
    publishing.join_all().await;
    let mut orders = Vec::new();
    for stream in &mut streams {
        orders.push(take(stream, 1_200).await);
    }
    assert!(
        orders.iter().all(|order| *order == orders[0]),
        "one order for all"
    );
    let distinct: HashSet<_> = orders[0]
        .iter()
        .map(|envelope| (&envelope.content_topic, envelope.timestamp_ns))
        .collect();
    assert_eq!(distinct.len(), 1_200);
}

#[tokio::test]
async fn an_arrival_whose_commit_is_late_is_not_passed_over() {
    let database = Cluster::shared().database();
    let node = &nodes_on(&database, 1).await[0];
    let mut stream = subscribe(node, vec!["test-late".to_owned(), "test-early".to_owned()]).await;
    // Another writer, in the middle of its transaction.
    let (client, connection) = tokio_postgres::connect(&database, NoTls).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let begin = "BEGIN; SELECT publish('{test-late}', '{1}', ARRAY[sha256('test-latelate')], ARRAY['late'::bytea], '{f}', 0)";
    client.batch_execute(begin).await.unwrap();
    let mut publishing = JoinSet::new();
    let mut grpc = node.grpc().await;
    publishing.spawn(async move {
        let envelopes = vec![envelope("test-early", 1, b"early")];
        let request = Wallet::new(1).sign(PublishRequest { envelopes });
        grpc.publish(request).await.unwrap();
    });
    until("the node waits for its turn", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE application_name = 'herald-node' AND wait_event_type = 'Lock' AND datname = current_database()";
        client.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;
    client.batch_execute("COMMIT").await.unwrap();
    let both = take(&mut stream, 2).await;
    assert_eq!(both[0].content_topic, "test-late");
    assert_eq!(both[1].content_topic, "test-early");
}

#[tokio::test]
async fn ephemeral_envelopes_reach_the_streams_of_other_nodes_and_no_table_of_envelopes() {
    let nodes = nodes_on(&Cluster::shared().database(), 2).await;
    let alice = Wallet::new(1);
    let topic = "/xmtp/0/mE-1/proto";
    let response = nodes[1].grpc().await.subscribe_all(SubscribeAllRequest {}).await;
    let mut stream = response.unwrap().into_inner();
    let sent = vec![
        envelope(topic, 5, b"typing"),
        envelope("/xmtp/0/m-1/proto", 6, b"said"),
    ];
    nodes[0].publish(&alice, sent.clone()).await;
    assert_eq!(take(&mut stream, 2).await, sent);
    assert_eq!(nodes[1].stored(topic).await, []);
}

#[tokio::test]
async fn a_duplicate_by_way_of_another_node_is_not_streamed_again() {
    let nodes = nodes_on(&Cluster::shared().database(), 2).await;
    let alice = Wallet::new(1);
    let mut streams = Vec::new();
    for node in &nodes {
        streams.push(subscribe(node, vec!["test-d".to_owned()]).await);
    }
    let (once, mark) = (envelope("test-d", 1, b"m"), envelope("test-d", 2, b"mark"));
    for node in nodes.iter().chain(&nodes) {
        node.publish(&alice, vec![once.clone()]).await;
    }
    nodes[1].publish(&alice, vec![mark.clone()]).await;
    for stream in &mut streams {
        assert_eq!(take(stream, 2).await, [once.clone(), mark.clone()]);
    }
}

#[tokio::test]
async fn a_slow_stream_is_fed_from_the_database_what_other_nodes_wrote() {
    let nodes = nodes_on(&Cluster::shared().database(), 2).await;
    let alice = Wallet::new(1);
    let mut slow = subscribe(&nodes[1], vec!["test-flood".to_owned()]).await;
    let before = counter("herald_node_replayed_total");
    let mut sent = Vec::new();
    for request in 0..10_u64 {
        let envelopes: Vec<Envelope> = (0..500)
            .map(|number| envelope("test-flood", request * 500 + number, vec![7; 1_000]))
            .collect();
        nodes[0].publish(&alice, envelopes.clone()).await;
        sent.extend(envelopes);
    }
    assert!(take(&mut slow, 5_000).await == sent, "5,000 in order");
    assert!(counter("herald_node_replayed_total") > before);
}

#[tokio::test]
async fn what_a_node_wrote_itself_it_does_not_read_back() {
    let database = Cluster::shared().database();
    let node = &nodes_on(&database, 1).await[0];
    let mut stream = subscribe(node, vec!["test-own".to_owned()]).await;
    // Whoever reads arrivals back waits for this; whoever stores envelopes does not.
    let (client, connection) = tokio_postgres::connect(&database, NoTls).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    client
        .batch_execute("BEGIN; LOCK TABLE relayed IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let alice = Wallet::new(1);
    for number in 0..100 {
        let sent = envelope("test-own", number, b"m");
        node.publish(&alice, vec![sent.clone()]).await;
        assert_eq!(take(&mut stream, 1).await, [sent]);
    }
}
