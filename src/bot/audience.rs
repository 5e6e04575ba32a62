//! Whom a rule writes to. Resolution happens when a rule fires; this module holds what a bot's file says about it.

use crate::bot::expression::Expression;

/// Lists of members: how one leaves them.
pub mod list;

/// The `to` of a rule.
#[derive(Debug, Clone)]
pub enum Audience {
    /// Every member of a list of this bot, by the list's name.
    List(String),
    /// One wallet. The expression is typed `wallet`, or `any`, whose text is read as an address when the rule fires.
    Wallet(Expression),
    /// Several wallets: each expression is a wallet, or a list of wallets.
    Wallets(Vec<Expression>),
}
