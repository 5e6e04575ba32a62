//! secp256k1 keys with their points parsed once.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use k256::{
    NonZeroScalar, ProjectivePoint,
    ecdsa::{self, SigningKey, VerifyingKey, signature::hazmat::PrehashVerifier as _},
    elliptic_curve::sec1::ToSec1Point as _,
};
use zeroize::Zeroizing;

use crate::{
    Error, Reason,
    address::Address,
    signature::{Signature, Signer},
};

/// A public key: on the wire always 65 bytes, 0x04, X, Y. Equal when those are equal.
#[derive(Clone)]
pub struct PublicKey {
    bytes: [u8; 65],
    point: VerifyingKey,
}

impl PublicKey {
    /// Reads 65 uncompressed bytes; anything else, and a point off the curve, is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: [u8; 65] = bytes
            .try_into()
            .map_err(|_| Error::length("public key", bytes.len(), 65))?;
        if !bytes.starts_with(&[0x04]) {
            return Err(Error::malformed(
                "public key",
                "wanted the uncompressed form, 0x04 first",
            ));
        }
        let point = VerifyingKey::from_sec1_bytes(&bytes)
            .map_err(|_| Error::malformed("public key", "not a point of the curve"))?;
        Ok(Self { bytes, point })
    }

    fn from_point(point: VerifyingKey) -> Self {
        Self {
            bytes: uncompressed(&ProjectivePoint::from(*point.as_affine())),
            point,
        }
    }

    /// The 65 bytes.
    pub const fn as_bytes(&self) -> &[u8; 65] {
        &self.bytes
    }

    /// The Ethereum address of this key.
    pub fn address(&self) -> Address {
        Address::of_point(&self.bytes)
    }

    /// Checks a signature over a digest: `ecdsa_compact` only, low-S only, the recovery bit does not matter.
    pub fn verify(&self, digest: &[u8; 32], signature: &Signature) -> Result<(), Error> {
        let wrong = || Error::from(Reason::Signature);
        if signature.signer() != Signer::Key {
            return Err(wrong());
        }
        let signature = ecdsa::Signature::from_slice(signature.as_bytes()).map_err(|_| wrong())?;
        // The curve's verifier refuses high-S itself; a test holds it to that.
        self.point.verify_prehash(digest, &signature).map_err(|_| wrong())
    }

    /// The key that made a signature over a digest. High-S is taken, as wallets may make it.
    pub fn recover(digest: &[u8; 32], signature: &Signature) -> Result<Self, Error> {
        let wrong = || Error::from(Reason::Unrecoverable);
        let given = ecdsa::Signature::from_slice(signature.as_bytes()).map_err(|_| wrong())?;
        // The library recovers low-S only. (r, n - s) with the other parity is of the same key.
        let low = given.normalize_s();
        let odd = (signature.recovery() == 1) != (low != given);
        let point = VerifyingKey::recover_from_prehash(digest, &low, ecdsa::RecoveryId::new(odd, false))
            .map_err(|_| wrong())?;
        Ok(Self::from_point(point))
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for PublicKey {}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({})", self.address())
    }
}

/// A private key. Wiped when dropped; neither displayed nor compared.
#[derive(Clone)]
pub struct PrivateKey {
    secret: SigningKey,
    public: PublicKey,
}

impl PrivateKey {
    /// Reads 32 bytes, big-endian, in 1..n.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != 32 {
            return Err(Error::length("private key", bytes.len(), 32));
        }
        let secret = SigningKey::from_slice(bytes)
            .map_err(|_| Error::malformed("private key", "zero or not below the order of the curve"))?;
        let public = PublicKey::from_point(*secret.verifying_key());
        Ok(Self { secret, public })
    }

    /// The 32 bytes.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.to_bytes().into())
    }

    /// The public half.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a digest: deterministic (RFC 6979) and low-S, as `ecdsa_compact`.
    pub fn sign(&self, digest: &[u8; 32]) -> Signature {
        let (signature, recovery) = self.secret.sign_prehash_recoverable(digest);
        Signature::new(Signer::Key, signature.to_bytes().into(), recovery.is_y_odd())
    }

    /// The whole shared point, uncompressed: 0x04, X, Y.
    pub fn diffie_hellman(&self, peer: &PublicKey) -> Zeroizing<[u8; 65]> {
        let secret: &NonZeroScalar = self.secret.as_nonzero_scalar();
        Zeroizing::new(uncompressed(
            &(ProjectivePoint::from(*peer.point.as_affine()) * **secret),
        ))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PrivateKey(of {})", self.public.address())
    }
}

/// 65 bytes of a point that is not the identity: a key's point, or its product with a non-zero scalar.
fn uncompressed(point: &ProjectivePoint) -> [u8; 65] {
    let mut bytes = [0; 65];
    bytes.copy_from_slice(point.to_affine().to_sec1_point(false).as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> PrivateKey {
        PrivateKey::from_bytes(&[byte; 32]).unwrap()
    }

    /// n - s for the group order n.
    fn high_s(signature: &Signature) -> Signature {
        let parsed = ecdsa::Signature::from_slice(signature.as_bytes()).unwrap();
        let high = ecdsa::Signature::from_scalars(parsed.r().to_bytes(), (-*parsed.s()).to_bytes()).unwrap();
        Signature::new(Signer::Key, high.to_bytes().into(), signature.recovery() == 0)
    }

    #[test]
    fn a_high_s_signature_recovers_its_key_but_does_not_verify() {
        let digest = [7; 32];
        let low = key(1).sign(&digest);
        assert_eq!(key(1).public_key().verify(&digest, &low), Ok(()));
        let high = high_s(&low);
        assert_eq!(
            key(1).public_key().verify(&digest, &high),
            Err(Reason::Signature.into())
        );
        assert_eq!(
            PublicKey::recover(&digest, &low).as_ref(),
            Ok(key(1).public_key())
        );
        assert_eq!(
            PublicKey::recover(&digest, &high).as_ref(),
            Ok(key(1).public_key())
        );
    }

    #[test]
    fn the_recovery_bit_does_not_matter_to_verification_but_the_member_does() {
        let digest = [7; 32];
        let made = key(1).sign(&digest);
        let flipped = Signature::new(Signer::Key, *made.as_bytes(), made.recovery() == 0);
        assert_eq!(key(1).public_key().verify(&digest, &flipped), Ok(()));
        assert!(
            key(1)
                .public_key()
                .verify(&digest, &made.with_signer(Signer::Wallet))
                .is_err()
        );
        assert!(key(2).public_key().verify(&digest, &made).is_err());
    }

    #[test]
    fn both_sides_compute_the_same_shared_point() {
        assert_eq!(
            key(1).diffie_hellman(key(2).public_key()),
            key(2).diffie_hellman(key(1).public_key())
        );
    }

    #[test]
    fn compressed_foreign_and_short_keys_are_refused() {
        let bytes = *key(1).public_key().as_bytes();
        assert!(PublicKey::from_bytes(&bytes).is_ok());
        let mut off_curve = bytes;
        off_curve[64] ^= 1;
        let mut marked = bytes;
        marked[0] = 0x06;
        for wrong in [&off_curve[..], &marked[..], &bytes[..64], &bytes[1..], &[]] {
            assert!(PublicKey::from_bytes(wrong).is_err());
        }
        for wrong in [&[0; 32][..], &[0xff; 32], &[1; 31], &[1; 33]] {
            assert!(PrivateKey::from_bytes(wrong).is_err());
        }
    }

    #[test]
    fn debug_output_has_no_key() {
        let shown = format!("{:?} {:?}", key(0x5a), key(0x5a).public_key());
        assert!(!shown.contains("5a5a"), "{shown}");
        assert!(
            !shown.contains(&const_hex::encode(&key(0x5a).public_key().as_bytes()[1..9])),
            "{shown}"
        );
    }
}
