//! Clients that share a switchboard ask together what they ask at once, and each gets its own answer.

use futures::future::join_all;
use herald::client::{Client, Switchboard};
use herald_protocol::{proto::api::QueryRequest, topic::Topic};
use tonic::Status;

use crate::harness::{
    people::{Person, person, wallet},
    program::DEADLINE,
    scripted::{Answer, Call, Scripted},
};

const PEOPLE: usize = 40;

/// Signs people in at once, with one switchboard.
async fn people(node: &Scripted) -> Vec<Person> {
    let switchboard = Switchboard::default();
    let connecting = (0..PEOPLE).map(|number| {
        let wallet = wallet(&format!("person {number}"));
        let builder = Client::builder(wallet, node.address()).switchboard(&switchboard);
        builder.connect()
    });
    let connected = join_all(connecting).await.into_iter();
    connected.map(|client| Person::of(client.unwrap())).collect()
}

#[tokio::test]
async fn what_many_clients_ask_at_once_goes_in_few_calls() {
    let node = Scripted::start().await;
    let first = people(&node).await;
    node.calls();
    let again = people(&node).await;
    let calls = node.calls();
    // Each looks for its keys, its contact, its conversations and its consents.
    assert!(calls.len() <= PEOPLE, "{} calls", calls.len());
    for (before, after) in first.iter().zip(&again) {
        assert!(!after.client().is_new_identity());
        assert_eq!(before.keys().encode_v2(), after.keys().encode_v2());
    }
}

#[tokio::test]
async fn what_is_refused_of_one_is_answered_to_the_others() {
    let node = Scripted::start().await;
    let people = people(&node).await;
    let list = Topic::invite(people[7].address()).to_string();
    let is_refused = move |query: &QueryRequest| query.content_topics.contains(&list);
    node.answers(move |call| {
        let is_refused = match call {
            Call::Query(query) => is_refused(query),
            Call::Batch(queries) => queries.iter().any(&is_refused),
            Call::Publish { .. } | Call::Subscribe(_) => false,
        };
        is_refused.then(|| Answer::Refusal(Status::invalid_argument("not this one")))
    });
    let synced = join_all(people.iter().map(|person| person.client().sync_conversations())).await;
    for (number, synced) in synced.into_iter().enumerate() {
        assert_eq!(synced.is_err(), number == 7, "{number}: {synced:?}");
    }
}

#[tokio::test]
async fn who_asks_and_does_not_look_for_the_answer_holds_up_nobody() {
    let node = Scripted::start().await;
    let alice = person("alice", node.address()).await;
    let mut asked: Vec<_> = (0..PEOPLE)
        .map(|_| Box::pin(alice.client().sync_conversations()))
        .collect();
    for question in &mut asked {
        assert!(futures::poll!(question).is_pending());
    }
    let other = tokio::time::timeout(DEADLINE, alice.client().sync_consent()).await;
    other.expect("an answer in time").unwrap();
    for answer in join_all(asked).await {
        answer.unwrap();
    }
}
