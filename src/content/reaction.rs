//! Reactions, `xmtp.org/reaction:1.0`, as XIP-20 defines them (deployed with `content` where it says `emoji`): JSON about one message.

use std::fmt;

use herald_protocol::{
    Error,
    content::{ContentTypeId, EncodedContent},
};
use serde::Serialize;

use super::{ContentCodec, json, required, standard};

/// What somebody feels about one message, or felt and takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// The id of the message, as its readers show it: 64 hex digits in V2.
    pub reference: String,
    /// The inbox of that message's sender; unknown in V1 and V2 conversations.
    pub reference_inbox_id: Option<String>,
    /// Whether it is added or removed.
    pub action: ReactionAction,
    /// What `content` is.
    pub schema: ReactionSchema,
    /// The reaction: an emoji, `:shortcode:`, or what an application agrees on.
    pub content: String,
}

impl Reaction {
    /// An emoji about the message of this id.
    pub fn added(reference: impl Into<String>, emoji: impl Into<String>) -> Self {
        Self {
            reference: reference.into(),
            reference_inbox_id: None,
            action: ReactionAction::Added,
            schema: ReactionSchema::Unicode,
            content: emoji.into(),
        }
    }

    /// The same taken back.
    #[must_use]
    pub fn removed(self) -> Self {
        Self {
            action: ReactionAction::Removed,
            ..self
        }
    }

    fn from_members(members: &json::Members<'_>) -> Result<Self, Error> {
        Ok(Self {
            reference: members.text("reference")?,
            reference_inbox_id: members.optional_text("referenceInboxId")?,
            action: members.text("action")?.into(),
            schema: members.text("schema")?.into(),
            content: members.text("content")?,
        })
    }

    /// The form before JSON: the bare reaction, everything else in parameters.
    fn from_parameters(content: &EncodedContent, text: &str) -> Result<Self, Error> {
        let parameter = |name| required("reaction", content, name).map(ToOwned::to_owned);
        Ok(Self {
            reference: parameter("reference")?,
            reference_inbox_id: None,
            action: parameter("action")?.into(),
            schema: parameter("schema")?.into(),
            content: text.to_owned(),
        })
    }
}

impl ContentCodec for Reaction {
    fn content_type() -> ContentTypeId {
        standard("reaction")
    }

    fn encode(&self) -> EncodedContent {
        /// In the order of xmtp-js.
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Members<'a> {
            action: &'a str,
            reference: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            reference_inbox_id: Option<&'a str>,
            schema: &'a str,
            content: &'a str,
        }
        let members = Members {
            action: self.action.as_str(),
            reference: &self.reference,
            reference_inbox_id: self.reference_inbox_id.as_deref(),
            schema: self.schema.as_str(),
            content: &self.content,
        };
        EncodedContent {
            fallback: self.fallback(),
            ..EncodedContent::new(Self::content_type(), json::write(&members))
        }
    }

    /// Tries JSON first, then the old form: the bare reaction with the rest in parameters. A bare reaction that happens to be JSON
    /// but no object, such as a digit, is one of the old form, where xmtp-js makes an empty reaction of it.
    fn decode(content: &EncodedContent) -> Result<Self, Error> {
        let text = String::from_utf8_lossy(&content.content);
        match json::Members::parse("reaction", &text, &NAMES) {
            Ok(members) => Self::from_members(&members),
            Err(_) if content.parameter("reference").is_some() => Self::from_parameters(content, &text),
            Err(error) => Err(error),
        }
    }

    fn fallback(&self) -> Option<String> {
        match self.action {
            ReactionAction::Added => Some(format!("Reacted “{}” to an earlier message", self.content)),
            ReactionAction::Removed => Some(format!("Removed “{}” from an earlier message", self.content)),
            ReactionAction::Other(_) => None,
        }
    }

    fn should_push(&self) -> bool {
        self.action == ReactionAction::Added
    }
}

/// What happens to a reaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReactionAction {
    /// `added`.
    Added,
    /// `removed`.
    Removed,
    /// A word that the standard does not have.
    Other(String),
}

impl ReactionAction {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for ReactionAction {
    fn from(word: String) -> Self {
        match word.as_str() {
            "added" => Self::Added,
            "removed" => Self::Removed,
            _ => Self::Other(word),
        }
    }
}

impl fmt::Display for ReactionAction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What the text of a reaction is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReactionSchema {
    /// `unicode`: an emoji.
    Unicode,
    /// `shortcode`: its name, such as `:smile:`.
    Shortcode,
    /// `custom`: what an application agrees on.
    Custom,
    /// A word that the standard does not have.
    Other(String),
}

impl ReactionSchema {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unicode => "unicode",
            Self::Shortcode => "shortcode",
            Self::Custom => "custom",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for ReactionSchema {
    fn from(word: String) -> Self {
        match word.as_str() {
            "unicode" => Self::Unicode,
            "shortcode" => Self::Shortcode,
            "custom" => Self::Custom,
            _ => Self::Other(word),
        }
    }
}

impl fmt::Display for ReactionSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

const NAMES: [&str; 5] = ["action", "reference", "referenceInboxId", "schema", "content"];

#[cfg(test)]
mod tests {
    use super::*;

    fn old(body: &str) -> EncodedContent {
        let parameter = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        EncodedContent {
            parameters: [
                ("action", "added"),
                ("reference", "abc"),
                ("schema", "unicode"),
                ("encoding", "UTF-8"),
            ]
            .map(parameter)
            .to_vec(),
            ..EncodedContent::new(Reaction::content_type(), body.as_bytes().to_vec())
        }
    }

    #[test]
    fn members_are_written_in_the_order_of_xmtp_js_and_nothing_is_escaped_that_need_not_be() {
        let mut reaction = Reaction::added("abc", "👍\"\u{2028}").removed();
        let written = String::from_utf8(reaction.encode().content).unwrap();
        let wanted = "{\"action\":\"removed\",\"reference\":\"abc\",\"schema\":\"unicode\",\"content\":\"👍\\\"\u{2028}\"}";
        assert_eq!(written, wanted);
        reaction.reference_inbox_id = Some("i".to_owned());
        let written = String::from_utf8(reaction.encode().content).unwrap();
        assert!(
            written.contains("\"reference\":\"abc\",\"referenceInboxId\":\"i\",\"schema\""),
            "{written}"
        );
    }

    #[test]
    fn only_an_added_reaction_rings_and_unknown_actions_have_no_fallback() {
        let added = Reaction::added("abc", "👍");
        assert_eq!(
            added.fallback().as_deref(),
            Some("Reacted “👍” to an earlier message")
        );
        assert!(added.should_push());
        let removed = added.clone().removed();
        assert_eq!(
            removed.fallback().as_deref(),
            Some("Removed “👍” from an earlier message")
        );
        assert!(!removed.should_push());
        let other = Reaction {
            action: "moved".to_owned().into(),
            ..added
        };
        assert_eq!((other.fallback(), other.should_push()), (None, false));
        assert_eq!(Reaction::decode(&other.encode()), Ok(other));
    }

    #[test]
    fn the_form_before_json_is_read_also_when_the_reaction_is_a_digit() {
        for body in ["👍", "1", "\"x\"", "null", "{", ""] {
            assert_eq!(
                Reaction::decode(&old(body)),
                Ok(Reaction::added("abc", body)),
                "{body}"
            );
        }
    }

    #[test]
    fn json_counts_before_parameters() {
        let mut both = old("x");
        both.content = Reaction::added("json", "👍").encode().content;
        assert_eq!(Reaction::decode(&both), Ok(Reaction::added("json", "👍")));
    }

    #[test]
    fn a_reaction_to_nothing_is_refused() {
        for body in [
            "",
            "👍",
            "{}",
            "{\"action\":\"added\",\"reference\":7,\"schema\":\"unicode\",\"content\":\"x\"}",
        ] {
            let content = EncodedContent::new(Reaction::content_type(), body.as_bytes().to_vec());
            assert!(
                matches!(Reaction::decode(&content), Err(Error::Malformed { .. })),
                "{body}"
            );
        }
    }
}
