//! herald sends end-to-end encrypted XMTP messages to blockchain wallets, as YAML bots declare them.
//!
//! ```text
//! cli       commands: dev, run, check, node, send, inbox, keys, deliveries
//!  └ console   HTTP API: webhooks, manual rules
//!     └ bot       YAML file -> trigger -> occurrence -> audience -> rows -> sealed bytes -> settled
//!        └ client    identity, contacts, conversations, messages, streams over gRPC
//!           └ content   what messages say
//!              └ herald-protocol   keys, bundles, invitations, ciphertext; no I/O
//! fetch     the one outbound HTTP client for what bots and strangers name
//! network   the one place that embeds a node (herald-node)
//! ```
//!
//! Dependencies point down and never up. With `default-features = false, features = ["client"]` this crate is an XMTP client and
//! nothing else.

#[cfg(feature = "bot")]
pub mod bot;
#[cfg(feature = "cli")]
pub mod cli;
pub mod client;
pub mod clock;
#[cfg(feature = "console")]
pub mod console;
pub mod content;
pub mod fetch;
#[cfg(feature = "embedded-node")]
pub mod network;

pub use herald_protocol as protocol;
