//! Making an identity, in two steps because a wallet signs in between.

use super::{
    private::PrivateKeyBundle, private::SignedPrivateKey, signed::SignedPublicKey,
    signed::SignedPublicKeyBundle,
};
use crate::{
    Error, Reason,
    address::Address,
    hash::sha256,
    key::{PrivateKey, PublicKey},
    signature::Signature,
    time::TimestampNs,
    wallet,
};

/// A new identity key that waits for its wallet's signature.
#[derive(Debug)]
pub struct UnsignedIdentity {
    key: PrivateKey,
    created: TimestampNs,
    generation: Generation,
}

/// Which clients understand a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Generation {
    Legacy,
    Native,
}

impl Generation {
    /// The number in a key's signed bytes: milliseconds in legacy keys.
    const fn stamp(self, created: TimestampNs) -> u64 {
        match self {
            Self::Legacy => created.as_ms(),
            Self::Native => created.as_ns(),
        }
    }

    /// What is signed of a key. Both generations sign the same fields: time and point.
    fn signed_bytes(self, key: &PublicKey, created: TimestampNs) -> Vec<u8> {
        SignedPublicKey::native_bytes(self.stamp(created), key)
    }

    /// A pre-key, signed by the identity key.
    pub(super) fn pre_key(
        self,
        identity_key: &PrivateKey,
        pre_key: PrivateKey,
        created: TimestampNs,
    ) -> SignedPrivateKey {
        let signed_bytes = self.signed_bytes(pre_key.public_key(), created);
        let signature = identity_key.sign(&sha256(&[&signed_bytes]));
        self.complete(pre_key, created, signed_bytes, signature)
    }

    fn complete(
        self,
        key: PrivateKey,
        created: TimestampNs,
        key_bytes: Vec<u8>,
        signature: Signature,
    ) -> SignedPrivateKey {
        let public = SignedPublicKey::new(
            key_bytes,
            self.stamp(created),
            key.public_key().clone(),
            signature,
        );
        let created_ns = match self {
            // Legacy private keys carry whole milliseconds.
            Self::Legacy => created.as_ns() - created.as_ns() % 1_000_000,
            Self::Native => created.as_ns(),
        };
        SignedPrivateKey {
            created_ns,
            key,
            public,
        }
    }
}

impl UnsignedIdentity {
    /// A key that both generations of clients understand; its time is cut to milliseconds. What every client makes.
    pub const fn legacy(key: PrivateKey, created: TimestampNs) -> Self {
        Self {
            key,
            created,
            generation: Generation::Legacy,
        }
    }

    /// A key that only V2 knows, with nanoseconds.
    pub const fn native(key: PrivateKey, created: TimestampNs) -> Self {
        Self {
            key,
            created,
            generation: Generation::Native,
        }
    }

    fn key_bytes(&self) -> Vec<u8> {
        self.generation.signed_bytes(self.key.public_key(), self.created)
    }

    /// The text the wallet has to sign.
    pub fn text(&self) -> String {
        wallet::create_identity_text(&self.key_bytes())
    }

    /// Completes the identity with the wallet's signature of [`UnsignedIdentity::text`] (R, S, v) and a first pre-key.
    /// Refuses a signature of another wallet than `wallet`.
    pub fn signed(
        self,
        wallet: Address,
        signature: &[u8; 65],
        pre_key: PrivateKey,
        pre_created: TimestampNs,
    ) -> Result<PrivateKeyBundle, Error> {
        let signature = Signature::from_wallet(signature)?;
        let found = wallet::recover(&self.text(), &signature)?;
        if found != wallet {
            return Err(Reason::OtherWallet {
                found,
                wanted: wallet,
            }
            .into());
        }
        let key_bytes = self.key_bytes();
        let pre_key = self.generation.pre_key(&self.key, pre_key, pre_created);
        let identity_key = self
            .generation
            .complete(self.key, self.created, key_bytes, signature);
        let public =
            SignedPublicKeyBundle::new(identity_key.public.clone(), pre_key.public.clone()).verify()?;
        Ok(PrivateKeyBundle::new(identity_key, pre_key, Vec::new(), public))
    }
}
