//! Every metric by name, for `/metrics`, alert rules and dashboards.

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// As `/metrics` has it; histograms end in `_bucket`, `_sum` and `_count` there.
    pub name: &'static str,
    /// What may be done with it.
    pub kind: Kind,
    /// What it tells an operator.
    pub help: &'static str,
    /// The names of its labels. Their values are from fixed sets.
    pub labels: &'static [&'static str],
}

/// The kinds of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Seconds in fixed buckets.
    Histogram,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    let kind = Kind::Counter;
    Metric {
        name,
        kind,
        help,
        labels,
    }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    let kind = Kind::Gauge;
    Metric {
        name,
        kind,
        help,
        labels,
    }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    let kind = Kind::Histogram;
    Metric {
        name,
        kind,
        help,
        labels,
    }
}

/// All of them. A test holds what a used node shows against this table.
pub const ALL: &[Metric] = &[
    gauge(
        "process_start_time_seconds",
        &[],
        "When the process started, in seconds since 1970.",
    ),
    gauge(
        "herald_node_build_info",
        &["version"],
        "1, with the version of the node.",
    ),
    gauge("herald_node_ready", &[], "1 while /readyz says ready, else 0."),
    gauge(
        "herald_node_store_writable",
        &[],
        "0 from a failed write on: with SQLite until a restart, with PostgreSQL until it answers again.",
    ),
    gauge(
        "herald_node_store_readable",
        &[],
        "0 while the regular read of the store fails or takes too long.",
    ),
    counter(
        "herald_node_requests_total",
        &["method", "transport", "code"],
        "Answered calls, by gRPC code; for streams: opened or refused.",
    ),
    histogram(
        "herald_node_request_seconds",
        &["method", "transport"],
        "Time from a decoded request to its answer.",
    ),
    counter(
        "herald_node_tokens_total",
        &["outcome"],
        "Tokens of publishers: checked and good (verified), known from before (cached), refused.",
    ),
    counter(
        "herald_node_envelopes_total",
        &["kind"],
        "Acknowledged envelopes by kind of topic, duplicates and ephemeral ones included.",
    ),
    counter(
        "herald_node_duplicates_total",
        &[],
        "Acknowledged envelopes that the store had already.",
    ),
    counter("herald_node_commits_total", &[], "Transactions on disk."),
    counter(
        "herald_node_commit_failures_total",
        &[],
        "Writes that failed; with SQLite the node takes no more publishes after the first.",
    ),
    counter(
        "herald_node_deleted_total",
        &[],
        "Envelopes deleted because they were older than `retention` allows.",
    ),
    counter(
        "herald_node_republished_total",
        &[],
        "Groups that were sent to PostgreSQL again because their outcome was unknown.",
    ),
    histogram(
        "herald_node_commit_seconds",
        &[],
        "Time of a transaction, sync included.",
    ),
    gauge(
        "herald_node_backlog_bytes",
        &[],
        "Payload bytes that wait for the writer.",
    ),
    gauge(
        "herald_node_readers_busy",
        &[],
        "Reading connections in use; further reads wait when all are.",
    ),
    gauge(
        "herald_node_store_bytes",
        &[],
        "Size of the store: file and log, or tables and indexes of PostgreSQL.",
    ),
    gauge(
        "herald_node_store_free_bytes",
        &[],
        "Free space where the file of the store is; with PostgreSQL not shown.",
    ),
    counter(
        "herald_node_rate_limited_total",
        &["class"],
        "Calls refused by a rate limit.",
    ),
    gauge(
        "herald_node_connections",
        &["port"],
        "Open connections to the message API and to the operator's port.",
    ),
    counter(
        "herald_node_connections_refused_total",
        &["port", "reason"],
        "Connections that found no place, of their address or in all.",
    ),
    counter(
        "herald_node_connections_ended_total",
        &["reason"],
        "Connections ended because they said nothing, had no calls, or took nothing.",
    ),
    counter(
        "herald_node_requests_stopped_total",
        &["reason"],
        "Requests that were not waited for: too slow, or no memory for more unfinished ones.",
    ),
    counter(
        "herald_node_certificate_reloads_total",
        &["outcome"],
        "Changed certificate files that were taken, or could not be.",
    ),
    gauge("herald_node_streams", &[], "Open live streams."),
    counter(
        "herald_node_streams_refused_total",
        &[],
        "Streams refused because their address had all it may.",
    ),
    counter(
        "herald_node_streams_cut_total",
        &[],
        "Streams cut because nobody read them.",
    ),
    counter(
        "herald_node_replayed_total",
        &[],
        "Envelopes that streams read from the store because they had fallen behind.",
    ),
    counter(
        "herald_node_ephemeral_dropped_total",
        &[],
        "Ephemeral envelopes that found the queue of a stream full.",
    ),
    gauge(
        "herald_node_feed_lag",
        &[],
        "Committed envelopes that were not handed to streams yet; with PostgreSQL duplicates count until the next new one.",
    ),
    counter(
        "herald_node_panics_total",
        &[],
        "Calls that panicked; the caller got an internal error.",
    ),
];
