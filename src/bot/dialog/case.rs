//! Cases: conversations that people take over. Each side sees the bot alone.

use chrono::{DateTime, TimeDelta, Utc};
use herald_protocol::address::Address;
use rusqlite::Error;

use super::{
    answer::Answer,
    flow::rule,
    stand::{Line, Post, Stand},
};
use crate::bot::{
    chain::WalletName,
    config::{Escalate, Flow, FlowState, Forward, Wallets},
    event::print_time,
    expression::{Question, Value},
    store::{self, OpenFlow},
};

/// What ends a case, on either side.
const DONE: &str = "/done";
/// Said once to somebody who writes more than is kept until people are there.
const FULL: &str = "That is all I can keep until somebody is here. Please write the rest then.";
/// How long an escalation is posted.
const POST_LIFE: TimeDelta = TimeDelta::days(1);

impl Answer<'_> {
    /// Opens the case of somebody who has come to a state that forwards.
    pub(super) fn open_case(
        &mut self,
        (flow, state, forward): (&Flow, &FlowState, &Forward),
        mut open: OpenFlow,
        mut stand: Stand,
    ) -> Result<(), Error> {
        let bot = &self.running.bot.name;
        let number = store::number_case(self.transaction, bot)?;
        open.number = Some(number);
        let people = self.people(flow, &forward.wallets);
        store::add_to_case(self.transaction, (bot, number), &people)?;
        stand.claimed = None;
        (stand.pending, stand.is_full) = (vec![self.incoming.text.clone()], false);
        let from = stand.opens.unwrap_or(self.running.now());
        stand.escalates = state.escalate.as_ref().and_then(|escalate| {
            let after = TimeDelta::from_std(escalate.after).ok()?;
            from.checked_add_signed(after)
        });
        if stand.opens.is_none() {
            self.hand_over(flow, forward, &open, &mut stand)?;
        }
        self.keep_case(open, &stand)
    }

    /// Forwards what waits: the first message with what was said before it.
    fn hand_over(
        &mut self,
        flow: &Flow,
        forward: &Forward,
        open: &OpenFlow,
        stand: &mut Stand,
    ) -> Result<(), Error> {
        let number = open.number.unwrap_or_default();
        let people = store::case_people(self.transaction, &self.running.bot.name, number)?;
        let before = stand.before(forward.transcript);
        for (index, text) in std::mem::take(&mut stand.pending).into_iter().enumerate() {
            let mut said = format!("#{number}: {text}");
            if index == 0 && !before.is_empty() {
                said = format!("{said}\n\nBefore:{before}");
            } else if index > 0 {
                stand.hear(flow, Line::theirs(&text));
            }
            for wallet in &people {
                self.say_to(&rule(flow), (*wallet, None), said.clone())?;
            }
        }
        Ok(())
    }

    fn keep_case(&mut self, mut open: OpenFlow, stand: &Stand) -> Result<(), Error> {
        open.due = stand.due();
        open.stand = stand.write();
        store::keep_flow(self.transaction, &self.running.bot.name, &open)
    }

    /// Takes a message of either side of a case. Says whether it is one.
    pub(super) fn in_case(&mut self) -> Result<bool, Error> {
        let running = self.running;
        let (bot, from) = (&running.bot, self.incoming.from);
        if bot.flows.is_empty() {
            return Ok(false);
        }
        let own = store::open_flow(self.transaction, &bot.name, from)?.filter(|open| open.number.is_some());
        let mut cases: Vec<(OpenFlow, Stand)> = store::cases_of(self.transaction, &bot.name, from)?
            .into_iter()
            .map(|open| {
                let stand = Stand::read(&open.stand);
                (open, stand)
            })
            .collect();
        let (named, text) = numbered(&self.incoming.text);
        let is_named = |(open, _): &(OpenFlow, Stand)| named.is_some() && open.number == named;
        if let Some(index) = cases.iter().position(is_named) {
            let (open, stand) = cases.swap_remove(index);
            return self.of_people(open, stand, text).map(|()| true);
        }
        if let Some(open) = own {
            let stand = Stand::read(&open.stand);
            return self.of_customer(open, stand);
        }
        let from = from.to_string();
        let rank = |stand: &Stand| match &stand.claimed {
            Some(claimed) if *claimed == from => 0,
            None => 1,
            Some(_) => 2,
        };
        let Some((open, stand)) = cases.into_iter().min_by_key(|(_, stand)| rank(stand)) else {
            return Ok(false);
        };
        if let Some(number) = named {
            // Meant for one whose case is over: it is nobody else's to read.
            let rule = format!("flow:{}", open.flow);
            return self
                .tell_people(&rule, format!("#{number}: not open"))
                .map(|()| true);
        }
        self.of_people(open, stand, text).map(|()| true)
    }

    /// Answers one of those who take over; one that is a program is not answered without end.
    fn tell_people(&mut self, rule: &str, said: String) -> Result<(), Error> {
        if self.is_paused {
            return Ok(());
        }
        self.say_back(rule, said)
    }

    /// A message of the one whose case it is. Says whether the file still has its flow.
    fn of_customer(&mut self, open: OpenFlow, mut stand: Stand) -> Result<bool, Error> {
        let running = self.running;
        let text = &self.incoming.text;
        let flow = running.bot.flows.get(&open.flow);
        let Some(flow) = flow.filter(|_| !is_done(text)) else {
            store::end_flow(self.transaction, &running.bot.name, open.wallet)?;
            return Ok(flow.is_some());
        };
        if !self.has_room() {
            return Ok(true);
        }
        stand.conversation.clone_from(&self.incoming.conversation);
        if stand.opens.is_some() {
            if !stand.put_off(text) && !std::mem::replace(&mut stand.is_full, true) {
                self.say_back(&rule(flow), FULL.to_owned())?;
            }
            return self.keep_case(open, &stand).map(|()| true);
        }
        stand.hear(flow, Line::theirs(text));
        let number = open.number.unwrap_or_default();
        let said = format!("#{number}: {text}");
        let people = match &stand.claimed {
            Some(claimed) => claimed.parse().into_iter().collect(),
            None => store::case_people(self.transaction, &running.bot.name, number)?,
        };
        for wallet in people {
            self.say_to(&rule(flow), (wallet, None), said.clone())?;
        }
        self.keep_case(open, &stand).map(|()| true)
    }

    /// A message of one of those who take over.
    fn of_people(&mut self, open: OpenFlow, mut stand: Stand, text: &str) -> Result<(), Error> {
        let running = self.running;
        let own = self.incoming.from.to_string();
        let rule = format!("flow:{}", open.flow);
        if stand.claimed.as_ref().is_some_and(|claimed| *claimed != own) {
            let said = format!("#{}: taken", open.number.unwrap_or_default());
            return self.tell_people(&rule, said);
        }
        if is_done(text) {
            return store::end_flow(self.transaction, &running.bot.name, open.wallet);
        }
        let flow = running.bot.flows.get(&open.flow);
        let state = flow.and_then(|flow| flow.states.get(&open.state));
        let forward = state.and_then(|state| state.forward.as_ref());
        if forward.is_some_and(|forward| forward.claim) {
            stand.claimed = Some(own);
        }
        stand.escalates = None;
        let conversation = stand.conversation.clone();
        self.say_to(&rule, (open.wallet, conversation), text.to_owned())?;
        self.keep_case(open, &stand)
    }

    /// Does what time asks for in a flow.
    pub(super) fn tick(&mut self, mut open: OpenFlow) -> Result<(), Error> {
        let running = self.running;
        let now = running.now();
        let flow = running.bot.flows.get(&open.flow);
        let found = flow.and_then(|flow| Some((flow, flow.states.get(&open.state)?)));
        let (Some((flow, state)), Some(_)) = (found, open.number) else {
            // It waited long enough, or the file has changed.
            return store::end_flow(self.transaction, &running.bot.name, open.wallet);
        };
        let mut stand = Stand::read(&open.stand);
        if stand.opens.is_some_and(|opens| opens <= now) {
            stand.opens = None;
            if let Some(forward) = &state.forward {
                self.hand_over(flow, forward, &open, &mut stand)?;
            }
        }
        if stand.escalates.is_some_and(|escalates| escalates <= now) {
            stand.escalates = None;
            if let Some(escalate) = &state.escalate {
                self.escalate((flow, escalate), &mut open, &mut stand)?;
            }
        }
        self.keep_case(open, &stand)
    }

    fn escalate(
        &mut self,
        (flow, escalate): (&Flow, &Escalate),
        open: &mut OpenFlow,
        stand: &mut Stand,
    ) -> Result<(), Error> {
        let now = self.running.now();
        let number = open.number.unwrap_or_default();
        let said = format!("#{number}: nobody has answered yet{}", stand.transcript());
        let new = self.people(flow, &escalate.wallets);
        for wallet in &new {
            self.say_to(&rule(flow), (*wallet, None), said.clone())?;
        }
        store::add_to_case(self.transaction, (&self.running.bot.name, number), &new)?;
        if let Some(url) = &escalate.post {
            let body = serde_json::json!({
                "event": "escalated",
                "bot": self.running.bot.name,
                "flow": flow.name,
                "case": number,
                "at": print_time(now),
            });
            stand.post = Some(Post {
                url: url.clone(),
                body: body.to_string(),
                tries: 0,
                due: now,
                expires: now + POST_LIFE,
            });
        }
        Ok(())
    }

    /// The wallets that a file names; one that cannot be found is told.
    fn people(&mut self, flow: &Flow, wallets: &[Wallets]) -> Vec<Address> {
        let scope = self.running.scope();
        let mut found = Vec::new();
        for wallets in wallets {
            match wallets {
                Wallets::Named(name) => self.add_person(flow, &Value::text(name.as_str()), &mut found),
                Wallets::Of(expression) => match expression.evaluate(&scope) {
                    Ok(value) => self.add_person(flow, &value, &mut found),
                    Err(error) => self.error(&rule(flow), format!("`wallets`: {error}")),
                },
            }
        }
        found
    }

    fn add_person(&mut self, flow: &Flow, value: &Value, found: &mut Vec<Address>) {
        let wallet = match value {
            Value::List(items) => {
                items.iter().for_each(|item| self.add_person(flow, item, found));
                return;
            }
            Value::Wallet(wallet) => Ok(*wallet),
            other => self.person(&other.to_text()),
        };
        let wallet = match wallet {
            Ok(wallet) => wallet,
            Err(reason) => {
                let reason = format!("`{}` is not reached: {reason}", value.to_text());
                return self.error(&rule(flow), reason);
            }
        };
        if !found.contains(&wallet) {
            found.push(wallet);
        }
    }

    /// The wallet of a text or of a name; or why there is none.
    fn person(&self, text: &str) -> Result<Address, String> {
        if !WalletName::is_meant(text) {
            let given = || self.running.answers.wallet(text);
            return text
                .parse()
                .ok()
                .or_else(given)
                .ok_or_else(|| "it is no wallet".to_owned());
        }
        let name = WalletName::read(text)?;
        match self.running.scope().ask(Question::WalletOf(&name)) {
            Some(Ok(Value::Wallet(wallet))) => Ok(wallet),
            Some(Err(failure)) => Err(failure.to_string()),
            Some(Ok(_)) | None => Err("nobody can be asked".to_owned()),
        }
    }
}

fn is_done(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case(DONE)
}

/// Reads `#N text` or `#N: text`.
fn numbered(text: &str) -> (Option<i64>, &str) {
    let text = text.trim();
    let read = || {
        let rest = text.strip_prefix('#')?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, rest) = rest.split_at(end);
        let number: i64 = digits.parse().ok()?;
        Some((number, rest.strip_prefix(':').unwrap_or(rest).trim_start()))
    };
    match read() {
        Some((number, rest)) => (Some(number), rest),
        None => (None, text),
    }
}

/// When a failed post is tried again.
pub(super) fn again(tries: u32, now: DateTime<Utc>) -> DateTime<Utc> {
    now + TimeDelta::seconds(5_i64 << tries.min(7))
}
