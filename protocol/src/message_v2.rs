//! V2 messages: signed by the sender's pre-key, sealed with the conversation's key material.

use std::fmt;

use prost::Message as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{
    Error, Excerpt, Reason,
    address::Address,
    bundle::{PrivateKeyBundle, SignedPublicKeyBundle, VerifiedBundle},
    ciphertext::{Ciphertext, Entropy},
    content::EncodedContent,
    error,
    hash::{hkdf_sha256, hmac_sha256, sha256},
    invitation::OpenedInvitation,
    limits,
    proto::contents::{self, message::Version},
    signature::Signature,
    time::TimestampNs,
    topic::Topic,
};

pub use crate::message::{MessageId, OpenedMessage, SealedMessage};

/// Seconds of an HMAC period: 30 days.
const PERIOD_SECONDS: u64 = 2_592_000;

/// A conversation of two wallets. Debug hides the key material.
#[derive(Clone)]
pub struct Conversation {
    topic: Topic,
    key_material: Zeroizing<Vec<u8>>,
    members: [Address; 2],
}

/// When a message is made, and how it should be treated.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing {
    /// Header time; the envelope must carry the same.
    pub created: TimestampNs,
    /// The sending clock, which names the HMAC period.
    pub now: TimestampNs,
    /// Whether push servers should wake the recipient: the content type decides.
    pub should_push: bool,
}

/// A message that somebody who knows the conversation's keys has sealed; who it was is not checked yet.
pub struct Decrypted {
    id: MessageId,
    sent: TimestampNs,
    /// What the sender has signed.
    digest: [u8; 32],
    /// The encoded bundle of whom it says it is from.
    sender: Vec<u8>,
    signature: Signature,
    payload: Vec<u8>,
    members: [Address; 2],
}

impl fmt::Debug for Decrypted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Decrypted");
        shown.field("id", &self.id).field("sent", &self.sent);
        shown.finish_non_exhaustive()
    }
}

impl Decrypted {
    /// Whether it says that it is from the owner of a bundle, which proves nothing: enough to leave it out, not to trust it.
    pub fn says_from(&self, bundle: &VerifiedBundle) -> bool {
        bundle.as_encoded() == self.sender
    }

    /// Checks who wrote it; see [`Conversation::open`].
    pub fn verify(self, known: &[&VerifiedBundle]) -> Result<OpenedMessage<VerifiedBundle>, Error> {
        let recognised = known.iter().find(|bundle| self.says_from(bundle));
        let (sender, new_keys) = if let Some(bundle) = recognised {
            let key = bundle.bundle().pre_key().key();
            key.verify(&self.digest, &self.signature)?;
            (bundle.address(), None)
        } else {
            let bundle = SignedPublicKeyBundle::decode(&self.sender)?;
            bundle.pre_key().key().verify(&self.digest, &self.signature)?;
            let bundle = bundle.verify()?;
            (bundle.address(), Some(bundle))
        };
        if !self.members.contains(&sender) {
            return Err(Reason::NotMember {
                found: sender,
                members: Box::new(self.members),
            }
            .into());
        }
        Ok(OpenedMessage {
            id: self.id,
            sender,
            sent: self.sent,
            content: EncodedContent::decode(&self.payload)?.decompress(limits::CONTENT_BYTES)?,
            new_keys,
        })
    }
}

impl Conversation {
    /// A conversation from stored parts.
    pub const fn new(topic: Topic, key_material: Zeroizing<Vec<u8>>, members: [Address; 2]) -> Self {
        Self {
            topic,
            key_material,
            members,
        }
    }

    /// The conversation an invitation opened.
    pub fn of_invitation(own: Address, opened: &OpenedInvitation) -> Self {
        let invitation = opened.invitation();
        Self::new(
            invitation.topic.clone(),
            invitation.key_material.clone(),
            [own, opened.peer()],
        )
    }

    /// The stored topic; messages may also be published on its ephemeral form.
    pub const fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The secret of all its messages.
    pub fn key_material(&self) -> &[u8] {
        &self.key_material
    }

    /// The two wallets.
    pub const fn members(&self) -> [Address; 2] {
        self.members
    }

    /// Signs and seals an encoded content. Costs one signature; the rest is a few microseconds.
    pub fn seal(
        &self,
        own: &PrivateKeyBundle,
        payload: &[u8],
        outgoing: &Outgoing,
        entropy: Entropy,
    ) -> SealedMessage {
        let header_bytes = contents::MessageHeaderV2 {
            created_ns: outgoing.created.as_ns(),
            topic: self.topic.as_str().to_owned(),
        }
        .encode_to_vec();
        let signature = own.pre_key().sign(&sha256(&[&header_bytes, payload]));
        let signed = contents::SignedContent {
            payload: payload.to_vec(),
            sender: Some(own.public().as_encoded().to_vec()),
            signature: Some(signature.to_proto()),
        }
        .encode_to_vec();
        let ciphertext = Ciphertext::seal(&signed, &self.key_material, &header_bytes, entropy);
        let hmac_key = hmac_key(hmac_period(outgoing.now), &self.key_material, own.address());
        let sender_hmac = hmac_sha256(hmac_key.as_slice(), &header_bytes).to_vec();
        let v2 = contents::MessageV2 {
            header_bytes,
            ciphertext: Some(ciphertext.into_proto()),
            sender_hmac: Some(sender_hmac),
            should_push: Some(outgoing.should_push),
        };
        let bytes = contents::Message {
            version: Some(Version::V2(v2)),
        }
        .encode_to_vec();
        SealedMessage {
            id: MessageId::of(&bytes),
            bytes,
            created: outgoing.created,
        }
    }

    /// Opens the payload of an envelope. `known` are bundles already verified, as our own and the peer's: a sender
    /// among them costs one verification instead of three. Stricter than xmtp-js: the envelope must be on this
    /// conversation's topic, the sender must be one of the two members.
    pub fn open(
        &self,
        envelope_topic: &str,
        message: &[u8],
        known: &[&VerifiedBundle],
    ) -> Result<OpenedMessage<VerifiedBundle>, Error> {
        self.decrypt(envelope_topic, message)?.verify(known)
    }

    /// The first half of [`Self::open`]: everything but who wrote it, at a tenth of the cost.
    pub fn decrypt(&self, envelope_topic: &str, message: &[u8]) -> Result<Decrypted, Error> {
        let missing = |field| Error::missing("message", field);
        let decoded: contents::Message = error::decode("message", message)?;
        let Some(Version::V2(v2)) = decoded.version else {
            return Err(missing("v2"));
        };
        let ciphertext = Ciphertext::from_proto(v2.ciphertext.ok_or_else(|| missing("ciphertext"))?)?;
        let header: contents::MessageHeaderV2 = error::decode("message header", &v2.header_bytes)?;
        if header.topic != self.topic.as_str() {
            return Err(self.other_topic(&header.topic));
        }
        if !self.is_topic(envelope_topic) {
            return Err(self.other_topic(envelope_topic));
        }
        let signed = ciphertext.open(&self.key_material, &v2.header_bytes)?;
        let signed: contents::SignedContent = error::decode("signed content", &signed)?;
        let sender = signed.sender.ok_or_else(|| missing("sender"))?;
        let signature = Signature::from_proto(&signed.signature.ok_or_else(|| missing("signature"))?)?;
        Ok(Decrypted {
            id: MessageId::of(message),
            sent: TimestampNs::from_ns(header.created_ns),
            digest: sha256(&[&v2.header_bytes, &signed.payload]),
            sender,
            signature,
            payload: signed.payload,
            members: self.members,
        })
    }

    fn other_topic(&self, found: &str) -> Error {
        Reason::TopicMismatch {
            found: Excerpt::of(found),
            wanted: Excerpt::of(self.topic.as_str()),
        }
        .into()
    }

    fn is_topic(&self, envelope_topic: &str) -> bool {
        envelope_topic == self.topic.as_str() || envelope_topic == self.topic.ephemeral().as_str()
    }

    /// The keys by which a push server recognises an account's own messages: last, current and next period.
    pub fn hmac_keys(&self, now: TimestampNs, account: Address) -> [(u64, Zeroizing<[u8; 32]>); 3] {
        let current = hmac_period(now);
        [current.saturating_sub(1), current, current.saturating_add(1)]
            .map(|period| (period, hmac_key(period, &self.key_material, account)))
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Conversation");
        shown
            .field("topic", &self.topic)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

/// The 30-day period of a time, counted from the epoch.
pub const fn hmac_period(now: TimestampNs) -> u64 {
    now.as_seconds() / PERIOD_SECONDS
}

/// The key by which `account` marks its messages of a period.
pub fn hmac_key(period: u64, key_material: &[u8], account: Address) -> Zeroizing<[u8; 32]> {
    hkdf_sha256(key_material, &[], format!("{period}-{account}").as_bytes())
}

/// Whether a message's `sender_hmac` was made with this key; in constant time.
pub fn verify_sender_hmac(hmac_key: &[u8; 32], header_bytes: &[u8], sender_hmac: &[u8]) -> bool {
    hmac_sha256(hmac_key, header_bytes).ct_eq(sender_hmac).into()
}
