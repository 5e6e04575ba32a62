//! Conversations with people: what they may write to a bot, and what it answers.

mod act;
mod answer;
pub mod command;
mod inbox;
mod people;
pub(crate) mod request;

pub(crate) use inbox::{Inbox, listen};
