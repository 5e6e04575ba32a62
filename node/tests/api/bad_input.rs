//! What strangers send that no client would: each gets its code, status and text over either transport, and nothing of it is
//! stored.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::stream;
use herald_protocol::{
    limits,
    proto::api::{Envelope, PublishRequest, Token},
    time::TimestampNs,
};
use prost::Message;
use serde_json::{Value, json};
use tonic::Request;

use crate::{client::Client, harness::*, process::Process};

const INVALID: i32 = 3;
const DENIED: i32 = 7;
const EXHAUSTED: i32 = 8;
const UNAUTHENTICATED: i32 = 16;

/// Field 1 as bytes, whatever it should be.
#[derive(Clone, PartialEq, Message)]
struct Raw {
    #[prost(bytes = "vec", repeated, tag = "1")]
    field: Vec<Vec<u8>>,
}

/// A message as raw bytes to a method of gRPC, and to the same over HTTP: code and text of both.
async fn refusals_of_bytes(node: &TestNode, method: &str, raw: Raw) -> [(i32, String); 2] {
    let alice = Wallet::new(1);
    let mut client = tonic::client::Grpc::new(channel(node.addresses.grpc).await);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Raw, Raw>::default();
    let path = format!("/xmtp.message_api.v1.MessageApi/{method}")
        .parse()
        .unwrap();
    let mut request = Request::new(raw.clone());
    let token = alice.bearer.parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    let status = client.unary(request, path, codec).await.unwrap_err();
    let over_grpc = (i32::from(status.code()), status.message().to_owned());
    let request = http()
        .post(node.url(&format!("/message/v1/{}", method.to_lowercase())))
        .header("authorization", &alice.bearer)
        .header("content-type", "application/x-protobuf");
    let (status, refusal) = answer(request.body(raw.encode_to_vec())).await;
    assert_eq!(status, 400);
    let code = i32::try_from(refusal["code"].as_i64().unwrap()).unwrap();
    [over_grpc, (code, refusal["message"].as_str().unwrap().to_owned())]
}

#[tokio::test]
async fn bytes_that_are_no_message_are_an_invalid_argument_in_the_same_words() {
    let node = TestNode::start().await;
    let cut = envelope("test-cut", 1, b"m").encode_to_vec();
    let group_of_wrong_type = vec![0x0b, 0x01];
    let no_text = [&[0x0a, 2, 0xff, 0xfe][..], &[0x10, 1]].concat();
    for (method, bytes, text) in [
        ("Publish", cut[..cut.len() - 1].to_vec(), None),
        ("Publish", group_of_wrong_type, None),
        ("Publish", no_text, Some("invalid topic")),
        ("Query", vec![0xff, 0xfe], Some("invalid topic")),
    ] {
        let [over_grpc, over_http] = refusals_of_bytes(&node, method, Raw { field: vec![bytes] }).await;
        assert_eq!(over_grpc, over_http);
        assert_eq!(over_grpc.0, INVALID, "{over_grpc:?}");
        assert!(!over_grpc.1.is_empty());
        assert!(text.is_none_or(|text| over_grpc.1 == text), "{over_grpc:?}");
    }
    assert_eq!(node.stored("test-cut").await, []);
}

#[tokio::test]
async fn text_that_is_no_request_is_an_invalid_argument() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let good = envelope_json(&envelope("test-json", 1, b"m"));
    let not_text = [
        br#"{"envelopes":[{"contentTopic":"test-json"},{"contentTopic":""#.as_slice(),
        &[0xff],
        br#""}]}"#,
    ]
    .concat();
    let half_a_pair = br#"{"envelopes":[{"contentTopic":"test-json"},{"contentTopic":"\ud800"}]}"#.to_vec();
    let cases: [(&str, Vec<u8>, &str); 7] = [
        (
            "publish",
            format!("{{\"envelopes\":[{good}").into_bytes(),
            "invalid JSON: ",
        ),
        (
            "publish",
            format!("{{\"envelopes\":[{good},1]}}").into_bytes(),
            "invalid JSON: ",
        ),
        (
            "query",
            br#"{"contentTopics":["t"],"pagingInfo":{"direction":"UPWARDS"}}"#.to_vec(),
            "invalid JSON: ",
        ),
        ("publish", not_text, "invalid topic"),
        ("publish", half_a_pair, "invalid topic"),
        (
            "query",
            b"{\"contentTopics\":[\"\xff\"]}".to_vec(),
            "invalid topic",
        ),
        ("query", [b"{".as_slice(), &[0xff]].concat(), "invalid JSON: "),
    ];
    for (method, body, text) in cases {
        let shown = String::from_utf8_lossy(&body).into_owned();
        let request = http()
            .post(node.url(&format!("/message/v1/{method}")))
            .header("authorization", &alice.bearer);
        let (status, refusal) = answer(request.body(body)).await;
        assert_eq!((status, &refusal["code"]), (400, &json!(INVALID)), "{shown}");
        let said = refusal["message"].as_str().unwrap();
        assert!(said.starts_with(text), "{said} of {shown}");
        assert!(text.ends_with(' ') || said == text, "{said} of {shown}");
    }
    assert_eq!(node.stored("test-json").await, []);
}

/// A direction that protobuf may carry and nobody knows sorts like none given.
#[tokio::test]
async fn an_unknown_number_of_an_enum_is_as_good_as_none() {
    let node = TestNode::start().await;
    let both = [envelope("test-enum", 1, b"m"), envelope("test-enum", 2, b"m")];
    node.publish(&Wallet::new(1), both.to_vec()).await;
    for client in Client::both(&node).await {
        let page = client.query(query(["test-enum"], 77, 0)).await.unwrap();
        assert_eq!(page.envelopes[0].timestamp_ns, 2);
        assert_eq!(page.paging_info.unwrap().direction, 2);
    }
}

fn bearer(token: &Token) -> String {
    format!("Bearer {}", STANDARD.encode(token.encode_to_vec()))
}

fn token_of(wallet: &Wallet) -> Token {
    let base64 = wallet.bearer.strip_prefix("Bearer ").unwrap();
    Token::decode(STANDARD.decode(base64).unwrap().as_slice()).unwrap()
}

/// The bad envelope or token of a publish beside good ones, and the refusal.
fn bad_publishes(alice: &Wallet, mallory: &Wallet) -> Vec<(String, Vec<Envelope>, i32, &'static str)> {
    let good = || envelope("test-good", 1, b"m");
    let with = |bad: Envelope| vec![good(), bad];
    // Alice's identity with what Mallory signed, and what her wallet signed once where her key should sign.
    let mut forged = token_of(alice);
    forged.auth_data_signature = token_of(mallory).auth_data_signature;
    let mut replayed = token_of(alice);
    replayed.auth_data_signature = replayed.identity_key.as_ref().unwrap().signature.clone();
    let old = alice.bearer_dated(TimestampNs::from_ns(
        herald_node::clock::wall().as_ns() - 3_700_000_000_000,
    ));
    let contact = format!("/xmtp/0/contact-{}/proto", alice.address());
    let own = || mallory.bearer.clone();
    vec![
        (
            own(),
            with(envelope(&"t".repeat(301), 1, b"m")),
            INVALID,
            "topic length too big",
        ),
        (
            own(),
            with(envelope("test-\0", 1, b"m")),
            INVALID,
            "invalid topic",
        ),
        (
            own(),
            with(envelope("test-t", 1 << 63, b"m")),
            INVALID,
            "timestamp out of range",
        ),
        (
            own(),
            with(envelope("test-t", 1, vec![0; limits::MESSAGE_BYTES + 1])),
            INVALID,
            "message too big",
        ),
        (
            own(),
            vec![envelope("test-good", 1, b""); 100_000],
            INVALID,
            "too many envelopes",
        ),
        (
            own(),
            with(envelope(&contact, 1, b"m")),
            DENIED,
            "publishing to restricted topic",
        ),
        (
            bearer(&forged),
            vec![good()],
            UNAUTHENTICATED,
            "validating token: invalid signature",
        ),
        (
            bearer(&replayed),
            vec![good()],
            UNAUTHENTICATED,
            "validating token: invalid signature",
        ),
        (
            old,
            vec![good()],
            UNAUTHENTICATED,
            "validating token: token expired",
        ),
    ]
}

#[tokio::test]
async fn a_bad_publish_is_refused_whole_with_code_status_and_text() {
    let node = TestNode::start().await;
    let (alice, mallory) = (Wallet::new(1), Wallet::new(3));
    for (header, envelopes, code, text) in bad_publishes(&alice, &mallory) {
        for client in Client::both(&node).await {
            let refusal = client
                .publish(Some(&header), envelopes.clone())
                .await
                .unwrap_err();
            refusal.assert(code, text);
        }
    }
    let contact = format!("/xmtp/0/contact-{}/proto", alice.address());
    for topic in ["test-good", "test-t", &contact] {
        assert_eq!(node.stored(topic).await, []);
    }
}

#[tokio::test]
async fn a_bad_query_is_refused_with_code_status_and_text() {
    let node = TestNode::start().await;
    for client in Client::both(&node).await {
        let rows = client.query(query(["test-q"], 0, u32::MAX)).await.unwrap_err();
        rows.assert(INVALID, "cannot exceed 100 rows per query");
        let batch = client.batch_query(vec![ascending(["t"]); 51]).await.unwrap_err();
        batch.assert(INVALID, "cannot exceed 50 requests in single batch");
        let mut asked = ascending(["test-q"]);
        asked.paging_info.as_mut().unwrap().cursor =
            Some(herald_protocol::proto::api::Cursor { cursor: None });
        client
            .query(asked)
            .await
            .unwrap_err()
            .assert(INVALID, "invalid cursor");
        let topics: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let Err(refusal) = client.subscribe(&topics).await else {
            panic!("{} opens it", client.name())
        };
        refusal.assert(INVALID, "too many topics");
    }
}

/// The largest resident memory of a process, bytes.
fn peak(node: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    1024 * line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
}

#[tokio::test]
async fn bodies_without_end_and_requests_without_measure_take_little_memory() {
    let place = Place::new();
    let node = Process::start(&place, "");
    let mallory = Wallet::new(3);
    let before = peak(&node);
    let url = |method: &str| format!("http://{}/message/v1/{method}", node.http);
    let endless = async || {
        let pieces = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 20])));
        let body = reqwest::Body::wrap_stream(pieces);
        // The node hangs up on a client that goes on, which may then miss the answer or the end of it.
        let Ok(response) = http().post(url("query")).body(body).send().await else {
            return;
        };
        assert_eq!(response.status(), 429);
        if let Ok(text) = response.text().await {
            let refusal: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(refusal["code"], json!(EXHAUSTED));
        }
    };
    futures::future::join_all((0..6).map(|_| endless())).await;
    let many = PublishRequest {
        envelopes: vec![envelope("test-many", 1, b"m"); 100_000],
    };
    for _ in 0..6 {
        let request = http()
            .post(url("publish"))
            .header("authorization", &mallory.bearer)
            .header("content-type", "application/x-protobuf");
        let (status, refusal) = answer(request.body(many.encode_to_vec())).await;
        assert_eq!((status, &refusal["message"]), (400, &json!("too many envelopes")));
    }
    let grown = peak(&node) - before;
    assert!(grown < 128 << 20, "{grown} bytes more");
    let page = node.client().await.query(ascending(["test-many"])).await.unwrap();
    assert_eq!(page.into_inner().envelopes, []);
}
