//! The shared secret of two bundles.

use zeroize::Zeroizing;

use crate::{bundle::VerifiedBundle, key::PrivateKey};

/// Which side of the secret we are: the secret from A to B is not the one from B to A.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Our identity key meets the peer's pre-key first.
    Sender,
    /// Our pre-key meets the peer's identity key first.
    Recipient,
}

/// Three shared points, 65 bytes each: sender's identity with recipient's pre-key, sender's pre-key with recipient's
/// identity, both pre-keys. That the peer's signatures were checked is what [`VerifiedBundle`] proves.
pub fn shared_secret(
    identity_key: &PrivateKey,
    pre_key: &PrivateKey,
    peer: &VerifiedBundle,
    role: Role,
) -> Zeroizing<[u8; 195]> {
    let (peer_identity, peer_pre_key) = (peer.bundle().identity_key().key(), peer.bundle().pre_key().key());
    let by_identity = identity_key.diffie_hellman(peer_pre_key);
    let by_pre_key = pre_key.diffie_hellman(peer_identity);
    let by_both = pre_key.diffie_hellman(peer_pre_key);
    let (first, second) = match role {
        Role::Sender => (by_identity, by_pre_key),
        Role::Recipient => (by_pre_key, by_identity),
    };
    let mut secret = Zeroizing::new([0; 195]);
    for (to, from) in secret
        .iter_mut()
        .zip(first.iter().chain(second.iter()).chain(by_both.iter()))
    {
        *to = *from;
    }
    secret
}
