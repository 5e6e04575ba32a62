//! The shape of `sources`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::bot::config::spanned::{Entries, Raw, Text};

/// An entry of `sources`, told by its key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(expecting = "a source like `{ http: https://… }`")]
pub(crate) enum SourceFile {
    #[serde(rename = "http")]
    Http(HttpFile),
    #[serde(rename = "call")]
    Call(CallFile),
}

/// `{ call, at, chain, args, block, cache }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a source: a map of keys")]
pub(crate) struct CallFile {
    /// A function as Solidity writes it, like `balanceOf(address) returns (uint256 balance)`; what it returns are the members of the source. Literal.
    pub(crate) call: Text,
    /// The address of the contract. Expression.
    pub(crate) at: Text,
    /// A chain of the project. Literal.
    pub(crate) chain: Text,
    /// What the function is given, in order. Expressions.
    #[serde(default)]
    pub(crate) args: Vec<Text>,
    /// The number of the block it is asked of; the latest if left out. Expression.
    pub(crate) block: Option<Text>,
    /// How long an answer stands; as long as its block is the latest if left out. Literal.
    pub(crate) cache: Option<Text>,
}

/// `{ http, post, headers, auth, pick, next, cache, timeout }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a source: a map of keys")]
pub(crate) struct HttpFile {
    /// A URL. Template.
    pub(crate) http: Text,
    /// JSON that is posted; its texts are templates.
    pub(crate) post: Option<Raw>,
    /// Headers by name: templates, or references to secrets.
    #[serde(default)]
    pub(crate) headers: Entries<Text>,
    /// A reference to a token, sent as `authorization: Bearer …`. Literal.
    pub(crate) auth: Option<Text>,
    /// The items in `body`. Expression.
    pub(crate) pick: Option<Text>,
    /// The URL of the next page in `body`. Expression.
    pub(crate) next: Option<Text>,
    /// How long an answer stands. Literal.
    pub(crate) cache: Option<Text>,
    /// How long an answer may take. Literal.
    pub(crate) timeout: Option<Text>,
}
