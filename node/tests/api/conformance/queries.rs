//! Pages of what is stored.

use herald_protocol::proto::api::{Cursor, Envelope, QueryRequest, SortDirection};

use super::numbered;
use crate::{client::Client, harness::*};

const ASCENDING: i32 = 1;
const DESCENDING: i32 = 2;

fn times(envelopes: &[Envelope]) -> Vec<u64> {
    envelopes.iter().map(|envelope| envelope.timestamp_ns).collect()
}

/// One envelope at each of the times 1, 2 and 3, on three topics.
async fn three(node: &TestNode) -> [Envelope; 3] {
    let sent = [
        envelope("test-1", 1, b""),
        envelope("test-2", 2, b"two"),
        envelope("test-3", 3, b"three"),
    ];
    node.publish(&Wallet::new(1), sent.to_vec()).await;
    sent
}

const ALL: [&str; 3] = ["test-1", "test-2", "test-3"];

/// Line 20.
#[tokio::test]
async fn a_window_is_paged_newest_first_in_threes() {
    let node = TestNode::start().await;
    let second = 1_000_000_000;
    let ten = (0..10)
        .map(|number| envelope("test-w", number * second, b"m"))
        .collect();
    node.publish(&Wallet::new(1), ten).await;
    for client in Client::both(&node).await {
        let window = QueryRequest {
            start_time_ns: 2 * second,
            end_time_ns: 8 * second,
            ..query(["test-w"], DESCENDING, 3)
        };
        let pages: Vec<Vec<u64>> = client
            .pages(window)
            .await
            .iter()
            .map(|page| times(page).iter().map(|time| time / second).collect())
            .collect();
        assert_eq!(pages, [vec![8, 7, 6], vec![5, 4, 3], vec![2]]);
    }
}

/// Line 21.
#[tokio::test]
async fn fifty_equal_queries_are_answered_each_in_its_own_direction() {
    let node = TestNode::start().await;
    node.publish(&Wallet::new(1), numbered("test-b", 1, 10)).await;
    for client in Client::both(&node).await {
        let requests = (0..50)
            .map(|number| query(["test-b"], 1 + number % 2, 0))
            .collect();
        let answers = client.batch_query(requests).await.unwrap().responses;
        assert_eq!(answers.len(), 50);
        for (number, answer) in answers.iter().enumerate() {
            let mut found = times(&answer.envelopes);
            let direction = answer.paging_info.as_ref().unwrap().direction();
            if number % 2 == 1 {
                assert_eq!(direction, SortDirection::Descending);
                found.reverse();
            } else {
                assert_eq!(direction, SortDirection::Ascending);
            }
            assert!(found.into_iter().eq(1..=10));
        }
    }
}

/// Line 22.
#[tokio::test]
async fn a_hundred_queries_are_too_many_for_one_batch() {
    let node = TestNode::start().await;
    for client in Client::both(&node).await {
        let refusal = client
            .batch_query(vec![ascending(["test-b"]); 100])
            .await
            .unwrap_err();
        refusal.assert(3, "cannot exceed 50 requests in single batch");
    }
}

/// Lines 42 and 43.
#[tokio::test]
async fn a_query_reads_the_topics_it_names() {
    let node = TestNode::start().await;
    let sent = three(&node).await;
    for client in Client::both(&node).await {
        let one = client.query(ascending(["test-1"])).await.unwrap();
        assert_eq!(one.envelopes, sent[..1]);
        assert!(one.envelopes[0].message.is_empty());
        let two = client.query(ascending(["test-1", "test-3"])).await.unwrap();
        assert_eq!(two.envelopes, [sent[0].clone(), sent[2].clone()]);
    }
}

/// Lines 45, 46 and 47.
#[tokio::test]
async fn a_query_reads_between_its_times() {
    let node = TestNode::start().await;
    three(&node).await;
    for client in Client::both(&node).await {
        let between = async |start_time_ns: u64, end_time_ns: u64| {
            let window = QueryRequest {
                content_topics: ALL.map(str::to_owned).to_vec(),
                start_time_ns,
                end_time_ns,
                paging_info: None,
            };
            times(&client.query(window).await.unwrap().envelopes)
        };
        assert_eq!(between(2, 0).await.len(), 2);
        assert_eq!(between(2, 3).await, [3, 2]);
        assert_eq!(between(4, 9).await, [0; 0]);
        assert_eq!(between(2, 2).await, [2]);
    }
}

/// Line 48.
#[tokio::test]
async fn a_query_reads_in_its_direction() {
    let node = TestNode::start().await;
    three(&node).await;
    for client in Client::both(&node).await {
        let first = async |direction| {
            let page = client.query(query(ALL, direction, 0)).await.unwrap();
            page.envelopes[0].timestamp_ns
        };
        assert_eq!(first(ASCENDING).await, 1);
        assert_eq!(first(DESCENDING).await, 3);
    }
}

/// The cursor that a page of the first `rows` rows ends with.
async fn cursor_after(client: &Client, rows: u32) -> Option<Cursor> {
    let page = client.query(query(ALL, ASCENDING, rows)).await.unwrap();
    page.paging_info.unwrap().cursor
}

/// Lines 49 and 52.
#[tokio::test]
async fn a_cursor_goes_on_in_either_direction() {
    let node = TestNode::start().await;
    three(&node).await;
    for client in Client::both(&node).await {
        let after = async |rows: u32, direction: i32| {
            let mut asked = query(ALL, direction, 10);
            asked.paging_info.as_mut().unwrap().cursor = cursor_after(&client, rows).await;
            let page = client.query(asked).await.unwrap();
            let paging = page.paging_info.unwrap();
            assert_eq!((paging.limit, paging.cursor), (0, None));
            times(&page.envelopes)
        };
        assert_eq!(after(2, ASCENDING).await, [3]);
        assert_eq!(after(2, DESCENDING).await, [1]);
        assert_eq!(after(1, ASCENDING).await, [2, 3]);
    }
}

/// Lines 50, 51 and 53.
#[tokio::test]
async fn pages_of_one_row_follow_each_other_to_an_empty_one() {
    let node = TestNode::start().await;
    three(&node).await;
    node.publish(&Wallet::new(1), numbered("test-two", 1, 2)).await;
    for client in Client::both(&node).await {
        let paged = async |asked: QueryRequest| {
            let pages = client.pages(asked).await;
            pages.iter().map(|page| times(page)).collect::<Vec<_>>()
        };
        let empty = Vec::new();
        let all = paged(query(ALL, ASCENDING, 1)).await;
        assert_eq!(all, [vec![1], vec![2], vec![3], empty.clone()]);
        let two = paged(query(["test-two"], ASCENDING, 1)).await;
        assert_eq!(two, [vec![1], vec![2], empty.clone()]);
        let one = paged(query(["test-1"], ASCENDING, 1)).await;
        assert_eq!(one, [vec![1], empty]);
    }
}
