//! What follows a delivery, in the transaction that settles it: follow-ups become rows, the recipient leaves a list, its
//! fields change. And what keeps a follow-up from going out: an answer.

use chrono::{DateTime, TimeDelta, Utc};
use herald_protocol::address::Address;
use rusqlite::{Connection, Transaction};

use super::judge::recipient_scope;
use crate::bot::{
    config::{FollowUp, Later, Rule},
    expression::{Scope, Type, Value},
    running::Running,
    store::{self, Delivery, MessageNumber, NewDelivery, State},
};

/// Does what follows the delivery of a row. Whatever cannot be evaluated is left out and said.
pub(super) fn delivered(
    transaction: &Transaction<'_>,
    running: &Running,
    row: &Delivery,
    now: DateTime<Utc>,
) -> Result<Vec<String>, rusqlite::Error> {
    let Some(rule) = followed(running, row) else {
        return Ok(Vec::new());
    };
    let after = &rule.policy.after;
    let mut failures = Vec::new();
    match scope_of(transaction, running, (rule, row), now)? {
        Ok(scope) => {
            for (step, follow_up) in (1..).zip(&rule.policy.then) {
                match due(follow_up, &scope, now) {
                    Ok(Some(due)) => {
                        let look = first_look(follow_up, now, due);
                        plan(transaction, (rule, row), (step, follow_up), (now, look, due))?;
                    }
                    Ok(None) => {}
                    Err(reason) => failures.push(reason),
                }
            }
            failures.extend(set(transaction, running, (rule, row), &scope)?);
        }
        Err(reason) => failures.push(reason),
    }
    if let Some(table) = &after.remove {
        failures.extend(remove(transaction, row, table)?);
    }
    if let Some(list) = &after.leave {
        store::leave(transaction, &row.bot, Some(list), row.wallet, now)?;
    }
    Ok(failures)
}

/// The rule of a row whose delivery something follows.
pub(super) fn followed<'r>(running: &'r Running, row: &Delivery) -> Option<&'r Rule> {
    let rule = running.bot.rules.get(&row.rule)?;
    let (then, after) = (&rule.policy.then, &rule.policy.after);
    let is_followed =
        !then.is_empty() || after.leave.is_some() || after.remove.is_some() || !after.set.is_empty();
    (is_followed && row.part.step() == 0).then_some(rule)
}

/// When each follow-up of a row is due that is delivered now, or why it never is.
pub(super) fn dues(
    connection: &Connection,
    running: &Running,
    (rule, row): (&Rule, &Delivery),
    now: DateTime<Utc>,
) -> Result<Vec<Result<DateTime<Utc>, String>>, rusqlite::Error> {
    let scope = scope_of(connection, running, (rule, row), now)?;
    let dues = rule.policy.then.iter().map(|follow_up| match &scope {
        Ok(scope) => {
            let due = due(follow_up, scope, now)?;
            due.ok_or_else(|| "its `at` is none".to_owned())
        }
        Err(reason) => Err(reason.clone()),
    });
    Ok(dues.collect())
}

/// The names of a row's message, with those of its delivery.
fn scope_of(
    connection: &Connection,
    running: &Running,
    (rule, row): (&Rule, &Delivery),
    now: DateTime<Utc>,
) -> Result<Result<Scope, String>, rusqlite::Error> {
    let occurrence = row
        .occurrence
        .map(|id| store::occurrence(connection, id))
        .transpose()?;
    let Some(occurrence) = occurrence.flatten() else {
        return Ok(Err("its occurrence is gone".to_owned()));
    };
    let standing = store::standing_of(connection, row)?;
    Ok(
        recipient_scope(running, rule, (row, &occurrence), &standing).map(|mut scope| {
            scope.insert("delivery", delivery_record(row.id, now));
            scope
        }),
    )
}

/// The record `delivery`.
pub(super) fn delivery_record(id: i64, at: DateTime<Utc>) -> Value {
    Value::record([("id", Value::from(id)), ("at", Value::Time(at))])
}

/// When a follow-up is due; never when its time is `none`.
fn due(follow_up: &FollowUp, scope: &Scope, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, String> {
    match &follow_up.when {
        Later::After(span) => Ok(TimeDelta::from_std(*span)
            .ok()
            .and_then(|span| now.checked_add_signed(span))),
        Later::At(time) => match time.evaluate(scope) {
            Ok(Value::Time(time)) => Ok(Some(time)),
            Ok(Value::None) => Ok(None),
            Ok(other) => Err(format!("`then.at`: expected a time, found `{}`", other.to_text())),
            Err(error) => Err(format!("`then.at`: {error}")),
        },
    }
}

/// When a follow-up is looked at that is due then: at its time, but earlier where that is an estimate, which is read again.
fn first_look(follow_up: &FollowUp, now: DateTime<Utc>, due: DateTime<Utc>) -> DateTime<Utc> {
    if follow_up.when.may_change() && due - now > SURE {
        now + (due - now) / 2
    } else {
        due
    }
}

/// Until when a follow-up is held whose time has moved away since it was planned; none if it is due. Errors are sentences for people.
pub(super) fn not_yet(
    follow_up: &FollowUp,
    scope: &Scope,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, String> {
    if !follow_up.when.may_change() {
        return Ok(None);
    }
    let due = due(follow_up, scope, now)?.filter(|due| *due > now);
    Ok(due.map(|due| first_look(follow_up, now, due)))
}

/// An estimate that is this near is taken as it is.
const SURE: TimeDelta = TimeDelta::minutes(1);

fn plan(
    transaction: &Transaction<'_>,
    (rule, row): (&Rule, &Delivery),
    (step, follow_up): (u32, &FollowUp),
    (now, look, due): (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>),
) -> Result<(), rusqlite::Error> {
    let ttl = TimeDelta::from_std(rule.policy.ttl).unwrap_or(TimeDelta::MAX);
    for (number, _) in (0..).zip(&follow_up.parts) {
        let new = NewDelivery {
            bot: row.bot.clone(),
            rule: row.rule.clone(),
            key: row.key.clone(),
            wallet: row.wallet,
            author: None,
            part: MessageNumber::of(step, number),
            occurrence: row.occurrence,
            body: None,
            conversation: None,
            vars: row.vars.clone(),
            list: row.list.clone(),
            created: now,
            due: look.max(now),
            expires: due.checked_add_signed(ttl).unwrap_or(DateTime::<Utc>::MAX_UTC),
            priority: rule.policy.priority,
        };
        store::insert_delivery(transaction, &new)?;
    }
    Ok(())
}

/// Removes the row that fired, by the `row` among the names of its occurrence.
fn remove(
    transaction: &Transaction<'_>,
    row: &Delivery,
    table: &str,
) -> Result<Option<String>, rusqlite::Error> {
    let occurrence = row.occurrence.map(|id| store::occurrence(transaction, id));
    let Some(occurrence) = occurrence.transpose()?.flatten() else {
        return Ok(Some("`after.remove`: its occurrence is gone".to_owned()));
    };
    let names: serde_json::Value = serde_json::from_str(&occurrence.names).unwrap_or_default();
    let fired = &names["row"];
    let id = Type::Int.read_json(&fired["id"]).ok().map(|id| id.to_text());
    let id: Option<i64> = id.and_then(|id| id.parse().ok());
    let owner: Option<Address> = fired["owner"].as_str().and_then(|owner| owner.parse().ok());
    let (Some(id), Some(owner)) = (id, owner) else {
        return Ok(Some("`after.remove`: no row fired".to_owned()));
    };
    // One that its owner removed meanwhile is gone as it should be.
    store::remove_row(transaction, (&row.bot, table), owner, id)?;
    Ok(None)
}

/// Gives fields of the recipient's membership their new values.
fn set(
    transaction: &Transaction<'_>,
    running: &Running,
    (rule, row): (&Rule, &Delivery),
    scope: &Scope,
) -> Result<Vec<String>, rusqlite::Error> {
    let Some(list) = &row.list else {
        return Ok(Vec::new());
    };
    let (mut fields, mut failures) = (serde_json::Map::new(), Vec::new());
    for (name, value) in &rule.policy.after.set {
        match value.evaluate(scope) {
            Ok(value) => {
                fields.insert(name.clone(), value.to_json());
            }
            Err(error) => failures.push(format!("`after.set.{name}`: {error}")),
        }
    }
    if !fields.is_empty() {
        store::set_fields(transaction, (&running.bot.name, list), row.wallet, fields)?;
    }
    Ok(failures)
}

/// Ends the follow-ups of a wallet that wait for the answer it has just given. Gives their ids.
pub(crate) fn answered(
    transaction: &Transaction<'_>,
    running: &Running,
    (wallet, text): (Address, &str),
    now: DateTime<Utc>,
) -> Result<Vec<i64>, rusqlite::Error> {
    let answer = text.trim().to_lowercase();
    let mut ended = Vec::new();
    for row in store::open_follow_ups(transaction, &running.bot.name, wallet)? {
        let rule = running.bot.rules.get(&row.rule);
        let follow_up = rule.and_then(|rule| follow_up(rule, row.part));
        let word = follow_up.and_then(|follow_up| follow_up.unless_reply.as_ref());
        if word.is_some_and(|word| *word == answer) {
            let reason = format!("they answered `{answer}`");
            store::settle(transaction, &[(row.id, State::Skipped, Some(reason))], now)?;
            ended.push(row.id);
        }
    }
    Ok(ended)
}

/// The follow-up that a row is a message of.
pub(super) fn follow_up(rule: &Rule, part: MessageNumber) -> Option<&FollowUp> {
    let step = usize::try_from(part.step()).ok()?.checked_sub(1)?;
    rule.policy.then.get(step)
}
