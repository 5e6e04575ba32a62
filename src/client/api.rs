//! The calls to a node: publish, query, batch query, subscribe, over gRPC.
//!
//! Enters: envelopes and topics. Leaves: envelopes, or an [`Error`] that says whether another try can help. Transient
//! failures of reads are tried again here a few times with jitter; whoever must not give up (the outbox, streams) goes on
//! above. When a node says that its limit is reached, all calls of that kind wait as long as it asks, and then go on.

mod address;
mod pace;
mod queries;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

pub use address::NodeAddress;
use herald_protocol::{
    limits,
    proto::api::{
        Cursor, Envelope, PagingInfo, PublishRequest, QueryRequest, QueryResponse, SortDirection,
        SubscribeRequest, message_api_client::MessageApiClient,
    },
    time::TimestampNs,
    topic::Topic,
};
use pace::Pace;
use queries::Queries;
use tonic::{
    Code, Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_types::StatusExt as _;

/// A call that did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no node address.
    #[error("`{found}` is not a node address: expected `grpc://host:port` or `grpcs://host:port`")]
    Address {
        /// The text as given.
        found: String,
    },
    /// The node cannot be reached, is draining or did not answer in time.
    #[error("cannot reach the node at {node}: {reason}")]
    Unreachable {
        /// Where the node was looked for.
        node: NodeAddress,
        /// What the transport said.
        reason: String,
    },
    /// The node asks to wait.
    #[error("the node is over its limit: {message}")]
    Limited {
        /// The node's words.
        message: String,
        /// The wait the node asked for, when it named one.
        after: Option<Duration>,
    },
    /// The token was not accepted.
    #[error("the node did not accept the token: {message}")]
    Unauthenticated {
        /// The node's words.
        message: String,
    },
    /// The node refuses this request, now and later.
    #[error("the node refused: {message}")]
    Refused {
        /// The node's words.
        message: String,
    },
}

/// What another try of the same call would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It may succeed, not before this wait when one is named.
    Retry(Option<Duration>),
    /// It will fail again.
    Reject,
}

impl Error {
    /// Whether another try can help.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Unreachable { .. } | Self::Unauthenticated { .. } => Disposition::Retry(None),
            Self::Limited { after, .. } => Disposition::Retry(Some(after.unwrap_or(LIMITED_WAIT))),
            Self::Address { .. } | Self::Refused { .. } => Disposition::Reject,
        }
    }

    /// Whether the node could not be reached.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    fn from_status(node: &NodeAddress, status: &Status) -> Self {
        let message = words(status);
        match status.code() {
            Code::ResourceExhausted => match asked_wait(status) {
                // Of a request that is too large it is said, too, and no wait makes that smaller.
                None if !message.contains(RATE_LIMIT) => Self::Refused { message },
                after => Self::Limited {
                    message,
                    after: after.map(|wait| wait.clamp(LIMITED_WAIT_MIN, LIMITED_WAIT_MAX)),
                },
            },
            Code::Unauthenticated => Self::Unauthenticated { message },
            Code::InvalidArgument
            | Code::PermissionDenied
            | Code::NotFound
            | Code::Unimplemented
            | Code::OutOfRange
            | Code::FailedPrecondition => Self::Refused { message },
            _ => {
                let reason = if message.is_empty() {
                    status.code().to_string()
                } else {
                    message
                };
                Self::Unreachable {
                    node: node.clone(),
                    reason,
                }
            }
        }
    }
}

/// What a node says, fit for one line.
fn words(status: &Status) -> String {
    let words = status.message().chars().filter(|c| !c.is_control());
    words.take(300).collect()
}

/// The wait a refusal names: `google.rpc.RetryInfo` of the details, else `retry-after` in seconds.
fn asked_wait(status: &Status) -> Option<Duration> {
    let detail = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let header = || status.metadata().get("retry-after")?.to_str().ok()?.parse().ok();
    detail.or_else(|| header().map(Duration::from_secs))
}

/// A connection to one node; clones share it. It connects when first used and again whenever it was lost.
#[derive(Clone)]
pub struct Api {
    node: NodeAddress,
    grpc: MessageApiClient<Channel>,
    publishes: Arc<Pace>,
    reads: Arc<Pace>,
    queries: Arc<Queries>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// What to read: topics, a time range in which both ends are inclusive, and the direction.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// Exact topics; several are merged into one list ordered by time.
    pub topics: Vec<String>,
    /// The oldest time; none is open.
    pub start: Option<TimestampNs>,
    /// The newest time; none is open.
    pub end: Option<TimestampNs>,
    /// Newest first.
    pub descending: bool,
    /// Envelopes in a page, 1 to 100.
    pub page: u32,
}

impl Range {
    fn request(&self, cursor: Option<Cursor>) -> QueryRequest {
        let direction = if self.descending {
            SortDirection::Descending
        } else {
            SortDirection::Ascending
        };
        QueryRequest {
            content_topics: self.topics.clone(),
            start_time_ns: self.start.map_or(0, TimestampNs::as_ns),
            end_time_ns: self.end.map_or(0, TimestampNs::as_ns),
            paging_info: Some(PagingInfo {
                limit: self.page.max(1),
                cursor,
                direction: direction.into(),
            }),
        }
    }
}

/// One page of a [`Range`].
#[derive(Debug)]
pub struct Page {
    /// In the direction asked for.
    pub envelopes: Vec<Envelope>,
    /// Where the next page starts; none after the last.
    pub next: Option<Cursor>,
}

/// What one call found out about a node.
#[derive(Debug)]
pub struct Look {
    /// The first page of what was asked for.
    pub envelopes: Vec<Envelope>,
    /// How long the answer took, connecting included.
    pub took: Duration,
    /// The node's clock, as HTTP writes it; not every node tells.
    pub date: Option<String>,
}

impl Api {
    /// A connection to `node`, opened when first used.
    pub fn new(node: NodeAddress) -> Result<Self, Error> {
        let wrong = |_| Error::Address {
            found: node.to_string(),
        };
        let mut endpoint = Endpoint::from_shared(node.uri())
            .map_err(wrong)?
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true)
            .user_agent(concat!("herald/", env!("CARGO_PKG_VERSION")))
            .map_err(wrong)?;
        if node.tls {
            endpoint = endpoint
                .tls_config(ClientTlsConfig::new().with_webpki_roots())
                .map_err(wrong)?;
        }
        let grpc = MessageApiClient::new(endpoint.connect_lazy())
            .max_decoding_message_size(ANSWER_BYTES)
            .max_encoding_message_size(limits::REQUEST_BYTES);
        Ok(Self {
            node,
            grpc,
            publishes: Arc::default(),
            reads: Arc::default(),
            queries: Arc::default(),
        })
    }

    /// The same connection for another wallet, whose publishes keep waits of their own: nodes count them by wallet.
    pub(super) fn of_another_wallet(&self) -> Self {
        Self {
            publishes: Arc::default(),
            ..self.clone()
        }
    }

    /// The node this connection is to.
    pub fn node(&self) -> &NodeAddress {
        &self.node
    }

    /// Publishes the envelopes in one request, once, as soon as the node takes publishes: whoever calls decides what a failure
    /// means. `authorization` is the whole header value.
    pub async fn publish(&self, envelopes: Vec<Envelope>, authorization: &str) -> Result<(), Error> {
        self.publishes.ready().await;
        let mut request = Self::unary(PublishRequest { envelopes });
        let value = MetadataValue::<Ascii>::try_from(authorization).map_err(|_| Error::Unauthenticated {
            message: "the token is not ASCII".to_owned(),
        })?;
        request.metadata_mut().insert("authorization", value);
        let Err(status) = self.grpc.clone().publish(request).await else {
            return Ok(());
        };
        let error = Error::from_status(&self.node, &status);
        if let Disposition::Retry(Some(wait)) = error.disposition() {
            self.publishes.hold(wait);
        }
        Err(error)
    }

    /// One page of `range`, from `cursor` on.
    pub async fn query(&self, range: &Range, cursor: Option<Cursor>) -> Result<Page, Error> {
        let answer = self.ask(range.request(cursor)).await?;
        let next = answer.paging_info.and_then(|paging| paging.cursor);
        let next = next.filter(|_| !answer.envelopes.is_empty());
        Ok(Page {
            envelopes: answer.envelopes,
            next,
        })
    }

    /// The first page of `range`, asked for once and measured.
    pub async fn look(&self, range: &Range) -> Result<Look, Error> {
        let begun = Instant::now();
        let answer = self.grpc.clone().query(Self::unary(range.request(None))).await;
        let answer = answer.map_err(|status| Error::from_status(&self.node, &status))?;
        let date = answer.metadata().get("date").and_then(|date| date.to_str().ok());
        Ok(Look {
            took: begun.elapsed(),
            date: date.map(str::to_owned),
            envelopes: answer.into_inner().envelopes,
        })
    }

    /// The newest `page` envelopes of each of the topics, in the order of the topics. Any number of topics.
    pub async fn newest_of_each(&self, topics: &[Topic], page: u32) -> Result<Vec<Vec<Envelope>>, Error> {
        let range = |topic: &Topic| Range {
            topics: vec![topic.to_string()],
            descending: true,
            page,
            ..Range::default()
        };
        self.batch(&topics.iter().map(range).collect::<Vec<_>>()).await
    }

    /// The first page of each range, in the order of the ranges. Any number of ranges.
    pub async fn batch(&self, ranges: &[Range]) -> Result<Vec<Vec<Envelope>>, Error> {
        let mut answers = Vec::with_capacity(ranges.len());
        for part in ranges.chunks(limits::BATCH_QUERIES) {
            let responses = self.ask_all(part.iter().map(|range| range.request(None)).collect());
            for (range, response) in part.iter().zip(responses.await?) {
                answers.push(self.whole_page(range, response).await?);
            }
        }
        Ok(answers)
    }

    /// A page of a batch, which nodes cut when the answer as a whole gets too large: the rest is asked for.
    async fn whole_page(&self, range: &Range, first: QueryResponse) -> Result<Vec<Envelope>, Error> {
        let wanted = usize::try_from(range.page).unwrap_or(usize::MAX);
        let (mut envelopes, mut next) = (
            first.envelopes,
            first.paging_info.and_then(|paging| paging.cursor),
        );
        while envelopes.len() < wanted && !envelopes.is_empty() && next.is_some() {
            let page = self.query(range, next.take()).await?;
            envelopes.extend(page.envelopes);
            next = page.next;
        }
        envelopes.truncate(wanted);
        Ok(envelopes)
    }

    /// A live stream of what arrives on the topics from now on: when this returns, the node has registered it.
    pub async fn subscribe(&self, topics: Vec<String>) -> Result<Streaming<Envelope>, Error> {
        let mut grpc = self.grpc.clone();
        let opening = grpc.subscribe(SubscribeRequest {
            content_topics: topics,
        });
        let unreachable = |reason: &str| Error::Unreachable {
            node: self.node.clone(),
            reason: reason.to_owned(),
        };
        let answer = tokio::time::timeout(CALL_TIMEOUT, opening)
            .await
            .map_err(|_| unreachable("no answer in time"))?;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| Error::from_status(&self.node, &status))
    }

    /// The error of a stream that ended with `status`. One that was cut because it was not read is no limit to wait for, unless
    /// the node names a wait.
    pub(super) fn failure(&self, status: &Status) -> Error {
        if status.code() == Code::ResourceExhausted && asked_wait(status).is_none() {
            return Error::Unreachable {
                node: self.node.clone(),
                reason: words(status),
            };
        }
        Error::from_status(&self.node, status)
    }

    /// The error of a stream that ended without one.
    pub(super) fn cut(&self) -> Error {
        Error::Unreachable {
            node: self.node.clone(),
            reason: "the stream ended".to_owned(),
        }
    }

    fn unary<T>(message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(CALL_TIMEOUT);
        request
    }

    /// Calls until there is an answer: a few times while the node is away, and after each wait that the node asks for.
    async fn again<T, F>(&self, call: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let (mut wait, mut tries) = (FIRST_WAIT, 1);
        loop {
            self.reads.ready().await;
            let status = match call().await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            let error = Error::from_status(&self.node, &status);
            match error.disposition() {
                Disposition::Retry(Some(asked)) => {
                    tracing::info!(%error, ?asked, "reads wait as the node asks");
                    self.reads.hold(asked);
                }
                Disposition::Retry(None) if tries < TRIES => {
                    tokio::time::sleep(jittered(wait)).await;
                    wait *= 2;
                    tries += 1;
                }
                _ => return Err(error),
            }
        }
    }
}

/// `wait` give or take a fifth, so that many waiters do not return at one instant.
pub fn jittered(wait: Duration) -> Duration {
    let mut byte = [128u8];
    // Without randomness all wait the same, which is no reason to fail.
    let _ = getrandom::fill(&mut byte);
    wait.mul_f64(0.8 + f64::from(byte[0]) / 255.0 * 0.4)
}

/// A unary call's deadline; the outbox waits longer than this before it seals again.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer: to a batch nodes give at least one envelope for each query, whatever the bytes.
const ANSWER_BYTES: usize = limits::PAGE_BYTES + limits::BATCH_QUERIES * (limits::MESSAGE_BYTES + 1024);
/// Bytes that a node sends ahead on one stream before they are read: what an unread stream holds in memory.
const STREAM_WINDOW: u32 = 128 << 10;
/// The most that HTTP/2 has: streams that nobody reads never use up what the other calls of the connection need.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// Six attempts in all, as the JavaScript client makes.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// What nodes of the V2 network say in every refusal for the rate.
const RATE_LIMIT: &str = "rate limit";
/// The least wait after a refusal for the rate that names none.
const LIMITED_WAIT: Duration = Duration::from_mins(1);
const LIMITED_WAIT_MAX: Duration = Duration::from_hours(1);
/// A wait of nothing would be a loop.
const LIMITED_WAIT_MIN: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_waited_for_and_a_request_that_is_too_large_is_refused() {
        let disposition = |words: &str| {
            let status = Status::resource_exhausted(words);
            Error::from_status(&NodeAddress::plain("127.0.0.1:1"), &status).disposition()
        };
        assert_eq!(
            disposition("1:2:3 exceeds rate limit"),
            Disposition::Retry(Some(LIMITED_WAIT))
        );
        assert_eq!(
            disposition("request larger than max (9 vs. 8)"),
            Disposition::Reject
        );
    }
}
