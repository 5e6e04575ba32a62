//! Signed (V2) public keys.

use prost::Message as _;

use super::{
    legacy::{LegacyPublicKey, PublicKeyBundle},
    verified::VerifiedBundle,
};
use crate::{
    Error, Reason,
    address::Address,
    error,
    hash::sha256,
    key::PublicKey,
    proto::contents,
    signature::{Signature, Signer},
    time::TimestampNs,
    wallet,
};

/// Below this a key's `created_ns` is in truth milliseconds: the key was converted from a legacy one.
const FIRST_NATIVE_NS: u64 = 1_000_000_000_000_000_000;

/// A public key with its signed bytes as they were received. Equal to another when the 65 bytes and the signature are.
#[derive(Debug, Clone)]
pub struct SignedPublicKey {
    key_bytes: Vec<u8>,
    created: u64,
    key: PublicKey,
    signature: Signature,
}

impl SignedPublicKey {
    pub(super) const fn new(key_bytes: Vec<u8>, created: u64, key: PublicKey, signature: Signature) -> Self {
        Self {
            key_bytes,
            created,
            key,
            signature,
        }
    }

    /// The signed bytes of a native key.
    pub(super) fn native_bytes(created_ns: u64, key: &PublicKey) -> Vec<u8> {
        let bytes = key.as_bytes().to_vec();
        let point = contents::unsigned_public_key::Secp256k1Uncompressed { bytes };
        let union = Some(contents::unsigned_public_key::Union::Secp256k1Uncompressed(point));
        contents::UnsignedPublicKey { created_ns, union }.encode_to_vec()
    }

    /// Reads the wire's form.
    pub fn from_proto(proto: &contents::SignedPublicKey) -> Result<Self, Error> {
        let unsigned: contents::UnsignedPublicKey = error::decode("public key", &proto.key_bytes)?;
        let Some(contents::unsigned_public_key::Union::Secp256k1Uncompressed(point)) = unsigned.union else {
            return Err(Error::missing("public key", "secp256k1_uncompressed"));
        };
        let signature = proto
            .signature
            .as_ref()
            .ok_or_else(|| Error::missing("public key", "signature"))?;
        Ok(Self {
            key_bytes: proto.key_bytes.clone(),
            created: unsigned.created_ns,
            key: PublicKey::from_bytes(&point.bytes)?,
            signature: Signature::from_proto(signature)?,
        })
    }

    /// The wire's form.
    pub fn to_proto(&self) -> contents::SignedPublicKey {
        contents::SignedPublicKey {
            key_bytes: self.key_bytes.clone(),
            signature: Some(self.signature.to_proto()),
        }
    }

    /// What the signature covers, as received.
    pub fn key_bytes(&self) -> &[u8] {
        &self.key_bytes
    }

    /// The key itself.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The signature.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Whether the key was converted from a legacy one.
    pub const fn is_from_legacy(&self) -> bool {
        self.created < FIRST_NATIVE_NS
    }

    /// When the key was made, as its signed bytes say; to the millisecond for one that was converted from a legacy key.
    pub fn created(&self) -> TimestampNs {
        if self.is_from_legacy() {
            TimestampNs::from_ms(self.created).unwrap_or(TimestampNs::from_ns(u64::MAX))
        } else {
            TimestampNs::from_ns(self.created)
        }
    }

    /// The wallet that signed this key as its identity; refuses a signature that is not in the wallet's member.
    pub fn wallet_address(&self) -> Result<Address, Error> {
        match self.signature.signer() {
            Signer::Wallet => {
                wallet::recover(&wallet::create_identity_text(&self.key_bytes), &self.signature)
            }
            Signer::Key => Err(Reason::NotWalletSigned.into()),
        }
    }

    pub(super) fn to_legacy(&self) -> Result<LegacyPublicKey, Error> {
        if !self.is_from_legacy() {
            return Err(Error::Unsupported {
                what: "legacy form of a key made at",
                found: self.created.to_string(),
            });
        }
        let signature = self.signature.with_signer(Signer::Key);
        Ok(LegacyPublicKey::new(
            self.created,
            self.key.clone(),
            Some(signature),
        ))
    }
}

impl PartialEq for SignedPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.signature == other.signature
    }
}

impl Eq for SignedPublicKey {}

/// A signed bundle: both keys parsed, no signature checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPublicKeyBundle {
    identity_key: SignedPublicKey,
    pre_key: SignedPublicKey,
}

impl SignedPublicKeyBundle {
    pub(super) const fn new(identity_key: SignedPublicKey, pre_key: SignedPublicKey) -> Self {
        Self {
            identity_key,
            pre_key,
        }
    }

    /// Reads the wire's form.
    pub fn from_proto(proto: &contents::SignedPublicKeyBundle) -> Result<Self, Error> {
        let missing = |field| Error::missing("signed public key bundle", field);
        let identity_key = proto
            .identity_key
            .as_ref()
            .ok_or_else(|| missing("identity_key"))?;
        let pre_key = proto.pre_key.as_ref().ok_or_else(|| missing("pre_key"))?;
        Ok(Self {
            identity_key: SignedPublicKey::from_proto(identity_key)?,
            pre_key: SignedPublicKey::from_proto(pre_key)?,
        })
    }

    /// The wire's form.
    pub fn to_proto(&self) -> contents::SignedPublicKeyBundle {
        contents::SignedPublicKeyBundle {
            identity_key: Some(self.identity_key.to_proto()),
            pre_key: Some(self.pre_key.to_proto()),
        }
    }

    /// Decodes `xmtp.message_contents.SignedPublicKeyBundle`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_proto(&error::decode("signed public key bundle", bytes)?)
    }

    /// Encodes `xmtp.message_contents.SignedPublicKeyBundle`.
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Signed by the wallet.
    pub const fn identity_key(&self) -> &SignedPublicKey {
        &self.identity_key
    }

    /// Signed by the identity key.
    pub const fn pre_key(&self) -> &SignedPublicKey {
        &self.pre_key
    }

    /// Whether both keys were converted from legacy ones.
    pub const fn is_from_legacy(&self) -> bool {
        self.identity_key.is_from_legacy() && self.pre_key.is_from_legacy()
    }

    /// The same bundle in the other generation; impossible for native keys.
    pub fn to_legacy(&self) -> Result<PublicKeyBundle, Error> {
        Ok(PublicKeyBundle {
            identity_key: self.identity_key.to_legacy()?,
            pre_key: self.pre_key.to_legacy()?,
        })
    }

    /// Checks the pre-key's signature and recovers the wallet.
    pub fn verify(self) -> Result<VerifiedBundle, Error> {
        VerifiedBundle::new(self)
    }

    pub(super) fn verify_pre_key(&self) -> Result<(), Error> {
        let digest = sha256(&[&self.pre_key.key_bytes]);
        let verified = self.identity_key.key.verify(&digest, &self.pre_key.signature);
        verified.map_err(|_| Reason::PreKeySignature.into())
    }
}
