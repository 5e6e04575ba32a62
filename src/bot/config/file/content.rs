//! The shape of what is sent.

use serde::Deserialize;

use crate::bot::config::spanned::Text;

/// `send`, `reply`, `welcome`, `goodbye`.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a text, a part like `{ text }`, or a list of parts")]
pub(crate) enum ContentFile {
    /// Template.
    #[serde(rename = "$text")]
    Template(Text),
    #[serde(rename = "$many")]
    Parts(Vec<PartFile>),
    #[serde(rename = "text")]
    Text(TextFile),
}

/// An item of a list of parts.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a part like `{ text }`")]
pub(crate) enum PartFile {
    #[serde(rename = "text")]
    Text(TextFile),
}

/// `{ text, if }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct TextFile {
    /// Template.
    pub(crate) text: Text,
    /// Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}
