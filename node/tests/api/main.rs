//! A real node on free ports, spoken to over real HTTP and gRPC.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod access;
mod archive;
mod bad_input;
mod binary;
mod client;
mod conformance;
mod connections;
mod deadlines;
mod faults;
mod file;
mod forged_tokens;
mod gateway;
mod harness;
mod kill;
mod lifecycle;
mod limits;
mod log;
mod openapi;
mod operations;
mod process;
mod publish;
mod query;
mod reading;
mod recorded;
mod reflection;
mod retention;
mod shipped;
mod streams;
mod sync;
mod tls;
mod tokens;
mod topics;

/// The same promises are tested on `PostgreSQL` by another program.
const ON_POSTGRES: bool = false;
