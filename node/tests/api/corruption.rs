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
