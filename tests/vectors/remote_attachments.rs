//! The remote attachments of `negative.json`: what must not be opened, and what not be sent.

use herald::content::{Attachment, AttachmentKey, Content, ContentCodec as _, RemoteAttachment};
use herald_protocol::content::EncodedContent;

use crate::{
    case::{Case, Checked, told},
    values,
};

/// Nothing for operations of the protocol, whose own test checks them.
pub(crate) fn check(case: &Case<'_>) -> Option<Checked> {
    match case.operation() {
        Some("open_remote_attachment") => Some(judge(case, open(case))),
        Some("encode_remote_attachment") => Some(judge(case, encode(case))),
        _ => None,
    }
}

/// Compares verdicts, and for what was accepted the value, where one is given.
fn judge(case: &Case<'_>, outcome: Result<Content, String>) -> Checked {
    // The words of the reference client.
    case.expected.skip("xmtp_js_error");
    match (outcome, case.expected.flag("rejected")?) {
        (Ok(_), true) => Err("was accepted".into()),
        (Err(_), true) => Ok(()),
        (Err(problem), false) => Err(format!("was refused: {problem}")),
        (Ok(content), false) => match case.expected.optional("decoded") {
            Some(wanted) => crate::case::same("decoded", &values::show(&content)?, wanted),
            None => Ok(()),
        },
    }
}

/// Opens a blob as a message that names these parameters would have it.
fn open(case: &Case<'_>) -> Result<Content, String> {
    let inputs = &case.inputs;
    let mut encoded = sent("https://files.example.org/blob/abc").map(|remote| remote.encode())?;
    for (name, input) in [
        ("contentDigest", "content_digest"),
        ("salt", "salt"),
        ("nonce", "nonce"),
        ("secret", "secret"),
    ] {
        let given = inputs.text(input)?.to_owned();
        encoded.parameters.retain(|(key, _)| key != name);
        encoded.parameters.push((name.to_owned(), given));
    }
    if let Some(url) = inputs.optional("url").and_then(serde_json::Value::as_str) {
        encoded.content = url.as_bytes().to_vec();
    }
    let blob = inputs.bytes("blob")?;
    let remote = told(RemoteAttachment::decode(&told(EncodedContent::decode(
        &encoded.encode(),
    ))?))?;
    told(remote.open(&blob))
}

/// Sends a file that lies at this address.
fn encode(case: &Case<'_>) -> Result<Content, String> {
    sent(case.inputs.text("url")?).map(Content::from)
}

fn sent(url: &str) -> Result<RemoteAttachment, String> {
    let file = Attachment::new("note.txt", "text/plain", b"gm".to_vec());
    told(RemoteAttachment::seal(&file, AttachmentKey::from_random([1; 76])).at(url))
}
