//! What the JavaScript client was recorded to send is answered as it stands: method, path, headers and the text of the body
//! go out as they are in `api_http.json`, of the folder in `HERALD_VECTORS`, else of `herald-protocol`.
//!
//! A case is told by its shape, and a field that is not known here fails. What the client makes of answers is a promise of
//! clients, not of the node.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use herald_node::clock;
use herald_protocol::{
    envelope::digest,
    proto::api::{AuthData, Envelope, Token},
    time::TimestampNs,
};
use prost::Message as _;
use reqwest::{Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::harness::*;

#[derive(Deserialize)]
struct File {
    kind: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    inputs: serde_json::Map<String, Value>,
    expected: serde_json::Map<String, Value>,
}

/// A request as it was recorded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    method: String,
    path: String,
    headers: std::collections::BTreeMap<String, String>,
    body_text: String,
}

/// A call of which less was recorded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    path: String,
    has_authorization: bool,
    query: Option<Value>,
    topics: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Query {
    content_topics: Vec<String>,
    start_time_ns: Option<String>,
    end_time_ns: Option<String>,
    paging_info: Paging,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Paging {
    limit: usize,
    direction: String,
    cursor: Option<Value>,
}

/// What a case says of the server that the client spoke to.
const OF_SERVERS: [&str; 8] = [
    "note",
    "server",
    "stream_text",
    "start_ms",
    "end_ms",
    "limit",
    "pageSize",
    "wallet_address",
];

/// What a case says of the client's doings.
const OF_CLIENTS: [&str; 17] = [
    "attempts",
    "connection_lost_callbacks",
    "connections",
    "count",
    "decoded_messages",
    "delivered",
    "elapsed_ms_at_least",
    "empty_message",
    "empty_topic",
    "error",
    "reconnect_delay_ms_at_least",
    "reconnected",
    "requests_per_batch",
    "result_length",
    "result_lengths",
    "tokens_created",
    "calls",
];

impl Case {
    /// Its requests, with everything that was recorded of them. Panics at a field that is not known.
    fn requests(&self) -> Vec<Recorded> {
        let known = |name: &&String| !OF_SERVERS.contains(&name.as_str());
        assert_eq!(
            self.inputs.keys().find(known),
            None,
            "{}: no known input",
            self.name
        );
        let mut requests = Vec::new();
        for (field, value) in &self.expected {
            match field.as_str() {
                "requests" => requests.extend(self.read::<Vec<Recorded>>(value)),
                "first_request" => requests.push(self.read(value)),
                field => assert!(
                    OF_CLIENTS.contains(&field),
                    "{}: `{field}` is not known",
                    self.name
                ),
            }
        }
        requests
    }

    fn calls(&self) -> Vec<Call> {
        let calls = self.expected.get("calls");
        calls.map_or_else(Vec::new, |calls| self.read(calls))
    }

    fn read<T: serde::de::DeserializeOwned>(&self, value: &Value) -> T {
        T::deserialize(value).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// The cases; none when the folder is from elsewhere and has no such file.
fn cases() -> Vec<Case> {
    #[expect(clippy::disallowed_methods, reason = "the folder is the caller's choice")]
    let given = std::env::var("HERALD_VECTORS").map(PathBuf::from);
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/testdata/vectors");
    let (is_own, folder) = (given.is_err(), given.unwrap_or_else(|_| own()));
    let path = folder.join("api_http.json");
    if !is_own && !path.exists() {
        return Vec::new();
    }
    let file: File = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(file.kind, "api_http");
    assert!(!file.cases.is_empty());
    file.cases
}

/// Sends a request as recorded; `bearer` takes the place of the recorded token.
async fn send(node: &TestNode, recorded: &Recorded, bearer: Option<&str>) -> Response {
    let method = Method::from_bytes(recorded.method.as_bytes()).unwrap();
    let mut request = http().request(method, node.url(&recorded.path));
    for (name, value) in &recorded.headers {
        let value = match bearer {
            Some(bearer) if name == "authorization" => bearer,
            _ => value,
        };
        request = request.header(name, value);
    }
    request.body(recorded.body_text.clone()).send().await.unwrap()
}

/// The status and the JSON of an answer, as a client reads it that takes gzip.
async fn read(response: Response) -> (u16, Value) {
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let (status, compressed) = (
        response.status().as_u16(),
        response.headers().contains_key("content-encoding"),
    );
    let bytes = response.bytes().await.unwrap();
    if !compressed {
        return (status, serde_json::from_slice(&bytes).unwrap());
    }
    let mut plain = Vec::new();
    #[expect(clippy::disallowed_types, reason = "an answer of our own node")]
    flate2::read::GzDecoder::new(bytes.as_ref())
        .read_to_end(&mut plain)
        .unwrap();
    (status, serde_json::from_slice(&plain).unwrap())
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

impl Query {
    fn start(&self) -> u64 {
        self.start_time_ns.as_deref().map_or(0, number)
    }

    fn end(&self) -> u64 {
        self.end_time_ns.as_deref().map_or(u64::MAX, number)
    }

    /// Puts more than a page in the asked range, and something before and behind it.
    async fn prepare(&self, node: &TestNode) -> Vec<Envelope> {
        let start = self.start().max(10);
        let mut times: Vec<u64> = (0..=self.paging_info.limit as u64)
            .map(|at| start + at / 2)
            .collect();
        times.extend([start - 1, self.end().saturating_add(1).min(1 << 62)]);
        let mut stored = Vec::new();
        for topic in &self.content_topics {
            // Contacts are their owner's to write, and nobody owns the topic that was recorded.
            if topic.starts_with("/xmtp/0/contact-") || topic.starts_with("/xmtp/0/privatestore-") {
                continue;
            }
            let envelopes = times.iter().enumerate();
            stored.extend(envelopes.map(|(at, time)| envelope(topic, *time, at.to_be_bytes())));
        }
        node.publish(&Wallet::new(9), stored.clone()).await;
        stored
    }

    /// The page that the store owes.
    fn page<'a>(&self, stored: &'a [Envelope]) -> Vec<&'a Envelope> {
        let place = |envelope: &Envelope| {
            let digest = digest(&envelope.content_topic, &envelope.message);
            (envelope.timestamp_ns, digest.to_vec())
        };
        let after = self.paging_info.cursor.as_ref().map(|cursor| {
            let index = &cursor["index"];
            let time = number(index["senderTimeNs"].as_str().unwrap());
            (time, STANDARD.decode(index["digest"].as_str().unwrap()).unwrap())
        });
        let mut page: Vec<&Envelope> = stored.iter().filter(|envelope| self.asks_for(envelope)).collect();
        page.sort_by_key(|envelope| place(envelope));
        match self.paging_info.direction.as_str() {
            "SORT_DIRECTION_ASCENDING" => {
                page.retain(|envelope| after.as_ref().is_none_or(|after| place(envelope) > *after));
            }
            "SORT_DIRECTION_DESCENDING" => {
                page.retain(|envelope| after.as_ref().is_none_or(|after| place(envelope) < *after));
                page.reverse();
            }
            other => panic!("`{other}` is no direction"),
        }
        page.truncate(self.paging_info.limit);
        page
    }

    fn asks_for(&self, envelope: &Envelope) -> bool {
        self.content_topics.contains(&envelope.content_topic)
            && (self.start()..=self.end()).contains(&envelope.timestamp_ns)
    }

    /// Compares an answer with what the store owes.
    fn expect(&self, answer: &Value, stored: &[Envelope]) {
        let page: Vec<Value> = self.page(stored).into_iter().map(envelope_json).collect();
        assert_eq!(answer["envelopes"], json!(page));
        let paging = &answer["pagingInfo"];
        assert_eq!(paging["direction"], self.paging_info.direction);
        let is_full = page.len() == self.paging_info.limit;
        assert_eq!(paging["cursor"].is_object(), is_full, "{paging}");
    }
}

async fn is_answered(name: &str, recorded: &Recorded) {
    let node = TestNode::start().await;
    let body = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let body = body(&recorded.body_text);
    match recorded.path.as_str() {
        "/message/v1/publish" => publish_is_taken(&node, recorded, &body).await,
        "/message/v1/query" => {
            let query = Query::deserialize(&body).unwrap();
            let stored = query.prepare(&node).await;
            let (status, answer) = read(send(&node, recorded, None).await).await;
            assert_eq!(status, 200, "{name}: {answer}");
            query.expect(&answer, &stored);
        }
        "/message/v1/batch-query" => {
            let queries: Vec<Query> = Vec::deserialize(&body["requests"]).unwrap();
            let mut stored = Vec::new();
            for query in &queries {
                stored.extend(query.prepare(&node).await);
            }
            let (status, answer) = read(send(&node, recorded, None).await).await;
            assert_eq!(status, 200, "{name}: {answer}");
            let answers = answer["responses"].as_array().unwrap();
            assert_eq!(answers.len(), queries.len());
            for (query, answer) in queries.iter().zip(answers) {
                query.expect(answer, &stored);
            }
        }
        "/message/v1/subscribe" => stream_tells(&node, recorded, &body).await,
        other => panic!("{name}: `{other}` is not known"),
    }
}

/// The time on the clock of the node that is asked at the time of the recording.
static RECORDED: AtomicU64 = AtomicU64::new(0);

fn at_the_recording() -> TimestampNs {
    TimestampNs::from_ns(RECORDED.load(Ordering::Relaxed))
}

/// A recorded token is too old by now, and was good when it was made.
async fn publish_is_taken(node: &TestNode, recorded: &Recorded, body: &Value) {
    let bearer = recorded.headers["authorization"].strip_prefix("Bearer ").unwrap();
    let token = Token::decode(STANDARD.decode(bearer).unwrap().as_slice()).unwrap();
    let made = AuthData::decode(token.auth_data_bytes.as_ref())
        .unwrap()
        .created_ns;

    let (status, refused) = read(send(node, recorded, None).await).await;
    assert_eq!((status, &refused["code"]), (401, &json!(16)), "{refused}");
    assert_eq!(refused["details"], json!([]));
    assert!(
        refused["message"].as_str().unwrap().contains("token expired"),
        "{refused}"
    );
    are_stored(node, body, false).await;

    let alice = Wallet::new(1);
    assert_eq!(
        read(send(node, recorded, Some(&alice.bearer)).await).await,
        (200, json!({}))
    );
    are_stored(node, body, true).await;

    RECORDED.store(made, Ordering::Relaxed);
    let then = TestNode::start_at(at_the_recording).await;
    assert_eq!(read(send(&then, recorded, None).await).await, (200, json!({})));
    are_stored(&then, body, true).await;
}

/// Whether the store has the envelopes of a publish as they were sent, or nothing of them.
async fn are_stored(node: &TestNode, body: &Value, are: bool) {
    let sent = body["envelopes"].as_array().unwrap();
    assert!(!sent.is_empty());
    for sent in sent {
        let stored = node.stored(sent["contentTopic"].as_str().unwrap()).await;
        let is_there = stored.iter().any(|stored| envelope_json(stored) == *sent);
        assert_eq!((is_there, stored.is_empty()), (are, !are), "{sent}");
    }
}

/// A stream that is opened as recorded tells what is published on each of its topics, an object a line.
async fn stream_tells(node: &TestNode, recorded: &Recorded, body: &Value) {
    let mut stream = send(node, recorded, None).await;
    assert_eq!(stream.status(), 200);
    let topics = body["contentTopics"].as_array().unwrap();
    let envelopes = topics.iter().zip(1..);
    let envelopes = envelopes.map(|(topic, time)| envelope(topic.as_str().unwrap(), time, [1, 2, 3]));
    let envelopes: Vec<Envelope> = envelopes.collect();
    node.publish(&Wallet::new(1), envelopes.clone()).await;
    let mut text = String::new();
    while text.matches('\n').count() < envelopes.len() {
        let chunk = tokio::time::timeout(DEADLINE, stream.chunk()).await;
        let chunk = chunk.expect("a line comes in time").unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected: Vec<Value> = envelopes
        .iter()
        .map(|envelope| json!({ "result": envelope_json(envelope) }))
        .collect();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn every_request_that_was_recorded_of_the_javascript_client_is_answered() {
    for case in cases() {
        for recorded in case.requests() {
            is_answered(&case.name, &recorded).await;
        }
    }
}

/// The calls by which a new wallet comes to the network, on the topics of a wallet whose keys this test has.
#[tokio::test]
async fn every_call_of_a_new_javascript_client_is_taken() {
    for case in cases() {
        let (node, alice) = (TestNode::start().await, Wallet::new(1));
        let recorded = case
            .inputs
            .get("wallet_address")
            .and_then(Value::as_str)
            .unwrap_or_default();
        for (at, call) in case.calls().into_iter().enumerate() {
            let own = |topic: &str| {
                assert!(topic.contains(recorded), "{}: {topic}", case.name);
                topic.replace(recorded, &alice.address())
            };
            let body = match (call.query, call.topics) {
                (Some(mut query), None) => {
                    for topic in query["contentTopics"].as_array_mut().unwrap() {
                        *topic = json!(own(topic.as_str().unwrap()));
                    }
                    query
                }
                (None, Some(topics)) => {
                    let envelopes = topics.iter().map(|topic| {
                        let envelope = envelope(&own(topic), clock::wall().as_ns(), at.to_be_bytes());
                        envelope_json(&envelope)
                    });
                    json!({ "envelopes": envelopes.collect::<Vec<_>>() })
                }
                _ => panic!("{}: a call is either a query or topics", case.name),
            };
            let without = node.post(&call.path, body.to_string()).await;
            if call.has_authorization {
                assert_eq!((without.0, &without.1["code"]), (401, &json!(16)), "{body}");
                assert_eq!(
                    node.post_as(&alice, &call.path, &body).await,
                    (200, json!({})),
                    "{body}"
                );
            } else {
                assert_eq!(without.0, 200, "{body}");
                assert!(without.1["envelopes"].is_array(), "{}", without.1);
            }
        }
    }
}
