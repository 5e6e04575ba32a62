//! What became of a test.

use std::fmt;

use serde::Serialize;

use crate::bot::{
    source::Posted,
    store::{Callback, CallbackState},
};

/// What became of one test.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// Whether everything that was expected arrived, and nothing else.
    pub ok: bool,
    /// How many messages the test wallets decrypted.
    pub messages: usize,
    /// Steps that did not do what they say, and what the bot told of itself.
    pub problems: Vec<String>,
    /// What was expected beside what arrived, in order per wallet.
    pub lines: Vec<Line>,
    /// Rows that were not delivered, and what fired for nobody, and why; each in words.
    pub undelivered: Vec<String>,
    /// What was told where rules' `callback` says, or would be, oldest first; then what flows posted.
    pub callbacks: Vec<Told>,
    /// What `expect` says when it says what arrived; none when a step failed.
    #[serde(skip)]
    pub(crate) update: Option<Vec<Entry>>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What was expected, in words.
    pub expected: Option<String>,
    /// What arrived, in words.
    pub received: Option<String>,
    /// In what they differ, where both are there.
    pub differs: Option<String>,
}

impl Line {
    /// Whether it is as it should be.
    pub fn ok(&self) -> bool {
        self.expected.is_some() && self.received.is_some() && self.differs.is_none()
    }
}

/// A callback, or what a flow posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The rule; `flow:NAME` of a flow.
    pub rule: String,
    /// What it tells.
    pub event: &'static str,
    /// To whom the message is; of a flow whose case it is.
    pub wallet: String,
    /// Where it stands: `waiting`, `done` or `dead`.
    pub state: &'static str,
    /// Why it is not taken.
    pub reason: Option<String>,
    /// How often it was posted.
    pub tries: u32,
    /// What is posted.
    pub body: serde_json::Value,
}

impl From<&Callback> for Told {
    fn from(callback: &Callback) -> Self {
        Self {
            rule: callback.rule.clone(),
            event: callback.event.as_str(),
            wallet: callback.wallet.to_string(),
            state: callback.state.as_str(),
            reason: callback
                .reason
                .clone()
                .filter(|_| callback.state != CallbackState::Done),
            tries: callback.tries,
            body: serde_json::from_str(&callback.body).unwrap_or_default(),
        }
    }
}

impl From<&Posted> for Told {
    fn from(posted: &Posted) -> Self {
        let is_taken = (200..300).contains(&posted.status);
        let state = if is_taken {
            CallbackState::Done
        } else {
            CallbackState::Waiting
        };
        Self {
            rule: posted.rule.clone(),
            event: "escalated",
            wallet: posted.wallet.to_string(),
            state: state.as_str(),
            reason: (!is_taken).then(|| format!("it was answered with {}", posted.status)),
            tries: 1,
            body: serde_json::from_str(&posted.body).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            event,
            wallet,
            state,
            ..
        } = self;
        write!(f, "{rule} {event} to {wallet}: {state}")?;
        match &self.reason {
            Some(reason) => write!(f, ", {reason}"),
            None => Ok(()),
        }
    }
}

/// An entry that `expect` should have: its keys and their texts, in order.
pub(crate) type Entry = Vec<(&'static str, String)>;

impl Outcome {
    /// A test that could not be played to its end.
    pub(super) fn broken(problem: String) -> Self {
        Self {
            problems: vec![problem],
            ..Self::default()
        }
    }
}
