//! The shape of `tables` and `commands`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::ContentFile;
use crate::bot::config::spanned::{Entries, OneOrMany, Text};

/// An entry of `tables`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table: `{ columns, per_owner }`")]
pub(crate) struct TableFile {
    /// Types by the names of columns. Literals.
    pub(crate) columns: Entries<String>,
    /// How many rows a wallet may have; 100 if left out. Literal.
    pub(crate) per_owner: Option<Text>,
}

/// An entry of `commands`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a command: a map of keys")]
pub(crate) struct CommandFile {
    /// What `/help` says of it. Literal.
    pub(crate) about: Option<Text>,
    /// Who alone may use it: the name of a list, wallets, or constants that are. Expressions.
    pub(crate) admins: Option<OneOrMany<Text>>,
    /// Whether it answers at all. Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
    /// The table that gets a row: the arguments fill the columns of the same name. Literal.
    pub(crate) add: Option<Text>,
    /// Which of the sender's rows goes.
    pub(crate) remove: Option<RemoveFile>,
    /// Fields of the sender's membership by name. Expressions.
    pub(crate) set: Option<Entries<String>>,
    /// The `manual` rule that fires; its `body` is the arguments. Literal.
    pub(crate) run: Option<Text>,
    /// What is answered.
    pub(crate) reply: Option<ContentFile>,
}

/// `remove`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a row: `{ from, id }`")]
pub(crate) struct RemoveFile {
    /// A table's name. Literal.
    pub(crate) from: Text,
    /// The row's `id`. Expression.
    pub(crate) id: Text,
}
