//! When and how often a valid file lets a rule write, and to whom not.

use std::{collections::BTreeSet, fmt, time::Duration};

use chrono_tz::Tz;

use super::{Part, SecretReference};
use crate::bot::expression::{BLOCK_TIME, Expression};
use crate::bot::policy::window::Window;

/// The policy of a rule: its own keys over the file's `defaults` over the language's defaults.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What makes an occurrence the same as an earlier one; empty stands for the trigger's own id.
    pub key: Vec<Expression>,
    /// Whom the rule may write to at all.
    pub consent: Consent,
    /// How many messages may go out in a sliding window.
    pub limits: Limits,
    /// How long a message is worth sending, counted from the occurrence.
    pub ttl: Duration,
    /// Hours in which messages wait.
    pub quiet: Option<Window>,
    /// Hours outside of which messages wait.
    pub hours: Option<Window>,
    /// Which messages go first.
    pub priority: Priority,
    /// What becomes of a message to a wallet that is not on the network.
    pub unreached: Unreached,
    /// How a publish without an answer is tried again.
    pub retry: Retry,
    /// One message a period instead of one an occurrence.
    pub digest: Option<Digest>,
    /// Whether nothing goes out before somebody approves it.
    pub approve: bool,
    /// Some recipients go first.
    pub canary: Option<Canary>,
    /// Pauses the broadcast when true.
    pub stop_if: Option<Expression>,
    /// What goes out later to who got the message, in the order of the file.
    pub then: Vec<FollowUp>,
    /// What happens once the message is delivered.
    pub after: After,
    /// Who is told what became of the messages.
    pub callback: Option<Callback>,
}

/// The consent a rule needs before it writes to a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consent {
    /// The wallet is a member of a list of this bot, or gave a proof of its consent.
    #[default]
    OptedIn,
    /// The wallet allowed the bot: it opted in, or it has written to the bot.
    Allowed,
    /// The wallet neither left nor is denied by the bot's own consent list.
    NotDenied,
    /// The wallet caused the event it is told of.
    Transactional,
    /// None; worth a warning.
    Any,
}

/// How many messages may go out in a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Of the rule to each recipient.
    pub recipient: Option<Limit>,
    /// Of the rule to all recipients together.
    pub rule: Option<Limit>,
    /// Of all rules of the bot to all recipients together.
    pub bot: Option<Limit>,
}

/// At most `count` messages in any span of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// At least one.
    pub count: u32,
    /// At least one second.
    pub per: Duration,
}

/// Which messages go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Priority {
    /// After all others.
    Bulk,
    /// In the order they were planned.
    #[default]
    Normal,
    /// Before all others, also in quiet hours.
    Urgent,
}

impl Priority {
    /// The number by which the store sorts it, the first ones highest.
    pub fn rank(self) -> u8 {
        match self {
            Self::Bulk => 0,
            Self::Normal => 1,
            Self::Urgent => 2,
        }
    }
}

/// What becomes of a message to a wallet that is not on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unreached {
    /// It waits for the wallet's contact until its `ttl`.
    #[default]
    Hold,
    /// It ends.
    Skip,
}

/// How a publish without an answer is tried again: after a wait that doubles, give or take a fifth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// For how long after it was sealed; none is until the `ttl`.
    pub within: Option<Duration>,
    /// The first wait.
    pub from: Duration,
    /// The longest wait.
    pub to: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            within: None,
            from: Duration::from_secs(5),
            to: Duration::from_mins(10),
        }
    }
}

/// Collects what a rule has to say to a recipient into one message a period.
#[derive(Debug, Clone)]
pub struct Digest {
    /// When the message is due.
    pub period: Period,
    /// The most items of one message; the rest is counted.
    pub max: usize,
    /// What the items are sorted by; in the order they came if nothing is said.
    pub order: Option<Expression>,
}

/// When a digest is due.
#[derive(Debug, Clone)]
pub enum Period {
    /// This long after its first item.
    Every(Duration),
    /// At an hour of the day, by its expression, in a zone; none is the recipient's.
    Hour {
        /// An int from 0 to 23; sees `to`.
        hour: Expression,
        /// None is the recipient's.
        zone: Option<Tz>,
    },
    /// At the instants of a cron line in a zone.
    Cron {
        /// Five fields, valid in every zone.
        line: String,
        /// None is the recipient's.
        zone: Option<Tz>,
    },
}

/// What goes out later to who got the message of a rule.
#[derive(Debug, Clone)]
pub struct FollowUp {
    /// When it is due.
    pub when: Later,
    /// `if`, judged when it is due.
    pub condition: Option<Expression>,
    /// A whole message, lower case, that ends it.
    pub unless_reply: Option<String>,
    /// Judged when it is due: when true this one and those after it end.
    pub cancel_if: Option<Expression>,
    /// What is sent.
    pub parts: Vec<Part>,
}

/// When a follow-up is due.
#[derive(Debug, Clone)]
pub enum Later {
    /// At this time; `none` is never.
    At(Expression),
    /// So long after the message was delivered.
    After(Duration),
}

impl Later {
    /// Whether it may have moved when it comes: an estimate of a chain's blocks.
    pub(crate) fn may_change(&self) -> bool {
        match self {
            Self::At(time) => time.names().contains(BLOCK_TIME),
            Self::After(_) => false,
        }
    }
}

/// What happens once a message is delivered.
#[derive(Debug, Clone, Default)]
pub struct After {
    /// The recipient leaves this list.
    pub leave: Option<String>,
    /// Fields of the recipient's membership get new values.
    pub set: Vec<(String, Expression)>,
    /// The row that fired leaves this table.
    pub remove: Option<String>,
}

/// Who is told what became of a rule's messages, signed as the Standard Webhooks specification describes.
#[derive(Clone, PartialEq, Eq)]
pub struct Callback {
    /// Where it is posted.
    pub url: String,
    /// What is told; at least one.
    pub events: BTreeSet<CallbackEvent>,
    /// Where the secret is found that signs it.
    pub sign: SecretReference,
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a token.
        f.debug_struct("Callback")
            .field("events", &self.events)
            .field("sign", &self.sign)
            .finish_non_exhaustive()
    }
}

/// What a callback tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallbackEvent {
    /// A node acknowledged the message.
    Delivered,
    /// It cannot be sent.
    Rejected,
    /// It was not sent in time.
    Expired,
    /// The wallet wrote in the conversation of the message, for the first time since it was sealed.
    Replied,
}

impl CallbackEvent {
    /// Every event, in the order of a delivery's life.
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Rejected, Self::Expired, Self::Replied];

    /// The word in files and bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Replied => "replied",
        }
    }

    /// The events that a word of `events` names: `failed` is two of them, `published` another word for `delivered`; none for a word
    /// that is not known.
    pub fn named(word: &str) -> &'static [Self] {
        match word {
            "delivered" | "published" => &[Self::Delivered],
            "rejected" => &[Self::Rejected],
            "expired" => &[Self::Expired],
            "failed" => &[Self::Rejected, Self::Expired],
            "replied" => &[Self::Replied],
            _ => &[],
        }
    }

    /// The event of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == word)
    }
}

/// Some recipients go first, and are looked at.
#[derive(Debug, Clone)]
pub struct Canary {
    /// How many; at least one.
    pub first: u32,
    /// How long the others wait, counted from when the first are let out.
    pub wait: Duration,
    /// Pauses the broadcast when true.
    pub stop_if: Option<Expression>,
}
