//! Legacy (V1) public keys.

use prost::Message as _;

use super::signed::{SignedPublicKey, SignedPublicKeyBundle};
use crate::{
    Error, Reason,
    address::Address,
    error,
    key::PublicKey,
    proto::contents,
    signature::{Signature, Signer},
    wallet,
};

/// A legacy public key. Equal to another when the 65 bytes are.
#[derive(Debug, Clone)]
pub struct LegacyPublicKey {
    timestamp_ms: u64,
    key: PublicKey,
    signature: Option<Signature>,
}

impl LegacyPublicKey {
    pub(super) const fn new(timestamp_ms: u64, key: PublicKey, signature: Option<Signature>) -> Self {
        Self {
            timestamp_ms,
            key,
            signature,
        }
    }

    /// Reads the wire's form. A signature in the wallet's member counts as `ecdsa_compact`, as some clients wrote it.
    pub fn from_proto(proto: &contents::PublicKey) -> Result<Self, Error> {
        let Some(contents::public_key::Union::Secp256k1Uncompressed(point)) = &proto.union else {
            return Err(Error::missing("public key", "secp256k1_uncompressed"));
        };
        let key = PublicKey::from_bytes(&point.bytes)?;
        let signature = proto.signature.as_ref().map(Signature::from_proto).transpose()?;
        let signature = signature.map(|signature| signature.with_signer(Signer::Key));
        Ok(Self {
            timestamp_ms: proto.timestamp,
            key,
            signature,
        })
    }

    /// The wire's form.
    pub fn to_proto(&self) -> contents::PublicKey {
        contents::PublicKey {
            signature: self.signature.as_ref().map(Signature::to_proto),
            ..self.unsigned()
        }
    }

    fn unsigned(&self) -> contents::PublicKey {
        contents::PublicKey {
            timestamp: self.timestamp_ms,
            signature: None,
            union: Some(contents::public_key::Union::Secp256k1Uncompressed(
                contents::public_key::Secp256k1Uncompressed {
                    bytes: self.key.as_bytes().to_vec(),
                },
            )),
        }
    }

    /// What the signature covers: this key without its signature, encoded anew.
    pub fn signed_bytes(&self) -> Vec<u8> {
        self.unsigned().encode_to_vec()
    }

    /// Milliseconds since the epoch.
    pub const fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }

    /// The key itself.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The signature, always as `ecdsa_compact`.
    pub const fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// The wallet that signed this key as its identity.
    pub fn wallet_address(&self) -> Result<Address, Error> {
        let signature = self.signature.as_ref().ok_or(Reason::NotWalletSigned)?;
        wallet::recover(&wallet::create_identity_text(&self.signed_bytes()), signature)
    }

    /// The same key in the other generation; the signature moves unchanged, to the member of `signer`.
    pub(super) fn to_signed(&self, signer: Signer) -> Result<SignedPublicKey, Error> {
        let signature = self.signature.ok_or(match signer {
            Signer::Wallet => Reason::NotWalletSigned,
            Signer::Key => Reason::PreKeySignature,
        })?;
        let (key_bytes, key) = (self.signed_bytes(), self.key.clone());
        Ok(SignedPublicKey::new(
            key_bytes,
            self.timestamp_ms,
            key,
            signature.with_signer(signer),
        ))
    }
}

impl PartialEq for LegacyPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for LegacyPublicKey {}

/// A legacy bundle: both keys parsed, no signature checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeyBundle {
    /// Signed by the wallet.
    pub identity_key: LegacyPublicKey,
    /// Signed by the identity key.
    pub pre_key: LegacyPublicKey,
}

impl PublicKeyBundle {
    /// Reads the wire's form.
    pub fn from_proto(proto: &contents::PublicKeyBundle) -> Result<Self, Error> {
        let missing = |field| Error::missing("public key bundle", field);
        let identity_key = proto
            .identity_key
            .as_ref()
            .ok_or_else(|| missing("identity_key"))?;
        let pre_key = proto.pre_key.as_ref().ok_or_else(|| missing("pre_key"))?;
        Ok(Self {
            identity_key: LegacyPublicKey::from_proto(identity_key)?,
            pre_key: LegacyPublicKey::from_proto(pre_key)?,
        })
    }

    /// The wire's form.
    pub fn to_proto(&self) -> contents::PublicKeyBundle {
        contents::PublicKeyBundle {
            identity_key: Some(self.identity_key.to_proto()),
            pre_key: Some(self.pre_key.to_proto()),
        }
    }

    /// Decodes `xmtp.message_contents.PublicKeyBundle`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_proto(&error::decode("public key bundle", bytes)?)
    }

    /// Encodes `xmtp.message_contents.PublicKeyBundle`.
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// The same bundle in the other generation; both keys must carry a signature.
    pub fn to_signed(&self) -> Result<SignedPublicKeyBundle, Error> {
        let identity_key = self.identity_key.to_signed(Signer::Wallet)?;
        Ok(SignedPublicKeyBundle::new(
            identity_key,
            self.pre_key.to_signed(Signer::Key)?,
        ))
    }
}
