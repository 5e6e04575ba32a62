//! A user's own keys.

use std::fmt;

use prost::Message as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    identity::Generation,
    legacy::{LegacyPublicKey, PublicKeyBundle},
    signed::{SignedPublicKey, SignedPublicKeyBundle},
    verified::VerifiedBundle,
};
use crate::{
    Error, Reason,
    address::Address,
    error,
    key::{PrivateKey, PublicKey},
    proto::contents::{self, private_key_bundle::Version},
    signature::Signer,
    time::TimestampNs,
};

/// A private key with its advertised half.
#[derive(Clone)]
pub(super) struct SignedPrivateKey {
    /// Nanoseconds, also for legacy keys.
    pub(super) created_ns: u64,
    pub(super) key: PrivateKey,
    pub(super) public: SignedPublicKey,
}

/// A user's identity key and pre-keys, newest first, all consistent with their public halves.
/// Wiped when dropped; Debug shows the address only.
#[derive(Clone)]
pub struct PrivateKeyBundle {
    identity_key: SignedPrivateKey,
    pre_key: SignedPrivateKey,
    older_pre_keys: Vec<SignedPrivateKey>,
    public: VerifiedBundle,
}

impl PrivateKeyBundle {
    pub(super) const fn new(
        identity_key: SignedPrivateKey,
        pre_key: SignedPrivateKey,
        older_pre_keys: Vec<SignedPrivateKey>,
        public: VerifiedBundle,
    ) -> Self {
        Self {
            identity_key,
            pre_key,
            older_pre_keys,
            public,
        }
    }

    /// Decodes `xmtp.message_contents.PrivateKeyBundle` of either version.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let proto: contents::PrivateKeyBundle = error::decode("private key bundle", bytes)?;
        match proto.version {
            Some(Version::V1(v1)) => Self::from_v1(v1),
            Some(Version::V2(v2)) => Self::from_v2(v2),
            None => Err(Error::missing("private key bundle", "v1")),
        }
    }

    pub(crate) fn from_v1(mut v1: contents::PrivateKeyBundleV1) -> Result<Self, Error> {
        let keys = v1.identity_key.take().ok_or_else(|| missing("identity_key"))?;
        let identity_key = SignedPrivateKey::from_legacy(keys, Signer::Wallet)?;
        let pre_keys = v1
            .pre_keys
            .into_iter()
            .map(|key| SignedPrivateKey::from_legacy(key, Signer::Key));
        Self::assemble(identity_key, pre_keys.collect::<Result<_, _>>()?)
    }

    fn from_v2(mut v2: contents::PrivateKeyBundleV2) -> Result<Self, Error> {
        let keys = v2.identity_key.take().ok_or_else(|| missing("identity_key"))?;
        let identity_key = SignedPrivateKey::from_signed(keys)?;
        let pre_keys = v2.pre_keys.into_iter().map(SignedPrivateKey::from_signed);
        Self::assemble(identity_key, pre_keys.collect::<Result<_, _>>()?)
    }

    fn assemble(identity_key: SignedPrivateKey, pre_keys: Vec<SignedPrivateKey>) -> Result<Self, Error> {
        let mut pre_keys = pre_keys.into_iter();
        let pre_key = pre_keys.next().ok_or_else(|| missing("pre_keys"))?;
        let public =
            SignedPublicKeyBundle::new(identity_key.public.clone(), pre_key.public.clone()).verify()?;
        Ok(Self::new(identity_key, pre_key, pre_keys.collect(), public))
    }

    /// The same identity with a new pre-key, which is advertised from now on. It is of the generation of the identity key,
    /// so that a bundle with a legacy form keeps one.
    ///
    /// No older pre-key is dropped, whatever their number: an invitation stays sealed to the pre-key it was made for, and
    /// without that one a conversation could not be read again. A pre-key takes some 210 bytes, so a node's largest message
    /// has room for thousands.
    pub fn rotated(&self, pre_key: PrivateKey, now: TimestampNs) -> Result<Self, Error> {
        let identity_key = self.identity_key.clone();
        let generation = if identity_key.public.is_from_legacy() {
            Generation::Legacy
        } else {
            Generation::Native
        };
        let pre_key = generation.pre_key(&identity_key.key, pre_key, now);
        let public =
            SignedPublicKeyBundle::new(identity_key.public.clone(), pre_key.public.clone()).verify()?;
        let older_pre_keys = self.pre_keys().cloned().collect();
        Ok(Self::new(identity_key, pre_key, older_pre_keys, public))
    }

    /// The keys of two copies of one identity, newest pre-key first: what either can open. None when the identities differ.
    pub fn joined(&self, other: &Self) -> Option<Self> {
        if self.identity_key.public != other.identity_key.public {
            return None;
        }
        let mut pre_keys: Vec<SignedPrivateKey> = self.pre_keys().cloned().collect();
        let missing = other
            .pre_keys()
            .filter(|key| self.pre_key_of(&key.public).is_none());
        pre_keys.extend(missing.cloned());
        pre_keys.sort_by_key(|key| std::cmp::Reverse(key.created_ns));
        Self::assemble(self.identity_key.clone(), pre_keys).ok()
    }

    /// Whether this is a copy of the same identity that opens all that the other one opens.
    pub fn has_all_of(&self, other: &Self) -> bool {
        self.identity_key.public == other.identity_key.public
            && other
                .pre_keys()
                .all(|pre_key| self.pre_key_of(&pre_key.public).is_some())
    }

    fn pre_keys(&self) -> impl Iterator<Item = &SignedPrivateKey> {
        std::iter::once(&self.pre_key).chain(&self.older_pre_keys)
    }

    /// Encodes as `PrivateKeyBundle.v1`, the form stored on the network; impossible for native V2 keys.
    pub fn encode_v1(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let v1 = contents::PrivateKeyBundleV1 {
            identity_key: Some(self.identity_key.to_legacy()?),
            pre_keys: self
                .pre_keys()
                .map(SignedPrivateKey::to_legacy)
                .collect::<Result<_, _>>()?,
        };
        let mut proto = contents::PrivateKeyBundle {
            version: Some(Version::V1(v1)),
        };
        let bytes = Zeroizing::new(proto.encode_to_vec());
        if let Some(Version::V1(v1)) = &mut proto.version {
            v1.identity_key
                .iter_mut()
                .chain(&mut v1.pre_keys)
                .for_each(wipe_legacy);
        }
        Ok(bytes)
    }

    /// Encodes as `PrivateKeyBundle.v2`.
    pub fn encode_v2(&self) -> Zeroizing<Vec<u8>> {
        let v2 = contents::PrivateKeyBundleV2 {
            identity_key: Some(self.identity_key.to_signed()),
            pre_keys: self.pre_keys().map(SignedPrivateKey::to_signed).collect(),
        };
        let mut proto = contents::PrivateKeyBundle {
            version: Some(Version::V2(v2)),
        };
        let bytes = Zeroizing::new(proto.encode_to_vec());
        if let Some(Version::V2(v2)) = &mut proto.version {
            v2.identity_key
                .iter_mut()
                .chain(&mut v2.pre_keys)
                .for_each(wipe_signed);
        }
        bytes
    }

    /// The advertised bundle: identity key and newest pre-key.
    pub const fn public(&self) -> &VerifiedBundle {
        &self.public
    }

    /// The advertised bundle in the legacy form; impossible for native V2 keys.
    pub fn public_v1(&self) -> Result<PublicKeyBundle, Error> {
        self.public.bundle().to_legacy()
    }

    /// The wallet these keys belong to.
    pub const fn address(&self) -> Address {
        self.public.address()
    }

    /// The identity key.
    pub const fn identity_key(&self) -> &PrivateKey {
        &self.identity_key.key
    }

    /// When the identity key was made.
    pub const fn created(&self) -> TimestampNs {
        TimestampNs::from_ns(self.identity_key.created_ns)
    }

    /// The newest pre-key, the one advertised and used to sign.
    pub const fn pre_key(&self) -> &PrivateKey {
        &self.pre_key.key
    }

    /// Which of our pre-keys this is, rotated ones included.
    pub fn pre_key_of(&self, public: &SignedPublicKey) -> Option<&PrivateKey> {
        self.pre_keys()
            .find(|pre_key| pre_key.public == *public)
            .map(|pre_key| &pre_key.key)
    }

    /// Which of our pre-keys has this public half, rotated ones included; legacy keys are told apart by that alone.
    pub(crate) fn pre_key_with(&self, public: &PublicKey) -> Option<&PrivateKey> {
        self.pre_keys()
            .find(|pre_key| pre_key.public.key() == public)
            .map(|pre_key| &pre_key.key)
    }
}

impl fmt::Debug for PrivateKeyBundle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PrivateKeyBundle(of {})", self.address())
    }
}

impl SignedPrivateKey {
    fn from_legacy(mut proto: contents::PrivateKey, signer: Signer) -> Result<Self, Error> {
        let result = Self::read_legacy(&proto, signer);
        wipe_legacy(&mut proto);
        result
    }

    fn read_legacy(proto: &contents::PrivateKey, signer: Signer) -> Result<Self, Error> {
        let Some(contents::private_key::Union::Secp256k1(secret)) = &proto.union else {
            return Err(missing("secp256k1"));
        };
        let public = proto.public_key.as_ref().ok_or_else(|| missing("public_key"))?;
        let public = LegacyPublicKey::from_proto(public)?.to_signed(signer)?;
        let created = TimestampNs::from_ms(proto.timestamp)
            .ok_or_else(|| Error::malformed("private key", "timestamp out of range"))?;
        Self::new(created.as_ns(), &secret.bytes, public)
    }

    fn from_signed(mut proto: contents::SignedPrivateKey) -> Result<Self, Error> {
        let result = Self::read_signed(&proto);
        wipe_signed(&mut proto);
        result
    }

    fn read_signed(proto: &contents::SignedPrivateKey) -> Result<Self, Error> {
        let Some(contents::signed_private_key::Union::Secp256k1(secret)) = &proto.union else {
            return Err(missing("secp256k1"));
        };
        let public = proto.public_key.as_ref().ok_or_else(|| missing("public_key"))?;
        Self::new(
            proto.created_ns,
            &secret.bytes,
            SignedPublicKey::from_proto(public)?,
        )
    }

    fn new(created_ns: u64, secret: &[u8], public: SignedPublicKey) -> Result<Self, Error> {
        let key = PrivateKey::from_bytes(secret)?;
        if key.public_key() != public.key() {
            return Err(Reason::KeyPair.into());
        }
        Ok(Self {
            created_ns,
            key,
            public,
        })
    }

    fn to_legacy(&self) -> Result<contents::PrivateKey, Error> {
        let public_key = self.public.to_legacy()?.to_proto();
        let secret = contents::private_key::Secp256k1 {
            bytes: self.key.to_bytes().to_vec(),
        };
        Ok(contents::PrivateKey {
            timestamp: TimestampNs::from_ns(self.created_ns).as_ms(),
            union: Some(contents::private_key::Union::Secp256k1(secret)),
            public_key: Some(public_key),
        })
    }

    fn to_signed(&self) -> contents::SignedPrivateKey {
        let secret = contents::signed_private_key::Secp256k1 {
            bytes: self.key.to_bytes().to_vec(),
        };
        contents::SignedPrivateKey {
            created_ns: self.created_ns,
            union: Some(contents::signed_private_key::Union::Secp256k1(secret)),
            public_key: Some(self.public.to_proto()),
        }
    }
}

fn wipe_legacy(proto: &mut contents::PrivateKey) {
    if let Some(contents::private_key::Union::Secp256k1(secret)) = &mut proto.union {
        secret.bytes.zeroize();
    }
}

fn wipe_signed(proto: &mut contents::SignedPrivateKey) {
    if let Some(contents::signed_private_key::Union::Secp256k1(secret)) = &mut proto.union {
        secret.bytes.zeroize();
    }
}

fn missing(field: &str) -> Error {
    Error::missing("private key bundle", field)
}
