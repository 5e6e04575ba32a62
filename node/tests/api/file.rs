use std::time::Duration;

use herald_node::config::Keep;
use herald_protocol::proto::api::message_api_client::MessageApiClient;
use tonic::{Code, transport::Endpoint};

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

#[tokio::test]
async fn a_time_that_was_changed_in_its_row_or_in_the_index_is_refused() {
    const TIME: u64 = 0x0123_4567_89ab_cdef;
    let node = TestNode::start().await;
    node.publish(&Wallet::new(1), vec![envelope("test-time", TIME, b"m")])
        .await;
    let place = node.stop().await;
    let sound = std::fs::read(place.path().join("node.db")).unwrap();
    let found = sound.windows(8).enumerate();
    let places: Vec<_> = found
        .filter(|(_, bytes)| *bytes == TIME.to_be_bytes())
        .map(|(at, _)| at)
        .collect();
    assert_eq!(places.len(), 2, "a row and the index");
    for at in places {
        let mut changed = sound.clone();
        changed[at + 7] ^= 1;
        let place = Place::new();
        std::fs::write(place.path().join("node.db"), changed).unwrap();
        let node = TestNode::start_in(place, |_| {}).await;
        let query = node.grpc().await.query(ascending(["test-time"])).await;
        assert_eq!(query.unwrap_err().code(), Code::DataLoss);
    }
}

#[tokio::test]
async fn a_damaged_history_of_migrations_is_refused_and_no_panic() {
    for change in ["applied_on = '2026-11-29T1:00:00Z'", "checksum = '1x'"] {
        let place = TestNode::start().await.stop().await;
        let file = rusqlite::Connection::open(place.path().join("node.db")).unwrap();
        let change = format!("UPDATE refinery_schema_history SET {change}");
        file.execute(&change, []).unwrap();
        drop(file);
        let (_, ended) = TestNode::start_in(place, |_| {}).await.end().await;
        let refused = format!("{:?}", ended.unwrap_err());
        assert!(refused.contains("migrations is damaged"), "{refused}");
    }
}

#[tokio::test]
async fn of_a_file_with_flipped_bits_every_answer_is_what_was_stored_or_a_refusal() {
    const TOPICS: u64 = 40;
    const ON_EACH: u64 = 25;
    const ROUNDS: usize = 50;
    const FLIPS: usize = 20;
    let topic = |number: u64| format!("test-bits-{number}");
    let on = |number: u64, at: u64| envelope(&topic(number), at, format!("{at:04}").repeat(500));
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    for number in 0..TOPICS {
        let sent = (0..ON_EACH).map(|at| on(number, at));
        node.publish(&alice, sent.collect()).await;
    }
    let place = node.stop().await;
    let sound = std::fs::read(place.path().join("node.db")).unwrap();
    let mut seed = herald_node::clock::wall().as_ns();
    eprintln!("seed: {seed}");
    let mut random = move |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let (mut whole, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        let mut damaged = sound.clone();
        for _ in 0..FLIPS {
            let bit = random(damaged.len() * 8);
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
        let place = Place::new();
        std::fs::write(place.path().join("node.db"), damaged).unwrap();
        let node = TestNode::start_in(place, |_| {}).await;
        let node_address = format!("http://{}", node.addresses.grpc);
        let channel = Endpoint::from_shared(node_address).unwrap().connect_lazy();
        let mut client = MessageApiClient::new(channel);
        for number in 0..TOPICS {
            let Ok(page) = client.query(ascending([&topic(number)])).await else {
                refused += 1;
                continue;
            };
            let answered = page.into_inner().envelopes;
            whole += u64::from(answered.len() as u64 == ON_EACH);
            for found in answered {
                let at = found.timestamp_ns;
                assert!(at < ON_EACH, "an envelope from nowhere: {at}");
                assert_eq!(found, on(number, at));
            }
        }
        drop(client);
        // Badly where its store was refused.
        let _ = node.end().await;
    }
    // Some of both, or nothing was tested.
    assert!(whole > 0 && refused > 0, "{whole} whole, {refused} refused");
}
