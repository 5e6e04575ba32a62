//! Conversations, messages and decisions in the plain form of the tests.

use std::collections::BTreeMap;

use herald::client::{
    ConsentChange, ConsentProof, ConsentState, Conversation, InvitationContext, Message, Subject,
    TimestampNs, Topic, Version,
};
use serde::{Deserialize, Serialize};

use crate::{Failure, content};

/// A conversation.
#[derive(Serialize)]
pub(crate) struct ConversationForm {
    topic: String,
    peer: String,
    version: &'static str,
    created_ns: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent_proof: Option<ProofForm>,
}

impl From<&Conversation> for ConversationForm {
    fn from(conversation: &Conversation) -> Self {
        let metadata = |context: &InvitationContext| context.metadata.iter().cloned().collect();
        Self {
            topic: conversation.topic().to_string(),
            peer: conversation.peer().to_string(),
            version: version(conversation),
            created_ns: nanoseconds(conversation.created()),
            conversation_id: conversation.conversation_id().map(ToOwned::to_owned),
            metadata: conversation.context().map(metadata),
            consent_proof: conversation.consent_proof().map(Into::into),
        }
    }
}

/// A proof of consent.
#[derive(Deserialize, Serialize)]
pub(crate) struct ProofForm {
    signature: String,
    timestamp_ms: u64,
}

impl From<&ConsentProof> for ProofForm {
    fn from(proof: &ConsentProof) -> Self {
        Self {
            signature: proof.signature.clone(),
            timestamp_ms: proof.timestamp_ms,
        }
    }
}

impl From<ProofForm> for ConsentProof {
    fn from(form: ProofForm) -> Self {
        Self {
            signature: form.signature,
            timestamp_ms: form.timestamp_ms,
            payload_version: 1,
        }
    }
}

/// A message that opened.
#[derive(Serialize)]
pub(crate) struct MessageForm {
    id: String,
    topic: String,
    version: &'static str,
    sender: String,
    sent_ns: String,
    content: content::Form,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<String>,
}

impl MessageForm {
    /// A message whose envelope lay on `topic`.
    pub(crate) fn new(message: &Message, topic: &Topic) -> Result<Self, Failure> {
        Ok(Self {
            id: message.id.to_string(),
            topic: topic.to_string(),
            version: version(&message.conversation),
            sender: message.sender.to_string(),
            sent_ns: nanoseconds(message.sent),
            content: (&message.content).try_into()?,
            fallback: message.content.fallback(),
        })
    }
}

/// A decision about somebody.
#[derive(Serialize)]
pub(crate) struct EntryForm {
    kind: &'static str,
    value: String,
    state: &'static str,
}

impl EntryForm {
    pub(crate) fn new(subject: Subject, name: &str, state: ConsentState) -> Self {
        let kind = match subject {
            Subject::Address => "address",
            Subject::Group => "group",
            Subject::InboxId => "inbox",
        };
        Self {
            kind,
            value: name.to_owned(),
            state: state_word(state),
        }
    }
}

impl From<&ConsentChange> for EntryForm {
    fn from(change: &ConsentChange) -> Self {
        Self::new(change.subject, &change.name, change.state)
    }
}

/// What was decided, in one word.
pub(crate) const fn state_word(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Unknown => "unknown",
        ConsentState::Allowed => "allowed",
        ConsentState::Denied => "denied",
    }
}

/// A time, as a decimal text.
pub(crate) fn nanoseconds(time: TimestampNs) -> String {
    time.as_ns().to_string()
}

fn version(conversation: &Conversation) -> &'static str {
    match conversation.version() {
        Version::V1 => "v1",
        Version::V2 => "v2",
    }
}
