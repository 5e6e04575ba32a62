//! Key bundles: an identity key signed by a wallet, and a pre-key signed by the identity key.
//!
//! Two generations are on the wire. Legacy (V1) keys carry milliseconds and keep the wallet's signature as
//! `ecdsa_compact`; signed (V2) keys carry their signed bytes verbatim and keep it as `wallet_ecdsa_compact`. Either
//! converts to the other without a new signature, as long as the signed key came from a legacy one.
//! A [`VerifiedBundle`] is the proof that both signatures were checked.

mod identity;
mod legacy;
mod private;
mod signed;
mod verified;

pub use identity::UnsignedIdentity;
pub use legacy::{LegacyPublicKey, PublicKeyBundle};
pub use private::PrivateKeyBundle;
pub use signed::{SignedPublicKey, SignedPublicKeyBundle};
pub use verified::VerifiedBundle;
