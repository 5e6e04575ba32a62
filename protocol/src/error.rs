//! Why bytes from outside were refused: four kinds, and for what decodes but is wrong, a countable reason.

/// Why something was refused. Callers count rejects by [`Error::label`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes or text do not have the shape of what they should be.
    #[error("malformed {what}: {problem}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// What was found and what was wanted.
        problem: String,
    },
    /// The shape is right, but a rule of the protocol is broken.
    #[error("{0}")]
    Invalid(Reason),
    /// Well-formed, but of a kind this crate does not speak.
    #[error("unsupported {what} `{found}`")]
    Unsupported {
        /// What was being read.
        what: &'static str,
        /// What was found.
        found: String,
    },
    /// Decryption failed; which step is not told.
    #[error("decryption failed")]
    Crypto,
}

/// The rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// A pre-key is not signed by its bundle's identity key.
    #[error("pre-key is not signed by the identity key")]
    PreKeySignature,
    /// An identity key carries no wallet signature.
    #[error("identity key is not signed by a wallet")]
    NotWalletSigned,
    /// The signature of an identity key is of another wallet than the one that was to sign.
    #[error("identity key is signed by another wallet")]
    OtherWallet,
    /// No public key can be recovered from a wallet signature.
    #[error("no wallet can be recovered from the signature")]
    Unrecoverable,
    /// A signature does not verify (high-S included).
    #[error("signature does not verify")]
    Signature,
    /// A stored public key does not belong to its private key.
    #[error("public key does not belong to the private key")]
    KeyPair,
    /// A sealed invitation is for other keys than ours.
    #[error("invitation is sealed to none of our pre-keys")]
    NotOurPreKey,
    /// The plain header's time is not the envelope's.
    #[error("header time differs from the envelope's")]
    HeaderTime,
    /// The plain header's topic, or the envelope's topic, is not the conversation's.
    #[error("topic is not the conversation's")]
    TopicMismatch,
    /// The topic inside an invitation is not `/xmtp/0/m-<id>/proto`.
    #[error("invitation names no conversation topic")]
    NotConversationTopic,
    /// An invitation without key material.
    #[error("invitation without key material")]
    NoKeyMaterial,
    /// The sender of a message is neither of the two members.
    #[error("sender is not a member of the conversation")]
    NotMember,
    /// Content without a type.
    #[error("content without a type")]
    NoContentType,
    /// Text whose `encoding` parameter is not `UTF-8`.
    #[error("text without `encoding` = `UTF-8`")]
    TextEncoding,
    /// Decompressed content would exceed the bound.
    #[error("decompressed content exceeds the bound")]
    ContentTooLarge,
}

impl Reason {
    /// A stable label for counters.
    pub const fn label(self) -> &'static str {
        match self {
            Self::PreKeySignature => "pre_key_signature",
            Self::NotWalletSigned => "not_wallet_signed",
            Self::OtherWallet => "other_wallet",
            Self::Unrecoverable => "unrecoverable",
            Self::Signature => "signature",
            Self::KeyPair => "key_pair",
            Self::NotOurPreKey => "not_our_pre_key",
            Self::HeaderTime => "header_time",
            Self::TopicMismatch => "topic_mismatch",
            Self::NotConversationTopic => "not_conversation_topic",
            Self::NoKeyMaterial => "no_key_material",
            Self::NotMember => "not_member",
            Self::NoContentType => "no_content_type",
            Self::TextEncoding => "text_encoding",
            Self::ContentTooLarge => "content_too_large",
        }
    }
}

impl Error {
    /// A stable label for counters: `malformed`, `unsupported`, `crypto` or the reason's.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::Invalid(reason) => reason.label(),
            Self::Unsupported { .. } => "unsupported",
            Self::Crypto => "crypto",
        }
    }

    pub(crate) fn malformed(what: &'static str, problem: impl Into<String>) -> Self {
        Self::Malformed {
            what,
            problem: problem.into(),
        }
    }

    pub(crate) fn missing(what: &'static str, field: &str) -> Self {
        Self::malformed(what, format!("`{field}` is missing"))
    }

    pub(crate) fn length(what: &'static str, found: usize, wanted: usize) -> Self {
        Self::malformed(what, format!("found {found} bytes, wanted {wanted}"))
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::Invalid(reason)
    }
}

/// Decodes a protobuf, naming what it should have been.
pub(crate) fn decode<M: prost::Message + Default>(what: &'static str, bytes: &[u8]) -> Result<M, Error> {
    M::decode(bytes).map_err(|error| Error::malformed(what, error.to_string()))
}
