//! The shape of `to`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::bot::config::spanned::{OneOrMany, Spanned, Text};

/// `to`, told by its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    expecting = "a list's name, or one of `{ list }`, `{ wallet }`, `{ wallets }`, `{ csv }`, `{ source }`, `{ sql }`, `{ holders }`, `{ any }`, `{ all }`"
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
    #[serde(rename = "holders")]
    Holders(ToHoldersFile),
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

/// `{ holders, where }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToHoldersFile {
    /// The wallets that hold a token.
    pub(crate) holders: HoldersFile,
    /// Which of them, by `to`. Expression.
    #[serde(rename = "where")]
    pub(crate) condition: Option<Text>,
    /// Who is left out.
    pub(crate) except: Option<Box<Part>>,
    /// How many of them. Literal.
    pub(crate) sample: Option<Text>,
}

/// `holders`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`{ chain, token }`")]
pub(crate) struct HoldersFile {
    /// The chain's name in the project. Literal.
    pub(crate) chain: Text,
    /// The address of the token's contract: ERC-20, ERC-721 or ERC-1155. Expression.
    pub(crate) token: Text,
    /// An id within the token; otherwise all of them count together. Expression.
    pub(crate) id: Option<Text>,
    /// The least that one must hold, in the token's smallest unit; 1 unless said otherwise. Expression.
    pub(crate) min: Option<Text>,
    /// The block whose holders are meant; the latest that is confirmed unless said otherwise. Expression.
    pub(crate) block: Option<Text>,
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
