use std::{
    io::Read as _,
    time::{Duration, Instant},
};

use herald_protocol::proto::api::PublishRequest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::*;

/// Conformance line 1.
#[tokio::test]
async fn unknown_paths_and_methods_are_answered_in_json() {
    let node = TestNode::start().await;
    let not_found = json!({ "code": 5, "message": "Not Found", "details": [] });
    for path in ["/message", "/message/v1/nothing", "/message/v1/query/"] {
        assert_eq!(node.post(path, "{}").await, (404, not_found.clone()));
    }
    let (status, body) = answer(http().get(node.url("/message/v1/query"))).await;
    assert_eq!(
        (status, body),
        (
            501,
            json!({ "code": 12, "message": "Method Not Allowed", "details": [] })
        )
    );
    let raw = http()
        .post(node.url("/x"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(raw, r#"{"code":5,"message":"Not Found","details":[]}"#);
}

#[tokio::test]
async fn browsers_of_every_origin_may_ask() {
    let node = TestNode::start().await;
    for path in ["/message/v1/publish", "/anything"] {
        let preflight = http()
            .request(reqwest::Method::OPTIONS, node.url(path))
            .header("origin", "https://dapp.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,authorization")
            .send()
            .await
            .unwrap();
        assert_eq!(preflight.status(), 200);
        let header = |name: &str| preflight.headers()[name].to_str().unwrap().to_lowercase();
        assert_eq!(header("access-control-allow-origin"), "*");
        assert!(
            header("access-control-allow-methods")
                .split(',')
                .any(|method| method == "post")
        );
        for name in [
            "content-type",
            "authorization",
            "x-client-version",
            "x-app-version",
        ] {
            assert!(
                header("access-control-allow-headers")
                    .split(',')
                    .any(|allowed| allowed == name),
                "{name}"
            );
        }
        assert_eq!(preflight.text().await.unwrap(), "");
    }
}

#[tokio::test]
async fn requests_are_read_as_leniently_as_clients_write_them() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let spellings = [
        r#"{"envelopes":[{"contentTopic":"test-j","timestampNs":"1","message":"+/8="}]}"#,
        r#"{"envelopes":[{"content_topic":"test-j","timestamp_ns":2,"message":"-_8"}]} and more"#,
        r#"{"unknown":{"a":[1]},"envelopes":[{"contentTopic":"test-j","timestampNs":3.0,"message":"+/8"}]}{"#,
        r#" {"envelopes":[{"contentTopic":"test-j","timestampNs":"4e0","message":"-_8=","x":null}]}"#,
        r#"{"envelopes":[{"contentTopic":"test-j","timestampNs":null,"message":null}]}"#,
        r#"{"envelopes":null}"#,
        "{}",
        "",
        "  \n",
    ];
    for body in spellings {
        let request = http()
            .post(node.url("/message/v1/publish"))
            .header("authorization", &alice.bearer);
        let request = request
            .header("content-type", "text/plain; charset=utf-8")
            .body(body);
        assert_eq!(answer(request).await, (200, json!({})), "{body}");
    }
    let found: Vec<(u64, Vec<u8>)> = node
        .stored("test-j")
        .await
        .into_iter()
        .map(|row| (row.timestamp_ns, row.message.to_vec()))
        .collect();
    let bytes = vec![0xfb, 0xff];
    let expected = [
        (0, vec![]),
        (1, bytes.clone()),
        (2, bytes.clone()),
        (3, bytes.clone()),
        (4, bytes),
    ];
    assert_eq!(found, expected);
    for direction in [json!(1), json!("SORT_DIRECTION_ASCENDING")] {
        let body =
            json!({ "content_topics": ["test-j"], "paging_info": { "limit": "1", "direction": direction } });
        let (_, page) = node.post("/message/v1/query", body.to_string()).await;
        assert_eq!(page["envelopes"][0]["timestampNs"], "0");
        assert_eq!(page["pagingInfo"]["direction"], "SORT_DIRECTION_ASCENDING");
        assert_eq!(page["pagingInfo"]["limit"], 1);
        let index = &page["pagingInfo"]["cursor"]["index"];
        assert_eq!(index["senderTimeNs"], "0");
        assert_eq!(index["digest"].as_str().unwrap().len(), 44);
    }
}

#[tokio::test]
async fn what_is_not_a_request_is_an_invalid_argument() {
    let node = TestNode::start().await;
    for body in [
        "{",
        "nonsense",
        "[]",
        "null",
        r#"{"contentTopics":"t"}"#,
        r#"{"contentTopics":[null]}"#,
        r#"{"contentTopics":["t"],"contentTopics":["t"]}"#,
        r#"{"contentTopics":["t"],"content_topics":["t"]}"#,
        r#"{"contentTopics":["t"],"startTimeNs":-1}"#,
        r#"{"contentTopics":["t"],"startTimeNs":"1.5"}"#,
        r#"{"contentTopics":["t"],"startTimeNs":"18446744073709551616"}"#,
        r#"{"contentTopics":["t"],"pagingInfo":[1]}"#,
        r#"{"contentTopics":["t"],"pagingInfo":{"limit":4294967296}}"#,
        r#"{"contentTopics":["t"],"pagingInfo":{"direction":"UP"}}"#,
        r#"{"contentTopics":["t"],"pagingInfo":{"cursor":{"index":{"digest":"*"}}}}"#,
        "{\"contentTopics\":[\"\u{fffd}",
    ] {
        let (status, refused) = node.post("/message/v1/query", body).await;
        assert_eq!((status, &refused["code"]), (400, &json!(3)), "{body}");
        assert!(!refused["message"].as_str().unwrap().is_empty());
        assert_eq!(refused["details"], json!([]));
    }
    let (status, _) = node.post("/message/v1/query", vec![b'{', 0xff, b'}']).await;
    assert_eq!(status, 400);
    let (status, _) = node.post("/message/v1/query", "[".repeat(1 << 20)).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn only_answers_to_queries_are_compressed() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    node.publish(&alice, vec![envelope("test-z", 1, vec![0; 10_000])])
        .await;
    let ask = async |path: &str, accepts: &str| {
        let request = http().post(node.url(path)).header("accept-encoding", accepts);
        request
            .body(r#"{"contentTopics":["test-z"]}"#)
            .send()
            .await
            .unwrap()
    };
    let compressed = ask("/message/v1/query", "gzip").await;
    assert_eq!(compressed.headers()["content-encoding"], "gzip");
    let bytes = compressed.bytes().await.unwrap();
    assert!(bytes.len() < 1_000);
    let mut plain = String::new();
    #[expect(clippy::disallowed_types, reason = "an answer of our own node")]
    flate2::read::GzDecoder::new(bytes.as_ref())
        .read_to_string(&mut plain)
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&plain).unwrap()["envelopes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // Refusals and short answers too.
    for (path, body) in [("/message/v1/query", "{}"), ("/message/v1/batch-query", "{}")] {
        let request = http()
            .post(node.url(path))
            .header("accept-encoding", "deflate, gzip");
        let answered = request.body(body).send().await.unwrap();
        assert_eq!(answered.headers()["content-encoding"], "gzip", "{path}");
        assert_eq!(answered.headers()["content-type"], "application/json");
    }
    assert!(
        !ask("/message/v1/publish", "gzip")
            .await
            .headers()
            .contains_key("content-encoding")
    );
    assert!(
        !ask("/message/v1/query", "identity")
            .await
            .headers()
            .contains_key("content-encoding")
    );
    assert!(
        !ask("/message/v1/subscribe", "gzip")
            .await
            .headers()
            .contains_key("content-encoding")
    );
}

#[tokio::test]
async fn a_stream_begins_at_once_beats_while_idle_and_carries_one_object_a_line() {
    let node = TestNode::start_with(|config| config.heartbeat = Duration::from_millis(50)).await;
    let alice = Wallet::new(1);
    for (path, body) in [
        (
            "/message/v1/subscribe",
            r#"{"contentTopics":["/xmtp/0/m-1/proto"]}"#,
        ),
        ("/message/v1/subscribe-all", "{}"),
    ] {
        let start = Instant::now();
        let mut stream = http().post(node.url(path)).body(body).send().await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(stream.status(), 200);
        assert_eq!(stream.headers()["content-type"], "application/json");
        assert_eq!(stream.headers()["grpc-metadata-subscribed"], "true");
        assert_eq!(stream.headers()["access-control-allow-origin"], "*");
        for _ in 0..3 {
            assert_eq!(stream.chunk().await.unwrap().unwrap().as_ref(), b" ");
        }
        let nonce = path.len() as u64;
        let sent = [
            envelope("/xmtp/0/m-1/proto", nonce, b"one"),
            envelope("/xmtp/0/m-1/proto", nonce + 1, b""),
        ];
        let request = alice.sign(PublishRequest {
            envelopes: sent.to_vec(),
        });
        node.grpc().await.publish(request).await.unwrap();
        let mut text = String::new();
        while text.lines().filter(|line| line.contains("result")).count() < 2 || !text.ends_with('\n') {
            text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
        }
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines,
            sent.map(|envelope| json!({ "result": envelope_json(&envelope) }))
        );
    }
}

#[tokio::test]
async fn a_refused_stream_says_why_in_the_shape_of_a_line() {
    let node = TestNode::start().await;
    let topics: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
    let (status, refused) = node
        .post(
            "/message/v1/subscribe",
            json!({ "contentTopics": topics }).to_string(),
        )
        .await;
    assert_eq!(status, 400);
    assert_eq!(
        refused,
        json!({ "error": { "code": 3, "message": "too many topics", "details": [] } })
    );
}

#[tokio::test]
async fn operators_read_metrics_health_and_readiness() {
    let node = TestNode::start().await;
    node.publish(&Wallet::new(1), vec![envelope("test-m", 1, b"m")])
        .await;
    let read = async |path: &str| {
        let response = http()
            .get(format!("http://{}{path}", node.addresses.metrics))
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(read("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(read("/readyz").await, (200, "ready\n".to_owned()));
    let (status, metrics) = read("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains(r#"herald_node_requests_total{method="publish",transport="grpc",code="ok"}"#));
    assert!(!metrics.contains("test-m"), "no label comes from a caller");
}

#[tokio::test]
async fn an_announced_length_over_the_limit_is_refused_without_waiting_for_the_body() {
    let node = TestNode::start().await;
    let mut socket = tokio::net::TcpStream::connect(node.addresses.http).await.unwrap();
    let head = "POST /message/v1/publish HTTP/1.1\r\nhost: x\r\ncontent-length: 99000000000\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut said = String::new();
    while !said.contains("vs. 8388608") {
        let mut piece = [0; 1024];
        let read = tokio::time::timeout(Duration::from_millis(900), socket.read(&mut piece)).await;
        let read = read.expect("the answer comes before the body").unwrap();
        said.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    assert!(said.starts_with("HTTP/1.1 429"), "{said}");
    assert!(
        said.contains("larger than max (99000000000 vs. 8388608)"),
        "{said}"
    );
}
