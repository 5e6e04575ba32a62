//! What is to be done with a row that is due: skip it, hold it, end it, or send this message.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Connection;

use super::{
    digest::{self, Sibling},
    follow_up::{delivery_record, follow_up, not_yet},
    render::{self, Message, Outgoing, Without},
};
use crate::bot::{
    config::{Consent, Digest, FollowUp, Limit, Part, Priority, Rule},
    expression::{Expression, Scope},
    policy::window::Window,
    running::{Running, overlaid},
    store::{self, Body, Delivery, FirstMessage, Occurrence, Standing, State, occurrence, window},
};

/// What is known of a row's recipient and occurrence.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) standing: Standing,
    /// The bot's own consent list denies the wallet.
    pub(super) denied: bool,
    pub(super) occurrence: Option<Arc<Occurrence>>,
    /// The limit that the recipient has used up, the rule's own or that of all rules, and when the message was sealed whose leaving
    /// the window makes room.
    pub(super) full: Option<(Limit, DateTime<Utc>)>,
    /// The end of the digest's period that others of the rule and recipient wait for.
    pub(super) open_period: Option<DateTime<Utc>>,
    /// The message that it follows.
    pub(super) first: Option<FirstMessage>,
    /// The rows that are due with it for one digest.
    pub(super) siblings: Vec<Sibling>,
}

/// What to do with a row.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Send this.
    Send(Box<Send>),
    /// Wait for a reason; once due, the row is worth sending for its rule's `ttl`.
    Hold {
        reason: String,
        until: DateTime<Utc>,
        ttl: TimeDelta,
        /// When the digest is due that it belongs to.
        period: Option<DateTime<Utc>>,
    },
    /// Something it needs is not to be had now, for this reason.
    Again(String),
    /// It ends here.
    Settle(State, String),
    /// It ends here, and the follow-ups behind it too.
    Cancel(String),
}

/// A message that is to go out.
#[derive(Debug, PartialEq)]
pub(super) struct Send {
    pub(super) message: Outgoing,
    /// Rows that are part of it.
    pub(super) merged: Vec<i64>,
    /// Rows that would be part of it but for their condition.
    pub(super) dropped: Vec<i64>,
}

/// What the rows of one batch share.
#[derive(Debug, Default)]
pub(super) struct Batch {
    occurrences: HashMap<i64, Option<Arc<Occurrence>>>,
    /// What is left of the limits of whole rules and of the bot.
    budgets: HashMap<Option<String>, Budget>,
}

impl Batch {
    fn occurrence(
        &mut self,
        connection: &Connection,
        row: i64,
    ) -> Result<Option<Arc<Occurrence>>, rusqlite::Error> {
        Ok(match self.occurrences.entry(row) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(unknown) => unknown.insert(occurrence(connection, row)?.map(Arc::new)).clone(),
        })
    }
}

/// Reads the facts of a row.
pub(super) fn facts(
    connection: &Connection,
    batch: &mut Batch,
    running: &Running,
    row: &Delivery,
    now: DateTime<Utc>,
) -> Result<Facts, rusqlite::Error> {
    let is_digest = digest_of(running, row).is_some();
    let mut siblings = Vec::new();
    if is_digest && row.period.is_some_and(|period| period <= now) {
        for sibling in store::siblings(connection, row)? {
            let id = sibling.occurrence.unwrap_or_default();
            if let Some(its) = batch.occurrence(connection, id)? {
                siblings.push((sibling, its));
            }
        }
    }
    let open_period = if is_digest && row.period.is_none() {
        store::open_period(connection, row, now)?
    } else {
        None
    };
    let first = match row.part.step() {
        0 => None,
        _ => store::first_message(connection, row)?,
    };
    Ok(Facts {
        open_period,
        first,
        siblings,
        standing: store::standing_of(connection, row)?,
        denied: false,
        occurrence: row
            .occurrence
            .map(|id| batch.occurrence(connection, id))
            .transpose()?
            .flatten(),
        full: full(connection, running, row, now)?,
    })
}

/// The limit of messages to one recipient that a rule's row meets.
fn full(
    connection: &Connection,
    running: &Running,
    row: &Delivery,
    now: DateTime<Utc>,
) -> Result<Option<(Limit, DateTime<Utc>)>, rusqlite::Error> {
    let Some(own) = row.occurrence else {
        return Ok(None);
    };
    let rule = running.bot.rules.get(&row.rule);
    let of_rule = rule.and_then(|rule| Some((Some(rule.name.as_str()), rule.policy.limits.recipient?)));
    for (rule, limit) in of_rule
        .into_iter()
        .chain([(None, running.project.recipient_limit)])
    {
        let since = since(now, limit.per);
        if let Some(frees) = store::recipient_window(connection, (row, own), rule, since, limit.count)? {
            return Ok(Some((limit, frees)));
        }
    }
    Ok(None)
}

/// The digest that a row waits for; urgent ones wait for none.
fn digest_of<'r>(running: &'r Running, row: &Delivery) -> Option<&'r Digest> {
    let rule = running.bot.rules.get(&row.rule)?;
    let waits = row.part.step() == 0 && rule.policy.priority != Priority::Urgent;
    rule.policy.digest.as_ref().filter(|_| waits)
}

/// Judges one row. Answers (welcome, reply, goodbye) carry their text and need no consent.
pub(super) fn judge(running: &Running, row: &Delivery, facts: &Facts, now: DateTime<Utc>) -> Verdict {
    if row.expires <= now {
        let (over, while_it_waited) = match row.sealed {
            Some(_) => ("it is not tried any longer", ""),
            None => ("its ttl passed", " while it waited"),
        };
        let reason = match &row.reason {
            Some(reason) => format!("{over}{while_it_waited}: {reason}"),
            None => over.to_owned(),
        };
        return Verdict::Settle(State::Expired, reason);
    }
    let judged = match (&row.body, &facts.occurrence) {
        (Some(body), _) => answer(row, body),
        (None, Some(occurrence)) => judge_rule(running, row, facts, (occurrence, now)),
        (None, None) => Err(rejected("what it said is forgotten".to_owned())),
    };
    judged.unwrap_or_else(|verdict| verdict)
}

fn rejected(reason: String) -> Verdict {
    Verdict::Settle(State::Rejected, reason)
}

fn skipped(reason: impl Into<String>) -> Verdict {
    Verdict::Settle(State::Skipped, reason.into())
}

fn judge_rule(
    running: &Running,
    row: &Delivery,
    facts: &Facts,
    (occurrence, now): (&Occurrence, DateTime<Utc>),
) -> Result<Verdict, Verdict> {
    let mut turn = Turn::of(running, row, facts, occurrence)?;
    if let Some(digest) = turn.digest {
        await_period(digest, (turn.rule, row), (&turn.scope, facts), now)?;
    }
    if let Some(hold) = closed(turn.rule, facts, now) {
        return Ok(hold);
    }
    // The recipient had its share.
    if let Some((limit, frees)) = facts.full {
        return Ok(over(turn.rule, limit, frees, now));
    }
    turn.is_due(now)?;
    turn.goes(row)?;
    turn.compose(running, row, facts)
}

/// What a rule's row will be sent as once it need not wait any more, as far as is known now.
pub(super) fn foresee(running: &Running, row: &Delivery, facts: &Facts) -> Verdict {
    let Some(occurrence) = &facts.occurrence else {
        return rejected("its occurrence is gone".to_owned());
    };
    let turn = Turn::of(running, row, facts, occurrence);
    let composed = turn.and_then(|mut turn| {
        turn.goes(row)?;
        turn.compose(running, row, facts)
    });
    composed.unwrap_or_else(|verdict| verdict)
}

/// Why a row of a follow-up would end by a condition, and what it will be sent as if not, as far as is known now.
pub(super) fn foresee_follow_up(
    running: &Running,
    row: &Delivery,
    facts: &Facts,
) -> (Option<Verdict>, Verdict) {
    let Some(occurrence) = &facts.occurrence else {
        return (None, rejected("its occurrence is gone".to_owned()));
    };
    match Turn::of(running, row, facts, occurrence) {
        Ok(mut turn) => {
            let ends = turn.goes(row).err();
            let composed = turn.compose(running, row, facts);
            (ends, composed.unwrap_or_else(|verdict| verdict))
        }
        Err(verdict) => (None, verdict),
    }
}

/// A row of a rule that may go, with what its message is made of.
struct Turn<'r> {
    rule: &'r Rule,
    part: &'r Part,
    follow_up: Option<&'r FollowUp>,
    digest: Option<&'r Digest>,
    scope: Scope,
}

impl<'r> Turn<'r> {
    fn of(
        running: &'r Running,
        row: &Delivery,
        facts: &Facts,
        occurrence: &Occurrence,
    ) -> Result<Self, Verdict> {
        let rule = running.bot.rules.get(&row.rule);
        let rule = rule.ok_or_else(|| rejected("the rule is not in the file any more".to_owned()))?;
        let follow_up = follow_up(rule, row.part);
        let parts = match (row.part.step(), follow_up) {
            (0, _) => &rule.parts,
            (_, Some(follow_up)) => &follow_up.parts,
            (_, None) => return Err(rejected("the rule has fewer follow-ups now".to_owned())),
        };
        let part = parts.get(row.part.number());
        let part = part.ok_or_else(|| rejected("the rule has fewer messages now".to_owned()))?;
        consent(rule, facts).map_err(skipped)?;
        let list = row.list.as_ref();
        if list.is_some_and(|list| facts.standing.member_of(list).is_none()) {
            return Err(skipped("the wallet left the list"));
        }
        let scope = recipient_scope(running, rule, (row, occurrence), &facts.standing).map_err(rejected)?;
        Ok(Self {
            rule,
            part,
            follow_up,
            digest: digest_of(running, row),
            scope,
        })
    }

    /// Holds a follow-up whose time has moved away since it was planned.
    fn is_due(&self, now: DateTime<Utc>) -> Result<(), Verdict> {
        let Some(follow_up) = self.follow_up else {
            return Ok(());
        };
        match not_yet(follow_up, &self.scope, now).map_err(rejected)? {
            None => Ok(()),
            Some(until) => Err(Verdict::Hold {
                reason: "its time is an estimate, which is read again".to_owned(),
                until,
                ttl: ttl(self.rule),
                period: None,
            }),
        }
    }

    /// Judges the conditions of the whole row, with the names that they see.
    fn goes(&mut self, row: &Delivery) -> Result<(), Verdict> {
        if let Some(follow_up) = self.follow_up {
            self.scope
                .insert("delivery", delivery_record(row.id, row.created));
            if holds(follow_up.cancel_if.as_ref(), &self.scope, "cancel_if", false)? {
                return Err(Verdict::Cancel("`cancel_if` is true".to_owned()));
            }
            if !holds(follow_up.condition.as_ref(), &self.scope, "if", true)? {
                return Err(skipped("`if` is false"));
            }
            return Ok(());
        }
        // One that asks for the whole occurrence was judged when it was planned.
        let condition = self.rule.condition.as_ref();
        let condition = condition.filter(|own| own.names().contains("to") || !own.asks());
        if !holds(condition, &self.scope, "if", true)? {
            return Err(skipped("`if` is false"));
        }
        Ok(())
    }

    /// Makes the message.
    fn compose(mut self, running: &Running, row: &Delivery, facts: &Facts) -> Result<Verdict, Verdict> {
        let rule = self.rule;
        let (mut merged, mut dropped) = (Vec::new(), Vec::new());
        if let Some(digest) = self.digest {
            let collected = digest::collect(running, (rule, digest), &self.scope, &facts.siblings);
            let collected = collected.map_err(rejected)?;
            (self.scope, merged, dropped) = (collected.scope, collected.merged, collected.dropped);
        }
        let scope = &self.scope;
        if !holds(self.part.condition.as_ref(), scope, "if", true)? {
            return Err(skipped("`if` is false"));
        }
        let first = facts.first.as_ref();
        let message = render::render(&self.part.content, scope, first.map(|first| first.message));
        let (message, conversation) = message.map_err(|without| match without {
            Without::Nothing(reason) => skipped(reason),
            Without::Failed(reason) => rejected(reason),
        })?;
        let thread = match (&row.sealed, first) {
            // A message that is sealed again stays in its conversation, and follow-ups go where the message is.
            (Some(sealed), _) => sealed.thread.clone(),
            (None, Some(first)) => first.thread.clone(),
            (None, None) => render::thread(rule, scope).map_err(rejected)?,
        };
        let message = Outgoing {
            message,
            thread,
            conversation,
        };
        Ok(Verdict::Send(Box::new(Send {
            message,
            merged,
            dropped,
        })))
    }
}

/// Whether a condition holds; `absent` where there is none.
fn holds(condition: Option<&Expression>, scope: &Scope, key: &str, absent: bool) -> Result<bool, Verdict> {
    let Some(condition) = condition else {
        return Ok(absent);
    };
    let value = condition.evaluate(scope);
    let value = value.map_err(|error| rejected(format!("`{key}`: {error}")))?;
    Ok(value.is_truthy())
}

/// Holds a row until the period of its digest ends.
fn await_period(
    digest: &Digest,
    (rule, row): (&Rule, &Delivery),
    (scope, facts): (&Scope, &Facts),
    now: DateTime<Utc>,
) -> Result<(), Verdict> {
    let period = match row.period {
        Some(period) => period,
        None => digest::period_end(digest, row, (scope, facts.standing.zone()), facts.open_period)
            .map_err(rejected)?,
    };
    // One that was over before it was known waits all the same, for a moment: so that all rows of it know it.
    if period > now || row.period.is_none() {
        return Err(Verdict::Hold {
            reason: "it is part of a digest".to_owned(),
            until: period.max(now),
            ttl: ttl(rule),
            period: Some(period),
        });
    }
    Ok(())
}

/// The names of a row's message: those of its occurrence, and `to` with `sub`, who gets it.
pub(super) fn recipient_scope(
    running: &Running,
    rule: &Rule,
    (row, occurrence): (&Delivery, &Occurrence),
    standing: &Standing,
) -> Result<Scope, String> {
    let mut scope = running.occurrence_scope(rule, occurrence)?;
    let mut to = match &row.list {
        Some(list) => {
            let member = standing.member_of(list);
            running.member_record(list, member.ok_or("the wallet left the list")?)
        }
        None => running.person_record(row.wallet, standing),
    };
    if let Some(vars) = &row.vars {
        to = overlaid(to, vars, &rule.audience)?;
    }
    if scope.get("sub").is_none() {
        scope.insert("sub", to.clone());
    }
    scope.insert("to", to);
    running.add_lets(rule, true, &mut scope)?;
    Ok(scope)
}

/// What was said already goes out as it is.
fn answer(row: &Delivery, body: &Body) -> Result<Verdict, Verdict> {
    let message = Outgoing {
        message: Message::of_body(body).map_err(rejected)?,
        thread: None,
        conversation: row.conversation.clone(),
    };
    Ok(Verdict::Send(Box::new(Send {
        message,
        merged: Vec::new(),
        dropped: Vec::new(),
    })))
}

/// Whether the wallet may be written to at all.
pub(super) fn consent(rule: &Rule, facts: &Facts) -> Result<(), &'static str> {
    let standing = &facts.standing;
    if standing.left {
        return Err("the wallet left");
    }
    if facts.denied {
        return Err("the bot's consent list denies the wallet");
    }
    match rule.policy.consent {
        Consent::OptedIn if !standing.opted_in() => Err("the wallet has not opted in"),
        Consent::Allowed if !standing.opted_in() && !standing.wrote => {
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
        period: None,
    };
    if rule.policy.priority != Priority::Urgent {
        let own = facts.standing.quiet.as_deref();
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

/// Waits until the message that was sealed at `frees` leaves the window of a limit.
fn over(rule: &Rule, limit: Limit, frees: DateTime<Utc>, now: DateTime<Utc>) -> Verdict {
    let until = TimeDelta::from_std(limit.per)
        .ok()
        .and_then(|per| frees.checked_add_signed(per));
    Verdict::Hold {
        reason: format!("over the limit of {}/{}", limit.count, humane(limit.per)),
        until: until.unwrap_or(DateTime::<Utc>::MAX_UTC).max(now),
        ttl: ttl(rule),
        period: None,
    }
}

#[derive(Debug)]
struct Budget {
    room: u32,
    frees: Option<DateTime<Utc>>,
}

impl Batch {
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
            let budget = match self.budgets.entry(name.map(str::to_owned)) {
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
                if let (Some(_), Some(budget)) = (limit, self.budgets.get_mut(&name.map(str::to_owned))) {
                    budget.room -= 1;
                }
            }
        }
        Ok(full)
    }
}

/// A duration as the language writes it.
pub(crate) fn humane(span: Duration) -> String {
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
