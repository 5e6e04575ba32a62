//! The shape of `to`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::bot::config::spanned::{OneOrMany, Spanned, Text};

/// `to`, told by its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    expecting = "a list's name, or one of `{ list }`, `{ wallet }`, `{ wallets }`, `{ csv }`, `{ source }`, `{ sql }`, `{ any }`, `{ all }`"
)]
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
    #[serde(rename = "csv")]
    Csv(ToCsvFile),
    #[serde(rename = "source")]
    Source(ToSourceFile),
    #[serde(rename = "sql")]
    Sql(ToSqlFile),
    #[serde(rename = "any")]
    Any(ToAnyFile),
    #[serde(rename = "all")]
    All(ToAllFile),
}

/// An audience inside another, with its place.
pub(crate) type Part = Spanned<AudienceFile>;

/// `{ list, where }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToListFile {
    /// A list's name. Literal.
    pub(crate) list: Text,
    /// Which members, by `sub`. Expression.
    #[serde(rename = "where")]
    pub(crate) condition: Option<Text>,
    /// Who is left out.
    pub(crate) except: Option<Box<Part>>,
    /// How many of them. Literal.
    pub(crate) sample: Option<Text>,
}

/// `{ wallet }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToWalletFile {
    /// The wallet. Expression.
    pub(crate) wallet: Text,
    /// Who is left out.
    pub(crate) except: Option<Box<Part>>,
    /// How many of them. Literal.
    pub(crate) sample: Option<Text>,
}

/// `{ wallets }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToWalletsFile {
    /// Wallets, or lists of them. Expressions.
    pub(crate) wallets: OneOrMany<Text>,
    /// Who is left out.
    pub(crate) except: Option<Box<Part>>,
    /// How many of them. Literal.
    pub(crate) sample: Option<Text>,
}

/// `{ csv, column, where }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToCsvFile {
    /// A file in the bot's folder. Literal.
    pub(crate) csv: Text,
    /// The column of the wallets; `wallet` unless said otherwise. Literal.
    pub(crate) column: Option<Text>,
    /// Which rows, by `row`. Expression.
    #[serde(rename = "where")]
    pub(crate) condition: Option<Text>,
    /// Who is left out.
    pub(crate) except: Option<Box<Part>>,
    /// How many of them. Literal.
    pub(crate) sample: Option<Text>,
}

/// `{ source, column, where }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToSourceFile {
    /// A source's name. Literal.
    pub(crate) source: Text,
    /// The member of an item that holds the wallet; `wallet` unless said otherwise. Literal.
    pub(crate) column: Option<Text>,
    /// Which items, by `row`. Expression.
    #[serde(rename = "where")]
    pub(crate) condition: Option<Text>,
    /// Who is left out.
    pub(crate) except: Option<Box<Part>>,
    /// How many of them. Literal.
    pub(crate) sample: Option<Text>,
}

/// `{ sql, url, where }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToSqlFile {
    /// One statement that reads. Literal.
    pub(crate) sql: Text,
    /// `sqlite:` and a file in the bot's folder, or a reference to a secret. Literal.
    pub(crate) url: Text,
    /// Which rows, by `row`. Expression.
    #[serde(rename = "where")]
    pub(crate) condition: Option<Text>,
    /// Who is left out.
    pub(crate) except: Option<Box<Part>>,
    /// How many of them. Literal.
    pub(crate) sample: Option<Text>,
}

/// `{ any }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToAnyFile {
    /// Audiences: who is in one of them.
    pub(crate) any: Vec<Part>,
    /// Who is left out.
    pub(crate) except: Option<Box<Part>>,
    /// How many of them. Literal.
    pub(crate) sample: Option<Text>,
}

/// `{ all }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToAllFile {
    /// Audiences: who is in each of them.
    pub(crate) all: Vec<Part>,
    /// Who is left out.
    pub(crate) except: Option<Box<Part>>,
    /// How many of them. Literal.
    pub(crate) sample: Option<Text>,
}
