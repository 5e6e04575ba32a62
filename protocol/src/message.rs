//! What V1 and V2 messages have in common: an id, that they are sealed once and published as they are, and what an opened
//! one tells.

use std::fmt;

use crate::{address::Address, content::EncodedContent, hash::sha256, time::TimestampNs};

/// What makes a message this message: SHA-256 over its encoded bytes. Displays as hex, as replies refer to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId([u8; 32]);

impl MessageId {
    /// The id of an encoded message, which is the whole payload of its envelope.
    pub fn of(message: &[u8]) -> Self {
        Self(sha256(&[message]))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&const_hex::encode(self.0))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A message ready to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedMessage {
    /// The envelope's payload.
    pub bytes: Vec<u8>,
    /// The message's id.
    pub id: MessageId,
    /// The envelope's time.
    pub created: TimestampNs,
}

/// A message of a member, its origin checked. Debug hides what it says. `K` is what opening it taught of keys: in V2 a
/// verified bundle, in V1 a session.
#[derive(Clone)]
pub struct OpenedMessage<K> {
    pub(crate) id: MessageId,
    pub(crate) sender: Address,
    pub(crate) sent: TimestampNs,
    pub(crate) content: EncodedContent,
    pub(crate) new_keys: Option<K>,
}

impl<K> OpenedMessage<K> {
    /// The message's id.
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// The member who sent it.
    pub const fn sender(&self) -> Address {
        self.sender
    }

    /// Header time; in V1 whole milliseconds.
    pub const fn sent(&self) -> TimestampNs {
        self.sent
    }

    /// The content, decompressed.
    pub const fn content(&self) -> &EncodedContent {
        &self.content
    }

    /// The content, decompressed.
    pub fn into_content(self) -> EncodedContent {
        self.content
    }

    /// The keys when they were not among the known ones: worth keeping, with them the next message opens at a fraction of
    /// the cost.
    pub const fn new_keys(&self) -> Option<&K> {
        self.new_keys.as_ref()
    }
}

impl<K> fmt::Debug for OpenedMessage<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("OpenedMessage");
        shown
            .field("id", &self.id)
            .field("sender", &self.sender)
            .field("sent", &self.sent);
        shown
            .field("content_type", &self.content.content_type)
            .finish_non_exhaustive()
    }
}
