//! Makes rules fire: an occurrence with its id, its key and the names its trigger gives is recorded, once.

use chrono::{DateTime, Utc};

use super::{
    config::Rule,
    event::Kind,
    expression::{Scope, Value},
    outbox::{self, evaluate_key},
    running::{self, Running},
    store::{self, Gate, NewOccurrence, Planned},
    trigger::Trigger,
};

/// A trigger that fired.
#[derive(Clone, Debug)]
pub(crate) struct Firing {
    /// The trigger's own id.
    pub(crate) id: String,
    /// When it fired, or was planned to.
    pub(crate) at: DateTime<Utc>,
    /// The names it gives.
    pub(crate) names: Scope,
}

/// The occurrence of a rule that fired. A rule whose `let` or key cannot be computed is recorded all the
/// same, so that it is seen.
pub(crate) fn occurrence(running: &Running, rule: &Rule, firing: &Firing) -> NewOccurrence {
    let mut scope = running.scope();
    // A name that only another of the rule's triggers gives is `none`.
    for (name, _) in rule.names.iter() {
        scope.insert(name, Value::None);
    }
    for (name, value) in firing.names.iter() {
        scope.insert(name, value.clone());
    }
    scope.insert("occurrence", running::occurrence_record(&firing.id, firing.at));
    let computed = running.add_lets(rule, false, &mut scope);
    let mut names = firing.names.clone();
    for once in &rule.lets {
        if let Some(value) = scope.get(&once.name) {
            names.insert(&once.name, value.clone());
        }
    }
    let mut new = NewOccurrence {
        bot: running.bot.name.clone(),
        rule: rule.name.clone(),
        id: firing.id.clone(),
        key: firing.id.clone(),
        at: firing.at,
        names: running::to_json(&names),
        gate: outbox::first_gate(rule),
        skipped: rule.paused.then(|| "the rule is paused".to_owned()),
        answer: None,
        zone: None,
    };
    match computed.and_then(|()| evaluate_key(&rule.policy.key, &scope)) {
        Ok(key) if !rule.policy.key.is_empty() => new.key = key,
        Ok(_) => {}
        Err(reason) => new.skipped = Some(reason),
    }
    new
}

/// Records a firing of a rule and tells it.
pub(crate) async fn fire(running: &Running, rule: &Rule, firing: &Firing) -> Result<Planned, store::Error> {
    fire_answered(running, rule, firing, None).await
}

/// Records a firing of a rule together with what its sender is answered, and tells it.
pub(crate) async fn fire_answered(
    running: &Running,
    rule: &Rule,
    firing: &Firing,
    answer: Option<String>,
) -> Result<Planned, store::Error> {
    let new = NewOccurrence {
        answer,
        ..occurrence(running, rule, firing)
    };
    let planned = running.store.record(new.clone()).await?;
    tell(running, &new, &planned).await;
    Ok(planned)
}

/// Tells a recorded occurrence and wakes the planner; a repeated one is nobody's news.
pub(crate) async fn tell(running: &Running, new: &NewOccurrence, planned: &Planned) {
    if *planned != Planned::New {
        return;
    }
    let mut event = running.event(if new.skipped.is_some() {
        Kind::Skipped
    } else {
        Kind::Occurrence
    });
    event.rule = Some(new.rule.clone());
    event.key = Some(new.key.clone());
    event.reason.clone_from(&new.skipped);
    running.tell(event.clone()).await;
    if new.gate == Gate::Approval && new.skipped.is_none() {
        event.event = Kind::AwaitingApproval;
        running.tell(event).await;
    }
    running.to_plan.notify_one();
}

/// Fires every `started` rule of a bot.
pub(crate) async fn started(running: &Running, id: &str) -> Result<(), store::Error> {
    for rule in running.bot.rules.values() {
        if rule
            .triggers
            .iter()
            .any(|trigger| matches!(trigger, Trigger::Started))
        {
            let firing = Firing {
                id: id.to_owned(),
                at: running.now(),
                names: Scope::new(),
            };
            fire(running, rule, &firing).await?;
        }
    }
    Ok(())
}
