//! The first messages of a rule, as their wallets would get them, and what would follow them.

use std::collections::{BTreeMap, BTreeSet};

use herald_protocol::address::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BrokenShape, Error, OPENING, Rehearsal, asked};
use crate::{
    bot::{
        config::{FollowUp, Later, Part, Rule},
        event::print_time,
        outbox::{self, Foreseen, Step, humane},
    },
    client::Reach,
};

/// A message that a wallet would get, or why it would not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PreviewMessage {
    /// The wallet.
    pub wallet: String,
    /// What it says and what becomes of it.
    #[serde(flatten)]
    pub part: PreviewPart,
    /// The id of its conversation.
    pub thread: Option<String>,
    /// Envelopes that it takes, where the node is reached: 1 in a known conversation.
    pub envelopes: Option<u64>,
    /// Whether it is of the canary; none where the rule has none.
    pub canary: Option<bool>,
    /// What follows it, in the order of `then`: of each wallet's messages the first that goes has it.
    pub then: Vec<PreviewStep>,
}

/// A follow-up, with what is known of it now: people as they are now, the message delivered as soon as nothing known holds it up.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PreviewStep {
    /// Which of `then`, from 1.
    pub step: usize,
    /// How long after the delivery, like `3d`; none where it has a time of its own.
    pub after: Option<String>,
    /// When it is due; none if never.
    pub due: Option<String>,
    /// Why it is never due.
    pub reason: Option<String>,
    /// What decides about it and is not known before, in words: `whether they answer …`.
    pub unknown: Vec<String>,
    /// Its messages, and what becomes of them when they are due, as things stand now; their text also where a condition is not met.
    pub messages: Vec<PreviewPart>,
}

/// A message of a rule or of a follow-up of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PreviewPart {
    /// Which of them, from 0.
    pub part: usize,
    /// What becomes of it: `sent`, `held`, `skipped`, `rejected` or `expired`.
    pub outcome: String,
    /// Why it is not sent at once.
    pub reason: Option<String>,
    /// Until when it is held.
    pub until: Option<String>,
    /// The key of `send`: `text`, `markdown`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says, or names.
    pub text: Option<String>,
    /// The size of its content, before it is sealed.
    pub bytes: Option<usize>,
}

/// Who gets the messages of a broadcast first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PreviewCanary {
    /// So many wallets.
    pub first: u32,
    /// How long all others wait, like `10m`.
    pub wait: String,
}

/// What a rule would do.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// Why it would write to nobody.
    pub reason: Option<String>,
    /// Whether it has fired with this key before, so that nothing would happen.
    pub repeated: bool,
    /// The wallets of its audience.
    pub wallets: u64,
    /// Whether nothing goes out before somebody approves it.
    pub approve: bool,
    /// Who gets it first, where the rule has a canary.
    pub canary: Option<PreviewCanary>,
    /// Rows of the audience that cannot be read, the first of them.
    pub broken: Vec<BrokenShape>,
    /// The first messages.
    pub messages: Vec<PreviewMessage>,
}

impl Rehearsal {
    /// The first `limit` messages, of one wallet or of all.
    pub(crate) async fn preview(&self, wallet: Option<Address>, limit: u32) -> Result<Preview, Error> {
        let rows = self
            .running
            .store
            .rows_of(self.occurrence, wallet, (0, limit))
            .await?;
        let foreseen = outbox::foresee(&self.running, rows).await?;
        let reach = match self.running.client.get() {
            Some(client) => Some(client.reaches(&asked(&foreseen)).await?),
            None => None,
        };
        let rule = self.rule();
        let canary = rule.and_then(|rule| rule.policy.canary.as_ref());
        let canary_end = match canary {
            Some(canary) => {
                let store = &self.running.store;
                Some(store.canary_end(self.occurrence, canary.first).await?)
            }
            None => None,
        };
        let mut steps = self.steps(&foreseen).await?;
        let mut messages = Vec::with_capacity(foreseen.len());
        for (at, foreseen) in foreseen.iter().enumerate() {
            let reach = reach.as_ref().and_then(|reach| reach.get(at)).copied();
            messages.push(PreviewMessage {
                canary: canary_end.map(|end| foreseen.row.id <= end),
                then: steps.remove(&at).unwrap_or_default(),
                ..message(rule, foreseen, reach)
            });
        }
        Ok(Preview {
            reason: self.reason.clone(),
            repeated: self.repeated,
            wallets: self.wallets,
            approve: rule.is_some_and(|rule| rule.policy.approve),
            canary: canary.map(|canary| PreviewCanary {
                first: canary.first,
                wait: humane(canary.wait),
            }),
            broken: self.broken.clone(),
            messages,
        })
    }

    fn rule(&self) -> Option<&Rule> {
        self.running.bot.rules.get(&self.rule)
    }

    /// What follows the first message of each wallet that goes, by the message's place among these.
    async fn steps(&self, foreseen: &[Foreseen]) -> Result<BTreeMap<usize, Vec<PreviewStep>>, Error> {
        let Some(rule) = self.rule().filter(|rule| !rule.policy.then.is_empty()) else {
            return Ok(BTreeMap::new());
        };
        let now = self.running.now();
        let (mut wallets, mut places, mut rows) = (BTreeSet::new(), Vec::new(), Vec::new());
        for (place, foreseen) in foreseen.iter().enumerate() {
            let (outcome, _, until) = foreseen.outcome();
            if matches!(outcome, "sent" | "held") && wallets.insert(foreseen.row.wallet) {
                let thread = foreseen.thread().map(str::to_owned);
                places.push(place);
                rows.push((foreseen.row.clone(), until.unwrap_or(now), thread));
            }
        }
        let steps = outbox::foresee_steps(&self.running, rows).await?;
        let steps = steps.into_iter().map(|steps| {
            let numbered = (1..).zip(rule.policy.then.iter().zip(steps));
            numbered
                .map(|(number, (follow_up, foreseen))| step(number, follow_up, foreseen))
                .collect()
        });
        Ok(places.into_iter().zip(steps).collect())
    }
}

/// A message of the rule's own.
fn message(rule: Option<&Rule>, foreseen: &Foreseen, reach: Option<Reach>) -> PreviewMessage {
    let mut part = part(rule.map(|rule| rule.parts.as_slice()), foreseen);
    if part.outcome == "sent" && matches!(reach, Some(Reach::Unreachable)) {
        "held".clone_into(&mut part.outcome);
        part.reason = Some("the wallet is not on the network".to_owned());
    }
    PreviewMessage {
        wallet: foreseen.row.wallet.to_string(),
        thread: foreseen.thread().map(str::to_owned),
        envelopes: match reach {
            Some(Reach::New) if part.part == 0 => Some(1 + OPENING),
            Some(Reach::New | Reach::Known) => Some(1),
            _ => None,
        },
        part,
        canary: None,
        then: Vec::new(),
    }
}

fn part(parts: Option<&[Part]>, foreseen: &Foreseen) -> PreviewPart {
    let number = foreseen.row.part.number();
    let part = parts.and_then(|parts| parts.get(number));
    let (outcome, reason, until) = foreseen.outcome();
    PreviewPart {
        part: number,
        outcome: outcome.to_owned(),
        reason,
        until: until.map(print_time),
        kind: part.map(|part| part.content.key()).unwrap_or_default().to_owned(),
        text: foreseen.text(),
        bytes: foreseen.bytes(),
    }
}

fn step(number: usize, follow_up: &FollowUp, foreseen: Step) -> PreviewStep {
    let messages = foreseen.messages.iter();
    let messages = messages
        .map(|message| part(Some(&follow_up.parts), message))
        .collect();
    let (due, reason) = match foreseen.due {
        Ok(due) => (Some(print_time(due)), None),
        Err(reason) => (None, Some(reason)),
    };
    PreviewStep {
        step: number,
        after: match &follow_up.when {
            Later::After(span) => Some(humane(*span)),
            Later::At(_) => None,
        },
        due,
        reason,
        unknown: unknown(follow_up),
        messages,
    }
}

/// What decides about a follow-up and is not known before it is due.
fn unknown(follow_up: &FollowUp) -> Vec<String> {
    let mut unknown = Vec::new();
    if let Some(word) = &follow_up.unless_reply {
        unknown.push(format!("whether they answer `{word}` before, which ends it"));
    }
    if follow_up.cancel_if.is_some() {
        unknown.push("whether `cancel_if` holds then, which ends it and those behind it".to_owned());
    }
    let mut parts = follow_up.parts.iter();
    if follow_up.condition.is_some() || parts.any(|part| part.condition.is_some()) {
        unknown.push("whether `if` holds then".to_owned());
    }
    let conditions = [&follow_up.condition, &follow_up.cancel_if];
    let mut conditions = conditions.into_iter().flatten();
    if conditions.any(|condition| condition.names().contains("delivery"))
        || follow_up.parts.iter().any(|part| part.sees("delivery"))
    {
        unknown.push("when and under which id the message is delivered, which `delivery` tells".to_owned());
    }
    unknown
}
