//! A real node on free ports, spoken to over real HTTP and gRPC.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod gateway;
mod harness;
mod lifecycle;
mod publish;
mod query;
mod recorded;
mod streams;
mod tokens;
