//! When and how often a valid file lets a rule write, and to whom not.

use std::time::Duration;

use crate::bot::expression::Expression;

/// The policy of a rule: its own keys over the file's `defaults` over the language's defaults.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What makes an occurrence the same as an earlier one; empty stands for the trigger's own id.
    pub key: Vec<Expression>,
    /// Whom the rule may write to at all.
    pub consent: Consent,
    /// How many messages one recipient gets in a sliding window.
    pub limit: Option<Limit>,
    /// How long a message is worth sending, counted from the occurrence.
    pub ttl: Duration,
}

/// The consent a rule needs before it writes to a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consent {
    /// The wallet is a member of a list of this bot.
    #[default]
    OptedIn,
    /// The wallet caused the event it is told of.
    Transactional,
    /// None; worth a warning.
    Any,
}

/// At most `count` messages in any span of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// At least one.
    pub count: u32,
    /// At least one second.
    pub per: Duration,
}
