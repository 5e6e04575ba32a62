//! The curve operations of the protocol by k256 alone: keys parsed, digests made, nothing encoded.

use k256::{
    PublicKey,
    ecdh::{self, SharedSecret},
    ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey, signature::hazmat::PrehashVerifier as _},
};

use crate::Error;

/// A key, and others that it meets.
pub(crate) struct Curve {
    key: SigningKey,
    others: Vec<Other>,
}

struct Other {
    point: PublicKey,
    verifying: VerifyingKey,
    digest: [u8; 32],
    signature: Signature,
    recovery: RecoveryId,
}

impl Curve {
    pub(crate) fn new() -> Result<Self, Error> {
        let other = |number| {
            let (key, digest) = (SigningKey::from_slice(&[number; 32])?, [number; 32]);
            let (signature, recovery) = key.sign_prehash_recoverable(&digest);
            Ok(Other {
                point: PublicKey::from(key.verifying_key()),
                verifying: *key.verifying_key(),
                digest,
                signature,
                recovery,
            })
        };
        Ok(Self {
            key: SigningKey::from_slice(&[200; 32])?,
            others: (1..=OTHERS).map(other).collect::<Result<_, Error>>()?,
        })
    }

    pub(crate) fn diffie_hellman(&self, number: u32) -> SharedSecret {
        ecdh::diffie_hellman(self.key.as_nonzero_scalar(), self.other(number).point.as_affine())
    }

    pub(crate) fn verify(&self, number: u32) -> Result<(), Error> {
        let other = self.other(number);
        Ok(other.verifying.verify_prehash(&other.digest, &other.signature)?)
    }

    /// k256 checks the signature with the key it has recovered, which is part of it.
    pub(crate) fn recover(&self, number: u32) -> Result<VerifyingKey, Error> {
        let other = self.other(number);
        Ok(VerifyingKey::recover_from_prehash(
            &other.digest,
            &other.signature,
            other.recovery,
        )?)
    }

    pub(crate) fn sign(&self, number: u32) -> (Signature, RecoveryId) {
        self.key.sign_prehash_recoverable(&self.other(number).digest)
    }

    fn other(&self, number: u32) -> &Other {
        &self.others[number as usize % self.others.len()]
    }
}

/// Different ones, so that no branch learns one by heart.
const OTHERS: u8 = 64;
