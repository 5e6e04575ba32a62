//! V1 messages: sealed with the X3DH secret of two legacy bundles, which the plain header names.
//!
//! There is no signature: that only the two members can compute the secret is what makes a message authentic. Computing
//! it costs three multiplications and the checks of the peer's keys two more, so a [`Session`] keeps the outcome and
//! every further message between the same two bundles costs a key derivation and AES-GCM.

mod sealed;
mod session;

use sealed::Sealed;
pub use session::{Session, SessionId};

use crate::{
    Error, Excerpt, Reason,
    address::Address,
    bundle::PrivateKeyBundle,
    ciphertext::Entropy,
    content::EncodedContent,
    limits,
    message::{MessageId, OpenedMessage, SealedMessage},
    time::TimestampNs,
    topic::Topic,
};

/// The V1 conversation of two wallets: there is one, whatever their keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    own: Address,
    peer: Address,
    topic: Topic,
}

impl Conversation {
    /// The conversation of our wallet with another.
    pub fn new(own: Address, peer: Address) -> Self {
        Self {
            own,
            peer,
            topic: Topic::dm(own, peer),
        }
    }

    /// The stored topic; messages may also be published on its ephemeral form, first ones on the [`Topic::intro`] of
    /// both members, too.
    pub const fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The topic whose messages are relayed but not stored.
    pub fn ephemeral_topic(&self) -> Topic {
        self.topic.ephemeral()
    }

    /// The other wallet.
    pub const fn peer(&self) -> Address {
        self.peer
    }

    /// The two wallets, ours first.
    pub const fn members(&self) -> [Address; 2] {
        [self.own, self.peer]
    }

    /// Seals an encoded content; `sent` is cut to milliseconds, and the envelope's time is what remains. Refuses a
    /// session that is not from us to the peer. [`Session::outgoing`] makes one with the newest keys of both.
    pub fn seal(
        &self,
        session: &Session,
        payload: &[u8],
        sent: TimestampNs,
        entropy: Entropy,
    ) -> Result<SealedMessage, Error> {
        if session.parties() != self.members() {
            return Err(self.other_pair(session));
        }
        let bytes = session.seal(payload, sent, entropy);
        Ok(SealedMessage {
            id: MessageId::of(&bytes),
            bytes,
            created: TimestampNs::from_ns(sent.as_ns() - sent.as_ns() % 1_000_000),
        })
    }

    /// Opens the payload of an envelope. `known` are sessions from earlier messages, of either direction: one of them
    /// saves all curve arithmetic. Stricter than xmtp-js: the envelope must be on the conversation's topic, its
    /// ephemeral form or a member's intro topic. More able: any of our pre-keys will do, so that messages survive a rotation.
    pub fn open(
        &self,
        own: &PrivateKeyBundle,
        envelope_topic: &str,
        message: &[u8],
        known: &[&Session],
    ) -> Result<OpenedMessage<Session>, Error> {
        let sealed = Sealed::decode(message)?;
        if !self.is_topic(envelope_topic) {
            return Err(Reason::TopicMismatch {
                found: Excerpt::of(envelope_topic),
                wanted: Excerpt::of(self.topic.as_str()),
            }
            .into());
        }
        let session = sealed.session(own, known)?;
        let [sender, recipient] = session.as_ref().parties();
        if [sender, recipient] != self.members() && [recipient, sender] != self.members() {
            return Err(self.other_pair(session.as_ref()));
        }
        let plain = sealed.open(session.as_ref())?;
        let content = EncodedContent::decode(&plain)?.decompress(limits::CONTENT_BYTES)?;
        Ok(OpenedMessage {
            id: MessageId::of(message),
            sender,
            sent: sealed.sent,
            content,
            new_keys: session.into_new(),
        })
    }

    fn other_pair(&self, session: &Session) -> Error {
        Reason::OtherPair {
            found: Box::new(session.parties()),
            members: Box::new(self.members()),
        }
        .into()
    }

    fn is_topic(&self, envelope_topic: &str) -> bool {
        envelope_topic == self.topic.as_str()
            || envelope_topic == self.ephemeral_topic().as_str()
            || self
                .members()
                .iter()
                .any(|member| envelope_topic == Topic::intro(*member).as_str())
    }
}

/// What an envelope of our intro topic says: with whom we have a V1 conversation. It counts as it could be decrypted;
/// of several with the same peer the earliest tells when the conversation began.
#[derive(Debug, Clone)]
pub struct Introduction {
    peer: Address,
    sent: TimestampNs,
    new_session: Option<Session>,
}

impl Introduction {
    /// The other wallet.
    pub const fn peer(&self) -> Address {
        self.peer
    }

    /// Header time, in whole milliseconds.
    pub const fn sent(&self) -> TimestampNs {
        self.sent
    }

    /// The session when it was not among the known ones.
    pub const fn new_session(&self) -> Option<&Session> {
        self.new_session.as_ref()
    }
}

/// Reads an envelope of our intro topic. Its content is not looked at, the conversation's topic has it again.
/// Refuses what we sent to ourselves.
pub fn introduction(
    own: &PrivateKeyBundle,
    message: &[u8],
    known: &[&Session],
) -> Result<Introduction, Error> {
    let sealed = Sealed::decode(message)?;
    let session = sealed.session(own, known)?;
    let not_between = || Reason::NotBetween {
        found: Box::new(session.as_ref().parties()),
        own: own.address(),
    };
    let peer = session.as_ref().peer_of(own.address()).ok_or_else(not_between)?;
    sealed.open(session.as_ref())?;
    Ok(Introduction {
        peer,
        sent: sealed.sent,
        new_session: session.into_new(),
    })
}
