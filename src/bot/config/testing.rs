//! What a valid file says of its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;

use crate::bot::audience::holders::GivenHolder;
use crate::bot::config::CallbackEvent;
use crate::bot::expression::Value;
use crate::bot::source::Answer;
use crate::bot::store::{CallbackState, Member, State};
use crate::bot::testing;

/// One entry of `tests`.
#[derive(Debug, Clone)]
pub struct Test {
    /// What it shows; unique in its file.
    pub name: String,
    /// Its line in the file, from 1.
    pub line: usize,
    /// What is so before the bot starts.
    pub given: Given,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// Everything that arrives, in order per wallet, rows that do not, and callbacks.
    pub expected: Vec<Expected>,
    /// The test wallets it names. Each has a client.
    pub people: BTreeSet<String>,
}

/// What is so before the bot starts.
#[derive(Debug, Clone)]
pub struct Given {
    /// The time; 2026-01-01T00:00:00Z if left out.
    pub now: DateTime<Utc>,
    /// Members and the lists they are on.
    pub members: Vec<(String, Member)>,
    /// Rows and the tables they are in.
    pub rows: Vec<(String, GivenRow)>,
    /// Files by their path, with their text.
    pub files: BTreeMap<String, String>,
    /// What feeds and polls have read already, by the rules that read them.
    pub seen: BTreeMap<String, Vec<Value>>,
    /// Who holds tokens: by their contracts, or without one for every token.
    pub holders: BTreeMap<Option<Address>, Vec<GivenHolder>>,
}

/// A row that is there before the bot starts.
#[derive(Debug, Clone)]
pub struct GivenRow {
    /// Whose it is.
    pub owner: Address,
    /// Its columns as JSON of their types.
    pub columns: serde_json::Map<String, serde_json::Value>,
}

/// One entry of `do`.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its line in the file, from 1.
    pub line: usize,
    /// What happens.
    pub action: Action,
}

/// What happens in a step.
#[derive(Debug, Clone)]
pub enum Action {
    /// Time passes, and what is due in it happens at its instant.
    Wait(Duration),
    /// Somebody writes to the bot.
    Say {
        /// A test wallet.
        from: String,
        /// What is said.
        text: String,
        /// As what.
        kind: Saying,
    },
    /// What sources and upload targets answer from now on, by their names; the rows of a query by the name of its rule; who is called
    /// back by a rule as `RULE.callback`.
    Mock(Vec<(String, Answer)>),
    /// A rule fires, whatever its triggers.
    Run(String),
    /// The broadcasts of a rule that await approval are let out.
    Approve(String),
    /// A webhook is called.
    Post {
        /// The rule it belongs to.
        rule: String,
        /// The body.
        body: serde_json::Value,
        /// Whether the signature is right.
        signed: bool,
        /// The status that must be answered; one of 200 to 299 if left out.
        answer: Option<u16>,
    },
    /// A feed, or the source of a poll, is read.
    Read {
        /// The rules that read it.
        rules: Vec<String>,
        /// Its entries or items.
        items: Vec<Value>,
    },
    /// A contract logs the event that a rule waits for.
    Log {
        /// The rule.
        rule: String,
        /// What the log says.
        event: Value,
    },
    /// The bot ends and starts again.
    Restart,
    /// The bot's file becomes another one: its text.
    Reload(String),
}

/// What somebody says to a bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saying {
    /// A text.
    Text,
    /// A reply to the bot's last message.
    Reply,
    /// A reaction to the bot's last message.
    React,
    /// A note that the bot's last message was read.
    ReadReceipt,
}

/// One entry of `expect`. What is left out may be anything.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Whom it reaches.
    pub to: Who,
    /// The rule; `list:NAME` or `command:/NAME` for answers.
    pub rule: Option<String>,
    /// A part of the text; of other content than text a part of its fallback.
    pub text: Option<String>,
    /// The key of `send`.
    pub kind: Option<String>,
    /// When it was written, to the second.
    pub time: Option<DateTime<Utc>>,
    /// The id of its conversation.
    pub thread: Option<String>,
    /// It is a row that was not delivered, and stands so.
    pub state: Option<State>,
    /// It is a callback that tells this, and stands so.
    pub callback: Option<(CallbackEvent, CallbackState)>,
}

impl Expected {
    /// Whether it is a message, and no row or callback.
    pub fn is_message(&self) -> bool {
        self.state.is_none() && self.callback.is_none()
    }
}

/// Whose wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The test wallet of this name.
    Name(String),
    /// One that has no key here.
    Address(Address),
}

impl Who {
    /// The wallet's address.
    pub fn address(&self) -> Address {
        match self {
            Self::Name(name) => testing::wallet(name).address(),
            Self::Address(address) => *address,
        }
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}
