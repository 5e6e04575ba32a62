//! Binary protobuf bodies over HTTP.

use herald_protocol::proto::api::{
    BatchQueryRequest, BatchQueryResponse, PublishRequest, PublishResponse, QueryRequest, QueryResponse,
    SubscribeRequest,
};
use prost::Message;
use serde_json::{Value, json};

use crate::harness::*;

const PROTOBUF: &str = "application/x-protobuf";

fn ask(node: &TestNode, method: &str, request: &impl Message) -> reqwest::RequestBuilder {
    http()
        .post(node.url(&format!("/message/v1/{method}")))
        .header("content-type", PROTOBUF)
        .body(request.encode_to_vec())
}

/// The message in a binary answer.
async fn message<M: Message + Default>(request: reqwest::RequestBuilder) -> M {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    M::decode(response.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn binary_requests_get_binary_answers() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let sent = envelope("test-binary", 7, b"bytes");
    let publish = PublishRequest {
        envelopes: vec![sent.clone()],
    };
    let publishing = ask(&node, "publish", &publish).header("authorization", &alice.bearer);
    let _: PublishResponse = message(publishing).await;
    let page: QueryResponse = message(ask(&node, "query", &ascending(["test-binary"]))).await;
    assert_eq!(page.envelopes, std::slice::from_ref(&sent));
    assert_eq!(page.paging_info.unwrap().direction, 1);
    let batch = BatchQueryRequest {
        requests: vec![ascending(["test-binary"]), ascending(["test-none"])],
    };
    let pages: BatchQueryResponse = message(ask(&node, "batch-query", &batch)).await;
    let found: Vec<usize> = pages.responses.iter().map(|page| page.envelopes.len()).collect();
    assert_eq!(found, [1, 0]);
}

#[tokio::test]
async fn a_binary_answer_to_json_is_given_to_who_accepts_exactly_that() {
    let node = TestNode::start().await;
    node.publish(&Wallet::new(1), vec![envelope("test-accept", 1, b"m")])
        .await;
    let asking = |accept: &str| {
        let request = http()
            .post(node.url("/message/v1/query"))
            .header("accept", accept);
        request.body(r#"{"contentTopics":["test-accept"]}"#)
    };
    let page: QueryResponse = message(asking(PROTOBUF)).await;
    assert_eq!(page.envelopes.len(), 1);
    for other in [
        "*/*",
        "application/json",
        "application/x-protobuf, application/json",
    ] {
        let (status, page) = answer(asking(other)).await;
        assert_eq!(
            (status, page["envelopes"].as_array().unwrap().len()),
            (200, 1),
            "{other}"
        );
    }
}

#[tokio::test]
async fn refusals_of_binary_requests_are_json() {
    let node = TestNode::start().await;
    let refused = answer(ask(&node, "query", &QueryRequest::default())).await;
    let text = "content topics required";
    assert_eq!(
        refused,
        (400, json!({ "code": 3, "message": text, "details": [] }))
    );
    let broken = http()
        .post(node.url("/message/v1/query"))
        .header("content-type", "Application/X-Protobuf; charset=binary")
        .body(vec![0x0a, 0xff]);
    let (status, refused) = answer(broken).await;
    assert_eq!((status, &refused["code"]), (400, &json!(3)), "{refused}");
}

#[tokio::test]
async fn streams_take_binary_requests_and_answer_lines_of_json() {
    let node = TestNode::start().await;
    let topics = SubscribeRequest {
        content_topics: vec!["test-lines".to_owned()],
    };
    let request = ask(&node, "subscribe", &topics).header("accept", PROTOBUF);
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "application/json");
    let sent = envelope("test-lines", 1, b"m");
    node.publish(&Wallet::new(1), vec![sent.clone()]).await;
    let mut read = Vec::new();
    while read.last() != Some(&b'\n') {
        read.extend_from_slice(&stream.chunk().await.unwrap().unwrap());
    }
    let line: Value = serde_json::from_slice(&read).unwrap();
    assert_eq!(line, json!({ "result": envelope_json(&sent) }));
}

#[tokio::test]
async fn a_form_that_names_another_method_is_answered_as_that_method() {
    let node = TestNode::start().await;
    let post = async |path: &str, method: &str| {
        let request = http()
            .post(node.url(path))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-http-method-override", method);
        answer(request).await.0
    };
    assert_eq!(post("/message/v1/subscribe-all-of", "GET").await, 404);
    assert_eq!(post("/message/v1/query", "GET").await, 501);
    assert_eq!(post("/message/v1/query", "post").await, 400);
}
