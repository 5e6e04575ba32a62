//! What a valid file says is sent.

use crate::bot::expression::{Expression, Template};
use crate::content::ContentTypeId;

/// One message of a rule, a welcome, or a reply.
#[derive(Debug, Clone)]
pub struct Part {
    /// `if`: the part is left out when its condition is false.
    pub condition: Option<Expression>,
    /// What the message is.
    pub content: PartContent,
}

impl Part {
    /// Whether its condition or its content sees this name.
    pub fn sees(&self, name: &str) -> bool {
        let condition = self.condition.as_ref();
        condition.is_some_and(|condition| condition.names().contains(name)) || self.content.sees(name)
    }
}

/// What a message is, before it is rendered for anybody.
#[derive(Debug, Clone)]
pub enum PartContent {
    /// `text`.
    Text(Template),
    /// `markdown`: sent as text that holds the source.
    Markdown(Template),
    /// `reply`: a text that answers `message`.
    Reply(Template),
    /// `react`: an emoji about `message`.
    React(Template),
    /// `attach`: a file inside of the message.
    Attach(FilePart),
    /// `remote`: a file outside of it, uploaded once an occurrence.
    Remote {
        /// The file; its templates do not see the recipient.
        file: FilePart,
        /// The name of an upload target of the project.
        upload: String,
    },
    /// `tx`: a transaction.
    Transaction {
        /// The chain's number (EIP-155).
        chain: u64,
        /// Its hash; a message about none is left out.
        hash: Expression,
    },
    /// `custom`: content of an application's type.
    Custom(Box<CustomPart>),
}

impl PartContent {
    /// The key that it stands under.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Markdown(_) => "markdown",
            Self::Reply(_) => "reply",
            Self::React(_) => "react",
            Self::Attach(_) => "attach",
            Self::Remote { .. } => "remote",
            Self::Transaction { .. } => "tx",
            Self::Custom(_) => "custom",
        }
    }

    fn sees(&self, name: &str) -> bool {
        let sees = |template: &Template| template.names().contains(name);
        match self {
            Self::Text(text) | Self::Markdown(text) | Self::Reply(text) | Self::React(text) => sees(text),
            Self::Attach(file) | Self::Remote { file, .. } => {
                sees(&file.file) || file.name.as_ref().is_some_and(sees)
            }
            Self::Transaction { hash, .. } => hash.names().contains(name),
            Self::Custom(custom) => {
                let parameters = custom.parameters.iter().map(|(_, text)| text);
                parameters.chain([&custom.content, &custom.fallback]).any(sees)
            }
        }
    }
}

/// A file in the bot's folder.
#[derive(Debug, Clone)]
pub struct FilePart {
    /// Its path.
    pub file: Template,
    /// What its readers are told that it is called; the file's own name if left out.
    pub name: Option<Template>,
    /// What its readers are told that it is; told from the name if left out.
    pub mime: Option<String>,
}

/// Content of an application's type.
#[derive(Debug, Clone)]
pub struct CustomPart {
    /// Its type.
    pub ty: ContentTypeId,
    /// Its parameters by name.
    pub parameters: Vec<(String, Template)>,
    /// Its bytes, as text.
    pub content: Template,
    /// What apps show that do not know the type.
    pub fallback: Template,
}

/// What the bot's conversations say of it to the apps of their readers: metadata of the invitations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: Option<String>,
    /// The https address of its picture.
    pub image: Option<String>,
    /// Its colour, `#rrggbb`.
    pub color: Option<String>,
}

impl Profile {
    /// The metadata, as XIP-14 names them.
    pub fn metadata(&self) -> Vec<(String, String)> {
        let members = [
            ("displayInfo.prettyName", &self.name),
            ("displayInfo.profileImage", &self.image),
            ("displayInfo.primaryColor", &self.color),
        ];
        let told = members
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
        told.collect()
    }
}
