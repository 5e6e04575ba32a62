//! Conversations with people: what they may write to a bot, and what it answers.

mod act;
mod answer;
mod case;
pub mod command;
mod flow;
mod guard;
mod inbox;
mod people;
pub(crate) mod request;
mod stand;
mod timers;

pub(crate) use inbox::{Inbox, listen};
pub(crate) use timers::{flow_round, keep_time};
