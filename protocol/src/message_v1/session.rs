//! Who writes to whom with which keys, checked once.

use std::fmt;

use prost::Message as _;
use zeroize::Zeroizing;

use super::sealed::Sealed;
use crate::{
    Error, Reason,
    address::Address,
    bundle::{LegacyPublicKey, PrivateKeyBundle, PublicKeyBundle, VerifiedBundle},
    ciphertext::{Ciphertext, Entropy},
    hash::sha256,
    proto::contents::{self, message::Version},
    signature::Signature,
    time::TimestampNs,
    x3dh::{self, Role},
};

/// Two bundles, one of them ours, in the direction of a message, checked, with the secret they share.
/// Wiped when dropped; Debug hides the secret.
#[derive(Clone)]
pub struct Session {
    sender: Party,
    recipient: Party,
    secret: Zeroizing<[u8; 195]>,
}

/// Tells sessions apart: SHA-256 over the two encoded bundles. For callers that keep many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// The session of an encoded message, read from its plain header without checking anything.
    pub fn of(message: &[u8]) -> Result<Self, Error> {
        Sealed::decode(message).map(|sealed| Self::between(&sealed.sender, &sealed.recipient))
    }

    fn between(sender: &[u8], recipient: &[u8]) -> Self {
        // Each is hashed first, so that moving bytes from one to the other makes another id.
        Self(sha256(&[&sha256(&[sender]), &sha256(&[recipient])]))
    }
}

/// A wallet and the legacy bundle that speaks for it, as a header encodes it.
#[derive(Clone)]
struct Party {
    wallet: Address,
    encoded: Vec<u8>,
}

impl Session {
    /// The session of what we send to a peer, with our newest pre-key. Fails when either bundle has no legacy form.
    /// Costs three multiplications.
    pub fn outgoing(own: &PrivateKeyBundle, peer: &VerifiedBundle) -> Result<Self, Error> {
        let sender = Party {
            wallet: own.address(),
            encoded: own.public_v1()?.encode(),
        };
        let recipient = Party {
            wallet: peer.address(),
            encoded: peer.bundle().to_legacy()?.encode(),
        };
        let secret = x3dh::shared_secret(own.identity_key(), own.pre_key(), peer, Role::Sender);
        Ok(Self {
            sender,
            recipient,
            secret,
        })
    }

    /// The session a header names: one side has our identity key and any of our pre-keys, the other is checked.
    /// What costs little is checked first.
    pub(super) fn named(own: &PrivateKeyBundle, sealed: &Sealed) -> Result<Self, Error> {
        let sender = PublicKeyBundle::decode(&sealed.sender)?;
        let recipient = PublicKeyBundle::decode(&sealed.recipient)?;
        let is_ours = |bundle: &PublicKeyBundle| bundle.identity_key.key() == own.identity_key().public_key();
        let (ours, peer, role) = if is_ours(&sender) {
            (&sender, &recipient, Role::Sender)
        } else {
            (&recipient, &sender, Role::Recipient)
        };
        if !is_ours(ours) {
            return Err(Reason::NotOurPreKey.into());
        }
        let pre_key = own.pre_key_with(ours.pre_key.key()).ok_or(Reason::NotOurPreKey)?;
        let our_wallet = wallet_of(own, &ours.identity_key)?;
        let peer = peer.to_signed()?.verify()?;
        let secret = x3dh::shared_secret(own.identity_key(), pre_key, &peer, role);
        let (sender, recipient) = match role {
            Role::Sender => (our_wallet, peer.address()),
            Role::Recipient => (peer.address(), our_wallet),
        };
        Ok(Self {
            sender: Party {
                wallet: sender,
                encoded: sealed.sender.clone(),
            },
            recipient: Party {
                wallet: recipient,
                encoded: sealed.recipient.clone(),
            },
            secret,
        })
    }

    /// The wallet whose messages these are.
    pub const fn sender(&self) -> Address {
        self.sender.wallet
    }

    /// The wallet they are for.
    pub const fn recipient(&self) -> Address {
        self.recipient.wallet
    }

    /// The two wallets, the sender first.
    pub(super) const fn parties(&self) -> [Address; 2] {
        [self.sender.wallet, self.recipient.wallet]
    }

    /// The encoded message of an encoded content; `sent` is cut to milliseconds.
    pub(super) fn seal(&self, payload: &[u8], sent: TimestampNs, entropy: Entropy) -> Vec<u8> {
        let header_bytes = contents::MessageHeaderV1 {
            sender: Some(self.sender.encoded.clone()),
            recipient: Some(self.recipient.encoded.clone()),
            timestamp: sent.as_ms(),
        }
        .encode_to_vec();
        let ciphertext = Ciphertext::seal(payload, self.secret.as_slice(), &header_bytes, entropy);
        let v1 = contents::MessageV1 {
            header_bytes,
            ciphertext: Some(ciphertext.into_proto()),
        };
        contents::Message {
            version: Some(Version::V1(v1)),
        }
        .encode_to_vec()
    }

    /// What all its messages are sealed with.
    pub(super) fn secret(&self) -> &[u8] {
        self.secret.as_slice()
    }

    /// What tells this session from others.
    pub fn id(&self) -> SessionId {
        SessionId::between(&self.sender.encoded, &self.recipient.encoded)
    }

    pub(super) fn is_of(&self, sealed: &Sealed) -> bool {
        self.sender.encoded == sealed.sender && self.recipient.encoded == sealed.recipient
    }

    /// The other one of the two, when `own` is one.
    pub(super) fn peer_of(&self, own: Address) -> Option<Address> {
        match (self.sender.wallet == own, self.recipient.wallet == own) {
            (true, false) => Some(self.recipient.wallet),
            (false, true) => Some(self.sender.wallet),
            _ => None,
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Session");
        shown
            .field("sender", &self.sender.wallet)
            .field("recipient", &self.recipient.wallet)
            .finish_non_exhaustive()
    }
}

/// The wallet of our identity key as a header has it: an odd signature or time would make it another one. Recovering
/// it is spared when it is as we publish it.
fn wallet_of(own: &PrivateKeyBundle, named: &LegacyPublicKey) -> Result<Address, Error> {
    let published = own.public().bundle().identity_key();
    let parts = |signature: &Signature| (*signature.as_bytes(), signature.recovery());
    if named.signed_bytes() == published.key_bytes()
        && named.signature().map(parts) == Some(parts(published.signature()))
    {
        return Ok(own.address());
    }
    named.wallet_address()
}
