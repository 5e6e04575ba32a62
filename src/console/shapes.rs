//! The shapes of the API's bodies, for whoever serves, asks or describes it. Times are RFC 3339 in UTC, wallets EIP-55.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bot::{
    self,
    config::{self, Bot},
    print_time,
    store::{Delivery, Member},
};

/// A request that is not taken.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Error {
    /// What was found and what was wanted.
    pub error: String,
    /// The field at fault, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// An occurrence that is recorded, now or before.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    /// Its id.
    pub occurrence: String,
}

/// A running bot.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BotShape {
    /// Its name.
    pub bot: String,
    /// What it is for.
    pub about: Option<String>,
    /// Its wallet.
    pub address: String,
    /// Its rules by name.
    pub rules: Vec<RuleShape>,
    /// Its lists by name.
    pub lists: Vec<String>,
}

/// How a running herald stands.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Which herald it is.
    pub version: String,
    /// Its bots.
    pub bots: Vec<bot::status::Status>,
}

/// Which of the rejected and expired deliveries; all of them when nothing is said.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dead {
    /// Only this one.
    pub id: Option<i64>,
    /// Only of this bot.
    pub bot: Option<String>,
    /// Only of this rule.
    pub rule: Option<String>,
}

/// What is tried again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReplayedDeliveries {
    /// Their ids.
    pub replayed: Vec<i64>,
}

/// What of a rule is to be shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// What makes it fire: the body of a manual rule or a webhook, for other triggers a map of the names they give, or what is there already: `latest`, `block:N`, `tx:HASH`, `entry:ID`.
    pub event: Option<Value>,
    /// Only what this wallet would get.
    pub wallet: Option<String>,
    /// At most so many messages: 5 unless said otherwise, 1,000 at the most.
    pub limit: Option<u32>,
}

/// Of which event a broadcast is to be planned.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// What makes it fire: the body of a manual rule or a webhook, for other triggers a map of the names they give, or what is there already: `latest`, `block:N`, `tx:HASH`, `entry:ID`.
    pub event: Option<Value>,
}

/// A rule of a bot.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RuleShape {
    /// Its name.
    pub rule: String,
    /// What it does.
    pub about: Option<String>,
    /// Whether it is paused.
    pub paused: bool,
}

/// A broadcast: one occurrence of a rule and its audience. Its counts are of messages and add up to `planned`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BroadcastShape {
    /// The occurrence.
    pub occurrence: String,
    /// Whether its messages may go: `open`, `approval`, `canary`, `opening`, `paused` or `cancelled`; `rejected` or `skipped` when it
    /// ended before it had any.
    pub gate: String,
    /// Why it was closed, or ended.
    pub reason: Option<String>,
    /// Whether its audience is known to the end.
    pub complete: bool,
    /// All of them.
    pub planned: u32,
    /// A node acknowledged these.
    pub delivered: u32,
    /// These cannot be sent.
    pub rejected: u32,
    /// These were not sent in time.
    pub expired: u32,
    /// These are not to be sent.
    pub skipped: u32,
    /// These wait for a reason of their own, or behind the gate.
    pub held: u32,
    /// These are on their way.
    pub left: u32,
}

/// What an action changed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Braked {
    /// The occurrences of the broadcasts that moved.
    pub broadcasts: Vec<String>,
}

impl BotShape {
    pub(super) fn of(bot: &Bot, address: herald_protocol::address::Address) -> Self {
        let rules = bot.rules.values().map(|rule| RuleShape {
            rule: rule.name.clone(),
            about: rule.about.clone(),
            paused: rule.paused,
        });
        Self {
            bot: bot.name.clone(),
            about: bot.about.clone(),
            address: address.to_string(),
            rules: rules.collect(),
            lists: bot.lists.keys().cloned().collect(),
        }
    }
}

/// A list of a bot.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListShape {
    /// Its name.
    pub list: String,
    /// The messages that join it, as declared.
    pub join: Vec<String>,
    /// What a join by web, command line or import needs: `none` or `signature`.
    pub confirm: String,
    /// What is kept of a member beside `name`, `tz` and `lang`.
    pub fields: Vec<FieldShape>,
    /// How many members it has.
    pub members: u64,
}

/// A field of a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FieldShape {
    /// Its name.
    pub name: String,
    /// Its type, as declared.
    #[serde(rename = "type")]
    pub ty: String,
}

impl ListShape {
    pub(super) fn of(list: &config::List, members: u64) -> Self {
        let fields = list.fields.iter().map(|field| FieldShape {
            name: field.name.clone(),
            ty: field.ty.to_string(),
        });
        Self {
            list: list.name.clone(),
            join: list.join.iter().map(|join| join.text().to_owned()).collect(),
            confirm: if list.confirms { "signature" } else { "none" }.to_owned(),
            fields: fields.collect(),
            members,
        }
    }
}

/// What a wallet signs, as wallets sign messages (`personal_sign`), to join a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ConsentText {
    /// The text, to be signed as it is.
    pub text: String,
    /// Its time in milliseconds since 1970, which the join repeats.
    pub timestamp: u64,
    /// The wallet that signs.
    pub wallet: String,
    /// The bot's wallet, which may write then.
    pub sender: String,
}

/// A wallet that is to join a list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// The wallet's address.
    pub wallet: String,
    /// `0x` and 130 hex digits: the wallet's signature of the consent text. Whoever shows the token may leave it out, unless the list
    /// has `confirm: signature`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The time in the text, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    /// The list's fields by name; texts are read as the types of the fields.
    #[serde(default)]
    pub fields: Map<String, Value>,
}

/// What a join did.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Membership {
    /// The wallet.
    pub wallet: String,
    /// The list.
    pub list: String,
    /// False for a member whose fields are new.
    pub joined: bool,
}

/// Wallets that are to join a list without its welcome and without firing its rules.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// At most 1,000.
    pub members: Vec<NewMember>,
}

/// What became of each wallet of an import, in their order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// One for each.
    pub outcomes: Vec<Outcome>,
}

/// What became of one wallet of an import.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is a member now.
    Joined,
    /// It was one, and its fields are new.
    Updated,
    /// Why it is not taken.
    Refused(String),
}

/// Members in the order of their wallets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Members {
    /// The members.
    pub members: Vec<MemberShape>,
    /// What `after` takes to go on; none when these are the last.
    pub next: Option<String>,
}

/// A member of a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MemberShape {
    /// Its wallet.
    pub wallet: String,
    /// Its fields, and `name`, `tz` and `lang` once told.
    pub fields: Map<String, Value>,
    /// When it joined.
    pub joined_at: String,
    /// Its signed wish to be written to.
    pub proof: Option<ProofShape>,
}

/// A consent proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProofShape {
    /// `0x` and 130 hex digits.
    pub signature: String,
    /// When it was signed, milliseconds since 1970.
    pub timestamp: u64,
}

impl From<herald_protocol::consent::ConsentProof> for ProofShape {
    fn from(proof: herald_protocol::consent::ConsentProof) -> Self {
        Self {
            signature: proof.signature,
            timestamp: proof.timestamp_ms,
        }
    }
}

impl MemberShape {
    pub(super) fn of(member: Member, proof: Option<ProofShape>) -> Self {
        Self {
            wallet: member.wallet.to_string(),
            fields: member.fields,
            joined_at: print_time(member.joined),
            proof,
        }
    }
}

/// Everything that a bot knows of a wallet.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// The wallet.
    pub wallet: String,
    /// Whether it left, and has not come back.
    pub left: bool,
    /// When it is not to be written to, by its own clock.
    pub quiet: Option<String>,
    /// Its signed wish to be written to.
    pub proof: Option<ProofShape>,
    /// Its memberships.
    pub lists: Vec<PersonList>,
    /// What was written to it, the newest 100 first.
    pub deliveries: Vec<DeliveryShape>,
}

/// A membership.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PersonList {
    /// The list.
    pub list: String,
    /// Its fields, and `name`, `tz` and `lang` once told.
    pub fields: Map<String, Value>,
    /// When it joined.
    pub joined_at: String,
}

/// Deliveries, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Deliveries {
    /// The deliveries.
    pub deliveries: Vec<DeliveryShape>,
}

/// One message to one wallet.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryShape {
    /// Its id.
    pub delivery: i64,
    /// The bot.
    pub bot: String,
    /// The rule; `list:NAME` or `command:/NAME` for answers.
    pub rule: String,
    /// What the rule dedupes by.
    pub key: String,
    /// To whom.
    pub wallet: String,
    /// `planned`, `held`, `sealed`, `delivered`, `rejected`, `expired` or `skipped`.
    pub state: String,
    /// Why, where there is something to say.
    pub reason: Option<String>,
    /// How long it waits at the most, while held.
    pub until: Option<String>,
    /// How often it was published.
    pub tries: u32,
    /// The envelope's digest, hex.
    pub envelope: Option<String>,
    /// The message id, hex.
    pub message: Option<String>,
    /// When it was planned.
    pub created_at: String,
    /// When it ended.
    pub settled_at: Option<String>,
}

impl From<&Delivery> for DeliveryShape {
    fn from(row: &Delivery) -> Self {
        let sealed = row.sealed.as_ref();
        Self {
            delivery: row.id,
            bot: row.bot.clone(),
            rule: row.rule.clone(),
            key: row.key.clone(),
            wallet: row.wallet.to_string(),
            state: row.state.as_str().to_owned(),
            reason: row.reason.clone(),
            until: row.until.map(print_time),
            tries: row.tries,
            envelope: sealed.map(|sealed| const_hex::encode(sealed.envelope)),
            message: sealed.map(|sealed| const_hex::encode(sealed.message)),
            created_at: print_time(row.created),
            settled_at: row.settled.map(print_time),
        }
    }
}

/// Callbacks that go out again: some, or all that were given up.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Their ids.
    #[serde(default)]
    pub callbacks: Vec<i64>,
    /// Instead of ids: all that were given up.
    #[serde(default)]
    pub dead: bool,
}

/// How many callbacks go out again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Replayed {
    /// So many.
    pub replayed: usize,
}
