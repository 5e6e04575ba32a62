use herald_protocol::{
    limits,
    proto::api::{
        BatchQueryRequest, Cursor, Envelope, IndexCursor, PagingInfo, QueryRequest, SortDirection, cursor,
    },
};
use serde_json::json;
use tonic::Code;

use crate::harness::*;

/// Follows cursors to the end; no page is longer than the limit.
async fn pages(node: &TestNode, mut query: QueryRequest) -> Vec<Vec<Envelope>> {
    let mut client = node.grpc().await;
    let mut pages = Vec::new();
    loop {
        let page = client.query(query.clone()).await.unwrap().into_inner();
        let paging = page.paging_info.unwrap();
        if !page.envelopes.is_empty() {
            pages.push(page.envelopes);
        }
        if paging.cursor.is_none() {
            assert_eq!(paging.limit, 0);
            return pages;
        }
        query.paging_info.as_mut().unwrap().cursor = paging.cursor;
    }
}

#[tokio::test]
async fn pages_joined_are_the_whole_set_once_in_both_directions_over_equal_times() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    // 40 envelopes on two topics, ten at each of four times; order within a time is by digest.
    let sent: Vec<Envelope> = (0..40_u64)
        .map(|number| {
            envelope(
                if number % 2 == 0 { "test-a" } else { "test-b" },
                number / 10,
                number.to_be_bytes(),
            )
        })
        .collect();
    node.publish(&alice, sent.clone()).await;
    let mut expected = sent;
    expected.sort_by_key(|envelope| {
        let digest = herald_protocol::envelope::digest(&envelope.content_topic, &envelope.message);
        (envelope.timestamp_ns, digest)
    });
    for limit in [1, 3, 10, 39, 40, 41, 100] {
        let paged = pages(&node, query(["test-a", "test-b", "test-a"], 1, limit)).await;
        assert!(paged.iter().all(|page| page.len() <= limit as usize));
        assert_eq!(paged.concat(), expected, "ascending by {limit}");
        let mut descending = pages(&node, query(["test-a", "test-b"], 2, limit)).await.concat();
        descending.reverse();
        assert_eq!(descending, expected, "descending by {limit}");
    }
}

#[tokio::test]
async fn times_are_inclusive_and_zero_is_open() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let second = 1_000_000_000;
    node.publish(
        &alice,
        (0..10)
            .map(|number| envelope("test-w", number * second, b"m"))
            .collect(),
    )
    .await;
    let times = async |start: u64, end: u64, direction: i32| -> Vec<u64> {
        let window = QueryRequest {
            start_time_ns: start,
            end_time_ns: end,
            ..query(["test-w"], direction, 3)
        };
        let paged = pages(&node, window).await.concat();
        paged
            .iter()
            .map(|envelope| envelope.timestamp_ns / second)
            .collect()
    };
    assert_eq!(times(2 * second, 8 * second, 2).await, [8, 7, 6, 5, 4, 3, 2]);
    assert_eq!(times(2 * second, 8 * second, 1).await, [2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(times(8 * second, 0, 1).await, [8, 9]);
    assert_eq!(times(0, second, 0).await, [1, 0]);
    assert_eq!(times(9 * second + 1, 0, 1).await, Vec::<u64>::new());
    assert_eq!(times(5, 4, 1).await, Vec::<u64>::new());
    assert_eq!(times(1 << 63, u64::MAX, 1).await, Vec::<u64>::new());
    assert_eq!(times(9 * second, u64::MAX, 1).await, [9]);
}

#[tokio::test]
async fn a_cursor_is_an_exclusive_place_that_needs_no_row() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    node.publish(
        &alice,
        (1..=3).map(|number| envelope("test-c", number, b"m")).collect(),
    )
    .await;
    let after = |digest: u8, sender_time_ns: u64, direction: i32| {
        let index = IndexCursor {
            digest: vec![digest; 32],
            sender_time_ns,
        };
        let cursor = Some(Cursor {
            cursor: Some(cursor::Cursor::Index(index)),
        });
        let paging_info = Some(PagingInfo {
            limit: 10,
            cursor,
            direction,
        });
        QueryRequest {
            content_topics: vec!["test-c".to_owned()],
            paging_info,
            ..QueryRequest::default()
        }
    };
    let times = async |query: QueryRequest| -> Vec<u64> {
        pages(&node, query)
            .await
            .concat()
            .iter()
            .map(|envelope| envelope.timestamp_ns)
            .collect()
    };
    assert_eq!(times(after(0xff, 1, 1)).await, [2, 3]);
    assert_eq!(times(after(0x00, 2, 1)).await, [2, 3]);
    assert_eq!(times(after(0x00, 2, 2)).await, [1]);
    assert_eq!(times(after(0xff, 2, 2)).await, [2, 1]);
    assert_eq!(times(after(0x00, 0, 1)).await, [1, 2, 3]);
}

#[tokio::test]
async fn paging_info_names_limit_direction_and_cursor_only_where_more_may_follow() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    node.publish(
        &alice,
        (0..101).map(|number| envelope("test-p", number, b"m")).collect(),
    )
    .await;
    let mut client = node.grpc().await;
    // No paging info: newest first, 100 of them.
    let request = QueryRequest {
        content_topics: vec!["test-p".to_owned()],
        ..QueryRequest::default()
    };
    let page = client.query(request).await.unwrap().into_inner();
    let paging = page.paging_info.unwrap();
    assert_eq!((page.envelopes.len(), paging.limit), (100, 100));
    assert_eq!(page.envelopes[0].timestamp_ns, 100);
    assert_eq!(paging.direction(), SortDirection::Descending);
    let Some(cursor::Cursor::Index(index)) = paging.cursor.unwrap().cursor else {
        panic!("an index cursor")
    };
    assert_eq!((index.digest.len(), index.sender_time_ns), (32, 1));
    // A full page has a cursor even when nothing follows.
    let page = client
        .query(query(["test-p"], 1, 100))
        .await
        .unwrap()
        .into_inner();
    assert!(page.paging_info.unwrap().cursor.is_some());
    let (_, page) = node
        .post("/message/v1/query", r#"{"contentTopics":["test-none"]}"#)
        .await;
    let empty = json!({ "limit": 0, "cursor": null, "direction": "SORT_DIRECTION_DESCENDING" });
    assert_eq!(page, json!({ "envelopes": [], "pagingInfo": empty }));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_code_and_text_over_either_transport() {
    let node = TestNode::start().await;
    let topics = |count: usize| (0..count).map(|number| format!("t{number}")).collect::<Vec<_>>();
    let paging = |limit: u32, cursor: Option<Cursor>| PagingInfo {
        limit,
        cursor,
        direction: 0,
    };
    let index = |digest: usize, sender_time_ns: u64| Cursor {
        cursor: Some(cursor::Cursor::Index(IndexCursor {
            digest: vec![1; digest],
            sender_time_ns,
        })),
    };
    let ask = |topics: Vec<String>, paging: PagingInfo| QueryRequest {
        content_topics: topics,
        paging_info: Some(paging),
        ..QueryRequest::default()
    };
    let preferences = || vec!["/xmtp/0/userpreferences-x/proto".to_owned()];
    let mut client = node.grpc().await;
    let rows = "cannot exceed 100 rows per query";
    for (request, text) in [
        (ask(Vec::new(), paging(0, None)), "content topics required"),
        (
            ask(topics(limits::SUBSCRIBE_TOPICS + 1), paging(0, None)),
            "too many topics",
        ),
        (ask(topics(1), paging(101, None)), rows),
        (ask(topics(1), paging(u32::MAX, None)), rows),
        (ask(preferences(), paging(501, None)), rows),
        (ask([preferences(), topics(1)].concat(), paging(101, None)), rows),
        (
            ask(topics(1), paging(1, Some(Cursor { cursor: None }))),
            "invalid cursor",
        ),
        (ask(topics(1), paging(1, Some(index(33, 1)))), "invalid cursor"),
        (ask(topics(1), paging(1, Some(index(0, 1)))), "invalid cursor"),
        (
            ask(topics(1), paging(1, Some(index(32, 1 << 63)))),
            "invalid cursor",
        ),
    ] {
        let status = client.query(request.clone()).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, text));
        let batch = BatchQueryRequest {
            requests: vec![request],
        };
        let status = client.batch_query(batch).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, text));
    }
    for accepted in [
        ask(topics(limits::SUBSCRIBE_TOPICS), paging(0, None)),
        ask(topics(1), paging(100, None)),
        ask(topics(1), paging(1, Some(index(3, 1)))),
        ask(preferences(), paging(500, None)),
    ] {
        client.query(accepted).await.unwrap();
    }
    for (body, text) in [
        (json!({}), "content topics required"),
        (
            json!({ "contentTopics": ["t"], "pagingInfo": { "limit": 101 } }),
            rows,
        ),
        (
            json!({ "contentTopics": ["t"], "pagingInfo": { "cursor": {} } }),
            "invalid cursor",
        ),
        (json!({ "contentTopics": topics(10_001) }), "too many topics"),
    ] {
        let refused = node.post("/message/v1/query", body.to_string()).await;
        assert_eq!(
            refused,
            (400, json!({ "code": 3, "message": text, "details": [] }))
        );
    }
}

#[tokio::test]
async fn a_batch_answers_fifty_queries_in_their_order_and_no_more() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    node.publish(
        &alice,
        (0..50)
            .map(|number| envelope(&format!("test-{number}"), number, b"m"))
            .collect(),
    )
    .await;
    node.publish(
        &alice,
        (100..103)
            .map(|number| envelope("test-0", number, b"m"))
            .collect(),
    )
    .await;
    let requests: Vec<QueryRequest> = (0..50)
        .map(|number: i32| QueryRequest {
            content_topics: vec![format!("test-{number}")],
            paging_info: Some(PagingInfo {
                limit: 0,
                cursor: None,
                direction: 1 + number % 2,
            }),
            ..QueryRequest::default()
        })
        .collect();
    let mut client = node.grpc().await;
    let batch = BatchQueryRequest {
        requests: requests.clone(),
    };
    let answers = client.batch_query(batch).await.unwrap().into_inner().responses;
    assert_eq!(answers.len(), 50);
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.envelopes[0].timestamp_ns, number as u64);
        assert_eq!(
            answer.paging_info.as_ref().unwrap().direction,
            1 + i32::try_from(number % 2).unwrap()
        );
    }
    assert_eq!(answers[0].envelopes.len(), 4);
    let batch = BatchQueryRequest {
        requests: [requests, vec![ascending(["test-0"])]].concat(),
    };
    let status = client.batch_query(batch).await.unwrap_err();
    let text = "cannot exceed 50 requests in single batch";
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, text));
    let (status, empty) = node.post("/message/v1/batch-query", "{}").await;
    assert_eq!((status, empty), (200, json!({ "responses": [] })));
}

#[tokio::test]
async fn a_page_is_cut_at_three_mebibytes_with_a_cursor_and_a_batch_together() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let sent: Vec<Envelope> = (0..7_u8)
        .map(|number| envelope("test-b", number.into(), vec![number; 1_000_000]))
        .collect();
    node.publish(&alice, sent.clone()).await;
    let paged = pages(&node, ascending(["test-b"])).await;
    assert_eq!(paged.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(paged.concat(), sent);
    let batch = BatchQueryRequest {
        requests: vec![ascending(["test-b"]), ascending(["test-b"])],
    };
    let answers = node
        .grpc()
        .await
        .batch_query(batch)
        .await
        .unwrap()
        .into_inner()
        .responses;
    for answer in &answers {
        assert!(!answer.envelopes.is_empty());
        assert!(answer.paging_info.as_ref().unwrap().cursor.is_some());
    }
    assert!(prost::Message::encoded_len(&answers[0]) + prost::Message::encoded_len(&answers[1]) < 4_194_304);
}
