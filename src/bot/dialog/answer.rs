//! Who takes a message, and what follows: a leave word, a list's join command, a command, what every bot with lists answers, or else
//! the `message` rules.

use std::cell::RefCell;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use herald_protocol::{address::Address, time::TimestampNs};
use rusqlite::Transaction;

use super::{
    command::{CommandDeclaration, Misuse},
    guard::Talker,
    people,
};
use crate::bot::{
    audience::list::{self, Leave},
    chain::WalletName,
    config::{List, Part, Priority, Rule},
    event::{Event, Kind},
    expression::{Failure, Question, Scope, Value, WalletOf},
    fire::{self, Firing},
    outbox::{
        self,
        render::{self, Without},
    },
    running::{Running, occurrence_record, to_utc},
    store::{self, Body, Member, MessageNumber, NewDelivery, NewOccurrence, Planned},
    trigger::Trigger,
};

/// A message that was written to the bot, or a request that concerns a wallet; that has no text and no conversation.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) id: [u8; 32],
    pub(super) text: String,
    pub(super) content_type: String,
    pub(super) from: Address,
    pub(super) sent: TimestampNs,
    pub(super) conversation: Option<String>,
}

/// What is to be told once the transaction is durable.
pub(super) enum Effect {
    Event(Box<Event>),
    Occurrence(Box<NewOccurrence>, Planned),
}

/// Said where an answer needs what does not answer.
const UNANSWERED: &str = "I cannot look that up right now. Please try again in a few minutes.";

/// How rows call the answer to what nothing else takes; no rule can have the name.
pub(super) const FALLBACK: &str = "bot:fallback";
/// How they call what somebody is told who writes too much.
const LIMIT: &str = "bot:limit";
/// What they are told, outside of flows and in them.
const DONE_MEANWHILE: &str = "What you ask for is done meanwhile.";
const NOT_TAKEN: &str = "What you write until then is not taken and not passed on.";

/// Answers are worth sending for a day.
const ANSWER_LIFE: TimeDelta = TimeDelta::days(1);

/// Does what a message asks for, inside its transaction.
pub(super) fn answer(
    transaction: &Transaction<'_>,
    running: &Running,
    incoming: &Incoming,
) -> Result<Vec<Effect>, rusqlite::Error> {
    let mut answer = Answer::new(transaction, running, incoming);
    answer.take()?;
    Ok(answer.effects)
}

pub(super) struct Answer<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) running: &'a Running,
    pub(super) incoming: &'a Incoming,
    pub(super) effects: Vec<Effect>,
    /// Whether answers are left out, because there were too many.
    is_muted: bool,
    /// Whether the sender is a program that answers what the bot says.
    pub(super) is_paused: bool,
    /// Whether flows take no more of the sender's messages.
    is_full: bool,
    /// What became of the message so far.
    reaction: Reaction,
    /// And in flows.
    in_flows: InFlows,
    /// How many rows of flows it led to.
    of_flows: u32,
    /// What was said in a flow, for its transcript.
    pub(super) said_in_flow: Vec<String>,
}

/// How a bot reacted to a message.
#[derive(Clone, Copy, Debug, Default)]
struct Reaction {
    /// It was answered.
    said: bool,
    /// An answer was left out.
    left_out: bool,
    /// A rule fired.
    fired: bool,
}

/// How flows did.
#[derive(Clone, Copy, Debug, Default)]
struct InFlows {
    /// One said something to the sender.
    said: bool,
    /// One took the message.
    took: bool,
    /// None took it, because there were too many.
    refused: bool,
}

impl<'a> Answer<'a> {
    pub(super) fn new(
        transaction: &'a Transaction<'a>,
        running: &'a Running,
        incoming: &'a Incoming,
    ) -> Self {
        Self {
            transaction,
            running,
            incoming,
            effects: Vec::new(),
            is_muted: false,
            is_paused: false,
            is_full: false,
            reaction: Reaction::default(),
            in_flows: InFlows::default(),
            of_flows: 0,
            said_in_flow: Vec::new(),
        }
    }
}

impl Answer<'_> {
    fn take(&mut self) -> Result<(), rusqlite::Error> {
        let running = self.running;
        let text = &self.incoming.text;
        outbox::answered(
            self.transaction,
            running,
            (self.incoming.from, text),
            running.now(),
        )?;
        if let Some(topic) = &self.incoming.conversation {
            let message = (self.incoming.from, topic.as_str(), to_utc(self.incoming.sent));
            outbox::replied(self.transaction, running, message, running.now())?;
        }
        if let Some(leave) = list::leave(text, &running.bot.lists) {
            return self.leave(leave);
        }
        let (bot, from, now) = (running.bot.name.as_str(), self.incoming.from, running.now());
        let mut talker = Talker::read(store::talker(self.transaction, bot, from)?.as_deref());
        self.is_paused = talker.hear(to_utc(self.incoming.sent).min(now), now);
        let (full, flows_full) = (talker.full_until(), talker.flows_full_until());
        (self.is_muted, self.is_full) = (full.is_some(), flows_full.is_some());
        self.talk()?;
        self.is_muted = false;
        let (reaction, in_flows) = (self.reaction, self.in_flows);
        let full = full.filter(|_| reaction.left_out && talker.tell());
        let flows_full = flows_full.filter(|_| in_flows.refused && talker.tell_of_flows());
        let told = full.map(|until| (until, DONE_MEANWHILE));
        if let Some((until, rest)) = told.or(flows_full.map(|until| (until, NOT_TAKEN))) {
            let standing = store::standing(self.transaction, bot, from)?;
            self.say(LIMIT, 0, enough(until, standing.zone(), rest))?;
        }
        if reaction.said || reaction.fired || in_flows.said {
            talker.react(reaction.said, now);
        }
        if in_flows.took {
            talker.flow(now);
        }
        store::keep_talker(self.transaction, (bot, from), &talker.write(), now)
    }

    /// Gives a message to the first that takes it.
    fn talk(&mut self) -> Result<(), rusqlite::Error> {
        let running = self.running;
        let text = &self.incoming.text;
        for list in running.bot.lists.values() {
            for declaration in &list.join {
                let (read, away) = self.with_names(|wallet| declaration.read(text, wallet));
                match read {
                    Some(Ok(arguments)) => {
                        let fields = match arguments.to_json() {
                            serde_json::Value::Object(fields) => fields,
                            _ => serde_json::Map::new(),
                        };
                        return self.join(list, fields);
                    }
                    Some(Err(misuse)) => {
                        return self.misused(&format!("list:{}", list.name), &misuse, away);
                    }
                    None => {}
                }
            }
        }
        if self.is_paused {
            // People are on the other side of a case; everything else may answer a program without end.
            return self.in_case().map(drop);
        }
        for command in &running.bot.commands {
            let (read, away) = self.with_names(|wallet| command.declaration.read(text, wallet));
            let Some(read) = read else {
                continue;
            };
            if !self.may_use(command)? {
                break;
            }
            return match read {
                Ok(arguments) => self.command(command, arguments),
                Err(misuse) => {
                    let rule = format!("command:/{}", command.declaration.name());
                    self.misused(&rule, &misuse, away)
                }
            };
        }
        if asks_for_help(text)
            && let Some(help) = self.help()?
        {
            return self.say("command:/help", 0, help);
        }
        if !running.bot.lists.is_empty()
            && let Some(asked) = people::Asked::read(text)
        {
            return self.serve(asked);
        }
        if self.in_case()? || self.in_flow()? || self.start_flow()? {
            return Ok(());
        }
        let takes = |trigger: &Trigger| matches!(trigger, Trigger::Message(words) if words.take(text));
        let mut rules = running.bot.rules.values();
        if rules.any(|rule| !rule.paused && rule.triggers.iter().any(takes)) {
            return self.fire(takes);
        }
        match &running.bot.fallback {
            Some(fallback) => {
                let scope = self.scope()?;
                self.say_parts(FALLBACK, fallback, &scope)
            }
            None => Ok(()),
        }
    }

    /// Reads what may name wallets. Says, too, why nobody can tell whose one is, if that is so.
    pub(super) fn with_names<T>(&self, read: impl FnOnce(&WalletOf<'_>) -> T) -> (T, Option<String>) {
        let away = RefCell::new(None);
        let wallet = |name: &WalletName| {
            let asked = self.running.scope().ask(Question::WalletOf(name));
            asked
                .unwrap_or_else(|| Err(Failure::NoValue(name.to_string())))
                .map_err(|failure| {
                    let reason = failure.to_string();
                    if !matches!(failure, Failure::Nobodys(_)) {
                        away.replace(Some(reason.clone()));
                    }
                    reason
                })
        };
        let read = read(&wallet);
        (read, away.into_inner())
    }

    /// Answers a command that cannot be read, if only for now.
    fn misused(&mut self, rule: &str, misuse: &Misuse, away: Option<String>) -> Result<(), rusqlite::Error> {
        match away {
            Some(reason) => self.cannot_look_up(rule, reason),
            None => self.say(rule, 0, misuse.to_string()),
        }
    }

    /// Says that what an answer needs does not answer, and tells the operator why.
    pub(super) fn cannot_look_up(&mut self, rule: &str, reason: String) -> Result<(), rusqlite::Error> {
        self.error(rule, reason);
        self.say(rule, 0, UNANSWERED.to_owned())
    }

    /// The names of a message: of commands, and of `message` rules.
    fn names(&self) -> Result<Scope, rusqlite::Error> {
        let incoming = self.incoming;
        let mut names = Scope::new();
        names.insert(
            "message",
            Value::record([
                ("id", Value::text(self.id())),
                ("text", Value::text(incoming.text.as_str())),
                ("type", Value::text(incoming.content_type.as_str())),
                ("from", Value::Wallet(incoming.from)),
                ("sent_at", Value::Time(to_utc(incoming.sent))),
                (
                    "conversation",
                    Value::text(incoming.conversation.as_deref().unwrap_or_default()),
                ),
            ]),
        );
        let standing = store::standing(self.transaction, &self.running.bot.name, incoming.from)?;
        let is_member = !standing.lists.is_empty();
        let sub = is_member.then(|| self.running.person_record(incoming.from, &standing));
        names.insert("sub", sub.unwrap_or(Value::None));
        if !self.running.bot.tables.is_empty() {
            names.insert("mine", self.mine()?);
        }
        Ok(names)
    }

    /// The sender's rows by table.
    fn mine(&self) -> Result<Value, rusqlite::Error> {
        let bot = &self.running.bot;
        let mut tables = Vec::new();
        for (name, table) in &bot.tables {
            let rows = store::own_rows(self.transaction, (&bot.name, name), self.incoming.from)?;
            let rows = rows.iter().map(|row| table.record(row));
            tables.push((name.as_str(), Value::list(rows)));
        }
        Ok(Value::record(tables))
    }

    pub(super) fn scope(&self) -> Result<Scope, rusqlite::Error> {
        let mut scope = self.running.scope();
        for (name, value) in self.names()?.iter() {
            scope.insert(name, value.clone());
        }
        let standing = store::standing(self.transaction, &self.running.bot.name, self.incoming.from)?;
        scope.insert("to", self.running.person_record(self.incoming.from, &standing));
        scope.insert(
            "occurrence",
            occurrence_record(&self.id(), to_utc(self.incoming.sent)),
        );
        Ok(scope)
    }

    fn id(&self) -> String {
        const_hex::encode(self.incoming.id)
    }

    /// Puts the sender on a list, or gives a member new fields; the welcome answers either.
    pub(super) fn join(
        &mut self,
        list: &List,
        fields: serde_json::Map<String, serde_json::Value>,
    ) -> Result<(), rusqlite::Error> {
        let bot = &self.running.bot.name;
        let member = Member {
            wallet: self.incoming.from,
            fields,
            joined: self.running.now(),
        };
        let new = store::join(self.transaction, bot, &list.name, &member)?;
        let member = store::find_member(self.transaction, bot, &list.name, member.wallet)?.unwrap_or(member);
        let record = self.running.member_record(&list.name, &member);
        let rule = format!("list:{}", list.name);
        if let Some(welcome) = &list.welcome {
            let scope = self.member_scope(&list.name, &record)?;
            self.say_parts(&rule, welcome, &scope)?;
        }
        if !new {
            return Ok(());
        }
        self.event(Kind::Joined, &rule);
        self.fire_with(
            &membership(&list.name, record),
            |trigger| matches!(trigger, Trigger::Joined(joined) if *joined == list.name),
        )
    }

    /// The scope of a list's welcome and goodbye.
    fn member_scope(&self, list: &str, member: &Value) -> Result<Scope, rusqlite::Error> {
        let mut scope = self.scope()?;
        scope.insert("sub", member.clone());
        scope.insert("to", member.clone());
        scope.insert("list", Value::text(list));
        Ok(scope)
    }

    fn leave(&mut self, leave: Leave<'_>) -> Result<(), rusqlite::Error> {
        let only = match leave {
            Leave::All => None,
            Leave::List(list) => Some(list),
        };
        if only.is_none() {
            store::end_flow(self.transaction, &self.running.bot.name, self.incoming.from)?;
        }
        let (left, said) = self.depart(only, true)?;
        if said {
            return Ok(());
        }
        let rule = format!(
            "list:{}",
            only.or(left.first().map(String::as_str)).unwrap_or("all")
        );
        self.say(&rule, 0, goodbye(only, &self.running.bot.lists))
    }

    /// Takes the sender off one list or off all, with goodbyes where they are to be said. Gives the lists, and whether one of them had
    /// something to say.
    pub(super) fn depart(
        &mut self,
        only: Option<&str>,
        says_goodbye: bool,
    ) -> Result<(Vec<String>, bool), rusqlite::Error> {
        let (running, from) = (self.running, self.incoming.from);
        let before = store::standing(self.transaction, &running.bot.name, from)?;
        let left = store::leave(self.transaction, &running.bot.name, only, from, running.now())?;
        let mut said = false;
        for name in &left {
            let rule = format!("list:{name}");
            let record = before
                .lists
                .get(name)
                .map_or(Value::None, |member| running.member_record(name, member));
            let list = running.bot.lists.get(name).filter(|_| says_goodbye);
            if let Some(goodbye) = list.and_then(|list| list.goodbye.as_ref()) {
                let scope = self.member_scope(name, &record)?;
                self.say_parts(&rule, goodbye, &scope)?;
                said = true;
            }
            self.event(Kind::Left, &rule);
            self.fire_with(
                &membership(name, record),
                |trigger| matches!(trigger, Trigger::Left(list) if list == name),
            )?;
        }
        Ok((left, said))
    }

    fn fire(&mut self, fits: impl Fn(&Trigger) -> bool) -> Result<(), rusqlite::Error> {
        let names = self.names()?;
        self.fire_with(&names, fits)
    }

    fn fire_with(&mut self, names: &Scope, fits: impl Fn(&Trigger) -> bool) -> Result<(), rusqlite::Error> {
        let running = self.running;
        let rules = running.bot.rules.values();
        for rule in rules.filter(|rule| rule.triggers.iter().any(&fits)) {
            self.fire_rule(rule, names)?;
        }
        Ok(())
    }

    pub(super) fn fire_rule(&mut self, rule: &Rule, names: &Scope) -> Result<(), rusqlite::Error> {
        let firing = Firing {
            id: self.id(),
            // A sender's clock may be ahead.
            at: to_utc(self.incoming.sent).min(self.running.now()),
            names: names.clone(),
        };
        self.reaction.fired = true;
        let new = fire::occurrence(self.running, rule, &firing);
        let planned = store::record(self.transaction, &new)?;
        self.effects.push(Effect::Occurrence(Box::new(new), planned));
        Ok(())
    }

    /// Every way to join and every command as declared that the sender may use, with what its author says of it, and what every bot with
    /// lists answers; none when there are none.
    fn help(&self) -> Result<Option<String>, rusqlite::Error> {
        let bot = &self.running.bot;
        let joins = bot.lists.values().flat_map(|list| &list.join);
        let mut lines: Vec<String> = joins.map(|join| join.text().to_owned()).collect();
        for command in &bot.commands {
            if self.may_use(command)? {
                lines.push(match &command.about {
                    Some(about) => format!("{} - {about}", command.declaration.text()),
                    None => command.declaration.text().to_owned(),
                });
            }
        }
        if !bot.lists.is_empty() {
            lines.extend(people::HELP.iter().map(|line| (*line).to_owned()));
        }
        Ok((!lines.is_empty()).then(|| lines.join("\n")))
    }

    /// Plans the parts of an answer. One that cannot be rendered is told to the operator; the others go out.
    pub(super) fn say_parts(
        &mut self,
        rule: &str,
        parts: &[Part],
        scope: &Scope,
    ) -> Result<(), rusqlite::Error> {
        for (number, part) in (0..).zip(parts) {
            let holds = part.condition.as_ref().map_or(Ok(true), |condition| {
                condition.evaluate(scope).map(|value| value.is_truthy())
            });
            let rendered = match holds {
                Ok(true) => render::render(&part.content, scope, None),
                Ok(false) => Err(Without::Nothing("`if` is false")),
                Err(error) => Err(Without::Failed(format!("`if`: {error}"))),
            };
            match rendered {
                Ok((message, _)) => self.say(rule, number, message.into_body())?,
                Err(Without::Nothing(_)) => {}
                Err(Without::Failed(error)) => {
                    self.error(rule, format!("the answer cannot be rendered: {error}"));
                    if self.running.unanswered().is_some() {
                        return self.say(rule, number, UNANSWERED.to_owned());
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn say(
        &mut self,
        rule: &str,
        part: u32,
        body: impl Into<Body>,
    ) -> Result<(), rusqlite::Error> {
        let body = body.into();
        if rule.starts_with("flow:") {
            if let Body::Text(text) = &body {
                self.said_in_flow.push(text.clone());
            }
            return self.say_back(rule, body);
        }
        if self.is_muted {
            self.reaction.left_out = true;
            return Ok(());
        }
        self.reaction.said = true;
        let to = (self.incoming.from, self.incoming.conversation.clone());
        self.plan(rule, part, to, body)
    }

    /// Says something to the sender in a flow.
    pub(super) fn say_back(&mut self, rule: &str, body: impl Into<Body>) -> Result<(), rusqlite::Error> {
        self.in_flows.said = true;
        let to = (self.incoming.from, self.incoming.conversation.clone());
        self.say_to(rule, to, body)
    }

    /// Whether a flow may take the sender's message; it is counted, or the sender is told.
    pub(super) fn has_room(&mut self) -> bool {
        if self.is_full {
            self.in_flows.refused = true;
        } else {
            self.in_flows.took = true;
        }
        !self.is_full
    }

    /// Says something in a flow, to whomever it concerns.
    pub(super) fn say_to(
        &mut self,
        rule: &str,
        to: (Address, Option<String>),
        body: impl Into<Body>,
    ) -> Result<(), rusqlite::Error> {
        let part = self.of_flows;
        self.of_flows += 1;
        self.plan(rule, part, to, body.into())
    }

    fn plan(
        &self,
        rule: &str,
        part: u32,
        (wallet, conversation): (Address, Option<String>),
        body: Body,
    ) -> Result<(), rusqlite::Error> {
        let now = self.running.now();
        let row = NewDelivery {
            bot: self.running.bot.name.clone(),
            rule: rule.to_owned(),
            key: self.id(),
            wallet,
            author: Some(self.incoming.from).filter(|from| *from != wallet),
            part: MessageNumber::of(0, part),
            occurrence: None,
            body: Some(body),
            conversation,
            vars: None,
            list: None,
            created: now,
            due: now,
            expires: now + ANSWER_LIFE,
            // Somebody waits for it.
            priority: Priority::Urgent,
        };
        store::insert_delivery(self.transaction, &row).map(drop)
    }

    pub(super) fn event(&mut self, kind: Kind, rule: &str) {
        let event = self.new_event(kind, rule);
        self.effects.push(Effect::Event(Box::new(event)));
    }

    /// Tells the operator what went wrong.
    pub(super) fn error(&mut self, rule: &str, reason: String) {
        let mut event = self.new_event(Kind::Error, rule);
        event.reason = Some(reason);
        self.effects.push(Effect::Event(Box::new(event)));
    }

    fn new_event(&self, kind: Kind, rule: &str) -> Event {
        let mut event = self.running.event(kind);
        event.rule = Some(rule.to_owned());
        event.wallet = Some(self.incoming.from);
        event.message = Some(self.id());
        event
    }
}

/// What somebody is told whose messages are too many to be answered.
fn enough(until: DateTime<Utc>, zone: Tz, rest: &str) -> String {
    let time = until.with_timezone(&zone).format("%H:%M");
    format!("That was a lot for an hour: I answer again from {time} ({zone}). {rest}")
}

/// The names that `joined` and `left` give.
fn membership(list: &str, member: Value) -> Scope {
    [("sub", member), ("list", Value::text(list))]
        .into_iter()
        .collect()
}

/// Whether a message is `/help`, written like any command: the first word, in any case, with or without the slash.
fn asks_for_help(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    first
        .strip_prefix('/')
        .unwrap_or(first)
        .eq_ignore_ascii_case("help")
}

/// What a bot says to somebody who leaves when its author has written nothing; it names the way back.
fn goodbye(only: Option<&str>, lists: &std::collections::BTreeMap<String, List>) -> String {
    let back = lists
        .values()
        .filter(|list| only.is_none_or(|only| only == list.name));
    let back = back
        .flat_map(|list| &list.join)
        .map(CommandDeclaration::text)
        .next();
    let what = only.map_or_else(|| "any more".to_owned(), |list| format!("from {list} any more"));
    match back {
        Some(join) => format!("Done. I will not write to you {what}. To come back: {join}"),
        None => format!("Done. I will not write to you {what}."),
    }
}
