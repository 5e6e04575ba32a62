//! What is to be done with a row that is due: skip it, hold it, end it, or send this text.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Connection;

use crate::bot::{
    audience::Audience,
    config::{Consent, Limit, Rule},
    expression::Scope,
    running::Running,
    store::{Counts, Delivery, Occurrence, Standing, State, counts, occurrence, standing},
};

/// What the store says of a row's recipient and occurrence.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) standing: Standing,
    pub(super) occurrence: Option<Occurrence>,
    /// Messages under the rule's own limit, and under the ceiling of all rules.
    pub(super) counts: Option<(Option<Counts>, Counts)>,
}

/// What to do with a row.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Send this text.
    Send(String),
    /// Wait for a reason; once due, the row is worth sending for its rule's `ttl`.
    Hold {
        reason: String,
        until: DateTime<Utc>,
        ttl: TimeDelta,
    },
    /// It ends here.
    Settle(State, String),
}

/// Reads the facts of rows in one go. `ceiling` is the project's limit over all rules of a bot.
pub(super) fn facts(
    connection: &Connection,
    rows: &[(Delivery, Option<Limit>)],
    ceiling: Limit,
    now: DateTime<Utc>,
) -> Result<Vec<Facts>, rusqlite::Error> {
    let mut facts = Vec::with_capacity(rows.len());
    for (row, limit) in rows {
        let counts = match row.occurrence {
            Some(own) => {
                let count = |rule, limit: Limit| {
                    counts(connection, row, own, rule, since(now, limit.per), limit.count)
                };
                let rule = limit
                    .map(|limit| count(Some(row.rule.as_str()), limit))
                    .transpose()?;
                Some((rule, count(None, ceiling)?))
            }
            None => None,
        };
        facts.push(Facts {
            standing: standing(connection, &row.bot, row.wallet)?,
            occurrence: row
                .occurrence
                .map(|id| occurrence(connection, id))
                .transpose()?
                .flatten(),
            counts,
        });
    }
    Ok(facts)
}

/// Judges one row. Answers (welcome, reply, goodbye) carry their text and need no consent.
pub(super) fn judge(running: &Running, row: &Delivery, facts: &Facts, now: DateTime<Utc>) -> Verdict {
    if row.expires <= now {
        let waited = row
            .reason
            .as_ref()
            .map(|reason| format!(" while it waited: {reason}"))
            .unwrap_or_default();
        return Verdict::Settle(State::Expired, format!("its ttl passed{waited}"));
    }
    let judged = match (&row.body, &facts.occurrence) {
        (Some(body), _) => Ok(Verdict::Send(body.clone())),
        (None, Some(occurrence)) => judge_rule(running, row, facts, (occurrence, now)),
        (None, None) => Err(Verdict::Settle(
            State::Rejected,
            "its occurrence is gone".to_owned(),
        )),
    };
    judged.unwrap_or_else(|verdict| verdict)
}

fn judge_rule(
    running: &Running,
    row: &Delivery,
    facts: &Facts,
    (occurrence, now): (&Occurrence, DateTime<Utc>),
) -> Result<Verdict, Verdict> {
    let rejected = |reason: String| Verdict::Settle(State::Rejected, reason);
    let skipped = |reason: &str| Verdict::Settle(State::Skipped, reason.to_owned());
    let rule = running.bot.rules.get(&row.rule);
    let rule = rule.ok_or_else(|| rejected("the rule is not in the file any more".to_owned()))?;
    let part = rule.parts.get(row.part as usize);
    let part = part.ok_or_else(|| rejected("the rule has fewer messages now".to_owned()))?;
    consent(rule, &facts.standing).map_err(skipped)?;
    if let Some(hold) = over_limit(rule, facts, running.project.recipient_limit, now) {
        return Ok(hold);
    }
    let mut scope = running.occurrence_scope(rule, occurrence).map_err(rejected)?;
    let to = match &rule.audience {
        Audience::List(list) => {
            let member = facts.standing.lists.get(list);
            running.member_record(list, member.ok_or_else(|| skipped("the wallet left the list"))?)
        }
        Audience::Wallet(_) | Audience::Wallets(_) => running.person_record(row.wallet, &facts.standing),
    };
    scope.insert("to", to);
    for condition in [&rule.condition, &part.condition].into_iter().flatten() {
        let value = condition
            .evaluate(&scope)
            .map_err(|error| rejected(format!("`if`: {error}")))?;
        if !value.is_truthy() {
            return Err(skipped("`if` is false"));
        }
    }
    render(part, &scope)
}

fn render(part: &crate::bot::config::Part, scope: &Scope) -> Result<Verdict, Verdict> {
    let text = part.template.render(scope);
    let text = text.map_err(|error| Verdict::Settle(State::Rejected, format!("`send`: {error}")))?;
    // A YAML block ends in a line break that nobody means to send.
    let text = text.trim_end();
    if text.is_empty() {
        return Err(Verdict::Settle(State::Skipped, "its text is empty".to_owned()));
    }
    Ok(Verdict::Send(text.to_owned()))
}

fn consent(rule: &Rule, standing: &Standing) -> Result<(), &'static str> {
    if standing.left {
        return Err("the wallet left");
    }
    match rule.policy.consent {
        Consent::OptedIn if standing.lists.is_empty() => Err("the wallet has not opted in"),
        Consent::OptedIn | Consent::Transactional | Consent::Any => Ok(()),
    }
}

/// Holds a row whose recipient had its share, until the oldest message leaves the sliding window.
fn over_limit(rule: &Rule, facts: &Facts, ceiling: Limit, now: DateTime<Utc>) -> Option<Verdict> {
    let (own, all) = facts.counts?;
    let ttl = TimeDelta::from_std(rule.policy.ttl).unwrap_or(TimeDelta::MAX);
    let own = rule.policy.limit.zip(own);
    for (limit, counts) in own.into_iter().chain([(ceiling, all)]) {
        if counts.sealed >= limit.count {
            let frees = counts.frees.unwrap_or(now);
            let until = TimeDelta::from_std(limit.per)
                .ok()
                .and_then(|per| frees.checked_add_signed(per));
            return Some(Verdict::Hold {
                reason: format!("over the limit of {}/{}", limit.count, humane(limit.per)),
                until: until.unwrap_or(DateTime::<Utc>::MAX_UTC).max(now),
                ttl,
            });
        }
    }
    None
}

/// A duration as the language writes it.
fn humane(span: Duration) -> String {
    let seconds = span.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds.is_multiple_of(length) && seconds > 0 {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

fn since(now: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(span)
        .ok()
        .and_then(|span| now.checked_sub_signed(span))
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}
