//! What messages say: the standard content types, one file each, and those of applications.
//!
//! ```text
//! Content ── to_encoded ──▶ EncodedContent ── compress, encode ──▶ the payload of a message
//! Content ◀── decode ───── EncodedContent ◀── decode, decompress ── the payload of a message
//! ```
//!
//! A type that is none of the standard ones comes out as [`Content::Custom`] with its fallback; a program that knows the type reads
//! it with its own [`ContentCodec`]:
//!
//! ```
//! use herald::content::{Content, ContentCodec};
//! use herald_protocol::{Error, content::{ContentTypeId, EncodedContent}};
//!
//! #[derive(Debug, PartialEq)]
//! struct Vote(u8);
//!
//! impl ContentCodec for Vote {
//!     fn content_type() -> ContentTypeId {
//!         ContentTypeId::new("example.org", "vote", 1, 0)
//!     }
//!     fn encode(&self) -> EncodedContent {
//!         EncodedContent::new(Self::content_type(), vec![self.0])
//!     }
//!     fn decode(content: &EncodedContent) -> Result<Self, Error> {
//!         match content.content[..] {
//!             [vote] => Ok(Self(vote)),
//!             _ => Err(Error::Malformed { what: "vote", problem: "wanted one byte".to_owned() }),
//!         }
//!     }
//!     fn fallback(&self) -> Option<String> {
//!         Some(format!("voted for {}", self.0))
//!     }
//! }
//!
//! let sent = Content::custom(&Vote(3)).encode();
//! let read = Content::decode(EncodedContent::decode(&sent)?)?;
//! assert_eq!(read.fallback().as_deref(), Some("voted for 3"));
//! assert_eq!(read.read::<Vote>(), Some(Ok(Vote(3))));
//! # Ok::<(), Error>(())
//! ```

mod attachment;
mod composite;
mod custom;
mod filename;
mod json;
mod nested;
mod number;
mod reaction;
mod read_receipt;
mod remote_attachment;
mod reply;
mod sealed_attachment;
mod text;
mod transaction_reference;

use std::borrow::Cow;

use herald_protocol::{Error, limits};

pub use attachment::Attachment;
pub use composite::Composite;
pub use custom::Custom;
pub use filename::safe_filename;
pub use herald_protocol::content::{ContentTypeId, EncodedContent};
pub use number::JsonNumber;
pub use reaction::{Reaction, ReactionAction, ReactionSchema};
pub use read_receipt::ReadReceipt;
pub use remote_attachment::RemoteAttachment;
pub use reply::Reply;
pub use sealed_attachment::{AttachmentError, AttachmentKey, SealedAttachment};
pub use transaction_reference::{NetworkId, TransactionMetadata, TransactionReference};

/// A content type's two directions. The standard types implement it, and applications implement it for their own.
pub trait ContentCodec: Sized {
    /// What is written; read are all versions that it understands ([`ContentTypeId::understands`]).
    fn content_type() -> ContentTypeId;

    /// The content as messages carry it, not compressed. A fallback that is left out here is taken from [`Self::fallback`].
    fn encode(&self) -> EncodedContent;

    /// Reads decompressed content of a type that is understood. The bytes are a stranger's. Errors: they break the type's rules.
    fn decode(content: &EncodedContent) -> Result<Self, Error>;

    /// What readers are shown that do not know the type. Empty is the same as none.
    fn fallback(&self) -> Option<String> {
        None
    }

    /// Whether the recipient's phone should ring for it.
    fn should_push(&self) -> bool {
        true
    }
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// `xmtp.org/text:1.0`.
    Text(String),
    /// `xmtp.org/reaction:1.0`.
    Reaction(Reaction),
    /// `xmtp.org/reply:1.0`.
    Reply(Reply),
    /// `xmtp.org/readReceipt:1.0`.
    ReadReceipt,
    /// `xmtp.org/attachment:1.0`.
    Attachment(Attachment),
    /// `xmtp.org/remoteStaticAttachment:1.0`.
    RemoteAttachment(RemoteAttachment),
    /// `xmtp.org/transactionReference:1.0`.
    TransactionReference(TransactionReference),
    /// `xmtp.org/composite:1.0`, which is deprecated.
    Composite(Composite),
    /// A type outside of the standard, or a later major version of a standard one.
    Custom(Box<Custom>),
}

impl Content {
    /// Reads a content, decompressing it first if it still is compressed, up to [`limits::CONTENT_BYTES`]. Errors: content of a
    /// standard type that breaks its rules; contents nested deeper than 16, compressed ones among them or more than 1,000 parts of composites
    /// in all.
    pub fn decode(content: EncodedContent) -> Result<Self, Error> {
        let content = content.decompress(limits::CONTENT_BYTES)?;
        nested::Room::whole(|room| Self::decode_in(room, content))
    }

    /// Content of an application's type, for sending.
    pub fn custom(content: &impl ContentCodec) -> Self {
        Self::Custom(Box::new(Custom::new(content)))
    }

    /// Reads the content as an application's type; nothing if that type does not understand it. Errors: as the type says.
    pub fn read<C: ContentCodec>(&self) -> Option<Result<C, Error>> {
        let encoded = match self {
            Self::Custom(custom) => Cow::Borrowed(custom.encoded()),
            standard if C::content_type().understands(&standard.content_type()) => {
                Cow::Owned(standard.to_encoded())
            }
            _ => return None,
        };
        C::content_type()
            .understands(&encoded.content_type)
            .then(|| C::decode(&encoded))
    }

    /// The content as messages carry it, with its fallback; not compressed.
    pub fn to_encoded(&self) -> EncodedContent {
        match self {
            Self::Text(text) => text.encode(),
            Self::Reaction(reaction) => reaction.encode(),
            Self::Reply(reply) => reply.encode(),
            Self::ReadReceipt => ReadReceipt.encode(),
            Self::Attachment(attachment) => attachment.encode(),
            Self::RemoteAttachment(attachment) => attachment.encode(),
            Self::TransactionReference(reference) => reference.encode(),
            Self::Composite(composite) => composite.encode(),
            Self::Custom(custom) => custom.encoded().clone(),
        }
    }

    /// The bytes of [`Self::to_encoded`].
    pub fn encode(&self) -> Vec<u8> {
        self.to_encoded().encode()
    }

    /// The text of a text or of an answer in text; of a custom content what its sender offers to readers that do not know the type.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Reply(reply) => reply.content.as_text(),
            Self::Custom(custom) => custom.encoded().fallback.as_deref(),
            _ => None,
        }
    }

    /// The type, such as `xmtp.org/text:1.0`.
    pub fn content_type(&self) -> ContentTypeId {
        match self {
            Self::Text(_) => String::content_type(),
            Self::Reaction(_) => Reaction::content_type(),
            Self::Reply(_) => Reply::content_type(),
            Self::ReadReceipt => ReadReceipt::content_type(),
            Self::Attachment(_) => Attachment::content_type(),
            Self::RemoteAttachment(_) => RemoteAttachment::content_type(),
            Self::TransactionReference(_) => TransactionReference::content_type(),
            Self::Composite(_) => Composite::content_type(),
            Self::Custom(custom) => custom.encoded().content_type.clone(),
        }
    }

    /// What readers are shown that do not know the type.
    pub fn fallback(&self) -> Option<String> {
        match self {
            Self::Text(_) | Self::ReadReceipt | Self::Composite(_) => None,
            Self::Reaction(reaction) => reaction.fallback(),
            Self::Reply(reply) => reply.fallback(),
            Self::Attachment(attachment) => attachment.fallback(),
            Self::RemoteAttachment(attachment) => attachment.fallback(),
            Self::TransactionReference(reference) => reference.fallback(),
            Self::Custom(custom) => custom.encoded().fallback.clone(),
        }
    }

    /// Whether the recipient's phone should ring for it. Content that was read rings, as far as anybody knows.
    pub fn should_push(&self) -> bool {
        match self {
            Self::Reaction(reaction) => reaction.should_push(),
            Self::ReadReceipt => ReadReceipt.should_push(),
            Self::Custom(custom) => custom.should_push(),
            _ => true,
        }
    }

    fn decode_in(room: &mut nested::Room<'_>, content: EncodedContent) -> Result<Self, Error> {
        let understood = |standard: ContentTypeId| standard.understands(&content.content_type);
        Ok(if understood(String::content_type()) {
            Self::Text(String::decode(&content)?)
        } else if understood(Reaction::content_type()) {
            Self::Reaction(Reaction::decode(&content)?)
        } else if understood(Reply::content_type()) {
            Self::Reply(Reply::decode_in(room, content)?)
        } else if understood(ReadReceipt::content_type()) {
            Self::ReadReceipt
        } else if understood(Attachment::content_type()) {
            Self::Attachment(Attachment::decode_owned(content)?)
        } else if understood(RemoteAttachment::content_type()) {
            Self::RemoteAttachment(RemoteAttachment::decode(&content)?)
        } else if understood(TransactionReference::content_type()) {
            Self::TransactionReference(TransactionReference::decode(&content)?)
        } else if understood(Composite::content_type()) {
            Self::Composite(Composite::decode_in(room, content)?)
        } else {
            Self::Custom(Box::new(Custom::from(content)))
        })
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Reaction> for Content {
    fn from(reaction: Reaction) -> Self {
        Self::Reaction(reaction)
    }
}

impl From<Reply> for Content {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<ReadReceipt> for Content {
    fn from(_: ReadReceipt) -> Self {
        Self::ReadReceipt
    }
}

impl From<Attachment> for Content {
    fn from(attachment: Attachment) -> Self {
        Self::Attachment(attachment)
    }
}

impl From<RemoteAttachment> for Content {
    fn from(attachment: RemoteAttachment) -> Self {
        Self::RemoteAttachment(attachment)
    }
}

impl From<TransactionReference> for Content {
    fn from(reference: TransactionReference) -> Self {
        Self::TransactionReference(reference)
    }
}

impl From<Composite> for Content {
    fn from(composite: Composite) -> Self {
        Self::Composite(composite)
    }
}

impl From<Custom> for Content {
    fn from(custom: Custom) -> Self {
        Self::Custom(Box::new(custom))
    }
}

/// A type of the standard.
fn standard(type_id: &str) -> ContentTypeId {
    ContentTypeId::new("xmtp.org", type_id, 1, 0)
}

fn malformed(what: &'static str, problem: impl Into<String>) -> Error {
    Error::Malformed {
        what,
        problem: problem.into(),
    }
}

/// The value of a parameter that its type cannot do without.
fn required<'a>(what: &'static str, content: &'a EncodedContent, name: &str) -> Result<&'a str, Error> {
    content
        .parameter(name)
        .ok_or_else(|| malformed(what, format!("parameter `{name}` is missing")))
}

#[cfg(test)]
mod tests;
