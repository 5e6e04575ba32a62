//! The conformance checklist of the V2 network's node, as far as it is about a node alone: each test names its lines, and
//! holds them over gRPC and over HTTP. Lines that are promises of herald in other words as well are named at those tests.
//!
//! Line 44, a query without topics inside of the process, has no counterpart: there is no such call.

#[path = "conformance/authentication.rs"]
mod authentication;
#[path = "conformance/queries.rs"]
mod queries;
#[path = "conformance/scenario.rs"]
mod scenario;
#[path = "conformance/server.rs"]
mod server;
#[path = "conformance/streams.rs"]
mod streams;

use herald_protocol::proto::api::Envelope;

use crate::harness::envelope;

/// `count` envelopes on a topic, from a time on.
fn numbered(topic: &str, from: u64, count: u64) -> Vec<Envelope> {
    (from..from + count)
        .map(|number| envelope(topic, number, number.to_be_bytes()))
        .collect()
}
