//! The shape of `when`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::bot::config::spanned::{Entries, OneOrMany, Spanned, Text};

/// A trigger, told by its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = "a trigger like `{ every: 10m }`")]
pub(crate) enum TriggerFile {
    Cron(CronFile),
    Webhook(Box<WebhookFile>),
    Message(MessageFile),
    Joined(JoinedFile),
    Started(StartedFile),
    Manual(ManualFile),
    At(AtFile),
    Every(EveryFile),
    Left(LeftFile),
    Silent(SilentFile),
    Feed(FeedFile),
    Poll(PollFile),
    Watch(WatchFile),
    Cleared(ClearedFile),
    Log(LogFile),
}

/// `cron` in a zone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a cron trigger: a map of keys")]
pub(crate) struct CronFile {
    /// Five fields. Literal.
    pub(crate) cron: Text,
    /// A time zone, or `recipient`; UTC if left out. Literal.
    pub(crate) tz: Option<Text>,
}

/// `every`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an interval: a map of keys")]
pub(crate) struct EveryFile {
    /// A duration. Literal.
    pub(crate) every: Text,
    /// A duration. Literal.
    pub(crate) jitter: Option<Text>,
}

/// `at`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an instant: a map of keys")]
pub(crate) struct AtFile {
    /// An instant, or with `tz` a local time. Literal.
    pub(crate) at: Text,
    /// A time zone. Literal.
    pub(crate) tz: Option<Text>,
}

/// `webhook`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a webhook: a map of keys")]
pub(crate) struct WebhookFile {
    /// A path. Literal.
    pub(crate) webhook: Text,
    /// How requests are checked.
    pub(crate) verify: Spanned<VerifyFile>,
    /// Types of the body's fields.
    pub(crate) body: Option<Entries<BodyFile>>,
    /// What is answered once the occurrence is recorded.
    pub(crate) answer: Option<WebhookAnswerFile>,
}

/// `verify`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "`{ scheme: standard-webhooks, secret: env:NAME }`"
)]
pub(crate) struct VerifyFile {
    /// A word of a closed set. Literal.
    pub(crate) scheme: Text,
    /// A reference to a secret. Literal.
    pub(crate) secret: Option<Text>,
    /// A duration. Literal.
    pub(crate) tolerance: Option<Text>,
    /// The name of a header. Literal.
    pub(crate) header: Option<Text>,
    /// A word of a closed set. Literal.
    pub(crate) encoding: Option<Text>,
}

/// `answer`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an answer like `{ status: 202, json: { id: body.id } }`"
)]
pub(crate) struct WebhookAnswerFile {
    /// 200 to 299. Literal.
    pub(crate) status: Option<Text>,
    /// The fields of the body.
    pub(crate) json: Option<Entries<AnswerFieldFile>>,
}

/// A field of an answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "an expression, or a map of fields")]
pub(crate) enum AnswerFieldFile {
    /// Expression.
    #[serde(rename = "$text")]
    Value(Text),
    /// A record.
    #[serde(rename = "$map")]
    Record(Entries<AnswerFieldFile>),
}

/// A field of a webhook's body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "a type, or a map of fields and their types")]
pub(crate) enum BodyFile {
    /// A type. Literal.
    #[serde(rename = "$text")]
    Type(Text),
    /// A record.
    #[serde(rename = "$map")]
    Record(Entries<BodyFile>),
}

/// `message`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a message trigger: a map of keys")]
pub(crate) struct MessageFile {
    /// `any`, or words separated by `|`. Literal.
    pub(crate) message: Text,
}

/// `joined`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a joined trigger: a map of keys")]
pub(crate) struct JoinedFile {
    /// A list's name. Literal.
    pub(crate) joined: Text,
}

/// `left`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a left trigger: a map of keys")]
pub(crate) struct LeftFile {
    /// A list's name. Literal.
    pub(crate) left: Text,
}

/// `silent`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a silent trigger: a map of keys")]
pub(crate) struct SilentFile {
    /// A rule's name. Literal.
    pub(crate) silent: Text,
    /// A duration. Literal.
    #[serde(rename = "for")]
    pub(crate) span: Text,
}

/// `started`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a started trigger: a map of keys")]
pub(crate) struct StartedFile {
    /// `true`. Literal.
    pub(crate) started: Text,
}

/// `manual`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a manual trigger: a map of keys")]
pub(crate) struct ManualFile {
    /// `true`. Literal.
    pub(crate) manual: Text,
}

/// `feed`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a feed: a map of keys")]
pub(crate) struct FeedFile {
    /// The URL of RSS, Atom or JSON Feed. Literal.
    pub(crate) feed: Text,
    /// How often it is read; 10m if left out. Literal.
    pub(crate) every: Option<Text>,
    /// `now`: what stands in it at first is no news; or `all`. Literal.
    pub(crate) start: Option<Text>,
    /// At most so many entries of one reading are news. Literal.
    pub(crate) newest: Option<Text>,
    /// Entries that are older are no news. Literal.
    pub(crate) max_age: Option<Text>,
    /// `send`: an entry is news again once its title, summary or link has changed; or `ignore`. Literal.
    pub(crate) edits: Option<Text>,
}

/// `poll`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a poll: a map of keys")]
pub(crate) struct PollFile {
    /// The name of a source that gives a list. Literal.
    pub(crate) poll: Text,
    /// How often it is asked; 5m if left out. Literal.
    pub(crate) every: Option<Text>,
    /// Members of an item, like `state` or `space.id`: once one of them changes the item is news again. Literals.
    pub(crate) changed: Option<OneOrMany<Text>>,
    /// `baseline`: what it gives at first is no news; or `all`. Literal.
    pub(crate) start: Option<Text>,
}

/// `watch`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a watch: a map of keys")]
pub(crate) struct WatchFile {
    /// The value, of a source. Expression.
    pub(crate) watch: Text,
    /// The name of a list or a table: the value is read for each member, which is `sub`, or each row, which is `row`. Literal.
    pub(crate) each: Option<Text>,
    /// How often it is read; 1m if left out. Literal.
    pub(crate) every: Option<Text>,
    /// It fires once the value is below this. Expression.
    pub(crate) below: Option<Text>,
    /// It fires once the value is above this. Expression.
    pub(crate) above: Option<Text>,
    /// It fires once this holds, of `value`. Expression.
    pub(crate) becomes: Option<Text>,
    /// `true`: it fires each time the value is not what it was. Literal.
    pub(crate) changes: Option<Text>,
    /// Where it is cleared, to fire again; beside `becomes` a condition. Expression.
    pub(crate) clear: Option<Text>,
    /// How long every reading must say so before it fires. Literal.
    #[serde(rename = "for")]
    pub(crate) patience: Option<Text>,
}

/// `cleared`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a cleared trigger: a map of keys")]
pub(crate) struct ClearedFile {
    /// The name of a rule with a `watch`. Literal.
    pub(crate) cleared: Text,
}

/// `log`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a log trigger: a map of keys")]
pub(crate) struct LogFile {
    /// The event as Solidity writes it, like `Transfer(address indexed from, address indexed to, uint256 value)`; beside `abi` its name. Literal.
    pub(crate) log: Text,
    /// A JSON ABI that has the event: a path. Literal.
    pub(crate) abi: Option<Text>,
    /// The address of the contract, or a list of several. Expression.
    pub(crate) at: Text,
    /// A chain of the project. Literal.
    pub(crate) chain: Text,
    /// Which logs count, by what `event` says. Expression.
    #[serde(rename = "where")]
    pub(crate) condition: Option<Text>,
    /// How many blocks must stand on the log's; as many as the project says for the chain if left out. Literal.
    pub(crate) confirmations: Option<Text>,
    /// `now`: what is confirmed from the first start on; or the number of the first block to read. Literal.
    pub(crate) start: Option<Text>,
}
