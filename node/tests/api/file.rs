use std::time::Duration;

use herald_node::config::Keep;
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn a_row_that_was_changed_on_disk_is_refused_and_never_answered() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    node.publish(
        &alice,
        vec![
            envelope("test-flip", 1, b"genuine"),
            envelope("test-sound", 1, b"sound"),
        ],
    )
    .await;
    let place = node.stop().await;
    let database = rusqlite::Connection::open(place.path().join("node.db")).unwrap();
    let forged = database
        .execute(
            "UPDATE envelope SET message = x'00' WHERE message = ?1",
            [b"genuine"],
        )
        .unwrap();
    assert_eq!(forged, 1);
    drop(database);
    let node = TestNode::start_in(place, |_| {}).await;
    let status = node
        .grpc()
        .await
        .query(ascending(["test-flip"]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DataLoss);
    assert_eq!(node.stored("test-sound").await.len(), 1);
}

#[tokio::test]
async fn the_file_becomes_smaller_when_envelopes_are_deleted() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    for first in 0..25 {
        let large = (0..100).map(|number| envelope("test-old", first * 100 + number, vec![7; 10_000]));
        node.publish(&alice, large.collect()).await;
    }
    let place = node.stop().await;
    let file = place.path().join("node.db");
    let full = std::fs::metadata(&file).unwrap().len();
    assert!(full > 25_000_000, "{full}");
    let age = Keep::For(Duration::from_secs(1));
    let node = TestNode::start_in(place, |config| config.retention.other = age).await;
    until("the space is given back", async || {
        std::fs::metadata(&file).unwrap().len() < full / 2
    })
    .await;
    until("all are gone", async || node.stored("test-old").await.is_empty()).await;
}

#[tokio::test]
async fn a_node_that_ended_well_leaves_one_file_and_no_log() {
    let node = TestNode::start().await;
    let sent = envelope("test-log", 1, b"m");
    node.publish(&Wallet::new(1), vec![sent.clone()]).await;
    assert_eq!(node.stored("test-log").await, [sent]);
    let place = node.stop().await;
    let names = std::fs::read_dir(place.path()).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["node.db", "node.db.lock"]);
}
