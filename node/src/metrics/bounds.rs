//! What happens at the bounds of a node: rare, so that handles are looked up each time.

use metrics::{counter, gauge};

use super::amount;

/// Shows all of them from the start on: an alert on a counter that is not there yet sees no first event.
pub(super) fn register() {
    for class in ["publish", "other"] {
        counter!(RATE_LIMITED, "class" => class).increment(0);
    }
    counter!(STREAMS_REFUSED).increment(0);
    for port in ["api", "operator"] {
        gauge!(CONNECTIONS, "port" => port).set(0.0);
        for reason in ["address", "total"] {
            counter!(CONNECTIONS_REFUSED, "port" => port, "reason" => reason).increment(0);
        }
    }
    for reason in ["silent", "blocked", "idle"] {
        counter!(CONNECTIONS_ENDED, "reason" => reason).increment(0);
    }
    for reason in ["slow", "memory"] {
        counter!(REQUESTS_STOPPED, "reason" => reason).increment(0);
    }
    for outcome in ["ok", "failed"] {
        counter!(CERTIFICATE_RELOADS, "outcome" => outcome).increment(0);
    }
}

/// A call was refused by a rate limit.
pub(crate) fn rate_limited(class: &'static str) {
    counter!(RATE_LIMITED, "class" => class).increment(1);
}

/// An address has all the live streams it may.
pub(crate) fn stream_refused() {
    counter!(STREAMS_REFUSED).increment(1);
}

/// Open connections to the message API, or to the operator's port.
pub(crate) fn connections(port: &'static str, open: usize) {
    gauge!(CONNECTIONS, "port" => port).set(amount(open as u64));
}

/// A connection found no place.
pub(crate) fn connection_refused(port: &'static str, reason: &'static str) {
    counter!(CONNECTIONS_REFUSED, "port" => port, "reason" => reason).increment(1);
}

/// A connection was ended because of what the other end left out.
pub(crate) fn connection_ended(reason: &'static str) {
    counter!(CONNECTIONS_ENDED, "reason" => reason).increment(1);
}

/// A request was not waited for any longer.
pub(crate) fn request_stopped(reason: &'static str) {
    counter!(REQUESTS_STOPPED, "reason" => reason).increment(1);
}

/// Changed certificate files were looked at.
pub(crate) fn certificate_reloaded(outcome: &'static str) {
    counter!(CERTIFICATE_RELOADS, "outcome" => outcome).increment(1);
}

const RATE_LIMITED: &str = "herald_node_rate_limited_total";
const STREAMS_REFUSED: &str = "herald_node_streams_refused_total";
const CONNECTIONS: &str = "herald_node_connections";
const CONNECTIONS_REFUSED: &str = "herald_node_connections_refused_total";
const CONNECTIONS_ENDED: &str = "herald_node_connections_ended_total";
const REQUESTS_STOPPED: &str = "herald_node_requests_stopped_total";
const CERTIFICATE_RELOADS: &str = "herald_node_certificate_reloads_total";
