//! What is to be done with a row that is due: skip it, hold it, end it, or send this text.

use std::collections::{HashMap, hash_map::Entry};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Connection;

use crate::bot::{
    config::{Consent, Limit, Priority, Rule},
    expression::Scope,
    policy::window::Window,
    running::{self, Running, overlaid},
    store::{Counts, Delivery, Occurrence, Standing, State, counts, occurrence, standing, window},
};

/// What is known of a row's recipient and occurrence.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) standing: Standing,
    /// The bot's own consent list denies the wallet.
    pub(super) denied: bool,
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

/// Reads the facts of a row.
pub(super) fn facts(
    connection: &Connection,
    running: &Running,
    row: &Delivery,
    now: DateTime<Utc>,
) -> Result<Facts, rusqlite::Error> {
    let limit = running
        .bot
        .rules
        .get(&row.rule)
        .and_then(|rule| rule.policy.limits.recipient);
    let counts = match row.occurrence {
        Some(own) => {
            let count =
                |rule, limit: Limit| counts(connection, row, own, rule, since(now, limit.per), limit.count);
            let rule = limit
                .map(|limit| count(Some(row.rule.as_str()), limit))
                .transpose()?;
            Some((rule, count(None, running.project.recipient_limit)?))
        }
        None => None,
    };
    Ok(Facts {
        standing: standing(connection, &row.bot, row.wallet)?,
        denied: false,
        occurrence: row
            .occurrence
            .map(|id| occurrence(connection, id))
            .transpose()?
            .flatten(),
        counts,
    })
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
    consent(rule, facts).map_err(skipped)?;
    let ceiling = running.project.recipient_limit;
    if let Some(hold) = closed(rule, facts, now).or_else(|| over_limit(rule, facts, ceiling, now)) {
        return Ok(hold);
    }
    let mut scope = running.occurrence_scope(rule, occurrence).map_err(rejected)?;
    let mut to = match &row.list {
        Some(list) => {
            let member = facts.standing.lists.get(list);
            running.member_record(list, member.ok_or_else(|| skipped("the wallet left the list"))?)
        }
        None => running.person_record(row.wallet, &facts.standing),
    };
    if let Some(vars) = &row.vars {
        to = overlaid(to, vars).map_err(rejected)?;
    }
    scope.insert("to", to);
    running::add_lets(rule, true, &mut scope).map_err(rejected)?;
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

fn consent(rule: &Rule, facts: &Facts) -> Result<(), &'static str> {
    let standing = &facts.standing;
    if standing.left {
        return Err("the wallet left");
    }
    if facts.denied {
        return Err("the bot's consent list denies the wallet");
    }
    match rule.policy.consent {
        Consent::OptedIn if standing.lists.is_empty() => Err("the wallet has not opted in"),
        Consent::Allowed if standing.lists.is_empty() && !standing.wrote => {
            Err("the wallet has neither opted in nor written to the bot")
        }
        _ => Ok(()),
    }
}

/// Holds a row in quiet hours, the rule's or the recipient's own, and outside of the rule's hours.
fn closed(rule: &Rule, facts: &Facts, now: DateTime<Utc>) -> Option<Verdict> {
    let zone = facts.standing.zone();
    let hold = |reason: String, until| Verdict::Hold {
        reason,
        until,
        ttl: ttl(rule),
    };
    if rule.policy.priority != Priority::Urgent {
        let own = facts.standing.told("quiet");
        let own = own.and_then(|hours| Window::parse(&format!("{hours} recipient")).ok());
        for quiet in [rule.policy.quiet, own].into_iter().flatten() {
            if let Some(ends) = quiet.ends(now, zone) {
                return Some(hold(format!("quiet hours {quiet}"), ends));
            }
        }
    }
    let hours = rule.policy.hours?;
    let begins = hours.begins(now, zone)?;
    Some(hold(format!("outside the hours {hours}"), begins))
}

fn ttl(rule: &Rule) -> TimeDelta {
    TimeDelta::from_std(rule.policy.ttl).unwrap_or(TimeDelta::MAX)
}

/// Holds a row whose recipient had its share, until the oldest message leaves the sliding window.
fn over_limit(rule: &Rule, facts: &Facts, ceiling: Limit, now: DateTime<Utc>) -> Option<Verdict> {
    let (own, all) = facts.counts?;
    let own = rule.policy.limits.recipient.zip(own);
    for (limit, counts) in own.into_iter().chain([(ceiling, all)]) {
        if counts.sealed >= limit.count {
            return Some(over(rule, limit, counts.frees.unwrap_or(now), now));
        }
    }
    None
}

/// Waits until the message that was sealed at `frees` leaves the window of a limit.
fn over(rule: &Rule, limit: Limit, frees: DateTime<Utc>, now: DateTime<Utc>) -> Verdict {
    let until = TimeDelta::from_std(limit.per)
        .ok()
        .and_then(|per| frees.checked_add_signed(per));
    Verdict::Hold {
        reason: format!("over the limit of {}/{}", limit.count, humane(limit.per)),
        until: until.unwrap_or(DateTime::<Utc>::MAX_UTC).max(now),
        ttl: ttl(rule),
    }
}

/// What is left of the limits of whole rules and of the bot, for the rows of one batch.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    left: HashMap<Option<String>, Budget>,
}

#[derive(Debug)]
struct Budget {
    room: u32,
    frees: Option<DateTime<Utc>>,
}

impl Budgets {
    /// Takes room for one message of a rule, or says what it waits for.
    pub(super) fn take(
        &mut self,
        connection: &Connection,
        running: &Running,
        rule: &Rule,
        now: DateTime<Utc>,
    ) -> Result<Option<Verdict>, rusqlite::Error> {
        let limits = [
            (Some(rule.name.as_str()), rule.policy.limits.rule),
            (None, rule.policy.limits.bot),
        ];
        let mut full = None;
        for (name, limit) in limits {
            let Some(limit) = limit else { continue };
            let budget = match self.left.entry(name.map(str::to_owned)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let bot = running.bot.name.as_str();
                    let (filled, frees) =
                        window(connection, (bot, name), since(now, limit.per), limit.count)?;
                    let room = limit.count.saturating_sub(filled);
                    unknown.insert(Budget { room, frees })
                }
            };
            if budget.room == 0 {
                // Messages of this very batch fill it: none of them leaves the window sooner than a whole span from now.
                full = full.or_else(|| Some(over(rule, limit, budget.frees.unwrap_or(now), now)));
            }
        }
        if full.is_none() {
            for (name, limit) in limits {
                if let (Some(_), Some(budget)) = (limit, self.left.get_mut(&name.map(str::to_owned))) {
                    budget.room -= 1;
                }
            }
        }
        Ok(full)
    }
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
