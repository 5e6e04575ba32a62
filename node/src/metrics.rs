//! Every metric of the node by name. Labels take values from fixed sets only, never from callers.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

/// Makes this process record metrics; call it once, at the start, and lend the handle to every node in the process.
///
/// # Errors
/// When the process records metrics already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new().set_buckets(&SECONDS)?.install_recorder()
}

/// One answered call; `code` is a gRPC code name.
pub(crate) fn answered(method: &'static str, transport: &'static str, code: &'static str, took: Duration) {
    counter!("herald_node_requests_total", "method" => method, "transport" => transport, "code" => code)
        .increment(1);
    histogram!("herald_node_request_seconds", "method" => method, "transport" => transport)
        .record(took.as_secs_f64());
}

/// One transaction on disk.
pub(crate) fn committed(envelopes: usize, took: Duration) {
    counter!("herald_node_envelopes_total").increment(envelopes as u64);
    counter!("herald_node_commits_total").increment(1);
    histogram!("herald_node_commit_seconds").record(took.as_secs_f64());
}

/// Envelopes that were older than they may be.
pub(crate) fn deleted(envelopes: usize) {
    counter!("herald_node_deleted_total").increment(envelopes as u64);
}

/// A group of envelopes was published to the database again because the outcome was unknown.
pub(crate) fn republished() {
    counter!("herald_node_republished_total").increment(1);
}

/// Open live streams.
pub(crate) fn streams(open: usize) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer streams than 2^52")]
    gauge!("herald_node_streams").set(open as f64);
}

/// A stream was cut because nobody read it.
pub(crate) fn stream_cut() {
    counter!("herald_node_streams_cut_total").increment(1);
}

/// Arrivals that a stream read from the store because it had fallen behind.
pub(crate) fn replayed(arrivals: usize) {
    counter!("herald_node_replayed_total").increment(arrivals as u64);
}

/// An ephemeral envelope found a full queue.
pub(crate) fn ephemeral_dropped() {
    counter!("herald_node_ephemeral_dropped_total").increment(1);
}

/// A call panicked; the caller got an internal error.
pub(crate) fn panicked() {
    counter!("herald_node_panics_total").increment(1);
}

const SECONDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
