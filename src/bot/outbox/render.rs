//! From a part of the file to the message that one recipient gets. Files are named here and read later.

use serde::{Deserialize, Serialize};

use crate::bot::{
    config::{CustomPart, FilePart, PartContent, Rule},
    expression::{Scope, Template, Value},
    store::Body,
};
use crate::content::{Content, Custom, EncodedContent, Reaction, Reply, TransactionReference};

/// A message as it goes out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    /// The id of the conversation; none for the one without.
    pub(crate) thread: Option<String>,
    /// The topic of the conversation that it must stand in, because it speaks of a message there.
    pub(crate) conversation: Option<String>,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    Content(Content),
    File(FileMessage),
}

/// A file that becomes a content once it is read, and uploaded where it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct FileMessage {
    /// Its path in the bot's folder.
    pub(crate) file: String,
    /// What its readers are told that it is called.
    pub(crate) name: Option<String>,
    /// What its readers are told that it is.
    pub(crate) mime: Option<String>,
    /// The upload target; none for a file inside of the message.
    pub(crate) upload: Option<String>,
}

/// Why there is no message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Without {
    /// There is nothing to say.
    Nothing(&'static str),
    /// It cannot be said.
    Failed(String),
}

impl Message {
    /// What the store keeps of an answer.
    pub(crate) fn into_body(self) -> Body {
        match self {
            Self::Content(Content::Text(text)) => Body::Text(text),
            Self::Content(content) => Body::Content(content.encode()),
            Self::File(file) => Body::File(serde_json::to_string(&file).unwrap_or_default()),
        }
    }

    /// What the store kept. Errors: it is damaged.
    pub(crate) fn of_body(body: &Body) -> Result<Self, String> {
        Ok(match body {
            Body::Text(text) => Self::Content(Content::Text(text.clone())),
            Body::Content(bytes) => {
                let read = EncodedContent::decode(bytes).and_then(Content::decode);
                Self::Content(read.map_err(|error| format!("the answer: {error}"))?)
            }
            Body::File(json) => {
                Self::File(serde_json::from_str(json).map_err(|error| format!("the answer: {error}"))?)
            }
        })
    }
}

/// The message of a part, and the topic of the conversation it must stand in. `first` is the message of the bot's own that it follows.
pub(crate) fn render(
    part: &PartContent,
    scope: &Scope,
    first: Option<[u8; 32]>,
) -> Result<(Message, Option<String>), Without> {
    let text = |template: &Template| text(part.key(), template, scope);
    let (content, conversation): (Content, _) = match part {
        PartContent::Text(template) | PartContent::Markdown(template) => (text(template)?.into(), None),
        PartContent::Reply(template) => {
            let answered = answered(scope, first)?;
            (
                Reply::new(answered.id, text(template)?).into(),
                answered.conversation,
            )
        }
        PartContent::React(template) => {
            let answered = answered(scope, first)?;
            let emoji = text(template)?.trim_start().to_owned();
            (Reaction::added(answered.id, emoji).into(), answered.conversation)
        }
        PartContent::Attach(file) => return Ok((named(part, file, None, scope)?, None)),
        PartContent::Remote { file, upload } => {
            return Ok((named(part, file, Some(upload.clone()), scope)?, None));
        }
        PartContent::Transaction { chain, hash } => {
            let value = hash
                .evaluate(scope)
                .map_err(|error| Without::Failed(format!("`tx`: {error}")))?;
            (
                TransactionReference::eip155(*chain, hash_of(&value)?).into(),
                None,
            )
        }
        PartContent::Custom(custom) => (self::custom(custom, scope)?.into(), None),
    };
    Ok((Message::Content(content), conversation))
}

/// The id of the conversation that a rule writes in.
pub(crate) fn thread(rule: &Rule, scope: &Scope) -> Result<Option<String>, String> {
    let Some(template) = &rule.thread else {
        return Ok(None);
    };
    let id = template
        .render(scope)
        .map_err(|error| format!("`thread`: {error}"))?;
    let id = id.trim();
    if id.len() > THREAD_BYTES || id.contains(char::is_control) {
        return Err(format!(
            "`thread`: expected one line of at most {THREAD_BYTES} bytes"
        ));
    }
    Ok((!id.is_empty()).then(|| id.to_owned()))
}

/// The longest id of a conversation. Ours: it stands in lists of apps and in the name of nothing.
const THREAD_BYTES: usize = 256;

fn rendered(key: &str, template: &Template, scope: &Scope) -> Result<String, Without> {
    template
        .render(scope)
        .map_err(|error| Without::Failed(format!("`{key}`: {error}")))
}

/// A text that says something.
fn text(key: &str, template: &Template, scope: &Scope) -> Result<String, Without> {
    let text = rendered(key, template, scope)?;
    // A YAML block ends in a line break that nobody means to send.
    let text = text.trim_end();
    if text.is_empty() {
        return Err(Without::Nothing("its text is empty"));
    }
    Ok(text.to_owned())
}

/// The message that is answered.
struct Answered {
    id: String,
    /// The topic of its conversation, where that is not the thread's.
    conversation: Option<String>,
}

fn answered(scope: &Scope, first: Option<[u8; 32]>) -> Result<Answered, Without> {
    if let Some(first) = first {
        return Ok(Answered {
            id: const_hex::encode(first),
            conversation: None,
        });
    }
    let none = || Without::Nothing("there is no message to answer");
    let Some(Value::Record(message)) = scope.get("message") else {
        return Err(none());
    };
    let member = |name: &str| match message.get(name) {
        Some(Value::Text(text)) => Ok(text.to_string()),
        _ => Err(none()),
    };
    Ok(Answered {
        id: member("id")?,
        conversation: Some(member("conversation")?),
    })
}

fn named(
    part: &PartContent,
    file: &FilePart,
    upload: Option<String>,
    scope: &Scope,
) -> Result<Message, Without> {
    let path = text(part.key(), &file.file, scope)?;
    let name = match &file.name {
        Some(template) => Some(text(part.key(), template, scope)?),
        None => None,
    };
    Ok(Message::File(FileMessage {
        file: path,
        name,
        mime: file.mime.clone(),
        upload,
    }))
}

/// 32 bytes in hex, as Ethereum writes them.
fn hash_of(value: &Value) -> Result<String, Without> {
    if *value == Value::None {
        return Err(Without::Nothing("there is no transaction"));
    }
    let text = value.to_text();
    let digits = text.strip_prefix("0x").unwrap_or_default();
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    let shown: String = text.chars().take(80).collect();
    Err(Without::Failed(format!(
        "`tx`: expected a hash of 64 hex digits behind `0x`, found `{}`",
        shown.escape_debug()
    )))
}

fn custom(custom: &CustomPart, scope: &Scope) -> Result<Custom, Without> {
    let mut parameters = Vec::with_capacity(custom.parameters.len());
    for (name, template) in &custom.parameters {
        parameters.push((name.clone(), rendered("custom", template, scope)?));
    }
    let fallback = rendered("custom", &custom.fallback, scope)?;
    let fallback = fallback.trim_end();
    let content = rendered("custom", &custom.content, scope)?;
    Ok(Custom::from(EncodedContent {
        parameters,
        fallback: (!fallback.is_empty()).then(|| fallback.to_owned()),
        ..EncodedContent::new(custom.ty.clone(), content.trim_end().as_bytes().to_vec())
    }))
}

#[cfg(test)]
mod tests;
