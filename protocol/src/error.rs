//! Why bytes from outside were refused: four kinds, and for what decodes but is wrong, a countable reason.

use crate::{
    address::Address,
    excerpt::{self, Excerpt},
    limits,
    time::TimestampNs,
};

/// Why something was refused. Callers count rejects by [`Error::label`]. What it prints is bounded and free of control
/// characters, whatever was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes or text do not have the shape of what they should be.
    #[error("malformed {what}: {}", excerpt::shown(.problem, PROBLEM_CHARS))]
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
    #[error("unsupported {what} `{}`", Excerpt::of(.found))]
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

/// Characters shown of what is wrong with malformed bytes. Ours: it is a sentence, but a parser may quote what it read.
const PROBLEM_CHARS: usize = 300;

/// The rule that was broken, with what was found and what was wanted where that says more than the rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// A pre-key is not signed by its bundle's identity key.
    #[error("pre-key is not signed by the identity key")]
    PreKeySignature,
    /// An identity key carries no wallet signature.
    #[error("identity key is not signed by a wallet")]
    NotWalletSigned,
    /// The signature of an identity key is of another wallet than the one that was to sign.
    #[error("identity key is signed by `{found}`, wanted `{wanted}`")]
    OtherWallet {
        /// Who signed.
        found: Address,
        /// Who was to sign.
        wanted: Address,
    },
    /// No public key can be recovered from a wallet signature.
    #[error("no wallet can be recovered from the signature")]
    Unrecoverable,
    /// A signature does not verify (high-S included).
    #[error("signature does not verify")]
    Signature,
    /// A stored public key does not belong to its private key.
    #[error("public key does not belong to the private key")]
    KeyPair,
    /// A sealed invitation or V1 message is for other keys than ours.
    #[error("sealed to none of our pre-keys")]
    NotOurPreKey,
    /// The plain header's time is not the envelope's.
    #[error("header time is `{header}` ns, wanted the envelope's `{envelope}` ns")]
    HeaderTime {
        /// The header's.
        header: TimestampNs,
        /// The envelope's.
        envelope: TimestampNs,
    },
    /// The plain header's topic, or the envelope's topic, is not the conversation's.
    #[error("topic is `{found}`, wanted the conversation's `{wanted}`")]
    TopicMismatch {
        /// The one that differs.
        found: Excerpt,
        /// The conversation's stored one. Its ephemeral form and, in V1, the members' intro topics were fine, too.
        wanted: Excerpt,
    },
    /// The topic inside an invitation is not `/xmtp/0/m-<id>/proto`.
    #[error("invitation is to topic `{found}`, wanted `/xmtp/0/m-<id>/proto`")]
    NotConversationTopic {
        /// The topic that it names.
        found: Excerpt,
    },
    /// An invitation without key material.
    #[error("invitation without key material")]
    NoKeyMaterial,
    /// The sender of a V2 message is neither of the two members.
    #[error("sender is `{found}`, wanted one of {}", pair(.members))]
    NotMember {
        /// The sender.
        found: Address,
        /// The members.
        members: Box<[Address; 2]>,
    },
    /// The sender and the recipient of a V1 message are not the two members; also of one to be sealed.
    #[error("sender and recipient are {}, wanted {}", pair(.found), pair(.members))]
    OtherPair {
        /// The sender, then the recipient.
        found: Box<[Address; 2]>,
        /// The members, ours first. The peer may have sent, too, unless we are to seal.
        members: Box<[Address; 2]>,
    },
    /// A message of an intro topic is not between our wallet and another.
    #[error("sender and recipient are {}, wanted `{own}` and another", pair(.found))]
    NotBetween {
        /// The sender, then the recipient.
        found: Box<[Address; 2]>,
        /// Our wallet.
        own: Address,
    },
    /// Content without a type.
    #[error("content without a type")]
    NoContentType,
    /// Text whose `encoding` parameter is not `UTF-8`.
    #[error("encoding of the text is {}, wanted `UTF-8`", or_missing(.found.as_ref()))]
    TextEncoding {
        /// The parameter, if there is one.
        found: Option<Excerpt>,
    },
    /// Decompressed content would exceed the bound.
    #[error("decompressed content has more than {limit} bytes")]
    ContentTooLarge {
        /// The bound, bytes. Nothing was read beyond it, so the whole size is not known.
        limit: usize,
    },
    /// A composite content of too many parts or nested too deeply.
    #[error(
        "composite content has more than {} parts or a depth of more than {}",
        limits::COMPOSITE_PARTS,
        limits::COMPOSITE_DEPTH
    )]
    CompositeTooLarge,
    /// A consent proof without signature or time.
    #[error("consent proof without signature or time")]
    ConsentProofEmpty,
    /// A consent proof that is dated after now.
    #[error("consent proof is of `{found_ms}` ms, wanted none after `{now_ms}` ms")]
    ConsentProofFuture {
        /// Its time, milliseconds since the epoch.
        found_ms: u64,
        /// The reader's time, milliseconds since the epoch.
        now_ms: u64,
    },
    /// A consent proof of more than 30 days ago.
    #[error("consent proof is of `{found_ms}` ms, wanted one of the 30 days before `{now_ms}` ms")]
    ConsentProofExpired {
        /// Its time, milliseconds since the epoch.
        found_ms: u64,
        /// The reader's time, milliseconds since the epoch.
        now_ms: u64,
    },
    /// A consent proof that our wallet did not sign for this sender and time. What another wallet signed, or ours for
    /// another sender or time, both yield some other address.
    #[error("consent proof for this sender and time is signed by `{found}`, wanted `{wanted}`")]
    ConsentProofWallet {
        /// The wallet recovered from the signature.
        found: Address,
        /// Ours.
        wanted: Address,
    },
}

impl Reason {
    /// A stable label for counters.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::PreKeySignature => "pre_key_signature",
            Self::NotWalletSigned => "not_wallet_signed",
            Self::OtherWallet { .. } => "other_wallet",
            Self::Unrecoverable => "unrecoverable",
            Self::Signature => "signature",
            Self::KeyPair => "key_pair",
            Self::NotOurPreKey => "not_our_pre_key",
            Self::HeaderTime { .. } => "header_time",
            Self::TopicMismatch { .. } => "topic_mismatch",
            Self::NotConversationTopic { .. } => "not_conversation_topic",
            Self::NoKeyMaterial => "no_key_material",
            Self::NotMember { .. } | Self::OtherPair { .. } | Self::NotBetween { .. } => "not_member",
            Self::NoContentType => "no_content_type",
            Self::TextEncoding { .. } => "text_encoding",
            Self::ContentTooLarge { .. } => "content_too_large",
            Self::CompositeTooLarge => "composite_too_large",
            Self::ConsentProofEmpty => "consent_proof_empty",
            Self::ConsentProofFuture { .. } => "consent_proof_future",
            Self::ConsentProofExpired { .. } => "consent_proof_expired",
            Self::ConsentProofWallet { .. } => "consent_proof_wallet",
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

fn pair([one, other]: &[Address; 2]) -> String {
    format!("`{one}` and `{other}`")
}

fn or_missing(found: Option<&Excerpt>) -> String {
    found.map_or_else(|| "missing".to_owned(), |found| format!("`{found}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A result is as large as its larger side, and each call on the way moves it.
    #[test]
    fn errors_stay_small() {
        assert!(size_of::<Error>() <= 48, "{} bytes", size_of::<Error>());
    }

    #[test]
    fn what_peers_wrote_is_printed_without_control_characters_and_cut() {
        let nasty = "\x1b[31m\n".repeat(1_000);
        let found = || Excerpt::of(&nasty);
        let errors = [
            Error::malformed("topic", nasty.clone()),
            Error::Unsupported {
                what: "content type",
                found: nasty.clone(),
            },
            Reason::TopicMismatch {
                found: found(),
                wanted: found(),
            }
            .into(),
            Reason::NotConversationTopic { found: found() }.into(),
            Reason::TextEncoding { found: Some(found()) }.into(),
        ];
        for error in errors {
            let printed = error.to_string();
            assert!(!printed.chars().any(char::is_control), "{printed}");
            assert!(
                printed.contains("\\u{1b}[31m\\n") && printed.contains('…'),
                "{printed}"
            );
            assert!(printed.len() < 1_200, "{} bytes", printed.len());
        }
    }

    #[test]
    fn what_was_found_and_what_was_wanted_are_named() {
        let [alice, bob, eve] = [1, 2, 3].map(|byte| Address::from_bytes([byte; 20]));
        let members = Box::new([alice, bob]);
        let found = Box::new([eve, bob]);
        let cases = [
            (
                Reason::NotMember {
                    found: eve,
                    members: members.clone(),
                },
                format!("sender is `{eve}`, wanted one of `{alice}` and `{bob}`"),
            ),
            (
                Reason::OtherPair {
                    found: found.clone(),
                    members,
                },
                format!("sender and recipient are `{eve}` and `{bob}`, wanted `{alice}` and `{bob}`"),
            ),
            (
                Reason::NotBetween { found, own: alice },
                format!("sender and recipient are `{eve}` and `{bob}`, wanted `{alice}` and another"),
            ),
        ];
        for (reason, text) in cases {
            assert_eq!(reason.to_string(), text);
            assert_eq!(Error::from(reason).label(), "not_member");
        }
        let missing = Reason::TextEncoding { found: None };
        assert_eq!(
            missing.to_string(),
            "encoding of the text is missing, wanted `UTF-8`"
        );
    }
}
