//! Conversations with people: what they may write to a bot, and what it answers.

pub mod command;
