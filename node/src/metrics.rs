//! Every metric of the node by name ([`ALL`]). Labels take values from fixed sets only, never from callers.
//!
//! Handles are made once, so that counting a publish looks nothing up and allocates nothing.

use std::{
    array,
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

use crate::clock;

mod bounds;
mod table;

pub(crate) use bounds::{
    certificate_reloaded, connection_ended, connection_refused, connections, rate_limited, request_stopped,
    stream_refused,
};
pub use table::{ALL, Kind, Metric};

/// Makes this process record metrics; call it once, at the start, and lend the handle to every node in the process.
///
/// # Errors
/// When the process records metrics already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .install_recorder()?;
    for metric in ALL {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    gauge!("process_start_time_seconds").set(amount(clock::wall().as_ns() / 1_000_000) / 1e3);
    gauge!("herald_node_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    LazyLock::force(&METERS);
    bounds::register();
    Ok(handle)
}

/// The page of a node that nobody measures; it stays empty.
pub fn unmeasured() -> PrometheusHandle {
    PrometheusBuilder::new().build_recorder().handle()
}

/// One answered call; `code` is a gRPC code name.
pub(crate) fn answered(method: &'static str, transport: &'static str, code: &'static str, took: Duration) {
    let mut calls = METERS.calls.iter();
    match calls.find(|call| call.method == method && call.transport == transport) {
        Some(call) => call.answered(code, took),
        None => Call::new(method, transport).answered(code, took),
    }
}

/// How a token of a publisher was judged.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Token {
    Verified,
    Cached,
    Refused,
}

/// One token.
pub(crate) fn token(outcome: Token) {
    METERS.tokens[outcome as usize].increment(1);
}

/// One transaction on disk: the kind of each acknowledged envelope, and how many of them were new.
pub(crate) fn committed(kinds: impl Iterator<Item = &'static str>, new: usize, took: Duration) {
    let mut counts = [0; KINDS.len()];
    for kind in kinds {
        if let Some(index) = KINDS.iter().position(|known| *known == kind) {
            counts[index] += 1;
        }
    }
    for (counter, count) in METERS
        .envelopes
        .iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
    {
        counter.increment(count);
    }
    METERS
        .duplicates
        .increment(counts.iter().sum::<u64>().saturating_sub(new as u64));
    METERS.commits.increment(1);
    METERS.commit_seconds.record(took.as_secs_f64());
}

/// A write failed.
pub(crate) fn commit_failed() {
    METERS.commit_failures.increment(1);
}

/// Envelopes that were older than they may be.
pub(crate) fn deleted(envelopes: usize) {
    METERS.deleted.increment(envelopes as u64);
}

/// A group of envelopes was published to the database again because the outcome was unknown.
pub(crate) fn republished() {
    METERS.republished.increment(1);
}

/// Open live streams.
pub(crate) fn streams(open: usize) {
    METERS.streams.set(amount(open as u64));
}

/// A stream was cut because nobody read it.
pub(crate) fn stream_cut() {
    METERS.streams_cut.increment(1);
}

/// Arrivals that a stream read from the store because it had fallen behind.
pub(crate) fn replayed(arrivals: usize) {
    METERS.replayed.increment(arrivals as u64);
}

/// An ephemeral envelope found a full queue.
pub(crate) fn ephemeral_dropped() {
    METERS.ephemeral_dropped.increment(1);
}

/// A call panicked; the caller got an internal error.
pub(crate) fn panicked() {
    METERS.panics.increment(1);
}

/// The state of a node at the moment somebody reads its metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) ready: bool,
    pub(crate) writable: bool,
    pub(crate) readable: bool,
    pub(crate) backlog_bytes: usize,
    pub(crate) readers_busy: usize,
    /// Arrivals that are committed and not fed.
    pub(crate) feed_lag: u64,
}

pub(crate) fn state(state: State) {
    METERS.ready.set(f64::from(u8::from(state.ready)));
    METERS.store_writable.set(f64::from(u8::from(state.writable)));
    METERS.store_readable.set(f64::from(u8::from(state.readable)));
    METERS.backlog_bytes.set(amount(state.backlog_bytes as u64));
    METERS.readers_busy.set(amount(state.readers_busy as u64));
    METERS.feed_lag.set(amount(state.feed_lag));
}

/// What the store takes on its disk, and what is left there.
pub(crate) fn store_size(bytes: u64, free_bytes: Option<u64>) {
    METERS.store_bytes.set(amount(bytes));
    // Not shown where it cannot be seen: a zero would mean a full disk.
    if let Some(free_bytes) = free_bytes {
        gauge!("herald_node_store_free_bytes").set(amount(free_bytes));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; beyond 2^53 the last digits are nobody's concern"
)]
fn amount(number: u64) -> f64 {
    number as f64
}

/// Handles of the recorder that is installed when the first of them is used.
static METERS: LazyLock<Meters> = LazyLock::new(Meters::new);

struct Meters {
    calls: Vec<Call>,
    tokens: [Counter; 3],
    envelopes: [Counter; KINDS.len()],
    duplicates: Counter,
    commits: Counter,
    commit_failures: Counter,
    commit_seconds: Histogram,
    deleted: Counter,
    republished: Counter,
    streams: Gauge,
    streams_cut: Counter,
    replayed: Counter,
    ephemeral_dropped: Counter,
    panics: Counter,
    ready: Gauge,
    store_writable: Gauge,
    store_readable: Gauge,
    backlog_bytes: Gauge,
    readers_busy: Gauge,
    feed_lag: Gauge,
    store_bytes: Gauge,
}

/// One method over one transport.
struct Call {
    method: &'static str,
    transport: &'static str,
    seconds: Histogram,
    /// As they come up, in the order of [`CODES`].
    codes: [OnceLock<Counter>; CODES.len()],
}

impl Call {
    fn new(method: &'static str, transport: &'static str) -> Self {
        Self {
            method,
            transport,
            seconds: histogram!("herald_node_request_seconds", "method" => method, "transport" => transport),
            codes: array::from_fn(|_| OnceLock::new()),
        }
    }

    fn answered(&self, code: &'static str, took: Duration) {
        self.seconds.record(took.as_secs_f64());
        let counter = || counter!("herald_node_requests_total", "method" => self.method, "transport" => self.transport, "code" => code);
        if let Some(index) = CODES.iter().position(|known| *known == code) {
            self.codes[index].get_or_init(counter).increment(1);
        }
    }
}

impl Meters {
    fn new() -> Self {
        let calls = METHODS
            .iter()
            .flat_map(|method| TRANSPORTS.iter().map(|transport| Call::new(method, transport)));
        Self {
            calls: calls.collect(),
            tokens: ["verified", "cached", "refused"]
                .map(|outcome| counter!("herald_node_tokens_total", "outcome" => outcome)),
            envelopes: KINDS.map(|kind| counter!("herald_node_envelopes_total", "kind" => kind)),
            duplicates: counter!("herald_node_duplicates_total"),
            commits: counter!("herald_node_commits_total"),
            commit_failures: counter!("herald_node_commit_failures_total"),
            commit_seconds: histogram!("herald_node_commit_seconds"),
            deleted: counter!("herald_node_deleted_total"),
            republished: counter!("herald_node_republished_total"),
            streams: gauge!("herald_node_streams"),
            streams_cut: counter!("herald_node_streams_cut_total"),
            replayed: counter!("herald_node_replayed_total"),
            ephemeral_dropped: counter!("herald_node_ephemeral_dropped_total"),
            panics: counter!("herald_node_panics_total"),
            ready: gauge!("herald_node_ready"),
            store_writable: gauge!("herald_node_store_writable"),
            store_readable: gauge!("herald_node_store_readable"),
            backlog_bytes: gauge!("herald_node_backlog_bytes"),
            readers_busy: gauge!("herald_node_readers_busy"),
            feed_lag: gauge!("herald_node_feed_lag"),
            store_bytes: gauge!("herald_node_store_bytes"),
        }
    }
}

/// Of the message API: what is called often. Others are looked up at every call.
const METHODS: [&str; 6] = [
    "publish",
    "query",
    "batch_query",
    "subscribe",
    "subscribe_all",
    "subscribe2",
];
const TRANSPORTS: [&str; 2] = ["grpc", "http"];
/// `api::status::code_name` of every code, the usual one first.
const CODES: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];
/// `TopicKind::label` of every kind.
const KINDS: [&str; 11] = [
    "v2-conversation",
    "v2-conversation-ephemeral",
    "v2-invite",
    "contact",
    "privatestore",
    "userpreferences",
    "v1-intro",
    "v1-conversation",
    "v1-conversation-ephemeral",
    "group-invite",
    "other",
];
const SECONDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

#[cfg(test)]
mod tests {
    use herald_protocol::topic::TopicKind;
    use tonic::Code;

    use super::*;
    use crate::api::code_name;

    #[test]
    fn every_code_and_every_kind_of_topic_is_counted() {
        for number in 0..=16 {
            let name = code_name(Code::from_i32(number));
            assert!(CODES.contains(&name), "{name}");
        }
        let label = |kind: &TopicKind<'_>| match kind {
            TopicKind::Contact(_)
            | TopicKind::PrivateStore(_)
            | TopicKind::Invite(_)
            | TopicKind::Intro(_)
            | TopicKind::Dm
            | TopicKind::DmEphemeral
            | TopicKind::Conversation
            | TopicKind::ConversationEphemeral
            | TopicKind::UserPreferences
            | TopicKind::GroupInvite
            | TopicKind::Other => kind.label(),
        };
        let kinds = [
            TopicKind::Contact(""),
            TopicKind::PrivateStore(""),
            TopicKind::Invite(""),
            TopicKind::Intro(""),
            TopicKind::Dm,
            TopicKind::DmEphemeral,
            TopicKind::Conversation,
            TopicKind::ConversationEphemeral,
            TopicKind::UserPreferences,
            TopicKind::GroupInvite,
            TopicKind::Other,
        ];
        assert_eq!(kinds.len(), KINDS.len());
        assert!(kinds.iter().all(|kind| KINDS.contains(&label(kind))));
    }
}
