//! The shape of what is sent.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::bot::config::spanned::{Entries, Text};

/// `send`, `reply`, `welcome`, `goodbye`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "a text, a part like `{ text }`, or a list of parts")]
pub(crate) enum ContentFile {
    /// Template.
    #[serde(rename = "$text")]
    Template(Text),
    #[serde(rename = "$many")]
    Parts(Vec<PartFile>),
    #[serde(rename = "$map")]
    Part(Box<PartFile>),
}

/// One message, told by its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = "a part like `{ text }`")]
pub(crate) enum PartFile {
    Text(TextFile),
    Markdown(MarkdownFile),
    Reply(ReplyFile),
    React(ReactFile),
    Attach(AttachFile),
    Remote(RemoteFile),
    Tx(TxFile),
    Custom(CustomFile),
}

/// `{ text, if }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct TextFile {
    /// The text. Template.
    pub(crate) text: Text,
    /// Whether it is sent. Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ markdown, if }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct MarkdownFile {
    /// The text, as markdown. Template.
    pub(crate) markdown: Text,
    /// Whether it is sent. Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ reply, if }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct ReplyFile {
    /// The answer. Template.
    pub(crate) reply: Text,
    /// Whether it is sent. Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ react, if }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct ReactFile {
    /// An emoji. Template.
    pub(crate) react: Text,
    /// Whether it is sent. Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ attach, if }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct AttachFile {
    /// Which file.
    pub(crate) attach: AttachedFile,
    /// Whether it is sent. Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `attach`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "a file in the bot's folder, or `{ file, name, mime }`")]
pub(crate) enum AttachedFile {
    /// Template.
    #[serde(rename = "$text")]
    File(Text),
    #[serde(rename = "$map")]
    Details(AttachedDetails),
}

/// `{ file, name, mime }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an attachment: a map of keys")]
pub(crate) struct AttachedDetails {
    /// The file's path. Template.
    pub(crate) file: Text,
    /// What its readers are told that it is called. Template.
    pub(crate) name: Option<Text>,
    /// What its readers are told that it is. Literal.
    pub(crate) mime: Option<Text>,
}

/// `{ remote, if }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct RemoteFile {
    /// Which file, and where it goes.
    pub(crate) remote: RemoteDetails,
    /// Whether it is sent. Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ file, upload, name, mime }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "`{ file, upload }`: a file in the bot's folder and an upload target of the project"
)]
pub(crate) struct RemoteDetails {
    /// The file's path, without `to`: everybody gets the same. Template.
    pub(crate) file: Text,
    /// The name of an upload target. Literal.
    pub(crate) upload: Text,
    /// What its readers are told that it is called, without `to`. Template.
    pub(crate) name: Option<Text>,
    /// What its readers are told that it is. Literal.
    pub(crate) mime: Option<Text>,
}

/// `{ tx, if }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct TxFile {
    /// Which transaction.
    pub(crate) tx: TxDetails,
    /// Whether it is sent. Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ chain, hash }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`{ chain, hash }`")]
pub(crate) struct TxDetails {
    /// A chain's name. Literal.
    pub(crate) chain: Text,
    /// The transaction's hash. Expression.
    pub(crate) hash: Text,
}

/// `{ custom, if }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct CustomFile {
    /// The content.
    pub(crate) custom: CustomDetails,
    /// Whether it is sent. Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ type, parameters, content, fallback }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`{ type, content, fallback }`")]
pub(crate) struct CustomDetails {
    /// `authority/name:1.0`. Literal.
    #[serde(rename = "type")]
    pub(crate) ty: Text,
    /// Templates by name.
    #[serde(default)]
    pub(crate) parameters: Entries<Text>,
    /// The content. Template.
    pub(crate) content: Text,
    /// What apps show that do not know the type. Template.
    pub(crate) fallback: Text,
}
