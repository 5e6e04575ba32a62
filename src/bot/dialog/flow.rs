//! Flows: a message moves its sender from state to state, and what a state says is its answer.

use chrono::TimeDelta;
use rusqlite::Error;

use super::{
    answer::Answer,
    stand::{Line, Stand},
};
use crate::bot::{
    config::{Flow, FlowState, Go, Part},
    expression::{Scope, Value},
    store::{self, OpenFlow},
};

/// States that follow each other without a message; a file is checked for endless ones.
const HOPS: usize = 64;

/// Where a message leads.
enum Way {
    To(String),
    Miss,
    /// It is not known for now whose a name is, for this reason.
    Unknown(String),
}

impl Answer<'_> {
    /// Gives a message to the flow that is open for its sender. Says whether there is one.
    pub(super) fn in_flow(&mut self) -> Result<bool, Error> {
        let running = self.running;
        let bot = &running.bot;
        let Some(open) = store::open_flow(self.transaction, &bot.name, self.incoming.from)? else {
            return Ok(false);
        };
        let flow = bot.flows.get(&open.flow);
        let Some((flow, state)) = flow.and_then(|flow| Some((flow, flow.states.get(&open.state)?))) else {
            // The file has changed since.
            store::end_flow(self.transaction, &bot.name, self.incoming.from)?;
            return Ok(false);
        };
        if !self.has_room() {
            return Ok(true);
        }
        let mut stand = Stand::read(&open.stand);
        stand.hear(flow, Line::theirs(&self.incoming.text));
        stand.conversation.clone_from(&self.incoming.conversation);
        match self.way(state, &mut stand) {
            Way::To(next) => self.enter(flow, next, (open, stand))?,
            Way::Miss => self.miss((flow, state), (open, stand))?,
            Way::Unknown(reason) => {
                self.cannot_look_up(&format!("flow:{}", flow.name), reason)?;
                self.wait(flow, open, &stand)?;
            }
        }
        Ok(true)
    }

    /// Starts the first flow that takes a message. Says whether there is one.
    pub(super) fn start_flow(&mut self) -> Result<bool, Error> {
        let running = self.running;
        let mut flows = running.bot.flows.values();
        let Some(flow) = flows.find(|flow| flow.when.take(&self.incoming.text)) else {
            return Ok(false);
        };
        if !self.has_room() {
            return Ok(true);
        }
        let mut stand = Stand {
            conversation: self.incoming.conversation.clone(),
            ..Stand::default()
        };
        stand.hear(flow, Line::theirs(&self.incoming.text));
        let open = OpenFlow {
            wallet: self.incoming.from,
            flow: flow.name.clone(),
            state: flow.start.clone(),
            number: None,
            due: None,
            stand: String::new(),
        };
        self.enter(flow, flow.start.clone(), (open, stand))?;
        Ok(true)
    }

    /// Where the message leads from a state; the answer to what was asked is kept.
    fn way(&self, state: &FlowState, stand: &mut Stand) -> Way {
        let text = &self.incoming.text;
        if let Some((name, ty)) = &state.ask {
            let (answer, away) = self.with_names(|wallet| ty.read_named(text.trim(), wallet));
            let Ok(answer) = answer else {
                return away.map_or(Way::Miss, Way::Unknown);
            };
            stand.answers.insert(name.clone(), answer.to_json());
        }
        match &state.go {
            Go::Nowhere => Way::Miss,
            Go::To(next) => Way::To(next.clone()),
            Go::By(ways) => {
                let way = ways.iter().find(|(words, _)| words.take(text));
                way.map_or(Way::Miss, |(_, next)| Way::To(next.clone()))
            }
        }
    }

    fn miss(
        &mut self,
        (flow, state): (&Flow, &FlowState),
        (open, mut stand): (OpenFlow, Stand),
    ) -> Result<(), Error> {
        stand.misses += 1;
        let (say, next) = match &state.otherwise {
            None => (Some(&state.say), None),
            Some(otherwise) => {
                let goes = otherwise.go.as_ref();
                match otherwise.tries {
                    Some(tries) if stand.misses >= tries => (None, goes),
                    Some(_) => (Some(&otherwise.say), None),
                    None => (Some(&otherwise.say), goes),
                }
            }
        };
        if let Some(say) = say {
            let scope = self.flow_scope(flow, state, &stand)?;
            self.say_in(flow, say, &scope, &mut stand)?;
        }
        match next {
            Some(next) => self.enter(flow, next.clone(), (open, stand)),
            None => self.wait(flow, open, &stand),
        }
    }

    /// Enters a state, and those that follow it without a message.
    fn enter(
        &mut self,
        flow: &Flow,
        mut next: String,
        (mut open, mut stand): (OpenFlow, Stand),
    ) -> Result<(), Error> {
        let bot = &self.running.bot.name;
        for _ in 0..HOPS {
            let Some(state) = flow.states.get(&next) else {
                break;
            };
            open.state.clone_from(&next);
            stand.misses = 0;
            let mut scope = self.flow_scope(flow, state, &stand)?;
            let standing = store::standing(self.transaction, bot, open.wallet)?;
            let now = self.running.now();
            let opens = state.hours.and_then(|hours| hours.begins(now, standing.zone()));
            let mut say = &state.say;
            if let (Some(opens), Some(closed)) = (opens, &state.closed) {
                scope.insert("opens", Value::Time(opens));
                say = closed;
            }
            self.say_in(flow, say, &scope, &mut stand)?;
            if let Some(forward) = &state.forward {
                stand.opens = opens;
                return self.open_case((flow, state, forward), open, stand);
            }
            if state.end {
                return store::end_flow(self.transaction, bot, open.wallet);
            }
            match &state.go {
                Go::To(following) if state.ask.is_none() => next.clone_from(following),
                _ => return self.wait(flow, open, &stand),
            }
        }
        self.error(&rule(flow), "its states do not come to rest".to_owned());
        store::end_flow(self.transaction, bot, open.wallet)
    }

    /// Waits for the next message.
    fn wait(&mut self, flow: &Flow, mut open: OpenFlow, stand: &Stand) -> Result<(), Error> {
        let idle = flow.idle.and_then(|idle| TimeDelta::from_std(idle).ok());
        open.due = idle.and_then(|idle| self.running.now().checked_add_signed(idle));
        open.stand = stand.write();
        store::keep_flow(self.transaction, &self.running.bot.name, &open)
    }

    /// Says something in a flow, and keeps it for those who take over.
    fn say_in(&mut self, flow: &Flow, say: &[Part], scope: &Scope, stand: &mut Stand) -> Result<(), Error> {
        self.said_in_flow.clear();
        self.say_parts(&rule(flow), say, scope)?;
        for text in std::mem::take(&mut self.said_in_flow) {
            stand.hear(flow, Line::ours(&text));
        }
        Ok(())
    }

    /// The names of a state; a `let` that cannot be computed is `none`, and told.
    fn flow_scope(&mut self, flow: &Flow, state: &FlowState, stand: &Stand) -> Result<Scope, Error> {
        let mut scope = self.scope()?;
        let asked = flow.states.values().filter_map(|state| state.ask.as_ref());
        let answers = asked.map(|(name, ty)| {
            let kept = stand.answers.get(name).and_then(|json| ty.read_json(json).ok());
            (name.as_str(), kept.unwrap_or(Value::None))
        });
        scope.insert("answers", Value::record(answers));
        for own in &state.lets {
            let value = match own.expression.evaluate(&scope) {
                Ok(value) => value,
                Err(error) => {
                    self.error(&rule(flow), format!("`let` {}: {error}", own.name));
                    Value::None
                }
            };
            scope.insert(&own.name, value);
        }
        Ok(scope)
    }
}

/// How rows call what a flow says.
pub(super) fn rule(flow: &Flow) -> String {
    format!("flow:{}", flow.name)
}
