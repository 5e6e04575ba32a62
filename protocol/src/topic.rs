//! Topics: the names envelopes are published under.
//!
//! [`Topic`] builds and carries names; [`kind`] reads any text a peer may send and says what rules it falls under.

use std::fmt;

use crate::{Error, address::Address, limits};

const PREFIX: &str = "/xmtp/0/";
const SUFFIX: &str = "/proto";

/// A content topic: at most 300 bytes, without NUL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(String);

impl Topic {
    /// Takes any name within the bounds; most nodes' tests use names outside `/xmtp/0/`.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        if name.len() > limits::TOPIC_BYTES {
            let problem = format!(
                "found {} bytes, wanted at most {}",
                name.len(),
                limits::TOPIC_BYTES
            );
            return Err(Error::malformed("topic", problem));
        }
        if name.contains('\0') {
            return Err(Error::malformed("topic", "found a NUL"));
        }
        Ok(Self(name))
    }

    fn of(name: &str) -> Self {
        Self(format!("{PREFIX}{name}{SUFFIX}"))
    }

    /// Where a wallet's contact bundles are.
    pub fn contact(wallet: Address) -> Self {
        Self::of(&format!("contact-{wallet}"))
    }

    /// Where a wallet's sealed key bundle is.
    pub fn private_store(wallet: Address) -> Self {
        Self::of(&format!("privatestore-{wallet}/key_bundle"))
    }

    /// Where a wallet's invitations are.
    pub fn invite(wallet: Address) -> Self {
        Self::of(&format!("invite-{wallet}"))
    }

    /// Where a wallet's first V1 messages are.
    pub fn intro(wallet: Address) -> Self {
        Self::of(&format!("intro-{wallet}"))
    }

    /// The V1 conversation of two wallets, in any order.
    pub fn dm(one: Address, other: Address) -> Self {
        let [first, second] = Address::sorted_texts(one, other);
        Self::of(&format!("dm-{first}-{second}"))
    }

    /// The ephemeral form of [`Topic::dm`].
    pub fn dm_ephemeral(one: Address, other: Address) -> Self {
        Self::dm(one, other).ephemeral()
    }

    /// A wallet's consent log; the identifier is derived from its identity key.
    pub fn user_preferences(identifier: &str) -> Result<Self, Error> {
        Self::new(Self::of(&format!("userpreferences-{identifier}")).0)
    }

    /// The consent log of an identifier that is the base64 of a hash.
    pub(crate) fn derived_preferences(identifier: &str) -> Self {
        Self::of(&format!("userpreferences-{identifier}"))
    }

    /// The V2 conversation of this id.
    pub fn conversation(id: &str) -> Result<Self, Error> {
        Self::new(Self::of(&format!("m-{id}")).0)
    }

    /// The V2 conversation whose id is these 32 bytes in hex.
    pub(crate) fn derived_conversation(id: [u8; 32]) -> Self {
        Self::of(&format!("m-{}", const_hex::encode(id)))
    }

    /// The form whose envelopes are relayed but not stored; only conversations have one, others stay as they are.
    #[must_use]
    pub fn ephemeral(&self) -> Self {
        for category in ["m", "dm"] {
            let marked = format!("{PREFIX}{category}-");
            if let Some(rest) = self.0.strip_prefix(&marked) {
                return Self(format!("{PREFIX}{category}E-{rest}"));
            }
        }
        self.clone()
    }

    /// Whether this is exactly `/xmtp/0/m-<id>/proto` in visible ASCII, the only topics messages may live on.
    pub fn is_conversation(&self) -> bool {
        self.0
            .strip_prefix("/xmtp/0/m-")
            .and_then(|rest| rest.strip_suffix(SUFFIX))
            .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What rules this topic falls under.
    pub fn kind(&self) -> TopicKind<'_> {
        kind(&self.0)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl AsRef<str> for Topic {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<Topic> for String {
    fn from(topic: Topic) -> Self {
        topic.0
    }
}

impl std::str::FromStr for Topic {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::new(name)
    }
}

/// What rules a topic falls under, by its category: the text after `/xmtp/0/` up to the first `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicKind<'a> {
    /// Restricted to the owner, whose address must be exactly this text.
    Contact(&'a str),
    /// Restricted to the owner, whose address must be exactly this text.
    PrivateStore(&'a str),
    /// V2 invitations to the wallet whose address is this text.
    Invite(&'a str),
    /// First V1 messages to the wallet whose address is this text.
    Intro(&'a str),
    /// A V1 conversation.
    Dm,
    /// A V1 conversation, not stored.
    DmEphemeral,
    /// A V2 conversation.
    Conversation,
    /// A V2 conversation, not stored.
    ConversationEphemeral,
    /// A consent log.
    UserPreferences,
    /// Reserved for group invitations.
    GroupInvite,
    /// Anything else.
    Other,
}

impl TopicKind<'_> {
    /// Whether envelopes are relayed to subscribers but not stored.
    pub const fn is_ephemeral(self) -> bool {
        matches!(self, Self::DmEphemeral | Self::ConversationEphemeral)
    }

    /// A stable label for counters.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Contact(_) => "contact",
            Self::PrivateStore(_) => "privatestore",
            Self::Invite(_) => "v2-invite",
            Self::Intro(_) => "v1-intro",
            Self::Dm => "v1-conversation",
            Self::DmEphemeral => "v1-conversation-ephemeral",
            Self::Conversation => "v2-conversation",
            Self::ConversationEphemeral => "v2-conversation-ephemeral",
            Self::UserPreferences => "userpreferences",
            Self::GroupInvite => "group-invite",
            Self::Other => "other",
        }
    }
}

/// What rules a name falls under.
///
/// Every name that starts `/xmtp/0/contact-` or `/xmtp/0/privatestore-` (in any letter case) is restricted. The owner
/// is the whole text between that and the next `/`, as written: a second `-`, another case or a missing end never
/// yields the address of somebody else, and a category in odd case yields an owner that nobody has.
pub fn kind(name: &str) -> TopicKind<'_> {
    let Some((category, rest)) = name.strip_prefix(PREFIX).and_then(|path| path.split_once('-')) else {
        return TopicKind::Other;
    };
    let owner = rest.split_once('/').map_or(rest, |(owner, _)| owner);
    match category {
        "contact" => TopicKind::Contact(owner),
        "privatestore" => TopicKind::PrivateStore(owner),
        "invite" => TopicKind::Invite(owner),
        "intro" => TopicKind::Intro(owner),
        "dm" => TopicKind::Dm,
        "dmE" => TopicKind::DmEphemeral,
        "m" => TopicKind::Conversation,
        "mE" => TopicKind::ConversationEphemeral,
        "userpreferences" => TopicKind::UserPreferences,
        "groupInvite" => TopicKind::GroupInvite,
        odd if odd.eq_ignore_ascii_case("contact") => TopicKind::Contact(name),
        odd if odd.eq_ignore_ascii_case("privatestore") => TopicKind::PrivateStore(name),
        _ => TopicKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ME: Address = Address::from_bytes([0xab; 20]);

    #[test]
    fn every_builder_is_read_back_as_its_kind() {
        let owner = ME.to_string();
        assert_eq!(Topic::contact(ME).kind(), TopicKind::Contact(&owner));
        assert_eq!(Topic::private_store(ME).kind(), TopicKind::PrivateStore(&owner));
        assert_eq!(Topic::invite(ME).kind(), TopicKind::Invite(&owner));
        assert_eq!(Topic::intro(ME).kind(), TopicKind::Intro(&owner));
        assert_eq!(Topic::dm(ME, ME).kind(), TopicKind::Dm);
        assert_eq!(Topic::dm_ephemeral(ME, ME).kind(), TopicKind::DmEphemeral);
        assert_eq!(
            Topic::user_preferences("a-b_c").unwrap().kind(),
            TopicKind::UserPreferences
        );
        let conversation = Topic::conversation("abc").unwrap();
        assert_eq!(conversation.kind(), TopicKind::Conversation);
        assert!(conversation.is_conversation());
        assert_eq!(conversation.ephemeral().kind(), TopicKind::ConversationEphemeral);
        assert!(!conversation.ephemeral().is_conversation());
        assert_eq!(conversation.ephemeral().as_str(), "/xmtp/0/mE-abc/proto");
        assert_eq!(kind("/xmtp/0/groupInvite-x/proto"), TopicKind::GroupInvite);
        assert_eq!(kind("test-topic"), TopicKind::Other);
        assert_eq!(kind("/xmtp/0/contact"), TopicKind::Other);
    }

    #[test]
    fn no_spelling_of_a_restricted_topic_gets_around_its_owner() {
        let me = ME.to_string();
        for (name, owner) in [
            (format!("/xmtp/0/contact-{me}/proto"), me.clone()),
            (format!("/xmtp/0/contact-{me}"), me.clone()),
            (format!("/xmtp/0/privatestore-{me}/anything"), me.clone()),
            (format!("/xmtp/0/contact-{me}-x/proto"), format!("{me}-x")),
            (
                format!("/xmtp/0/contact-{}/proto", me.to_lowercase()),
                me.to_lowercase(),
            ),
            (format!("/xmtp/0/contact-{me}\0/proto"), format!("{me}\0")),
            (format!("/xmtp/0/contact-{me}%2fproto"), format!("{me}%2fproto")),
            (format!("/xmtp/0/contact- {me}/proto"), format!(" {me}")),
            ("/xmtp/0/contact-".into(), String::new()),
            ("/xmtp/0/contact-*/proto".into(), "*".into()),
        ] {
            match kind(&name) {
                TopicKind::Contact(found) | TopicKind::PrivateStore(found) => {
                    assert_eq!(found, owner, "{name}");
                }
                other => panic!("{name} is {other:?}"),
            }
        }
        let odd = format!("/xmtp/0/Contact-{me}/proto");
        assert_eq!(kind(&odd), TopicKind::Contact(&odd));
    }

    #[test]
    fn a_topic_of_300_bytes_is_taken_and_of_301_refused() {
        assert!(Topic::new("x".repeat(limits::TOPIC_BYTES)).is_ok());
        assert!(Topic::new("x".repeat(limits::TOPIC_BYTES + 1)).is_err());
        assert!(Topic::new("a\0b").is_err());
        assert!(Topic::conversation(&"x".repeat(300)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_parsed_prints_as_it_was(name in "\\PC{0,80}") {
            let topic: Topic = name.parse().unwrap();
            prop_assert_eq!(topic.to_string(), name);
        }

        #[test]
        fn restricted_prefixes_stay_restricted_whatever_follows(rest in any::<String>()) {
            let contact = format!("/xmtp/0/contact-{rest}");
            prop_assert!(matches!(kind(&contact), TopicKind::Contact(_)));
            let store = format!("/xmtp/0/privatestore-{rest}");
            prop_assert!(matches!(kind(&store), TopicKind::PrivateStore(_)));
        }
    }
}
