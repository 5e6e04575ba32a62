//! What a rule would do if it fired now: its audience is read, and each of its messages judged and rendered, in a store of
//! its own that is thrown away. It takes the very ways of a real occurrence, but for sealing and publishing, which need
//! what it does not have.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use herald_protocol::address::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    audience::Audience,
    config::{PartContent, Rule},
    event::print_time,
    expression::Scope,
    fire::{self, Firing},
    outbox::{self, Foreseen},
    running::Running,
    store::{self, BrokenRow, Gate},
    trigger::Trigger,
};
use crate::client::{self, Asked, InvitationContext, NodeAddress, Reach};

/// A message that a wallet would get, or why it would not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PreviewMessage {
    /// The wallet.
    pub wallet: String,
    /// Which of the rule's messages, from 0.
    pub part: usize,
    /// `sent`, `held`, `skipped` or `rejected`.
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
    /// The id of its conversation.
    pub thread: Option<String>,
    /// Envelopes that it takes, where the node is reached: 1 in a known conversation.
    pub envelopes: Option<u64>,
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
    /// Rows of the audience that cannot be read, the first of them.
    pub broken: Vec<BrokenShape>,
    /// The first messages.
    pub messages: Vec<PreviewMessage>,
}

/// A row of an audience that cannot be read.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BrokenShape {
    /// Where it stands.
    pub source: String,
    /// The line of a file (its header is line 1), or the number of the row or item, from 1.
    pub row: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl From<BrokenRow> for BrokenShape {
    fn from(row: BrokenRow) -> Self {
        Self {
            source: row.source,
            row: row.number,
            reason: row.reason,
        }
    }
}

/// How a broadcast would go. `wallets` is the sum of `reachable`, `not_on_network`, `denied`, `skipped` and `rejected`, once
/// `complete`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Why it would write to nobody.
    pub reason: Option<String>,
    /// Whether the rule has fired with this key before, so that nothing would happen.
    pub repeated: bool,
    /// The wallets of its audience.
    pub wallets: u64,
    /// Those that can be written to.
    pub reachable: u64,
    /// Those that have published no contact that can be used.
    pub not_on_network: u64,
    /// Those that denied the bot, left, or did not opt in.
    pub denied: u64,
    /// Those that a condition of the rule leaves out.
    pub skipped: u64,
    /// Those whose message cannot be made.
    pub rejected: u64,
    /// Of the reachable: those with a known conversation, whose messages take one envelope each.
    pub known: u64,
    /// Of the reachable: those whose first message takes three more.
    pub new: u64,
    /// Wallets whose proof of consent is too old for an invitation.
    pub old_proofs: u64,
    /// How many rows of the audience cannot be read.
    pub broken_rows: u64,
    /// The first of them.
    pub broken: Vec<BrokenShape>,
    /// Envelopes in all.
    pub envelopes: u64,
    /// About how long a node with the usual limits takes for them; none where the node does not limit this machine.
    pub seconds: Option<u64>,
    /// Whether every wallet was looked at.
    pub complete: bool,
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The node cannot be asked.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// What happened does not fit the rule's triggers.
    #[error("{0}")]
    Event(String),
    /// There is no node to ask.
    #[error("the bot has not reached its node yet")]
    Offline,
}

/// Rows that are looked at in one go.
const CHUNK: u32 = 512;
/// Broken rows that are shown.
const BROKEN: u32 = 20;
/// Envelopes that opening a conversation takes beside the message: two invitations and a consent.
const OPENING: u64 = 3;
/// What nodes let a wallet publish at once, and then in a minute.
const BURST: u64 = 1_000;
const PER_MINUTE: u64 = 200;

/// A rule that fired in a store of its own.
pub(crate) struct Rehearsal {
    running: Arc<Running>,
    rule: String,
    occurrence: i64,
    reason: Option<String>,
    repeated: bool,
    wallets: u64,
    broken_rows: u64,
    broken: Vec<BrokenShape>,
}

impl Rehearsal {
    /// Lets a rule fire for `event`: the body of a manual rule or a webhook, for other triggers a map of the names they give.
    pub(crate) async fn of(
        running: &Running,
        rule: &Rule,
        event: Option<serde_json::Value>,
    ) -> Result<Self, Error> {
        let firing = Firing {
            id: "preview".to_owned(),
            at: running.now(),
            names: names(rule, event).map_err(Error::Event)?,
        };
        let mut new = fire::occurrence(running, rule, &firing);
        let (bot, key) = (running.bot.name.as_str(), new.key.as_str());
        let repeated = running.store.has_fired(bot, &rule.name, key).await?;
        // What was sealed lately is in the copy, perhaps under the same key.
        "preview".clone_into(&mut new.key);
        new.gate = Gate::Open;
        let branches = rule.audience.branches();
        let others = branches.iter().filter_map(|branch| match branch.audience {
            Audience::List { list, .. } => list.split_once('/').map(|(bot, _)| bot.to_owned()),
            _ => None,
        });
        let span = longest_limit(running, rule);
        let since = TimeDelta::from_std(span)
            .ok()
            .and_then(|span| firing.at.checked_sub_signed(span))
            .unwrap_or(chrono::DateTime::<Utc>::MIN_UTC);
        let copy = running.store.rehearse(bot, others.collect(), since).await?;
        let running = Arc::new(in_copy(running, copy));
        running.store.record(new).await?;
        while outbox::plan_next(&running).await? {}
        let occurrence = running.store.last_occurrence().await?;
        let (wallets, broken_rows) = running.store.size_of(occurrence).await?;
        let broken = running.store.broken(occurrence, None, BROKEN).await?;
        Ok(Self {
            reason: running.store.reason_of(occurrence).await?,
            rule: rule.name.clone(),
            running,
            occurrence,
            repeated,
            wallets,
            broken_rows,
            broken: broken.into_iter().map(BrokenShape::from).collect(),
        })
    }

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
        let mut messages = Vec::with_capacity(foreseen.len());
        for (at, foreseen) in foreseen.iter().enumerate() {
            let reach = reach.as_ref().and_then(|reach| reach.get(at)).copied();
            messages.push(self.message(foreseen, reach));
        }
        Ok(Preview {
            reason: self.reason.clone(),
            repeated: self.repeated,
            wallets: self.wallets,
            broken: self.broken.clone(),
            messages,
        })
    }

    /// Looks at every wallet, a part of the audience at a time.
    pub(crate) fn plan(self) -> Planning {
        let plan = Plan {
            reason: self.reason.clone(),
            repeated: self.repeated,
            wallets: self.wallets,
            broken_rows: self.broken_rows,
            broken: self.broken.clone(),
            ..Plan::default()
        };
        Planning {
            rehearsal: self,
            plan,
            last: None,
        }
    }

    fn message(&self, foreseen: &Foreseen, reach: Option<Reach>) -> PreviewMessage {
        let number = foreseen.row.part.number();
        let rule = self.running.bot.rules.get(&self.rule);
        let part = rule.and_then(|rule| rule.parts.get(number));
        let (outcome, reason, until) = foreseen.outcome();
        let thread = foreseen.thread().map(str::to_owned);
        let unreached = matches!((outcome, reach), ("sent", Some(Reach::Unreachable)));
        PreviewMessage {
            wallet: foreseen.row.wallet.to_string(),
            part: number,
            outcome: if unreached { "held" } else { outcome }.to_owned(),
            reason: reason.or_else(|| unreached.then(|| "the wallet is not on the network".to_owned())),
            until: until.map(print_time),
            kind: part
                .map(|part| PartContent::key(&part.content))
                .unwrap_or_default()
                .to_owned(),
            text: foreseen.text(),
            bytes: foreseen.bytes(),
            thread,
            envelopes: match reach {
                Some(Reach::New) if number == 0 => Some(1 + OPENING),
                Some(Reach::New | Reach::Known) => Some(1),
                _ => None,
            },
        }
    }
}

/// A plan under way.
pub(crate) struct Planning {
    rehearsal: Rehearsal,
    plan: Plan,
    /// The last message that was looked at, and its wallet.
    last: Option<(i64, Address)>,
}

impl Planning {
    /// The plan after another part of the audience; none once all of it was told.
    pub(crate) async fn next(&mut self) -> Result<Option<Plan>, Error> {
        if self.plan.complete {
            return Ok(None);
        }
        let running = &self.rehearsal.running;
        let client = running.client.get().ok_or(Error::Offline)?;
        let after = self.last.map_or(0, |(row, _)| row);
        let place = (after, CHUNK);
        let rows = running
            .store
            .rows_of(self.rehearsal.occurrence, None, place)
            .await?;
        self.plan.complete = rows.is_empty();
        let foreseen = outbox::foresee(running, rows).await?;
        let reach = client.reaches(&asked(&foreseen)).await?;
        for (foreseen, reach) in foreseen.iter().zip(reach) {
            let wallet = foreseen.row.wallet;
            let before = self.last.replace((foreseen.row.id, wallet));
            let is_first = before.is_none_or(|(_, before)| before != wallet);
            count(&mut self.plan, is_first, foreseen, reach);
        }
        self.plan.seconds = seconds(client.node(), self.plan.envelopes);
        Ok(Some(self.plan.clone()))
    }
}

/// With whom the node is asked for.
fn asked(foreseen: &[Foreseen]) -> Vec<Asked> {
    let asked = foreseen.iter().map(|foreseen| Asked {
        wallet: foreseen.row.wallet,
        context: foreseen.thread().map(|thread| InvitationContext {
            conversation_id: thread.to_owned(),
            metadata: Vec::new(),
        }),
        consent_proof: None,
    });
    asked.collect()
}

/// Counts a message, and with the first of a wallet the wallet.
fn count(plan: &mut Plan, is_first: bool, foreseen: &Foreseen, reach: Reach) {
    let (outcome, ..) = foreseen.outcome();
    let goes = matches!(outcome, "sent" | "held");
    if goes && reach != Reach::Unreachable {
        plan.envelopes += 1;
    }
    if !is_first {
        return;
    }
    match (outcome, reach) {
        ("sent" | "held", Reach::Unreachable) => plan.not_on_network += 1,
        ("sent" | "held", reach) => {
            plan.reachable += 1;
            plan.old_proofs += u64::from(foreseen.has_old_proof && reach == Reach::New);
            match reach {
                Reach::New => {
                    plan.new += 1;
                    plan.envelopes += OPENING;
                }
                _ => plan.known += 1,
            }
        }
        _ if foreseen.is_denied => plan.denied += 1,
        ("skipped", _) => plan.skipped += 1,
        _ => plan.rejected += 1,
    }
}

/// How long a node with the usual limits takes for so many envelopes of one wallet.
fn seconds(node: &NodeAddress, envelopes: u64) -> Option<u64> {
    (!node.is_loopback()).then(|| envelopes.saturating_sub(BURST) * 60 / PER_MINUTE)
}

/// What a rule is given by an event.
fn names(rule: &Rule, event: Option<serde_json::Value>) -> Result<Scope, String> {
    let Some(event) = event else {
        return Ok(Scope::new());
    };
    let with_body = |trigger: &Trigger| matches!(trigger, Trigger::Manual | Trigger::Webhook(_));
    let given = match event {
        body if rule.triggers.iter().any(with_body) => vec![("body".to_owned(), body)],
        serde_json::Value::Object(names) => names.into_iter().collect(),
        _ => return Err("expected a map of the names that the trigger gives".to_owned()),
    };
    let mut scope = Scope::new();
    for (name, json) in given {
        let ty = rule.names.get(&name);
        let ty = ty.ok_or_else(|| format!("no trigger of the rule gives `{name}`"))?;
        let value = ty.clone().optional().read_json(&json).map_err(|mismatch| {
            format!(
                "`{name}{}` is {}, wanted {}",
                mismatch.path, mismatch.found, mismatch.wanted
            )
        })?;
        scope.insert(&name, value);
    }
    Ok(scope)
}

/// The longest time that counts towards a limit of a rule.
fn longest_limit(running: &Running, rule: &Rule) -> Duration {
    let limits = &rule.policy.limits;
    let own = [limits.recipient, limits.rule, limits.bot];
    let spans = own.into_iter().flatten().map(|limit| limit.per);
    spans.fold(running.project.recipient_limit.per, Duration::max)
}

/// The bot, but with another store, and told to nobody.
fn in_copy(running: &Running, store: store::Store) -> Running {
    let (events, _) = mpsc::channel(1);
    Running {
        store,
        events,
        to_plan: Arc::default(),
        to_deliver: Arc::default(),
        to_guard: Arc::default(),
        to_call_back: Arc::default(),
        ..running.clone()
    }
}
