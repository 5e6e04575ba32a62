//! What the client makes of answers, page by page and failure by failure: where the JavaScript client was recorded, it does the
//! same over gRPC.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use herald::client::{Address, Api, Client, Conversation, Disposition, Error, TimestampNs};
use herald_protocol::{
    proto::api::{
        BatchQueryResponse, Cursor, Envelope, IndexCursor, PagingInfo, QueryRequest, QueryResponse, cursor,
    },
    topic::Topic,
};
use tonic::{Code, Status};

use super::vectors::{case, cases};
use crate::harness::{
    people::{address, person, text, wallet},
    program::DEADLINE,
    scripted::{Answer, Call, Scripted},
};

/// Alice at a scripted node, and a conversation in which she has written these texts.
async fn alice(node: &Scripted, texts: &[&str]) -> (Client, Conversation) {
    let bob = person("bob", node.address()).await;
    let alice = person("alice", node.address()).await;
    for text in texts {
        alice.say(bob.address(), text).await;
    }
    let conversation = alice.client().conversation_with(bob.address()).await.unwrap();
    node.calls();
    (alice.client().clone(), conversation)
}

fn queries(node: &Scripted) -> Vec<QueryRequest> {
    let calls = node.calls().into_iter();
    calls
        .filter_map(|made| match made.call {
            Call::Query(query) => Some(query),
            _ => None,
        })
        .collect()
}

fn refusal(code: u64, message: &str) -> Answer {
    let code = Code::from_i32(i32::try_from(code).unwrap());
    Answer::Refusal(Status::new(code, message))
}

fn page(envelopes: &[Envelope], cursor: Option<Cursor>) -> Answer {
    let paging_info = PagingInfo {
        cursor,
        ..PagingInfo::default()
    };
    Answer::Page(QueryResponse {
        envelopes: envelopes.to_vec(),
        paging_info: Some(paging_info),
    })
}

fn some_place() -> Cursor {
    let index = IndexCursor {
        digest: vec![1, 2, 3],
        sender_time_ns: 2_000_000,
    };
    Cursor {
        cursor: Some(cursor::Cursor::Index(index)),
    }
}

#[tokio::test]
async fn the_next_page_is_asked_for_with_the_cursor_of_the_last_and_nothing_else_changed() {
    let case = case("query-two-pages");
    let node = Scripted::start().await;
    let (_, conversation) = alice(&node, &["1", "2", "3"]).await;
    let stored = node.stored(conversation.topic().as_str());
    let mut pages = vec![page(&stored[2..], None), page(&stored[..2], Some(some_place()))];
    node.answers(move |call| matches!(call, Call::Query(_)).then(|| pages.pop())?);
    let time = |path| TimestampNs::from_ms(case.number(path)).unwrap();
    let [start, end] = ["/inputs/start_ms", "/inputs/end_ms"].map(time);
    let mut history = conversation.history().since(start).until(end);
    let mut read = Vec::new();
    while let Some(page) = history.next_page().await.unwrap() {
        read.extend(page.iter().map(text));
    }
    assert_eq!(read, ["1", "2", "3"]);
    assert_eq!(
        read.len(),
        case.value("/expected/decoded_messages").as_array().unwrap().len()
    );

    let asked = queries(&node);
    let recorded = case.value("/expected/requests").as_array().unwrap();
    assert_eq!(asked.len(), recorded.len());
    let body = case.body("/expected/requests/0/body_text");
    assert_eq!(asked[0].start_time_ns.to_string(), body["startTimeNs"]);
    assert_eq!(asked[0].end_time_ns.to_string(), body["endTimeNs"]);
    let paging = asked[0].paging_info.clone().unwrap();
    assert_eq!(u64::from(paging.limit), body["pagingInfo"]["limit"]);
    assert_eq!(paging.direction().as_str_name(), body["pagingInfo"]["direction"]);
    assert_eq!(paging.cursor, None);
    let mut first = asked[1].clone();
    assert_eq!(
        first.paging_info.as_mut().unwrap().cursor.take(),
        Some(some_place())
    );
    assert_eq!(first, asked[0]);
}

#[tokio::test]
async fn a_page_without_envelopes_is_the_last_whatever_it_says() {
    let node = Scripted::start().await;
    let (client, conversation) = alice(&node, &["1"]).await;
    for name in [
        "query-empty-page-with-cursor-stops",
        "query-empty-object-response",
    ] {
        let (case, says_more) = (case(name), name.contains("cursor"));
        node.answers(move |call| {
            let answer = || {
                if says_more {
                    page(&[], Some(some_place()))
                } else {
                    Answer::Page(QueryResponse::default())
                }
            };
            matches!(call, Call::Query(_)).then(answer)
        });
        let messages = tokio::time::timeout(DEADLINE, conversation.messages(None)).await;
        let messages = messages.expect("it stops").unwrap();
        assert_eq!(messages.len(), case.count("/expected/count"));
        let recorded = case.value("/expected/requests").as_array().unwrap();
        assert_eq!(queries(&node).len(), recorded.len(), "{name}");
        client.sync_conversations().await.unwrap();
        assert_eq!(queries(&node).len(), 1);
    }
}

#[tokio::test]
async fn no_page_is_asked_for_that_is_larger_than_nodes_give() {
    let case = case("query-page-size-500-is-clamped");
    let node = Scripted::start().await;
    let (_, conversation) = alice(&node, &[]).await;
    let wish = u32::try_from(case.number("/inputs/pageSize")).unwrap();
    conversation.history().page_size(wish).next_page().await.unwrap();
    let body = case.body("/expected/requests/0/body_text");
    let asked = queries(&node)[0].paging_info.clone().unwrap();
    assert_eq!(u64::from(asked.limit), body["pagingInfo"]["limit"]);
}

#[tokio::test]
async fn contacts_are_looked_up_in_the_batches_that_nodes_take_in_their_order() {
    let (split, lookup) = (case("batch-query-53-splits"), case("contact-lookup-query"));
    let node = Scripted::start().await;
    let (client, _) = alice(&node, &[]).await;
    let asked = split.count("/expected/result_length");
    let mut wallets: Vec<Address> = (1..asked).map(|number| address(&number.to_string())).collect();
    wallets.insert(asked - 2, address("bob"));
    // The conversation with Bob has made his contact known.
    let stranger = Api::new(node.address()).unwrap();
    node.calls();
    let topics: Vec<Topic> = wallets.iter().map(|wallet| Topic::contact(*wallet)).collect();
    let answers = stranger.newest_of_each(&topics, 5).await.unwrap();
    assert_eq!(answers.len(), asked);
    let found: Vec<usize> = (0..asked).filter(|at| !answers[*at].is_empty()).collect();
    assert_eq!(found, [asked - 2]);
    let sizes = |node: &Scripted| -> Vec<Vec<QueryRequest>> {
        let calls = node.calls().into_iter();
        calls
            .filter_map(|made| match made.call {
                Call::Batch(queries) => Some(queries),
                _ => None,
            })
            .collect()
    };
    let batches = sizes(&node);
    let lengths: Vec<usize> = batches.iter().map(Vec::len).collect();
    assert_eq!(
        serde_json::json!(lengths),
        *split.value("/expected/requests_per_batch")
    );

    let can_message = client.can_message(&wallets).await.unwrap();
    assert_eq!(can_message.iter().filter(|can| **can).count(), 1);
    assert!(can_message[asked - 2]);
    let body = lookup.body("/expected/requests/0/body_text");
    for query in sizes(&node).concat() {
        let paging = query.paging_info.unwrap();
        assert_eq!(u64::from(paging.limit), body["pagingInfo"]["limit"]);
        assert_eq!(paging.direction().as_str_name(), body["pagingInfo"]["direction"]);
    }
}

#[tokio::test]
async fn an_answer_without_its_parts_is_an_error() {
    let recorded = case("batch-query-without-responses");
    assert!(recorded.text("/expected/error").contains("missing responses"));
    let node = Scripted::start().await;
    let (client, _) = alice(&node, &[]).await;
    node.answers(|call| match call {
        Call::Batch(_) => Some(Answer::Pages(BatchQueryResponse::default())),
        _ => None,
    });
    let error = client
        .can_message(&[address("carol"), address("dave")])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("0 answers to 2 queries"), "{error}");
}

#[tokio::test]
async fn a_read_is_tried_six_times_in_all() {
    let case = case("query-retries");
    let node = Scripted::start().await;
    let (_, conversation) = alice(&node, &[]).await;
    let (code, message) = (
        case.number("/expected/error/code"),
        case.text("/expected/error/message").to_owned(),
    );
    node.answers({
        let message = message.clone();
        move |_| Some(refusal(code, &message))
    });
    let start = Instant::now();
    let error = conversation.history().next_page().await.unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(case.number("/expected/elapsed_ms_at_least")));
    assert_eq!(queries(&node).len(), case.count("/expected/attempts"));
    assert!(error.to_string().contains(&message), "{error}");
    assert_eq!(error.disposition(), Disposition::Retry(None));
}

#[tokio::test]
async fn a_read_whose_answer_cannot_be_read_is_tried_again() {
    let case = case("non-json-error-body-is-retried");
    let node = Scripted::start().await;
    let (_, conversation) = alice(&node, &[]).await;
    let mut is_first = true;
    node.answers(move |_| std::mem::take(&mut is_first).then(|| refusal(2, "<html>")));
    assert_eq!(
        conversation.messages(None).await.unwrap().len(),
        case.count("/expected/count")
    );
    assert_eq!(queries(&node).len(), case.count("/expected/attempts"));
}

/// The tokens of the publishes that were made.
fn tokens(node: &Scripted) -> Vec<String> {
    let calls = node.calls().into_iter();
    calls
        .filter_map(|made| match made.call {
            Call::Publish { authorization, .. } => Some(authorization),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_renewed_once() {
    let case = case("publish-refreshes-token-on-code-16");
    let node = Scripted::start().await;
    let (_, conversation) = alice(&node, &["0"]).await;
    let mut is_first = true;
    node.answers(move |_| std::mem::take(&mut is_first).then(|| refusal(16, "unauthenticated")));
    let sent = conversation.send("1").await.unwrap();
    let tokens = tokens(&node);
    assert_eq!(tokens.len(), case.count("/expected/attempts"));
    let made: BTreeSet<_> = tokens.iter().collect();
    assert_eq!(made.len(), case.count("/expected/tokens_created"));
    assert_eq!(
        node.stored(conversation.topic().as_str()).last(),
        sent.envelopes().last()
    );
}

#[tokio::test]
async fn a_publish_is_given_up_when_the_renewed_token_is_not_accepted() {
    let case = case("publish-gives-up-after-second-code-16");
    let node = Scripted::start().await;
    let (client, conversation) = alice(&node, &["0"]).await;
    let (code, message) = (
        case.number("/expected/error/code"),
        case.text("/expected/error/message").to_owned(),
    );
    node.answers({
        let message = message.clone();
        move |call| matches!(call, Call::Publish { .. }).then(|| refusal(code, &message))
    });
    let sealed = conversation.draft("1").seal().await.unwrap();
    let is_given_up = |error: Error| {
        let tokens = tokens(&node);
        assert_eq!(tokens.len(), case.count("/expected/attempts"), "{error}");
        let made: BTreeSet<_> = tokens.iter().collect();
        assert_eq!(made.len(), case.count("/expected/tokens_created"));
        assert!(error.to_string().contains(&message), "{error}");
    };
    is_given_up(client.publish(sealed.envelopes().to_vec()).await.unwrap_err());
    is_given_up(sealed.publish().await.unwrap_err());
    is_given_up(conversation.send("2").await.unwrap_err());
    node.is_itself();
    sealed.publish().await.unwrap();
}

#[tokio::test]
async fn a_publish_that_fails_otherwise_is_tried_six_times_in_all_with_the_same_bytes() {
    let case = case("publish-retries-other-errors");
    let node = Scripted::start().await;
    let (_, conversation) = alice(&node, &["0"]).await;
    // A node that asks to wait (code 8) is waited for; that is the pacing's test.
    node.answers(|_| Some(refusal(14, "unavailable")));
    let error = conversation.send("1").await.unwrap_err();
    assert!(error.to_string().contains("unavailable"), "{error}");
    let calls: Vec<Call> = node.calls().into_iter().map(|made| made.call).collect();
    assert_eq!(calls.len(), case.count("/expected/attempts"));
    assert!(calls.iter().all(|call| *call == calls[0]));
}

#[tokio::test]
async fn what_a_node_refuses_for_good_is_asked_once() {
    let node = Scripted::start().await;
    let (_, conversation) = alice(&node, &["0"]).await;
    for code in [Code::InvalidArgument, Code::PermissionDenied, Code::Unimplemented] {
        node.answers(move |_| Some(Answer::Refusal(Status::new(code, "never"))));
        let errors: [Error; 2] = [
            conversation.send("1").await.unwrap_err(),
            conversation.history().next_page().await.unwrap_err(),
        ];
        assert_eq!(node.calls().len(), 2, "{code}");
        for error in errors {
            assert_eq!(error.disposition(), Disposition::Reject, "{error}");
            assert!(error.to_string().contains("never"), "{error}");
        }
    }
}

/// What a new wallet publishes on its way to the network, in the same order as the JavaScript client.
#[tokio::test]
async fn a_new_wallet_publishes_its_keys_then_both_contacts() {
    let case = case("client-create-new-identity");
    let node = Scripted::start().await;
    let alice = Client::builder(wallet("alice"), node.address())
        .connect()
        .await
        .unwrap();
    let own = alice.address().to_string();
    let recorded = case.text("/inputs/wallet_address").to_owned();
    let calls = case.value("/expected/calls").as_array().unwrap().iter();
    let publishes = calls.filter(|call| call["has_authorization"] == true);
    let wanted: Vec<String> = publishes
        .map(|call| call["topics"][0].as_str().unwrap().replace(&recorded, &own))
        .collect();
    let mut found = Vec::new();
    for made in node.calls() {
        if let Call::Publish {
            envelopes,
            authorization,
        } = made.call
        {
            assert!(authorization.starts_with("Bearer "));
            found.extend(envelopes.into_iter().map(|envelope| envelope.content_topic));
        }
    }
    assert_eq!(found, wanted);
}

/// A recording that nobody looks at would be a promise that nobody checks.
#[test]
fn every_recorded_case_is_looked_at() {
    let by_the_node_alone = ["publish", "batch-query", "publish-refused-locally"];
    // Lines of JSON, which gRPC does not have.
    let of_http = ["subscribe-blank-line", "subscribe-last-line-without-newline"];
    let here = include_str!("reactions.rs").to_owned() + include_str!("stream_cuts.rs");
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let is_known = by_the_node_alone.contains(&name)
            || of_http.contains(&name)
            || here.contains(&format!("\"{name}\""));
        assert!(is_known, "{name}");
    }
}
