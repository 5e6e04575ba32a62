//! The XMTP V1/V2 wire, without I/O: neither clock nor randomness is read here, both are arguments.
//!
//! ```text
//!  wallet key ──signs text──▶ bundle::UnsignedIdentity ──▶ bundle::PrivateKeyBundle
//!                                                               │ public()
//!      key_bundle (sealed on the network) ◀── encode_v1 ────────┤
//!      contact    (published)             ◀── SignedPublicKeyBundle
//!      token      (bearer of a publish)   ◀── identity key      │
//!      consent    (log sealed to oneself) ◀── identity key      │
//!                                                               │
//!  peer's contact ─▶ contact::select ─▶ verify ─▶ VerifiedBundle┤
//!                                                               ▼
//!                                             x3dh::shared_secret (195 bytes)
//!                                                               │
//!  V2            invitation::Invitation  derive / seal / open ◀─┤
//!                                │ topic, key material          │      V1
//!                                ▼                              ▼
//!  content  ─▶ message_v2::Conversation  seal / open   message_v1::Session ◀─▶ message_v1::Conversation
//!                                └──────────────┬───────────────┘
//!                                               ▼
//!                    ciphertext::Ciphertext in an envelope (digest, header check) on a topic::Topic
//! ```
//!
//! What was checked is a value: a [`bundle::VerifiedBundle`], a [`token::VerifiedToken`], an
//! [`invitation::OpenedInvitation`], a [`message_v1::Session`] and a [`message::OpenedMessage`] exist only after
//! their checks.

pub mod address;
pub mod bundle;
pub mod ciphertext;
#[cfg(feature = "grpc")]
mod codec;
pub mod consent;
pub mod contact;
pub mod content;
pub mod envelope;
mod error;
mod excerpt;
mod hash;
pub mod hmac_keys;
pub mod invitation;
pub mod key;
pub mod key_bundle;
pub mod limits;
pub mod message;
pub mod message_v1;
pub mod message_v2;
pub mod proto;
pub mod signature;
pub mod time;
pub mod token;
pub mod topic;
pub mod wallet;
mod wire;
#[cfg(test)]
mod wycheproof;
pub mod x3dh;

pub use error::{Error, Reason};
pub use excerpt::Excerpt;
