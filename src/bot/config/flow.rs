//! Flows: conversations with states.

use std::{collections::BTreeMap, time::Duration};

use super::{Let, Part};
use crate::bot::{
    expression::{Expression, Type},
    policy::window::Window,
    trigger::Words,
};

/// A conversation that a bot leads from state to state.
#[derive(Debug, Clone)]
pub struct Flow {
    /// The flow's name, unique in its bot.
    pub name: String,
    /// What starts it.
    pub when: Words,
    /// The state it starts in.
    pub start: String,
    /// How long it waits for the next message; not while it is forwarded.
    pub idle: Option<Duration>,
    /// The states by name.
    pub states: BTreeMap<String, FlowState>,
}

/// What a flow does and waits for.
#[derive(Debug, Clone)]
pub struct FlowState {
    /// Names for values.
    pub lets: Vec<Let>,
    /// What is said on the way in.
    pub say: Vec<Part>,
    /// The answer it waits for.
    pub ask: Option<(String, Type)>,
    /// Where it goes from here.
    pub go: Go,
    /// What becomes of a message that does not fit.
    pub otherwise: Option<Otherwise>,
    /// When people are there.
    pub hours: Option<Window>,
    /// What is said outside of these hours.
    pub closed: Option<Vec<Part>>,
    /// Who takes over.
    pub forward: Option<Forward>,
    /// Who does when nobody answered.
    pub escalate: Option<Escalate>,
    /// Whether the flow ends here.
    pub end: bool,
}

/// The way out of a state.
#[derive(Debug, Clone)]
pub enum Go {
    /// None by itself.
    Nowhere,
    /// To this state.
    To(String),
    /// By what is written.
    By(Vec<(Words, String)>),
}

/// `else`.
#[derive(Debug, Clone)]
pub struct Otherwise {
    /// What is said.
    pub say: Vec<Part>,
    /// The miss that goes on.
    pub tries: Option<u32>,
    /// Where to.
    pub go: Option<String>,
}

/// `forward`.
#[derive(Debug, Clone)]
pub struct Forward {
    /// To whom.
    pub wallets: Vec<Wallets>,
    /// Whether the first to answer owns it.
    pub claim: bool,
    /// How many messages before it they are shown.
    pub transcript: usize,
}

/// `escalate`.
#[derive(Debug, Clone)]
pub struct Escalate {
    /// How long after it was forwarded.
    pub after: Duration,
    /// To whom.
    pub wallets: Vec<Wallets>,
    /// Where it is told.
    pub post: Option<String>,
}

/// Wallets of people who answer for the bot.
#[derive(Debug, Clone)]
pub enum Wallets {
    /// A name such as `ana.eth`.
    Named(String),
    /// A wallet, a name, or a list of such.
    Of(Expression),
}
