//! How long a caller waits is the caller's to say.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream;
use herald_protocol::proto::api::SubscribeRequest;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{body::Frame, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tonic::Code;

use crate::{client::Live, harness::*};

const TEXT: &str = "context deadline exceeded";

/// A request that never comes in whole is answered all the same, over either transport.
#[tokio::test]
async fn a_call_is_answered_when_its_deadline_passes() {
    let node = TestNode::start().await;
    let endless = reqwest::Body::wrap_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let start = Instant::now();
    let request = http()
        .post(node.url("/message/v1/query"))
        .header("grpc-timeout", "150m")
        .body(endless);
    let refused = answer(request).await;
    assert_eq!(
        refused,
        (504, json!({ "code": 4, "message": TEXT, "details": [] }))
    );
    assert!(start.elapsed() >= Duration::from_millis(150));

    // The library's client would give up by itself, so that the node's answer were not seen.
    let socket = tokio::net::TcpStream::connect(node.addresses.grpc).await.unwrap();
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(connection);
    let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
    let request = http::Request::post(format!(
        "http://{}/xmtp.message_api.v1.MessageApi/Query",
        node.addresses.grpc
    ))
    .header("content-type", "application/grpc")
    .header("te", "trailers")
    .header("grpc-timeout", "150m")
    .body(body)
    .unwrap();
    let start = Instant::now();
    let response = tokio::time::timeout(DEADLINE, client.send_request(request)).await;
    let response = response.expect("the node answers in time").unwrap();
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert_eq!(response.headers()["grpc-status"], "4");
    assert_eq!(
        response.headers()["grpc-message"]
            .to_str()
            .unwrap()
            .replace("%20", " "),
        TEXT
    );
    drop(response.into_body().collect().await);
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_is_not_begun() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let late = envelope("test-late", 1, b"m");
    let request = http()
        .post(node.url("/message/v1/publish"))
        .header("authorization", &alice.bearer)
        .header("grpc-timeout", "0S");
    let body = json!({ "envelopes": [envelope_json(&late)] }).to_string();
    assert_eq!(answer(request.body(body)).await.0, 504);
    assert_eq!(node.stored("test-late").await, []);
}

/// Conformance line 18. Idle or busy, a stream ends with its deadline.
#[tokio::test]
async fn a_stream_ends_with_code_4_when_its_deadline_passes() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    for topic in ["test-idle", "test-busy"] {
        let busy = async {
            for time in 0.. {
                let some = (0..20)
                    .map(|n| envelope("test-busy", time * 20 + n, b"m"))
                    .collect();
                node.publish(&alice, some).await;
            }
        };
        let reading = async {
            let mut request = tonic::Request::new(SubscribeRequest {
                content_topics: vec![topic.to_owned()],
            });
            request.set_timeout(Duration::from_millis(400));
            let opened = node.grpc().await.subscribe(request).await.unwrap();
            let mut grpc = Live::Grpc(opened.into_inner());
            let request = http()
                .post(node.url("/message/v1/subscribe"))
                .header("grpc-timeout", "400m")
                .body(json!({ "contentTopics": [topic] }).to_string());
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 200);
            let read = Vec::new();
            let mut lines = Live::Http { response, read };
            for stream in [&mut grpc, &mut lines] {
                let end = loop {
                    if let Err(end) = stream.next().await {
                        break end;
                    }
                };
                end.assert(4, TEXT);
            }
        };
        tokio::select! {
            () = busy => unreachable!("it publishes for ever"),
            () = reading => {}
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_for_its_deadline_says_so_in_the_shape_of_a_line() {
    let node = TestNode::start().await;
    let request = http()
        .post(node.url("/message/v1/subscribe-all"))
        .header("grpc-timeout", "0m");
    let (status, line) = answer(request).await;
    let error = json!({ "code": 4, "message": TEXT, "details": [] });
    assert_eq!((status, line), (504, json!({ "error": error })));
}

#[tokio::test]
async fn a_timeout_that_is_none_is_an_invalid_argument() {
    let node = TestNode::start().await;
    for header in ["5", "5s", "123456789S", "-1S", "soon"] {
        let text = format!("invalid grpc-timeout: {header}");
        let mut request = tonic::Request::new(ascending(["test-t"]));
        request
            .metadata_mut()
            .insert("grpc-timeout", header.parse().unwrap());
        let status = node.grpc().await.query(request).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, text.as_str())
        );
        let request = http()
            .post(node.url("/message/v1/query"))
            .header("grpc-timeout", header);
        let refused: (u16, Value) = answer(request.body(r#"{"contentTopics":["t"]}"#)).await;
        assert_eq!(
            refused,
            (400, json!({ "code": 3, "message": text, "details": [] }))
        );
    }
}
