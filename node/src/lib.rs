//! An XMTP V2 message node: message API, access and limits, durable topic storage.
//!
//! ```text
//!  gRPC ──▶ api::grpc ────┐                                    ┌─▶ store ─▶ SQLite or PostgreSQL
//!                         ├─▶ Api ── token, topics, limits ────┤        │ arrivals, in commit order
//!  HTTP ──▶ api::gateway ─┘    │                               │        ▼
//!                              │ query ─▶ store::page          │   subscription::Feed ─▶ streams
//!                              └──────── subscribe ────────────┘        ▲ who fell behind: store::replay
//! ```
//!
//! [`Config::bind`] takes the ports, [`run`] serves until its token is cancelled, then drains: nothing acknowledged is
//! lost, and every open stream is told why it ends.

pub mod access_list;
mod api;
mod caller;
pub mod clock;
pub mod command;
pub mod config;
mod connection;
mod envelope;
pub mod host;
pub mod listen;
pub mod metrics;
pub mod operator;
mod places;
mod server;
mod store;
mod subscription;
pub mod tls;

#[doc(hidden)]
pub use api::{access::TokenCheck, decoders};
pub use config::Config;
pub use host::Host;
pub use listen::{Addresses, Listeners};
#[doc(hidden)]
pub use server::serve_handler;
pub use server::{Error, run};
pub use store::OpenError;
