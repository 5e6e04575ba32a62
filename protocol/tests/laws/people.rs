//! Two users and a stranger, made as the client makes them.

use std::sync::LazyLock;

use herald_protocol::{
    bundle::{PrivateKeyBundle, UnsignedIdentity},
    ciphertext::Entropy,
    invitation::{Invitation, InvitationContext},
    key::PrivateKey,
    message_v2::Conversation,
    proto::contents,
    time::TimestampNs,
    wallet::WalletKey,
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

pub(crate) const NOW: TimestampNs = TimestampNs::from_ns(1_700_000_000_123_000_000);

pub(crate) static ALICE: LazyLock<PrivateKeyBundle> = LazyLock::new(|| user(1));
pub(crate) static BOB: LazyLock<PrivateKeyBundle> = LazyLock::new(|| user(2));
pub(crate) static EVE: LazyLock<PrivateKeyBundle> = LazyLock::new(|| user(3));

pub(crate) fn key(seed: u8, kind: u8) -> PrivateKey {
    let mut bytes = [seed; 32];
    bytes[31] = kind;
    PrivateKey::from_bytes(&bytes).unwrap()
}

pub(crate) fn user(seed: u8) -> PrivateKeyBundle {
    user_with(UnsignedIdentity::legacy(key(seed, 1), NOW), seed)
}

/// A user of keys that have no legacy form.
pub(crate) fn native_user(seed: u8) -> PrivateKeyBundle {
    user_with(UnsignedIdentity::native(key(seed, 1), NOW), seed)
}

fn user_with(identity: UnsignedIdentity, seed: u8) -> PrivateKeyBundle {
    let wallet = WalletKey::from_bytes(&[seed; 32]).unwrap();
    let signature = wallet.sign_text(&identity.text());
    identity
        .signed(wallet.address(), &signature, key(seed, 2), NOW)
        .unwrap()
}

pub(crate) fn entropy(seed: u8) -> Entropy {
    Entropy::from_bytes([seed; 44])
}

pub(crate) fn invitation(id: &str) -> Invitation {
    Invitation::derive(&ALICE, BOB.public(), Some(InvitationContext::new(id)))
}

pub(crate) fn conversation() -> Conversation {
    let invitation = invitation("");
    Conversation::new(
        invitation.topic,
        invitation.key_material,
        [ALICE.address(), BOB.address()],
    )
}

/// The same user after a new pre-key, as its key bundle is stored: newest first.
pub(crate) fn rotated(user: &PrivateKeyBundle, pre_key: &PrivateKey) -> PrivateKeyBundle {
    use contents::{PublicKey, private_key, public_key};
    let bytes = user.encode_v1().unwrap();
    let mut bundle = contents::PrivateKeyBundle::decode(bytes.as_slice()).unwrap();
    let mut public_key = PublicKey {
        timestamp: NOW.as_ms() + 1,
        signature: None,
        union: Some(public_key::Union::Secp256k1Uncompressed(
            public_key::Secp256k1Uncompressed {
                bytes: pre_key.public_key().as_bytes().to_vec(),
            },
        )),
    };
    let digest = Sha256::digest(public_key.encode_to_vec()).into();
    public_key.signature = Some(user.identity_key().sign(&digest).to_proto());
    let Some(contents::private_key_bundle::Version::V1(v1)) = &mut bundle.version else {
        panic!("encoded as another version");
    };
    let new = contents::PrivateKey {
        timestamp: NOW.as_ms() + 1,
        union: Some(private_key::Union::Secp256k1(private_key::Secp256k1 {
            bytes: pre_key.to_bytes().to_vec(),
        })),
        public_key: Some(public_key),
    };
    v1.pre_keys.insert(0, new);
    PrivateKeyBundle::decode(&bundle.encode_to_vec()).unwrap()
}

/// Every copy of these bytes with one bit flipped.
pub(crate) fn flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut copy = bytes.to_vec();
        copy[bit / 8] ^= 1 << (bit % 8);
        copy
    })
}
