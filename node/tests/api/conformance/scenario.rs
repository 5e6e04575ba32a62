//! What the V2 network ran against itself all day.

use crate::{
    client::{Client, Live},
    harness::*,
};
use futures::future::join_all;
use herald_protocol::proto::api::{Envelope, QueryRequest};

/// Line 86: five clients of one wallet on one topic, three envelopes from each, everything everywhere.
#[tokio::test]
async fn five_clients_publish_three_envelopes_each_and_all_get_all_fifteen() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let clients = [
        Client::both(&node).await,
        Client::both(&node).await,
        Client::both(&node).await,
    ];
    let clients = &clients.iter().flatten().collect::<Vec<_>>()[..5];
    let topic = "test-scenario";
    let mut streams: Vec<Live> = Vec::new();
    for client in clients {
        streams.push(client.subscribe(&[topic]).await.unwrap());
    }
    let sync = envelope(topic, 0, b"sync");
    clients[0]
        .publish(Some(&alice.bearer), vec![sync.clone()])
        .await
        .unwrap();
    for stream in &mut streams {
        assert_eq!(stream.take(1).await, std::slice::from_ref(&sync));
    }
    let of = |number: usize| -> Vec<Envelope> {
        (1..=3)
            .map(|time| envelope(topic, time, format!("client {number}, envelope {time}")))
            .collect()
    };
    let publishing = clients.iter().enumerate().map(async |(number, client)| {
        client.publish(Some(&alice.bearer), of(number)).await.unwrap();
    });
    join_all(publishing).await;
    let expected = sorted((0..5).flat_map(of).collect());
    for stream in &mut streams {
        assert_eq!(sorted(stream.take(15).await), expected);
    }
    for client in clients {
        // Unspecified direction, the client's own page size.
        let asked = QueryRequest {
            start_time_ns: 1,
            ..query([topic], 0, 4)
        };
        assert_eq!(sorted(client.pages(asked.clone()).await.concat()), expected);
        let batch = client.batch_query(vec![query([topic], 0, 100)]).await.unwrap();
        let mut found = batch.responses[0].envelopes.clone();
        found.retain(|envelope| *envelope != sync);
        assert_eq!(sorted(found), expected);
    }
}

fn sorted(mut envelopes: Vec<Envelope>) -> Vec<Envelope> {
    envelopes
        .sort_by(|one, other| (one.timestamp_ns, &one.message).cmp(&(other.timestamp_ns, &other.message)));
    envelopes
}
