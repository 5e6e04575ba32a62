//! Compares a decoded content with the value a codec of the reference client made of it.

use herald_protocol::content::{self, ContentTypeId, EncodedContent};
use serde_json::{Value, json};

use crate::case::{Checked, hex, same, told};

/// Only text has a codec in this crate; of the other types the bytes and parameters are compared with the value's parts.
pub(crate) fn check(content: &EncodedContent, wanted: &Value) -> Checked {
    let kind = format!(
        "{}/{}",
        content.content_type.authority_id, content.content_type.type_id
    );
    match (kind.as_str(), wanted) {
        ("xmtp.org/text", Value::String(text)) => same("text", &told(content::decode_text(content))?, text),
        ("xmtp.org/attachment", wanted) => {
            let data = wanted
                .pointer("/data/hex")
                .and_then(Value::as_str)
                .ok_or("an attachment without data")?;
            same("attachment", &content.content, &hex(data)?)?;
            for name in ["filename", "mimeType"] {
                same(
                    name,
                    &content.parameter(name),
                    &wanted.get(name).and_then(Value::as_str),
                )?;
            }
            Ok(())
        }
        ("xmtp.org/readReceipt", wanted) => {
            same("read receipt", &content.content.is_empty(), &true)?;
            same("read receipt", wanted, &json!({}))
        }
        ("xmtp.org/reply", wanted) => {
            same(
                "reference",
                &content.parameter("reference"),
                &wanted.get("reference").and_then(Value::as_str),
            )?;
            let inner = told(EncodedContent::decode(&content.content))?;
            same(
                "contentType",
                &Some(&shown(&inner.content_type)),
                &wanted.get("contentType"),
            )?;
            let named = inner.content_type.to_string();
            same(
                "contentType",
                &content.parameter("contentType"),
                &Some(named.as_str()),
            )?;
            let wanted = wanted.get("content").ok_or("a reply without content")?;
            check(&inner, wanted)
        }
        ("xmtp.org/remoteStaticAttachment", wanted) => {
            let url = wanted
                .get("url")
                .and_then(Value::as_str)
                .ok_or("a remote attachment without url")?;
            same("url", &content.content.as_slice(), &url.as_bytes())
        }
        // Reaction, transaction reference and the custom types of the vectors are JSON; a type that is not must be text.
        (_, wanted) => {
            let text = told(String::from_utf8(content.content.clone()))?;
            same(
                "content",
                &serde_json::from_str(&text).unwrap_or(Value::String(text)),
                wanted,
            )
        }
    }
}

/// A content type as the reference client shows it.
fn shown(id: &ContentTypeId) -> Value {
    json!({
        "authorityId": id.authority_id, "typeId": id.type_id,
        "versionMajor": id.version_major, "versionMinor": id.version_minor,
    })
}
