//! The shape of `to`.

use serde::Deserialize;

use crate::bot::config::spanned::{OneOrMany, Text};

/// `to`, told by its key.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a list's name, or one of `{ list }`, `{ wallet }`, `{ wallets }`")]
pub(crate) enum AudienceFile {
    /// A list's name. Literal.
    #[serde(rename = "$text")]
    Name(Text),
    #[serde(rename = "list")]
    List(ToListFile),
    #[serde(rename = "wallet")]
    Wallet(ToWalletFile),
    #[serde(rename = "wallets")]
    Wallets(ToWalletsFile),
}

/// `{ list }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToListFile {
    /// A list's name. Literal.
    pub(crate) list: Text,
}

/// `{ wallet }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToWalletFile {
    /// Expression.
    pub(crate) wallet: Text,
}

/// `{ wallets }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToWalletsFile {
    /// Expressions.
    pub(crate) wallets: OneOrMany<Text>,
}
