//! Conversations with people: what they may write to a bot, and what it answers.

mod answer;
pub mod command;
mod inbox;

pub(crate) use inbox::listen;
