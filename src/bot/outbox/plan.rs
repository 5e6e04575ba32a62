//! Plans occurrences: the audience becomes rows, in chunks, each chunk and its cursor in one transaction. Memory does not
//! grow with the audience.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use tokio_util::sync::CancellationToken;

use crate::bot::{
    audience::Audience,
    config::Rule,
    event::Kind,
    expression::{Expression, Scope, Value},
    running::Running,
    store::{self, NewDelivery, Occurrence},
};

/// Wallets in one transaction.
const CHUNK: u32 = 500;

/// Plans every occurrence of the bot as it is recorded, until shutdown.
pub(crate) async fn plan(running: Arc<Running>, shutdown: CancellationToken) {
    loop {
        let wait = match plan_next(&running).await {
            Ok(true) => continue,
            Ok(false) => None,
            Err(error) => {
                let mut event = running.event(Kind::Error);
                event.reason = Some(format!("planning waits: {error}"));
                running.tell(event).await;
                Some(Duration::from_secs(1))
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = running.to_plan.notified(), if wait.is_none() => {}
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
}

/// Why an occurrence ends before its rows are planned.
enum End {
    Skipped(String),
    Rejected(String),
}

async fn plan_next(running: &Running) -> Result<bool, store::Error> {
    let Some(occurrence) = running.store.next_to_plan(&running.bot.name).await? else {
        return Ok(false);
    };
    let prepared = match running.bot.rules.get(&occurrence.rule) {
        Some(rule) => prepare(running, rule, &occurrence).map(|scope| (rule, scope)),
        None => Err(End::Rejected("the rule is not in the file any more".to_owned())),
    };
    let planned = match prepared {
        Ok((rule, scope)) => {
            Plan {
                running,
                rule,
                occurrence: &occurrence,
                scope,
            }
            .run()
            .await?
        }
        Err(end) => Err(end),
    };
    match planned {
        Ok(()) => running.to_deliver.notify_one(),
        Err(end) => {
            let (kind, rejected, reason) = match end {
                End::Skipped(reason) => (Kind::Skipped, false, reason),
                End::Rejected(reason) => (Kind::Rejected, true, reason),
            };
            running
                .store
                .end_occurrence(occurrence.row, rejected, reason.clone())
                .await?;
            let mut event = running.event(kind);
            event.rule = Some(occurrence.rule);
            event.key = Some(occurrence.key);
            event.reason = Some(reason);
            running.tell(event).await;
        }
    }
    Ok(true)
}

/// The scope of an occurrence whose condition holds. A condition that names `to` is judged per recipient, when due.
fn prepare(running: &Running, rule: &Rule, occurrence: &Occurrence) -> Result<Scope, End> {
    let scope = running
        .occurrence_scope(rule, occurrence)
        .map_err(End::Rejected)?;
    if let Some(condition) = rule
        .condition
        .as_ref()
        .filter(|condition| !condition.names().contains("to"))
    {
        let value = condition
            .evaluate(&scope)
            .map_err(|error| End::Rejected(format!("`if`: {error}")))?;
        if !value.is_truthy() {
            return Err(End::Skipped("`if` is false".to_owned()));
        }
    }
    Ok(scope)
}

struct Plan<'a> {
    running: &'a Running,
    rule: &'a Rule,
    occurrence: &'a Occurrence,
    scope: Scope,
}

impl Plan<'_> {
    async fn run(&self) -> Result<Result<(), End>, store::Error> {
        match &self.rule.audience {
            Audience::List(list) => self.members(list).await,
            Audience::Wallet(expression) => self.wallets(std::slice::from_ref(expression)).await,
            Audience::Wallets(expressions) => self.wallets(expressions).await,
        }
    }

    async fn members(&self, list: &str) -> Result<Result<(), End>, store::Error> {
        let (bot, store) = (&self.running.bot.name, &self.running.store);
        let mut after = self.occurrence.planned_to.clone();
        loop {
            let members = store.members(bot, list, after, CHUNK).await?;
            let ends = members.len() < CHUNK as usize;
            let mut rows = Vec::new();
            for member in &members {
                rows.extend(self.rows(member.wallet));
            }
            let planned_to = members.last().map(|member| member.wallet);
            after = planned_to.map(|wallet| wallet.to_string()).unwrap_or_default();
            store.plan(self.occurrence.row, rows, planned_to, ends).await?;
            if ends {
                return Ok(Ok(()));
            }
            self.running.to_deliver.notify_one();
        }
    }

    async fn wallets(&self, expressions: &[Expression]) -> Result<Result<(), End>, store::Error> {
        let mut wallets = BTreeSet::new();
        for expression in expressions {
            let value = expression.evaluate(&self.scope);
            let value = value.map_err(|error| End::Rejected(format!("`to`: {error}")));
            if let Err(end) = value.and_then(|value| collect(&value, &mut wallets)) {
                return Ok(Err(end));
            }
        }
        if wallets.is_empty() {
            return Ok(Err(End::Skipped("`to` names no wallet".to_owned())));
        }
        let rows = wallets.into_iter().flat_map(|wallet| self.rows(wallet)).collect();
        self.running
            .store
            .plan(self.occurrence.row, rows, None, true)
            .await
            .map(Ok)
    }

    fn rows(&self, wallet: Address) -> impl Iterator<Item = NewDelivery> {
        let (created, expires) = (self.running.now(), expires(self.occurrence.at, self.rule));
        (0..self.rule.parts.len()).map(move |part| NewDelivery {
            bot: self.running.bot.name.clone(),
            rule: self.rule.name.clone(),
            key: self.occurrence.key.clone(),
            wallet,
            part: u32::try_from(part).unwrap_or(u32::MAX),
            occurrence: Some(self.occurrence.row),
            body: None,
            conversation: None,
            created,
            expires,
            priority: self.rule.policy.priority,
        })
    }
}

/// When an occurrence of a rule is not worth sending any more.
fn expires(at: DateTime<Utc>, rule: &Rule) -> DateTime<Utc> {
    chrono::TimeDelta::from_std(rule.policy.ttl)
        .ok()
        .and_then(|ttl| at.checked_add_signed(ttl))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The text of a rule's key: its values as JSON, so that no two keys look alike.
pub(crate) fn evaluate_key(key: &[Expression], scope: &Scope) -> Result<String, String> {
    let mut values = Vec::with_capacity(key.len());
    for expression in key {
        let value = expression
            .evaluate(scope)
            .map_err(|error| format!("`key`: {error}"))?;
        values.push(value.to_json());
    }
    Ok(match values.as_slice() {
        [serde_json::Value::String(text)] => text.clone(),
        [value] => value.to_string(),
        _ => serde_json::Value::Array(values).to_string(),
    })
}

fn collect(value: &Value, wallets: &mut BTreeSet<Address>) -> Result<(), End> {
    match value {
        Value::Wallet(wallet) => {
            wallets.insert(*wallet);
        }
        Value::Text(text) => {
            let wallet = text
                .parse()
                .map_err(|error| End::Rejected(format!("`to`: {error}")))?;
            wallets.insert(wallet);
        }
        // An optional wallet that is not there.
        Value::None => {}
        Value::List(items) => {
            for item in items.iter() {
                collect(item, wallets)?;
            }
        }
        other => {
            let reason = format!("`to`: expected a wallet, found `{}`", other.to_text());
            return Err(End::Rejected(reason));
        }
    }
    Ok(())
}
