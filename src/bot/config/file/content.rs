//! The shape of what is sent.

use serde::Deserialize;

use crate::bot::config::spanned::{Entries, Text};

/// `send`, `reply`, `welcome`, `goodbye`.
#[derive(Debug, Deserialize)]
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
#[derive(Debug, Deserialize)]
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
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct TextFile {
    /// Template.
    pub(crate) text: Text,
    /// Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ markdown, if }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct MarkdownFile {
    /// Template.
    pub(crate) markdown: Text,
    /// Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ reply, if }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct ReplyFile {
    /// Template.
    pub(crate) reply: Text,
    /// Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ react, if }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct ReactFile {
    /// Template.
    pub(crate) react: Text,
    /// Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ attach, if }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct AttachFile {
    /// Which file.
    pub(crate) attach: AttachedFile,
    /// Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `attach`.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a file in the bot's folder, or `{ file, name, mime }`")]
pub(crate) enum AttachedFile {
    /// Template.
    #[serde(rename = "$text")]
    File(Text),
    #[serde(rename = "$map")]
    Details(AttachedDetails),
}

/// `{ file, name, mime }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an attachment: a map of keys")]
pub(crate) struct AttachedDetails {
    /// Template.
    pub(crate) file: Text,
    /// What its readers are told that it is called. Template.
    pub(crate) name: Option<Text>,
    /// What its readers are told that it is. Literal.
    pub(crate) mime: Option<Text>,
}

/// `{ remote, if }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct RemoteFile {
    /// Which file, and where it goes.
    pub(crate) remote: RemoteDetails,
    /// Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ file, upload, name, mime }`.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "`{ file, upload }`: a file in the bot's folder and an upload target of the project"
)]
pub(crate) struct RemoteDetails {
    /// Template, without `to`: everybody gets the same.
    pub(crate) file: Text,
    /// The name of an upload target. Literal.
    pub(crate) upload: Text,
    /// What its readers are told that it is called. Template, without `to`.
    pub(crate) name: Option<Text>,
    /// What its readers are told that it is. Literal.
    pub(crate) mime: Option<Text>,
}

/// `{ tx, if }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct TxFile {
    /// Which transaction.
    pub(crate) tx: TxDetails,
    /// Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ chain, hash }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ chain, hash }`")]
pub(crate) struct TxDetails {
    /// A chain's name. Literal.
    pub(crate) chain: Text,
    /// Expression.
    pub(crate) hash: Text,
}

/// `{ custom, if }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct CustomFile {
    /// The content.
    pub(crate) custom: CustomDetails,
    /// Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// `{ type, parameters, content, fallback }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ type, content, fallback }`")]
pub(crate) struct CustomDetails {
    /// `authority/name:1.0`. Literal.
    #[serde(rename = "type")]
    pub(crate) ty: Text,
    /// Templates by name.
    #[serde(default)]
    pub(crate) parameters: Entries<Text>,
    /// Template.
    pub(crate) content: Text,
    /// What apps show that do not know the type. Template.
    pub(crate) fallback: Text,
}
