//! The shape of `tests`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::bot::config::spanned::{Entries, Raw, Spanned, Text};

/// An entry of `tests`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a test: a map of keys")]
pub(crate) struct TestFile {
    /// What it shows. Literal.
    pub(crate) name: Text,
    /// What is so before the bot starts: `now`, `files`, members by the name of their list, and as `seen` what feeds and polls have read, by their rules.
    #[serde(default)]
    pub(crate) given: Entries<Raw>,
    /// What happens, in order.
    #[serde(rename = "do")]
    pub(crate) steps: Vec<Spanned<StepFile>>,
    /// Everything that arrives, in order per wallet; rows that do not; callbacks.
    pub(crate) expect: Vec<Spanned<ExpectFile>>,
}

/// An entry of `do`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a step like `{ wait: 5m }`")]
pub(crate) struct StepFile {
    /// What `pick` gives from now on, by the names of sources; the rows of a query by the name of its rule; the status of an upload target, or of `RULE.callback`.
    pub(crate) mock: Option<Entries<Raw>>,
    /// A duration. Literal.
    pub(crate) wait: Option<Text>,
    /// Somebody writes to the bot.
    pub(crate) message: Option<SaidFile>,
    /// The name of a rule that fires. Literal.
    pub(crate) run: Option<Text>,
    /// The name of a rule whose broadcasts are approved. Literal.
    pub(crate) approve: Option<Text>,
    /// A request arrives, by the rule it makes fire.
    pub(crate) webhook: Option<Entries<Raw>>,
    /// The entries that a feed has now, by the rule that reads it.
    pub(crate) feed: Option<Entries<Raw>>,
    /// The items that a source gives a poll now, by the rule that polls it or the source.
    pub(crate) poll: Option<Entries<Raw>>,
    /// What a log says, by the rule that waits for it: the names of its event; what is left out is zero.
    pub(crate) log: Option<Entries<Raw>>,
    /// `wrong`. Literal.
    pub(crate) signature: Option<Text>,
    /// The status that the webhook answers. Literal.
    pub(crate) answer: Option<Text>,
    /// Somebody joins a list: `list`, `wallet` and fields.
    pub(crate) join: Option<Entries<Raw>>,
    /// `true`. Literal.
    pub(crate) restart: Option<Text>,
    /// The path of a file that the bot's becomes. Literal.
    pub(crate) reload: Option<Text>,
}

/// `message`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`{ from, text }`")]
pub(crate) struct SaidFile {
    /// A test wallet. Literal.
    pub(crate) from: Text,
    /// What is said. Literal.
    pub(crate) text: Option<Text>,
    /// A word of a closed set. Literal.
    #[serde(rename = "type")]
    pub(crate) kind: Option<Text>,
}

/// An entry of `expect`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a message like `{ to, text }`")]
pub(crate) struct ExpectFile {
    /// A test wallet; beside `state` or `callback` also an address. Literal.
    pub(crate) to: Text,
    /// A rule's name; `list:NAME` or `command:/NAME` for answers. Literal.
    pub(crate) rule: Option<Text>,
    /// A part of the text, case matters. Literal.
    pub(crate) text: Option<Text>,
    /// A key of `send`. Literal.
    #[serde(rename = "type")]
    pub(crate) kind: Option<Text>,
    /// An instant. Literal.
    pub(crate) time: Option<Text>,
    /// The id of the conversation. Literal.
    pub(crate) thread: Option<Text>,
    /// The state of a message that was not delivered; of a callback `done` if left out, `waiting` or `dead`. Literal.
    pub(crate) state: Option<Text>,
    /// What the rule's callback tells of a message to the wallet: `delivered`, `rejected`, `expired` or `replied`. Literal.
    pub(crate) callback: Option<Text>,
}
