//! What makes a rule fire. This module declares the triggers; their clocks and checks live in the submodules.

use std::time::Duration;

use chrono::{DateTime, Utc};

mod clock;
mod log;
mod past;
mod reading;
/// Five-field cron in a time zone.
pub mod schedule;
mod watch;
/// Webhooks: requests that are checked, and answered.
pub mod webhook;

pub(crate) use clock::{next_ticks, round, run};
pub use log::EvmLog;
pub(crate) use log::{follow_logs, in_test as log_in_test};
pub(crate) use past::{Past, recall};
pub use reading::{Feed, Poll};
pub(crate) use reading::{read, read_given, readers};
pub use watch::{Each, Edge, Watch};
pub use webhook::Webhook;

/// One entry of a rule's `when`.
#[derive(Debug, Clone)]
pub enum Trigger {
    /// At the instants of a cron line in a zone.
    Cron(Box<schedule::Schedule>),
    /// At the instants of a cron line in the zone of each member of the rule's list; the schedule's own zone says nothing.
    CronOfRecipient(Box<schedule::Schedule>),
    /// Each time this span passes, counted from when the rule was first seen.
    Every {
        /// At least one second.
        span: Duration,
        /// Each time comes later by up to this, at most the span; a time's delay is the same after a restart.
        jitter: Duration,
    },
    /// Once, at this instant.
    At(DateTime<Utc>),
    /// When a request that is checked arrives at `POST /hooks/BOT/PATH`.
    Webhook(Box<Webhook>),
    /// When somebody writes to the bot.
    Message(Words),
    /// When a wallet joins the list of this name.
    Joined(String),
    /// When a wallet leaves the list of this name.
    Left(String),
    /// When a rule has not fired for a time.
    Silent {
        /// The rule's name, another one than that of the trigger.
        rule: String,
        /// Counted from the rule's last occurrence, or else from when the trigger was first seen; at least one second.
        span: Duration,
    },
    /// When a feed has an entry that it did not have before.
    Feed(Box<Feed>),
    /// When an item of a source is new, or has changed.
    Poll(Box<Poll>),
    /// When a value crosses a line.
    Watch(Box<Watch>),
    /// When what the rule of this name watches is cleared.
    Cleared(String),
    /// When a contract logs an event.
    Log(Box<EvmLog>),
    /// When the bot starts with a file it has not run before.
    Started,
    /// When somebody asks for it by command line or API.
    Manual,
}

/// Which messages a `message` trigger takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// Every message.
    Any,
    /// Messages that are one of these words, or start with it, in any case. Stored lower case.
    Of(Vec<String>),
}

impl Words {
    /// Whether the text of a message is one of the words or starts with one, in any case.
    pub fn take(&self, text: &str) -> bool {
        let Self::Of(words) = self else { return true };
        let text = text.trim().to_lowercase();
        let first = text.split_whitespace().next().unwrap_or_default();
        words.iter().any(|word| *word == text || word == first)
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn words_take_the_whole_message_or_its_first_word_in_any_case() {
        let words = Words::Of(vec!["price".into(), "what now".into()]);
        for taken in ["price", " PRICE \n", "Price of ether", "What Now"] {
            assert!(words.take(taken), "{taken:?}");
        }
        for other in ["", "prices", "the price", "what", "what now then"] {
            assert!(!words.take(other), "{other:?}");
        }
        assert!(Words::Any.take(""));
    }
}
