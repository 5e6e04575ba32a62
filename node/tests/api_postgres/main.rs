//! The promises of the message API on `PostgreSQL`, and those of several nodes on one database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../api/access.rs"]
mod access;
#[path = "../api/archive.rs"]
mod archive;
#[path = "../api/bad_input.rs"]
mod bad_input;
#[path = "../api/client.rs"]
mod client;
#[path = "../api/conformance.rs"]
mod conformance;
mod database_down;
#[path = "../api/gateway.rs"]
mod gateway;
#[path = "../api/harness.rs"]
mod harness;
#[path = "../api/kill.rs"]
mod kill;
#[path = "../api/lifecycle.rs"]
mod lifecycle;
mod nodes;
#[path = "../api/process.rs"]
mod process;
mod proxy;
#[path = "../api/publish.rs"]
mod publish;
#[path = "../api/query.rs"]
mod query;
#[path = "../api/reading.rs"]
mod reading;
#[path = "../api/recorded.rs"]
mod recorded;
#[path = "../api/retention.rs"]
mod retention;
#[path = "../api/streams.rs"]
mod streams;
mod tls;
#[path = "../api/tokens.rs"]
mod tokens;

const ON_POSTGRES: bool = true;
