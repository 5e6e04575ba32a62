//! The shape of the policy keys, which rules and `defaults` share.

use schemars::JsonSchema;
use serde::Deserialize;

use super::ContentFile;
use crate::bot::config::spanned::{Entries, OneOrMany, Spanned, Text};

/// A struct of the file with the policy keys behind its own.
macro_rules! with_policy {
    ($(#[$meta:meta])* pub(crate) struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        pub(crate) struct $name {
            $($own)*
            /// What makes an occurrence the same as an earlier one. Expressions.
            pub(crate) key: Option<$crate::bot::config::spanned::OneOrMany<$crate::bot::config::spanned::Text>>,
            /// How long a message is worth sending: a duration. Literal.
            pub(crate) ttl: Option<$crate::bot::config::spanned::Text>,
            /// How many messages in a sliding window.
            pub(crate) limit: Option<$crate::bot::config::file::LimitFile>,
            /// The consent that is needed: `opted_in`, `allowed`, `not_denied`, `transactional` or `any`. Literal.
            pub(crate) consent: Option<$crate::bot::config::spanned::Text>,
            /// Hours in which messages wait: `22:00-08:00 recipient`. Literal.
            pub(crate) quiet: Option<$crate::bot::config::spanned::Text>,
            /// Hours outside of which messages wait: `mon-fri 09:00-18:00 Europe/Lisbon`. Literal.
            pub(crate) hours: Option<$crate::bot::config::spanned::Text>,
            /// `urgent` passes quiet hours and overtakes, `normal`, or `bulk` yields. Literal.
            pub(crate) priority: Option<$crate::bot::config::spanned::Text>,
            /// Whether a message to a wallet that is not on the network waits (`hold`) or ends (`skip`). Literal.
            pub(crate) unreached: Option<$crate::bot::config::spanned::Text>,
            /// How a publish without an answer is tried again.
            pub(crate) retry: Option<$crate::bot::config::file::RetryFile>,
            /// One message a period instead of one an occurrence.
            pub(crate) digest: Option<$crate::bot::config::file::DigestFile>,
            /// `true`: nothing goes out before `herald broadcast approve`. Literal.
            pub(crate) approve: Option<$crate::bot::config::spanned::Text>,
            /// Some go first, and are looked at.
            pub(crate) canary: Option<$crate::bot::config::spanned::Spanned<$crate::bot::config::file::CanaryFile>>,
            /// Pauses the broadcast when true: sees the counts so far. Expression.
            pub(crate) stop_if: Option<$crate::bot::config::spanned::Text>,
            /// What goes out later to who got the message.
            pub(crate) then: Option<Vec<$crate::bot::config::file::FollowUpFile>>,
            /// What happens once the message is delivered.
            pub(crate) after: Option<$crate::bot::config::file::AfterFile>,
            /// Who is told what became of the messages.
            pub(crate) callback: Option<$crate::bot::config::file::CallbackFile>,
            /// The id of the conversation that messages stand in. Template.
            pub(crate) thread: Option<$crate::bot::config::spanned::Text>,
        }

        impl $name {
            /// The policy keys that are written here.
            pub(crate) fn policy(&self) -> $crate::bot::config::file::PolicyKeys<'_> {
                $crate::bot::config::file::PolicyKeys {
                    key: self.key.as_ref(),
                    ttl: self.ttl.as_ref(),
                    limit: self.limit.as_ref(),
                    consent: self.consent.as_ref(),
                    quiet: self.quiet.as_ref(),
                    hours: self.hours.as_ref(),
                    priority: self.priority.as_ref(),
                    unreached: self.unreached.as_ref(),
                    retry: self.retry.as_ref(),
                    digest: self.digest.as_ref(),
                    approve: self.approve.as_ref(),
                    canary: self.canary.as_ref(),
                    stop_if: self.stop_if.as_ref(),
                    then: self.then.as_deref(),
                    after: self.after.as_ref(),
                    callback: self.callback.as_ref(),
                    thread: self.thread.as_ref(),
                }
            }
        }
    };
}
pub(crate) use with_policy;

with_policy! {
    /// `defaults`.
    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, expecting = "defaults: a map of policy keys")]
    pub(crate) struct DefaultsFile {}
}

/// The policy keys of a rule or of `defaults`; those that are not written are none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PolicyKeys<'f> {
    pub(crate) key: Option<&'f OneOrMany<Text>>,
    pub(crate) ttl: Option<&'f Text>,
    pub(crate) limit: Option<&'f LimitFile>,
    pub(crate) consent: Option<&'f Text>,
    pub(crate) quiet: Option<&'f Text>,
    pub(crate) hours: Option<&'f Text>,
    pub(crate) priority: Option<&'f Text>,
    pub(crate) unreached: Option<&'f Text>,
    pub(crate) retry: Option<&'f RetryFile>,
    pub(crate) digest: Option<&'f DigestFile>,
    pub(crate) approve: Option<&'f Text>,
    pub(crate) canary: Option<&'f Spanned<CanaryFile>>,
    pub(crate) stop_if: Option<&'f Text>,
    pub(crate) then: Option<&'f [FollowUpFile]>,
    pub(crate) after: Option<&'f AfterFile>,
    pub(crate) callback: Option<&'f CallbackFile>,
    pub(crate) thread: Option<&'f Text>,
}

impl PolicyKeys<'_> {
    /// These keys, and of the others those that are not written here.
    pub(crate) fn over(self, others: Self) -> Self {
        Self {
            key: self.key.or(others.key),
            ttl: self.ttl.or(others.ttl),
            limit: self.limit.or(others.limit),
            consent: self.consent.or(others.consent),
            quiet: self.quiet.or(others.quiet),
            hours: self.hours.or(others.hours),
            priority: self.priority.or(others.priority),
            unreached: self.unreached.or(others.unreached),
            retry: self.retry.or(others.retry),
            digest: self.digest.or(others.digest),
            approve: self.approve.or(others.approve),
            canary: self.canary.or(others.canary),
            stop_if: self.stop_if.or(others.stop_if),
            then: self.then.or(others.then),
            after: self.after.or(others.after),
            callback: self.callback.or(others.callback),
            thread: self.thread.or(others.thread),
        }
    }
}

/// `limit`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "a limit like `1/day`, or `{ recipient, rule, bot }`")]
pub(crate) enum LimitFile {
    /// Per recipient: `N/T`. Literal.
    #[serde(rename = "$text")]
    Recipient(Text),
    #[serde(rename = "$map")]
    Each(LimitsFile),
}

/// `limit: { recipient, rule, bot }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "limits: a map of keys")]
pub(crate) struct LimitsFile {
    /// To each recipient: `N/T`. Literal.
    pub(crate) recipient: Option<Text>,
    /// Of the rule to all: `N/T`. Literal.
    pub(crate) rule: Option<Text>,
    /// Of all rules of the bot to all: `N/T`. Literal.
    pub(crate) bot: Option<Text>,
}

/// `retry`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a way to try again: `{ for, from, to }`")]
pub(crate) struct RetryFile {
    /// For how long, at most the `ttl`: a duration. Literal.
    #[serde(rename = "for")]
    pub(crate) within: Option<Text>,
    /// The first wait, which doubles: a duration. Literal.
    pub(crate) from: Option<Text>,
    /// The longest wait: a duration. Literal.
    pub(crate) to: Option<Text>,
}

/// `digest`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a digest: `{ every }`, `{ hour, tz }` or `{ cron, tz }`"
)]
pub(crate) struct DigestFile {
    /// A span that begins with the first item: a duration. Literal.
    pub(crate) every: Option<Text>,
    /// The hour of the day. Expression.
    pub(crate) hour: Option<Text>,
    /// Five fields. Literal.
    pub(crate) cron: Option<Text>,
    /// `recipient`, or a time zone; UTC if left out. Literal.
    pub(crate) tz: Option<Text>,
    /// The most items of one message. Literal.
    pub(crate) max: Option<Text>,
    /// What the items are sorted by. Expression.
    pub(crate) order: Option<Text>,
}

/// An item of `then`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a follow-up: a map of keys")]
pub(crate) struct FollowUpFile {
    /// When it is due: a time. Expression.
    pub(crate) at: Option<Text>,
    /// How long after the message was delivered: a duration. Literal.
    pub(crate) after: Option<Text>,
    /// Judged when it is due. Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
    /// A whole message in any case that ends it. Literal.
    pub(crate) unless_reply: Option<Text>,
    /// Judged when it is due: this one and those after it end. Expression.
    pub(crate) cancel_if: Option<Text>,
    /// What is sent.
    pub(crate) send: Spanned<ContentFile>,
}

/// `after`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "what happens once it is delivered: `{ leave }`, `{ set }` or `{ remove }`"
)]
pub(crate) struct AfterFile {
    /// A list's name. Literal.
    pub(crate) leave: Option<Text>,
    /// Fields of the recipient by name. Expressions.
    pub(crate) set: Option<Entries<String>>,
    /// The table of the row that fired, which goes. Literal.
    pub(crate) remove: Option<Text>,
}

/// `callback`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a callback: `{ url, events, sign }`")]
pub(crate) struct CallbackFile {
    /// Where it is posted. Literal.
    pub(crate) url: Text,
    /// `delivered` (or `published`), `rejected`, `expired`, `failed` (both of these), `replied`; all of them if left out. Literals.
    pub(crate) events: Option<Spanned<OneOrMany<Text>>>,
    /// Where the secret is found that signs it. Literal.
    pub(crate) sign: Text,
}

/// `canary`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a canary: `{ first, wait, stop_if }`")]
pub(crate) struct CanaryFile {
    /// How many recipients go first. Literal.
    pub(crate) first: Text,
    /// How long the others wait: a duration. Literal.
    pub(crate) wait: Text,
    /// Pauses the broadcast when true: sees the counts of the canary. Expression.
    pub(crate) stop_if: Option<Text>,
}
