//! Digests: rows of one rule and recipient wait for the end of their period and go out as one message. The oldest of them
//! carries it; the others are settled with it.

use std::sync::Arc;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::bot::{
    config::{Digest, Period, Rule},
    dialog::command::order,
    expression::{Scope, Value},
    running::Running,
    store::{Delivery, Occurrence},
    trigger::schedule::{Schedule, instant_of},
};

/// A row that belongs to the same message, with its occurrence.
pub(super) type Sibling = (Delivery, Arc<Occurrence>);

/// The names of a digest's message, and what becomes of the rows beside the one that carries it.
pub(super) struct Collected {
    pub(super) scope: Scope,
    /// Rows whose item is in the message, or counted as left.
    pub(super) merged: Vec<i64>,
    /// Rows whose condition is false.
    pub(super) dropped: Vec<i64>,
}

/// When the period ends that a row belongs to. `open` is the end of one that other rows of its rule and recipient wait for.
pub(super) fn period_end(
    digest: &Digest,
    row: &Delivery,
    (scope, recipient): (&Scope, Tz),
    open: Option<DateTime<Utc>>,
) -> Result<DateTime<Utc>, String> {
    let created = row.created;
    let end = match &digest.period {
        Period::Every(span) => {
            let own = TimeDelta::from_std(*span)
                .ok()
                .and_then(|span| created.checked_add_signed(span));
            open.or(own)
        }
        Period::Hour { hour, zone } => {
            let value = hour
                .evaluate(scope)
                .map_err(|error| format!("`digest.hour`: {error}"))?;
            let hour = hour_of(&value).ok_or_else(|| {
                format!(
                    "`digest.hour`: expected an hour from 0 to 23, found `{}`",
                    value.to_text()
                )
            })?;
            next_at(hour, zone.unwrap_or(recipient), created)
        }
        Period::Cron { line, zone } => {
            let schedule = Schedule::parse(line, zone.unwrap_or(recipient));
            let schedule = schedule.map_err(|error| format!("`digest.cron`: {error}"))?;
            schedule.next_after(created)
        }
    };
    end.ok_or_else(|| "`digest` has no next time".to_owned())
}

fn hour_of(value: &Value) -> Option<NaiveTime> {
    let hour = match value {
        Value::Int(hour) => u32::try_from(hour).ok()?,
        _ => return None,
    };
    NaiveTime::from_hms_opt(hour, 0, 0)
}

/// The next time the clock of a zone shows this, after an instant.
fn next_at(time: NaiveTime, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let today = after.with_timezone(&zone).date_naive();
    today
        .iter_days()
        .take(3)
        .filter_map(|date| instant_of(zone, date.and_time(time)))
        .find(|instant| *instant > after)
}

/// Collects the items of a message: that of the row whose scope this is, and those of its siblings.
pub(super) fn collect(
    running: &Running,
    (rule, digest): (&Rule, &Digest),
    own: &Scope,
    siblings: &[Sibling],
) -> Result<Collected, String> {
    let to = own.get("to").cloned().unwrap_or(Value::None);
    let mut items = vec![item(rule, own)];
    let (mut merged, mut dropped) = (Vec::new(), Vec::new());
    for (row, occurrence) in siblings {
        let mut scope = running.occurrence_scope(rule, occurrence)?;
        scope.insert("to", to.clone());
        running.add_lets(rule, true, &mut scope)?;
        let holds = rule.condition.as_ref().map_or(Ok(true), |condition| {
            condition.evaluate(&scope).map(|value| value.is_truthy())
        });
        if holds.map_err(|error| format!("`if`: {error}"))? {
            items.push(item(rule, &scope));
            merged.push(row.id);
        } else {
            dropped.push(row.id);
        }
    }
    sort(digest, own, &mut items)?;
    let left = items.len().saturating_sub(digest.max);
    items.truncate(digest.max);
    let mut scope = running.scope();
    for name in ["to", "occurrence"] {
        scope.insert(name, own.get(name).cloned().unwrap_or(Value::None));
    }
    scope.insert("items", Value::list(items));
    scope.insert("items_left", Value::from(i64::try_from(left).unwrap_or(i64::MAX)));
    Ok(Collected {
        scope,
        merged,
        dropped,
    })
}

/// What one item is: the `item` of a trigger that gives one, else the record of what the triggers give.
fn item(rule: &Rule, scope: &Scope) -> Value {
    let value = |name: &str| scope.get(name).cloned().unwrap_or(Value::None);
    if rule.names.get("item").is_some() {
        return value("item");
    }
    Value::record(rule.names.iter().map(|(name, _)| (name.to_owned(), value(name))))
}

/// Sorts by the digest's `order`; items without a value, or of another kind, keep their place behind the others.
fn sort(digest: &Digest, own: &Scope, items: &mut Vec<Value>) -> Result<(), String> {
    let Some(by) = &digest.order else { return Ok(()) };
    let mut keyed = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        let mut scope = own.clone();
        scope.insert("item", item.clone());
        let key = by
            .evaluate(&scope)
            .map_err(|error| format!("`digest.order`: {error}"))?;
        keyed.push((key, item));
    }
    keyed.sort_by(|(left, _), (right, _)| match (left, right) {
        (Value::None, Value::None) => std::cmp::Ordering::Equal,
        (Value::None, _) => std::cmp::Ordering::Greater,
        (_, Value::None) => std::cmp::Ordering::Less,
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (left, right) => order(left, right).unwrap_or(std::cmp::Ordering::Equal),
    });
    items.extend(keyed.into_iter().map(|(_, item)| item));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_hour_is_the_next_one_of_the_readers_clock_also_across_a_change_of_it() {
        let nine = NaiveTime::from_hms_opt(9, 0, 0).unwrap();
        let paris = Tz::Europe__Paris;
        assert_eq!(
            next_at(nine, paris, at("2026-11-20T00:00:00Z")),
            Some(at("2026-11-20T08:00:00Z"))
        );
        // One that was just reached is over.
        assert_eq!(
            next_at(nine, paris, at("2026-11-20T08:00:00Z")),
            Some(at("2026-11-21T08:00:00Z"))
        );
        assert_eq!(
            next_at(nine, paris, at("2026-03-28T08:00:00Z")),
            Some(at("2026-03-29T07:00:00Z"))
        );
        let two = NaiveTime::from_hms_opt(2, 0, 0).unwrap();
        assert_eq!(
            next_at(two, paris, at("2026-03-28T12:00:00Z")),
            Some(at("2026-03-29T01:00:00Z"))
        );
    }
}
