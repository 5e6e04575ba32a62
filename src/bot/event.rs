//! What a running herald tells whoever watches: one event a line with `--json`.

use chrono::{DateTime, SecondsFormat, Utc};
use herald_protocol::address::Address;
use serde::Serialize;
use tokio::sync::mpsc;

use super::reload::Difference;

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A bot is connected and listens.
    Ready,
    /// A trigger fired and is recorded.
    Occurrence,
    /// A message waits; the reason says for what, `until` for how long.
    Held,
    /// A node acknowledged a message.
    Delivered,
    /// A message, or a whole occurrence, cannot be sent.
    Rejected,
    /// A message was not sent in time.
    Expired,
    /// A message is not to be sent.
    Skipped,
    /// A broadcast waits until somebody approves it.
    AwaitingApproval,
    /// A broadcast was approved.
    Approved,
    /// A broadcast was paused; the reason says why.
    Paused,
    /// A broadcast goes on.
    Resumed,
    /// A broadcast was cancelled.
    Cancelled,
    /// A wallet joined a list.
    Joined,
    /// A wallet left a list.
    Left,
    /// A changed file was taken.
    Reloaded,
    /// A callback was given up; the reason says why.
    CallbackDead,
    /// Something went wrong: herald tries it again, or goes on with what it had.
    Error,
}

/// One event; fields that do not apply are left out.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// What happened.
    pub event: Kind,
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub at: DateTime<Utc>,
    /// The bot.
    pub bot: String,
    /// The rule; `list:NAME` or `command:/NAME` for answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What the rule dedupes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The wallet concerned.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text_if_some")]
    pub wallet: Option<Address>,
    /// The delivery's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<i64>,
    /// The callback's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<i64>,
    /// The envelope's digest, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envelope: Option<String>,
    /// The message id, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc3339_if_some")]
    pub until: Option<DateTime<Utc>>,
    /// The bot's own wallet, when it is ready.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text_if_some")]
    pub address: Option<Address>,
    /// What is different, when a changed file was taken.
    #[serde(flatten)]
    pub difference: Option<Difference>,
}

impl Event {
    /// An event of a bot without details.
    pub fn new(event: Kind, at: DateTime<Utc>, bot: &str) -> Self {
        Self {
            event,
            at,
            bot: bot.to_owned(),
            rule: None,
            key: None,
            wallet: None,
            delivery: None,
            callback: None,
            envelope: None,
            message: None,
            reason: None,
            until: None,
            address: None,
            difference: None,
        }
    }
}

/// A time as events, `deliveries` and the API print it: RFC 3339 in UTC with milliseconds.
pub fn print_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn rfc3339<S: serde::Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&print_time(*time))
}

#[expect(clippy::ref_option, reason = "the shape serde asks for")]
fn rfc3339_if_some<S: serde::Serializer>(
    time: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::ref_option, reason = "the shape serde asks for")]
fn text_if_some<S: serde::Serializer>(wallet: &Option<Address>, serializer: S) -> Result<S::Ok, S::Error> {
    match wallet {
        Some(wallet) => serializer.collect_str(wallet),
        None => serializer.serialize_none(),
    }
}

/// Where events go. The queue holds 1,024; when its reader is slower, whoever tells waits, so none is lost.
pub type Events = mpsc::Sender<Event>;

/// The queue's length.
pub(super) const EVENT_QUEUE: usize = 1_024;
