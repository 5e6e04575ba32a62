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
