//! The XMTP V1/V2 wire, without I/O: neither clock nor randomness is read here, both are arguments.
//!
//! ```text
//!  wallet key ──signs text──▶ bundle::UnsignedIdentity ──▶ bundle::PrivateKeyBundle
//!                                                               │ public()
//!      key_bundle (sealed on the network) ◀── encode_v1 ────────┤
//!      contact    (published)             ◀── SignedPublicKeyBundle
//!      token      (bearer of a publish)   ◀── identity key      │
//!                                                               │
//!  peer's contact ─▶ contact::select ─▶ verify ─▶ VerifiedBundle┤
//!                                                               ▼
//!                                             x3dh::shared_secret (195 bytes)
//!                                                               │
//!                invitation::Invitation  derive / seal / open ◀─┤
//!                                │ topic, key material          │
//!                                ▼                              ▼
//!  content::EncodedContent ─▶ message_v2::Conversation seal / open ─▶ ciphertext::Ciphertext
//!                                                │
//!                                                ▼
//!                            envelope (digest, header check) on a topic::Topic
//! ```
//!
//! What was checked is a value: a [`bundle::VerifiedBundle`], a [`token::VerifiedToken`], an
//! [`invitation::OpenedInvitation`] and a [`message_v2::OpenedMessage`] exist only after their checks.

pub mod address;
pub mod bundle;
pub mod ciphertext;
pub mod contact;
pub mod content;
pub mod envelope;
mod error;
mod hash;
pub mod invitation;
pub mod key;
pub mod key_bundle;
pub mod limits;
pub mod message_v2;
pub mod proto;
pub mod signature;
pub mod time;
pub mod token;
pub mod topic;
pub mod wallet;
pub mod x3dh;

pub use error::{Error, Reason};
