//! What became of a test.

use serde::Serialize;

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
    /// Rows that were not delivered, and why; each in words.
    pub undelivered: Vec<String>,
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
