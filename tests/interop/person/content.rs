//! What messages say, between the plain form of the tests and herald's own.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use herald::content::{
    Attachment, Content, ContentCodec as _, Custom, Reaction, ReadReceipt, RemoteAttachment, Reply,
    TransactionReference,
};
use herald_protocol::content::{ContentTypeId, EncodedContent};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Value, json};

use crate::Failure;

/// A content in the plain form.
#[derive(Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Form {
    Text {
        text: String,
    },
    Reaction {
        action: String,
        reference: String,
        #[serde(rename = "referenceInboxId", skip_serializing_if = "Option::is_none")]
        reference_inbox_id: Option<String>,
        schema: String,
        content: String,
    },
    Reply {
        reference: String,
        content: Box<Self>,
    },
    ReadReceipt,
    Attachment {
        filename: String,
        mime_type: String,
        data: Bytes,
    },
    RemoteAttachment(Remote),
    TransactionReference(Transaction),
    Composite {
        parts: Vec<Self>,
    },
    Encoded {
        content_type: String,
        parameters: BTreeMap<String, String>,
        data: Bytes,
        #[serde(skip_serializing)]
        fallback: Option<String>,
    },
}

/// Bytes, as base64.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Self).map_err(D::Error::custom)
    }
}

/// A remote attachment: its URL, and the parameters that its type has on the wire.
#[derive(Deserialize, Serialize)]
pub(crate) struct Remote {
    url: String,
    content_digest: String,
    salt: String,
    nonce: String,
    secret: String,
    scheme: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
}

impl TryFrom<Remote> for RemoteAttachment {
    type Error = Failure;

    fn try_from(form: Remote) -> Result<Self, Failure> {
        let length = form.content_length.map(|length| length.to_string());
        let parameters = [
            ("contentDigest", Some(form.content_digest)),
            ("salt", Some(form.salt)),
            ("nonce", Some(form.nonce)),
            ("secret", Some(form.secret)),
            ("scheme", Some(form.scheme)),
            ("contentLength", length),
            ("filename", form.filename),
        ];
        let given = |(name, value): (&str, Option<String>)| Some((name.to_owned(), value?));
        Ok(Self::decode(&EncodedContent {
            parameters: parameters.into_iter().filter_map(given).collect(),
            ..EncodedContent::new(Self::content_type(), form.url.into_bytes())
        })?)
    }
}

impl From<&RemoteAttachment> for Remote {
    fn from(attachment: &RemoteAttachment) -> Self {
        let encoded = attachment.encode();
        let value = |name| encoded.parameter(name).unwrap_or_default().to_owned();
        Self {
            url: attachment.url().to_owned(),
            content_digest: value("contentDigest"),
            salt: value("salt"),
            nonce: value("nonce"),
            secret: value("secret"),
            scheme: value("scheme"),
            content_length: attachment.content_length(),
            filename: attachment.filename().map(ToOwned::to_owned),
        }
    }
}

/// A transaction reference, with the values that its JSON has on the wire.
#[derive(Deserialize, Serialize)]
pub(crate) struct Transaction {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(alias = "networkId")]
    network_id: Value,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
}

impl TryFrom<Transaction> for TransactionReference {
    type Error = Failure;

    fn try_from(form: Transaction) -> Result<Self, Failure> {
        let mut members = json!({"networkId": form.network_id, "reference": form.reference});
        if let Some(namespace) = form.namespace {
            members["namespace"] = namespace.into();
        }
        if let Some(metadata) = form.metadata {
            members["metadata"] = metadata;
        }
        let bytes = members.to_string().into_bytes();
        Ok(Self::decode(&EncodedContent::new(Self::content_type(), bytes))?)
    }
}

impl TryFrom<&TransactionReference> for Transaction {
    type Error = Failure;

    fn try_from(reference: &TransactionReference) -> Result<Self, Failure> {
        Ok(serde_json::from_slice(&reference.encode().content)?)
    }
}

impl TryFrom<Form> for Content {
    type Error = Failure;

    fn try_from(form: Form) -> Result<Self, Failure> {
        Ok(match form {
            Form::Text { text } => text.into(),
            Form::Reaction {
                action,
                reference,
                reference_inbox_id,
                schema,
                content,
            } => Reaction {
                reference,
                reference_inbox_id,
                action: action.into(),
                schema: schema.into(),
                content,
            }
            .into(),
            Form::Reply { reference, content } => Reply::new(reference, Self::try_from(*content)?).into(),
            Form::ReadReceipt => ReadReceipt.into(),
            Form::Attachment {
                filename,
                mime_type,
                data,
            } => Attachment::new(filename, mime_type, data.0).into(),
            Form::RemoteAttachment(remote) => RemoteAttachment::try_from(remote)?.into(),
            Form::TransactionReference(transaction) => TransactionReference::try_from(transaction)?.into(),
            Form::Composite { .. } => return Err("composites are read only".into()),
            Form::Encoded {
                content_type,
                parameters,
                data,
                fallback,
            } => Custom::from(EncodedContent {
                parameters: parameters.into_iter().collect(),
                fallback,
                ..EncodedContent::new(content_type_of(&content_type)?, data.0)
            })
            .into(),
        })
    }
}

impl TryFrom<&Content> for Form {
    type Error = Failure;

    fn try_from(content: &Content) -> Result<Self, Failure> {
        Ok(match content {
            Content::Text(text) => Self::Text { text: text.clone() },
            Content::Reaction(reaction) => Self::Reaction {
                action: reaction.action.as_str().to_owned(),
                reference: reaction.reference.clone(),
                reference_inbox_id: reaction.reference_inbox_id.clone(),
                schema: reaction.schema.as_str().to_owned(),
                content: reaction.content.clone(),
            },
            Content::Reply(reply) => Self::Reply {
                reference: reply.reference.clone(),
                content: Box::new(Self::try_from(reply.content.as_ref())?),
            },
            Content::ReadReceipt => Self::ReadReceipt,
            Content::Attachment(attachment) => Self::Attachment {
                filename: attachment.filename.clone(),
                mime_type: attachment.mime_type.clone(),
                data: Bytes(attachment.data.clone()),
            },
            Content::RemoteAttachment(attachment) => Self::RemoteAttachment(attachment.into()),
            Content::TransactionReference(reference) => Self::TransactionReference(reference.try_into()?),
            Content::Composite(composite) => Self::Composite {
                parts: composite
                    .parts
                    .iter()
                    .map(Self::try_from)
                    .collect::<Result<_, _>>()?,
            },
            other => Self::encoded(other),
        })
    }
}

impl Form {
    fn encoded(content: &Content) -> Self {
        let encoded = content.to_encoded();
        Self::Encoded {
            content_type: encoded.content_type.to_string(),
            parameters: encoded.parameters.into_iter().collect(),
            data: Bytes(encoded.content),
            fallback: None,
        }
    }
}

/// Reads `authority/type:major.minor`.
fn content_type_of(text: &str) -> Result<ContentTypeId, Failure> {
    let parts = || {
        let (authority, rest) = text.split_once('/')?;
        let (name, version) = rest.rsplit_once(':')?;
        let (major, minor) = version.split_once('.')?;
        Some(ContentTypeId::new(
            authority,
            name,
            major.parse().ok()?,
            minor.parse().ok()?,
        ))
    };
    parts().ok_or_else(|| format!("found `{text}`, wanted `authority/type:major.minor`").into())
}
