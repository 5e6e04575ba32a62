//! What a rule would do if it fired now: its audience is read, and each of its messages judged and rendered, in a store of
//! its own that is thrown away. It takes the very ways of a real occurrence, but for sealing and publishing, which need
//! what it does not have.

/// How a whole broadcast would go.
mod plan;
/// The first messages.
mod preview;

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    audience::Audience,
    config::Rule,
    expression::Scope,
    fire::{self, Firing},
    outbox::{self, Foreseen},
    running::Running,
    store::{self, BrokenRow, Gate},
    trigger::{self, Past, Trigger},
};
use crate::client::{self, Asked, InvitationContext};

pub use plan::Plan;
pub use preview::{Preview, PreviewCanary, PreviewMessage, PreviewPart, PreviewStep};

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

/// Envelopes that opening a conversation takes beside the message: two invitations and a consent.
const OPENING: u64 = 3;
/// Broken rows that are shown.
const BROKEN: u32 = 20;

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
    /// Lets a rule fire for `event`: the body of a manual rule or a webhook, for other triggers a map of the names they give, and
    /// `latest`, `block:N`, `tx:HASH` or `entry:ID` for what is there already.
    pub(crate) async fn of(
        running: &Running,
        rule: &Rule,
        event: Option<serde_json::Value>,
    ) -> Result<Self, Error> {
        let names = match event {
            Some(event) => match event.as_str().and_then(Past::of) {
                Some(past) => trigger::recall(running, rule, &past).await,
                None => names(rule, event),
            },
            None => Ok(Scope::new()),
        };
        let firing = Firing {
            id: "preview".to_owned(),
            at: running.now(),
            names: names.map_err(Error::Event)?,
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

/// What a rule is given by an event.
fn names(rule: &Rule, event: serde_json::Value) -> Result<Scope, String> {
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
        to_keep_time: Arc::default(),
        ..running.clone()
    }
}
