//! How long envelopes are kept.

use std::time::Duration;

use herald_protocol::topic::TopicKind;
use serde::{Deserialize, Deserializer};

use super::{problem::quote, units};

/// How long envelopes are kept, by the kind of their topic and from their arrival on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Contact bundles: without them nobody can write to a wallet.
    pub contact: Keep,
    /// Sealed key bundles: without them a wallet's clients cannot read.
    pub private_store: Keep,
    /// V2 invitations: without them conversations cannot be found.
    pub invite: Keep,
    /// First V1 messages.
    pub intro: Keep,
    /// V1 messages.
    pub dm: Keep,
    /// V2 messages.
    pub conversation: Keep,
    /// Consent.
    pub user_preferences: Keep,
    /// Reserved for group invitations.
    pub group_invite: Keep,
    /// Topics outside `/xmtp/0/`, and unknown ones in it.
    pub other: Keep,
}

/// A bound on the age of an envelope, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Never deleted.
    #[default]
    Forever,
    /// Deleted this long after its arrival.
    For(Duration),
}

impl Retention {
    /// What holds for topics of this kind. Ephemeral ones are not stored at all.
    pub(crate) fn of(&self, kind: TopicKind<'_>) -> Keep {
        match kind {
            TopicKind::Contact(_) => self.contact,
            TopicKind::PrivateStore(_) => self.private_store,
            TopicKind::Invite(_) => self.invite,
            TopicKind::Intro(_) => self.intro,
            TopicKind::Dm | TopicKind::DmEphemeral => self.dm,
            TopicKind::Conversation | TopicKind::ConversationEphemeral => self.conversation,
            TopicKind::UserPreferences => self.user_preferences,
            TopicKind::GroupInvite => self.group_invite,
            TopicKind::Other => self.other,
        }
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let long = units::parse_duration(&text).filter(|long| !long.is_zero());
        long.map(Self::For).ok_or_else(|| {
            let found = quote(&text);
            serde::de::Error::custom(format!(
                "found {found}, wanted `forever` or a duration like `12h` or `30d`"
            ))
        })
    }
}
