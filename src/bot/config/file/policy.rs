//! The shape of `defaults` and of the policy keys.

use serde::Deserialize;

use crate::bot::config::spanned::{OneOrMany, Text};

/// `defaults`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "defaults: a map of policy keys")]
pub(crate) struct DefaultsFile {
    /// Expressions.
    pub(crate) key: Option<OneOrMany<Text>>,
    /// A duration. Literal.
    pub(crate) ttl: Option<Text>,
    /// `N/T`. Literal.
    pub(crate) limit: Option<LimitFile>,
    /// A word of a closed set. Literal.
    pub(crate) consent: Option<Text>,
}

/// `limit`.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a limit like `1/day`")]
pub(crate) enum LimitFile {
    /// Per recipient. Literal.
    #[serde(rename = "$text")]
    Recipient(Text),
}
