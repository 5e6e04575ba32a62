//! Contents as the vectors write them: the values that the JavaScript codecs take and give.

use herald::content::{
    Attachment, AttachmentKey, Content, ContentCodec, JsonNumber, NetworkId, Reaction, Reply,
    TransactionMetadata, TransactionReference,
};
use herald_protocol::{
    Error,
    ciphertext::Entropy,
    content::{ContentTypeId, EncodedContent},
};
use serde_json::{Map, Value, json};

use crate::case::hex;

/// The custom type of the vectors: two numbers.
#[derive(Debug, PartialEq)]
pub(crate) struct NumberPair(Value, Value);

impl ContentCodec for NumberPair {
    fn content_type() -> ContentTypeId {
        ContentTypeId::new("example.org", "number-pair", 1, 1)
    }

    fn encode(&self) -> EncodedContent {
        EncodedContent {
            parameters: vec![("unit".to_owned(), "count".to_owned())],
            ..EncodedContent::new(
                Self::content_type(),
                json!([self.0, self.1]).to_string().into_bytes(),
            )
        }
    }

    fn decode(content: &EncodedContent) -> Result<Self, Error> {
        let malformed = |problem: &str| Error::Malformed {
            what: "number pair",
            problem: problem.to_owned(),
        };
        let numbers: Vec<Value> =
            serde_json::from_slice(&content.content).map_err(|error| malformed(&error.to_string()))?;
        match <[Value; 2]>::try_from(numbers) {
            Ok([one, two]) if one.is_number() && two.is_number() => Ok(Self(one, two)),
            _ => Err(malformed("wanted two numbers")),
        }
    }

    fn fallback(&self) -> Option<String> {
        Some(format!("A pair of numbers: {} and {}", self.0, self.1))
    }

    fn should_push(&self) -> bool {
        false
    }
}

/// Makes the content that a value is in a type. Remote attachments cannot be made of their parts, so they are not among them.
pub(crate) fn make(content_type: &str, value: &Value) -> Result<Content, String> {
    let object = Object(value);
    Ok(match content_type {
        "xmtp.org/text:1.0" => value.as_str().ok_or("a text that is none")?.into(),
        "xmtp.org/reaction:1.0" => Reaction {
            reference: object.text("reference")?,
            reference_inbox_id: object.optional("referenceInboxId"),
            action: object.text("action")?.into(),
            schema: object.text("schema")?.into(),
            content: object.text("content")?,
        }
        .into(),
        "xmtp.org/reply:1.0" => {
            let id = Object(object.member("contentType")?);
            let number = |name| id.member(name).map(ToString::to_string);
            let (authority, name) = (id.text("authorityId")?, id.text("typeId")?);
            let (major, minor) = (number("versionMajor")?, number("versionMinor")?);
            let inner = make(
                &format!("{authority}/{name}:{major}.{minor}"),
                object.member("content")?,
            )?;
            let mut reply = Reply::new(object.text("reference")?, inner);
            reply.reference_inbox_id = object.optional("referenceInboxId");
            reply.into()
        }
        "xmtp.org/readReceipt:1.0" => Content::ReadReceipt,
        "xmtp.org/attachment:1.0" => Attachment::new(
            object.text("filename")?,
            object.text("mimeType")?,
            object.bytes("data")?,
        )
        .into(),
        "xmtp.org/transactionReference:1.0" => transaction(&object)?.into(),
        "example.org/number-pair:1.1" => match value.as_array().map(Vec::as_slice) {
            Some([one, two]) => Content::custom(&NumberPair(one.clone(), two.clone())),
            _ => return Err("a pair that is none".into()),
        },
        other => return Err(format!("unknown content type `{other}`")),
    })
}

/// The value that a content is in JavaScript.
pub(crate) fn show(content: &Content) -> Result<Value, String> {
    let shown = match content {
        Content::Text(text) => json!(text),
        Content::Reaction(reaction) => json!({
            "action": reaction.action.as_str(), "reference": reaction.reference, "schema": reaction.schema.as_str(),
            "content": reaction.content, "referenceInboxId": reaction.reference_inbox_id,
        }),
        Content::Reply(reply) => {
            let id = reply.content.content_type();
            json!({
                "reference": reply.reference, "referenceInboxId": reply.reference_inbox_id, "content": show(&reply.content)?,
                "contentType": {
                    "authorityId": id.authority_id, "typeId": id.type_id,
                    "versionMajor": id.version_major, "versionMinor": id.version_minor,
                },
            })
        }
        Content::ReadReceipt => json!({}),
        Content::Attachment(attachment) => json!({
            "filename": attachment.filename, "mimeType": attachment.mime_type, "data": shown_bytes(&attachment.data),
        }),
        Content::RemoteAttachment(remote) => {
            let encoded = remote.encode();
            let parameter = |name| encoded.parameter(name).unwrap_or_default();
            json!({
                "url": remote.url(), "contentDigest": const_hex::encode(remote.digest()),
                "salt": { "hex": parameter("salt") }, "nonce": { "hex": parameter("nonce") },
                "secret": { "hex": parameter("secret") }, "scheme": parameter("scheme"),
                "contentLength": remote.content_length(), "filename": remote.filename(),
            })
        }
        // Its JSON is the value; what the decoder made of it is in there, since it was encoded anew.
        Content::TransactionReference(reference) => {
            serde_json::from_slice(&reference.encode().content).map_err(|error| error.to_string())?
        }
        content => match content.read::<NumberPair>() {
            Some(Ok(NumberPair(one, two))) => json!([one, two]),
            Some(Err(error)) => return Err(error.to_string()),
            // The words of xmtp-js.
            None => return Err(format!("unknown content type {}", content.content_type())),
        },
    };
    Ok(without_nulls(shown))
}

/// A key given as three fields of hex.
pub(crate) fn key(secret: [u8; 32], entropy: Entropy) -> AttachmentKey {
    AttachmentKey::from_entropy(&secret, entropy)
}

/// Absent members are not in JavaScript's values.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let present: Map<String, Value> = members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect();
            Value::Object(present)
        }
        other => other,
    }
}

fn shown_bytes(bytes: &[u8]) -> Value {
    json!({ "hex": const_hex::encode(bytes) })
}

fn transaction(object: &Object<'_>) -> Result<TransactionReference, String> {
    let metadata = match object.member("metadata") {
        Ok(value) => {
            let metadata = Object(value);
            Some(Box::new(TransactionMetadata {
                transaction_type: metadata.optional("transactionType"),
                currency: metadata.optional("currency"),
                amount: metadata.member("amount").ok().map(number).transpose()?,
                decimals: metadata.member("decimals").ok().map(number).transpose()?,
                from_address: metadata.optional("fromAddress"),
                to_address: metadata.optional("toAddress"),
            }))
        }
        Err(_) => None,
    };
    let network = object.member("networkId")?;
    Ok(TransactionReference {
        namespace: object.optional("namespace"),
        network_id: match network.as_str() {
            Some(text) => NetworkId::Text(text.to_owned()),
            None => NetworkId::Number(number(network)?),
        },
        reference: object.text("reference")?,
        metadata,
    })
}

/// A number as JavaScript prints it: an exponent from 1e21 up and below 1e-6, where Rust has none.
fn number(value: &Value) -> Result<JsonNumber, String> {
    let text = match value.as_f64() {
        _ if value.is_u64() || value.is_i64() => value.to_string(),
        Some(float) if float != 0.0 && !(1e-6..1e21).contains(&float.abs()) => {
            let text = format!("{float:e}");
            if text.contains("e-") {
                text
            } else {
                text.replace('e', "e+")
            }
        }
        Some(float) => float.to_string(),
        None => return Err(format!("{value} is no number")),
    };
    text.parse().map_err(|error: Error| error.to_string())
}

/// The members of a value.
struct Object<'a>(&'a Value);

impl<'a> Object<'a> {
    fn member(&self, name: &str) -> Result<&'a Value, String> {
        self.0
            .get(name)
            .filter(|value| !value.is_null())
            .ok_or(format!("`{name}` is missing"))
    }

    fn optional(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(ToOwned::to_owned)
    }

    fn text(&self, name: &str) -> Result<String, String> {
        self.optional(name).ok_or(format!("`{name}` is not text"))
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        hex(&Object(self.member(name)?).text("hex")?)
    }
}
