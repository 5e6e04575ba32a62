//! One client that speaks either transport, so that a promise can be kept to both by one test.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use herald_protocol::proto::api::{
    BatchQueryRequest, BatchQueryResponse, Cursor, Envelope, IndexCursor, PagingInfo, PublishRequest,
    QueryRequest, QueryResponse, SortDirection, SubscribeAllRequest, SubscribeRequest, cursor,
    message_api_client::MessageApiClient,
};
use serde_json::{Value, json};
use tonic::{Request, Status, Streaming, transport::Channel};

use crate::harness::*;

/// A client of one node.
pub(crate) enum Client {
    Grpc(MessageApiClient<Channel>),
    Http(String),
}

/// What a client was told instead of an answer. Over HTTP the status was the one that goes with the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: i32,
    pub(crate) text: String,
}

impl Client {
    /// One of each kind.
    pub(crate) async fn both(node: &TestNode) -> [Self; 2] {
        [Self::Grpc(node.grpc().await), Self::Http(node.url(""))]
    }

    /// For topics and wallets of its own, and for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Grpc(_) => "grpc",
            Self::Http(_) => "http",
        }
    }

    pub(crate) async fn publish(
        &self,
        authorization: Option<&str>,
        envelopes: Vec<Envelope>,
    ) -> Result<(), Refusal> {
        match self {
            Self::Grpc(client) => {
                let mut request = Request::new(PublishRequest { envelopes });
                if let Some(header) = authorization {
                    request = with_header(request.into_inner(), header);
                }
                client
                    .clone()
                    .publish(request)
                    .await
                    .map(drop)
                    .map_err(Refusal::of)
            }
            Self::Http(_) => {
                let envelopes: Vec<Value> = envelopes.iter().map(envelope_json).collect();
                let body = json!({ "envelopes": envelopes }).to_string();
                let answer = self.post("publish", authorization, body).await?;
                assert_eq!(answer, json!({}));
                Ok(())
            }
        }
    }

    pub(crate) async fn query(&self, query: QueryRequest) -> Result<QueryResponse, Refusal> {
        match self {
            Self::Grpc(client) => {
                let answer = client.clone().query(query).await;
                answer.map(tonic::Response::into_inner).map_err(Refusal::of)
            }
            Self::Http(_) => {
                let answer = self.post("query", None, query_json(&query).to_string()).await?;
                Ok(page_of(&answer))
            }
        }
    }

    pub(crate) async fn batch_query(
        &self,
        requests: Vec<QueryRequest>,
    ) -> Result<BatchQueryResponse, Refusal> {
        match self {
            Self::Grpc(client) => {
                let answer = client.clone().batch_query(BatchQueryRequest { requests }).await;
                answer.map(tonic::Response::into_inner).map_err(Refusal::of)
            }
            Self::Http(_) => {
                let requests: Vec<Value> = requests.iter().map(query_json).collect();
                let body = json!({ "requests": requests }).to_string();
                let answer = self.post("batch-query", None, body).await?;
                let responses = answer["responses"].as_array().unwrap();
                Ok(BatchQueryResponse {
                    responses: responses.iter().map(page_of).collect(),
                })
            }
        }
    }

    pub(crate) async fn subscribe(&self, topics: &[&str]) -> Result<Live, Refusal> {
        let content_topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        match self {
            Self::Grpc(client) => {
                let opened = client
                    .clone()
                    .subscribe(SubscribeRequest { content_topics })
                    .await;
                Ok(Live::Grpc(opened.map_err(Refusal::of)?.into_inner()))
            }
            Self::Http(_) => {
                self.open("subscribe", json!({ "contentTopics": content_topics }))
                    .await
            }
        }
    }

    pub(crate) async fn subscribe_all(&self) -> Result<Live, Refusal> {
        match self {
            Self::Grpc(client) => {
                let opened = client.clone().subscribe_all(SubscribeAllRequest {}).await;
                Ok(Live::Grpc(opened.map_err(Refusal::of)?.into_inner()))
            }
            Self::Http(_) => self.open("subscribe-all", json!({})).await,
        }
    }

    /// Every page to the end, following cursors.
    pub(crate) async fn pages(&self, mut query: QueryRequest) -> Vec<Vec<Envelope>> {
        let mut pages = Vec::new();
        loop {
            let page = self.query(query.clone()).await.unwrap();
            let paging = page.paging_info.unwrap();
            pages.push(page.envelopes);
            if paging.cursor.is_none() {
                assert_eq!(paging.limit, 0);
                return pages;
            }
            query.paging_info.get_or_insert_default().cursor = paging.cursor;
        }
    }

    async fn post(&self, method: &str, authorization: Option<&str>, body: String) -> Result<Value, Refusal> {
        let Self::Http(url) = self else {
            unreachable!("posting is of HTTP")
        };
        let mut request = http().post(format!("{url}/message/v1/{method}")).body(body);
        if let Some(header) = authorization {
            request = request.header("authorization", header);
        }
        match answer(request).await {
            (200, answer) => Ok(answer),
            (status, refusal) => Err(Refusal::of_json(status, &refusal)),
        }
    }

    async fn open(&self, method: &str, body: Value) -> Result<Live, Refusal> {
        let Self::Http(url) = self else {
            unreachable!("lines are of HTTP")
        };
        let request = http()
            .post(format!("{url}/message/v1/{method}"))
            .body(body.to_string());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        if status == 200 {
            assert_eq!(response.headers()["grpc-metadata-subscribed"], "true");
            let read = Vec::new();
            return Ok(Live::Http { response, read });
        }
        let line: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        Err(Refusal::of_json(status, &line["error"]))
    }
}

impl Refusal {
    #[track_caller]
    pub(crate) fn assert(&self, code: i32, text: &str) {
        assert_eq!((self.code, self.text.as_str()), (code, text));
    }

    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    fn of(status: Status) -> Self {
        Self {
            code: status.code().into(),
            text: status.message().to_owned(),
        }
    }

    fn of_json(status: u16, refusal: &Value) -> Self {
        let code = i32::try_from(refusal["code"].as_i64().unwrap()).unwrap();
        assert_eq!(refusal["details"], json!([]));
        assert_eq!(refusal.as_object().unwrap().len(), 3, "{refusal}");
        assert_eq!(status, http_status(code), "{refusal}");
        Self {
            code,
            text: refusal["message"].as_str().unwrap().to_owned(),
        }
    }
}

/// The HTTP status of a gRPC code, as grpc-gateway has it.
fn http_status(code: i32) -> u16 {
    match code {
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

/// An open stream.
pub(crate) enum Live {
    Grpc(Streaming<Envelope>),
    Http {
        response: reqwest::Response,
        /// What came after the last line.
        read: Vec<u8>,
    },
}

impl Live {
    /// The next `count` envelopes.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Envelope> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.push(self.next().await.expect("the stream goes on"));
        }
        taken
    }

    /// The next envelope, or why there is none. A stream that ends without a reason fails the test.
    pub(crate) async fn next(&mut self) -> Result<Envelope, Refusal> {
        let next = async {
            match self {
                Self::Grpc(stream) => {
                    let next = stream.message().await.map_err(Refusal::of)?;
                    Ok(next.expect("a stream ends with a reason"))
                }
                Self::Http { response, read } => {
                    let line = line(response, read).await.expect("a stream ends with a reason");
                    match line.get("error") {
                        Some(error) => {
                            let code = i32::try_from(error["code"].as_i64().unwrap()).unwrap();
                            Err(Refusal::of_json(http_status(code), error))
                        }
                        None => Ok(envelope_of(&line["result"])),
                    }
                }
            }
        };
        tokio::time::timeout(DEADLINE, next)
            .await
            .expect("something comes in time")
    }
}

async fn line(response: &mut reqwest::Response, read: &mut Vec<u8>) -> Option<Value> {
    loop {
        if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = read.drain(..=end).collect();
            return Some(serde_json::from_slice(&line).unwrap());
        }
        read.extend_from_slice(&response.chunk().await.unwrap()?);
    }
}

fn query_json(query: &QueryRequest) -> Value {
    let mut json = json!({
        "contentTopics": query.content_topics,
        "startTimeNs": query.start_time_ns.to_string(),
        "endTimeNs": query.end_time_ns.to_string(),
    });
    if let Some(paging) = &query.paging_info {
        json["pagingInfo"] = json!({ "limit": paging.limit, "direction": paging.direction });
        if let Some(cursor) = &paging.cursor {
            json["pagingInfo"]["cursor"] = match &cursor.cursor {
                None => json!({}),
                Some(cursor::Cursor::Index(index)) => json!({ "index": {
                    "digest": STANDARD.encode(&index.digest),
                    "senderTimeNs": index.sender_time_ns.to_string(),
                } }),
            };
        }
    }
    json
}

fn page_of(json: &Value) -> QueryResponse {
    let paging = &json["pagingInfo"];
    let cursor = (!paging["cursor"].is_null()).then(|| {
        let index = &paging["cursor"]["index"];
        Cursor {
            cursor: Some(cursor::Cursor::Index(IndexCursor {
                digest: STANDARD.decode(index["digest"].as_str().unwrap()).unwrap(),
                sender_time_ns: index["senderTimeNs"].as_str().unwrap().parse().unwrap(),
            })),
        }
    });
    let direction = SortDirection::from_str_name(paging["direction"].as_str().unwrap()).unwrap();
    QueryResponse {
        envelopes: json["envelopes"]
            .as_array()
            .unwrap()
            .iter()
            .map(envelope_of)
            .collect(),
        paging_info: Some(PagingInfo {
            limit: u32::try_from(paging["limit"].as_u64().unwrap()).unwrap(),
            cursor,
            direction: direction.into(),
        }),
    }
}

fn envelope_of(json: &Value) -> Envelope {
    let text = |name: &str| json[name].as_str().unwrap();
    envelope(
        text("contentTopic"),
        text("timestampNs").parse().unwrap(),
        STANDARD.decode(text("message")).unwrap(),
    )
}
