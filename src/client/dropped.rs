//! What a client leaves out because it breaks a rule: counted, said, and told to whoever wants to know.

use std::sync::Arc;

use herald_protocol::{Error, message::MessageId};

use super::Client;

/// What kind of thing was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DroppedKind {
    /// A contact, of a contact topic: another one may stand behind it.
    Contact,
    /// An invitation or intro, of the own lists.
    Invitation,
    /// A message of a conversation.
    Message,
    /// An entry of the own consent log.
    Preference,
    /// A proof of this wallet's consent that came with an invitation; the conversation itself stays.
    ConsentProof,
}

impl DroppedKind {
    const fn counter(self) -> &'static str {
        match self {
            Self::Contact => "herald_contacts_dropped_total",
            Self::Invitation => "herald_invitations_dropped_total",
            Self::Message => "herald_messages_dropped_total",
            Self::Preference => "herald_preferences_dropped_total",
            Self::ConsentProof => "herald_consent_proofs_dropped_total",
        }
    }
}

/// Something that was left out; the rest of its list or stream is unaffected.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped<'a> {
    /// What it was.
    pub kind: DroppedKind,
    /// The topic it was on.
    pub topic: &'a str,
    /// SHA-256 of its bytes, which is a message's id: what is read again is told again. None of a contact or a proof.
    pub id: Option<MessageId>,
    /// Which rule it breaks: what was found and what was wanted.
    pub error: &'a Error,
}

/// Whoever is told of what is left out.
pub(super) type Observer = Arc<dyn Fn(&Dropped<'_>) + Send + Sync>;

impl Client {
    /// Counts by kind and reason, says and tells what is left out.
    pub(super) fn drop_bad(&self, kind: DroppedKind, topic: &str, id: Option<MessageId>, error: &Error) {
        metrics::counter!(kind.counter(), "reason" => error.label()).increment(1);
        tracing::warn!(%error, topic, ?kind, "left out what breaks a rule");
        if let Some(observer) = &self.inner.observer {
            observer(&Dropped {
                kind,
                topic,
                id,
                error,
            });
        }
    }
}
