//! What messages say, in a line for people and as JSON for programs. All of it is a stranger's.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::print;
use crate::content::{
    Content, ContentCodec as _, JsonNumber, Reaction, ReactionAction, RemoteAttachment, TransactionMetadata,
    TransactionReference,
};

/// A line that says what a message says. Only text may go on in further lines, which are indented.
pub(super) fn line(content: &Content) -> String {
    match content {
        Content::Text(text) => print::plain(text),
        content => {
            let mut left = MAX_PARTS;
            inline(content, &mut left)
        }
    }
}

/// One line; `left` counts down the contents in all of it.
fn inline(content: &Content, left: &mut usize) -> String {
    *left = left.saturating_sub(1);
    match content {
        Content::Text(text) => print::inline(text),
        Content::Reaction(reaction) => reaction_line(reaction),
        Content::Reply(reply) => {
            format!(
                "[reply to {}] {}",
                id(&reply.reference),
                inline(&reply.content, left)
            )
        }
        Content::ReadReceipt => "[read receipt]".to_owned(),
        Content::Attachment(attachment) => format!(
            "[attachment {}, {}, {} bytes]",
            name(&attachment.filename),
            name(&attachment.mime_type),
            attachment.data.len()
        ),
        Content::RemoteAttachment(attachment) => remote_line(attachment),
        Content::TransactionReference(reference) => transaction_line(reference),
        Content::Composite(composite) => {
            let mut parts = Vec::new();
            for part in &composite.parts {
                if *left == 0 {
                    parts.push("…".to_owned());
                    break;
                }
                parts.push(inline(part, left));
            }
            format!("[composite: {}]", parts.join(" | "))
        }
        content => {
            let shown = name(&content.content_type().to_string());
            match content.fallback() {
                Some(fallback) => format!("[{shown}] {}", print::inline(&fallback)),
                None => format!("[{shown}]"),
            }
        }
    }
}

fn reaction_line(reaction: &Reaction) -> String {
    let (feeling, message) = (name(&reaction.content), id(&reaction.reference));
    match &reaction.action {
        ReactionAction::Added => format!("[reacted {feeling} to {message}]"),
        ReactionAction::Removed => format!("[removed {feeling} from {message}]"),
        other => format!("[reaction {} {feeling}, {message}]", name(other.as_str())),
    }
}

fn remote_line(attachment: &RemoteAttachment) -> String {
    let filename = name(attachment.filename().unwrap_or("without a name"));
    let length = attachment
        .content_length()
        .map(|bytes| format!(", {bytes} bytes encrypted"))
        .unwrap_or_default();
    format!(
        "[remote attachment {filename}{length}, {}]",
        print::inline(attachment.url())
    )
}

fn transaction_line(reference: &TransactionReference) -> String {
    let mut chain = name(&reference.network_id.to_string());
    if let Some(namespace) = &reference.namespace {
        chain = format!("{}:{chain}", name(namespace));
    }
    let hash = match reference.reference.as_str() {
        "" => "without a hash".to_owned(),
        hash => print::inline(hash),
    };
    let says = reference
        .metadata
        .as_deref()
        .map(metadata_line)
        .unwrap_or_default();
    format!("[transaction {hash} on {chain}{says}]")
}

fn metadata_line(metadata: &TransactionMetadata) -> String {
    let text = |text: &Option<String>| text.as_deref().map(name);
    let mut line = String::new();
    let mut add = |before: &str, said: Option<String>| {
        if let Some(said) = said {
            line.push_str(before);
            line.push_str(&said);
        }
    };
    add(", ", text(&metadata.transaction_type));
    add(", amount ", metadata.amount.as_ref().map(ToString::to_string));
    add(" ", text(&metadata.currency));
    add(
        " with decimals ",
        metadata.decimals.as_ref().map(ToString::to_string),
    );
    add(" from ", text(&metadata.from_address));
    add(" to ", text(&metadata.to_address));
    line
}

/// The start of a message's id.
fn id(reference: &str) -> String {
    match reference.char_indices().nth(ID_CHARACTERS) {
        Some((at, _)) => format!("{}…", print::inline(reference.split_at(at).0)),
        None => print::inline(reference),
    }
}

/// A short word of a stranger.
fn name(word: &str) -> String {
    match word.char_indices().nth(NAME_CHARACTERS) {
        Some((at, _)) => format!("{}…", print::inline(word.split_at(at).0)),
        None => print::inline(word),
    }
}

/// The content as its type has it, in the type's own names: text is text, bytes are base64. The key of a remote attachment of any
/// version is left out.
pub(super) fn json(content: &Content) -> Value {
    match content {
        Content::Text(text) => json!(text),
        Content::Reaction(reaction) => json!({
            "action": reaction.action.as_str(),
            "reference": reaction.reference,
            "referenceInboxId": reaction.reference_inbox_id,
            "schema": reaction.schema.as_str(),
            "content": reaction.content,
        }),
        Content::Reply(reply) => json!({
            "reference": reply.reference,
            "referenceInboxId": reply.reference_inbox_id,
            "contentType": reply.content.content_type().to_string(),
            "content": json(&reply.content),
        }),
        Content::ReadReceipt => json!({}),
        Content::Attachment(attachment) => json!({
            "filename": attachment.filename,
            "mimeType": attachment.mime_type,
            "data": STANDARD.encode(&attachment.data),
        }),
        Content::RemoteAttachment(attachment) => json!({
            "url": attachment.url(),
            "contentDigest": const_hex::encode(attachment.digest()),
            "contentLength": attachment.content_length(),
            "filename": attachment.filename(),
        }),
        Content::TransactionReference(reference) => transaction_json(reference),
        Content::Composite(composite) => json!({
            "parts": composite.parts.iter().map(part_json).collect::<Vec<_>>(),
        }),
        content => {
            let encoded = content.to_encoded();
            // One of a version to come, whose key nobody here reads.
            let is_remote = encoded.content_type.type_id == RemoteAttachment::content_type().type_id;
            let parameters: serde_json::Map<String, Value> = encoded
                .parameters
                .into_iter()
                .filter(|(name, _)| !(is_remote && KEY.contains(&name.as_str())))
                .map(|(name, value)| (name, Value::from(value)))
                .collect();
            json!({ "parameters": parameters, "data": STANDARD.encode(encoded.content) })
        }
    }
}

fn part_json(part: &Content) -> Value {
    json!({ "type": part.content_type().to_string(), "content": json(part) })
}

/// Numbers are texts here, so that no digit is lost on the way.
fn transaction_json(reference: &TransactionReference) -> Value {
    let number = |number: &Option<JsonNumber>| number.as_ref().map(|number| number.as_str().to_owned());
    json!({
        "namespace": reference.namespace,
        "networkId": reference.network_id.to_string(),
        "reference": reference.reference,
        "metadata": reference.metadata.as_ref().map(|metadata| json!({
            "transactionType": metadata.transaction_type,
            "currency": metadata.currency,
            "amount": number(&metadata.amount),
            "decimals": number(&metadata.decimals),
            "fromAddress": metadata.from_address,
            "toAddress": metadata.to_address,
        })),
    })
}

/// Enough to tell messages of a conversation apart.
const ID_CHARACTERS: usize = 12;

/// Longer names are no names.
const NAME_CHARACTERS: usize = 100;

/// The parameters that are the key of a remote attachment.
const KEY: [&str; 3] = ["secret", "salt", "nonce"];

/// Contents of a composite that one line tells.
const MAX_PARTS: usize = 8;

#[cfg(test)]
mod tests {
    use herald_protocol::content::{ContentTypeId, EncodedContent};

    use super::*;
    use crate::content::{Attachment, AttachmentKey, Composite, Custom, ReadReceipt, Reply};

    const ID: &str = "3ff6c05723bb069d19953340320fa9512f0be584742703e60226ded28bb43861";

    fn remote() -> Content {
        let file = Attachment::new("note.txt", "text/plain", b"gm".to_vec());
        RemoteAttachment::seal(&file, AttachmentKey::from_random([5; 76]))
            .at("https://files.example.org/blob/abc")
            .unwrap()
            .into()
    }

    fn transaction() -> TransactionReference {
        let mut reference = TransactionReference::eip155(1, "0xab");
        reference.metadata = Some(Box::new(TransactionMetadata {
            transaction_type: Some("transfer".to_owned()),
            currency: Some("USDC".to_owned()),
            amount: "100000".parse().ok(),
            decimals: Some(6.into()),
            from_address: Some("0x31".to_owned()),
            to_address: Some("0x35".to_owned()),
        }));
        reference
    }

    fn poll(fallback: Option<&str>) -> Content {
        let mut encoded = EncodedContent::new(ContentTypeId::new("example.org", "poll", 1, 0), vec![1, 2]);
        encoded.parameters = vec![("unit".to_owned(), "count".to_owned())];
        encoded.fallback = fallback.map(ToOwned::to_owned);
        Custom::from(encoded).into()
    }

    fn every_kind() -> Vec<Content> {
        let parts = vec![
            "one".into(),
            ReadReceipt.into(),
            Composite {
                parts: vec!["x".into()],
            }
            .into(),
        ];
        vec![
            "gm ☀\nsecond line".into(),
            Reaction::added(ID, "👩\u{200d}🚀").into(),
            Reaction::added(ID, ":smile:").removed().into(),
            Reply::new(ID, "yes,\nat noon").into(),
            Reply::new(ID, Attachment::new("a.png", "image/png", vec![0; 7])).into(),
            ReadReceipt.into(),
            Attachment::new("note.txt", "text/plain", b"gm".to_vec()).into(),
            remote(),
            transaction().into(),
            TransactionReference::eip155(10, "").into(),
            Composite { parts }.into(),
            poll(Some("a poll:\nlunch?")),
            poll(None),
        ]
    }

    #[test]
    fn every_kind_is_one_line_that_people_read() {
        let lines: Vec<String> = every_kind().iter().map(line).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        gm ☀
            second line
        [reacted 👩‍🚀 to 3ff6c05723bb…]
        [removed :smile: from 3ff6c05723bb…]
        [reply to 3ff6c05723bb…] yes, at noon
        [reply to 3ff6c05723bb…] [attachment a.png, image/png, 7 bytes]
        [read receipt]
        [attachment note.txt, text/plain, 2 bytes]
        [remote attachment note.txt, 92 bytes encrypted, https://files.example.org/blob/abc]
        [transaction 0xab on eip155:1, transfer, amount 100000 USDC with decimals 6 from 0x31 to 0x35]
        [transaction without a hash on eip155:10]
        [composite: one | [read receipt] | [composite: x]]
        [example.org/poll:1.0] a poll: lunch?
        [example.org/poll:1.0]
        "#);
    }

    #[test]
    fn every_kind_is_json_in_the_names_of_its_type() {
        let lines: Vec<String> = every_kind()
            .iter()
            .map(|content| json(content).to_string())
            .collect();
        insta::assert_snapshot!(lines.join("\n").replace(ID, "ID"), @r#"
        "gm ☀\nsecond line"
        {"action":"added","content":"👩‍🚀","reference":"ID","referenceInboxId":null,"schema":"unicode"}
        {"action":"removed","content":":smile:","reference":"ID","referenceInboxId":null,"schema":"unicode"}
        {"content":"yes,\nat noon","contentType":"xmtp.org/text:1.0","reference":"ID","referenceInboxId":null}
        {"content":{"data":"AAAAAAAAAA==","filename":"a.png","mimeType":"image/png"},"contentType":"xmtp.org/attachment:1.0","reference":"ID","referenceInboxId":null}
        {}
        {"data":"Z20=","filename":"note.txt","mimeType":"text/plain"}
        {"contentDigest":"8b8d7a766b704e947eff6fd11baf685beb137787c5e1a8655a61d56387238984","contentLength":92,"filename":"note.txt","url":"https://files.example.org/blob/abc"}
        {"metadata":{"amount":"100000","currency":"USDC","decimals":"6","fromAddress":"0x31","toAddress":"0x35","transactionType":"transfer"},"namespace":"eip155","networkId":"1","reference":"0xab"}
        {"metadata":null,"namespace":"eip155","networkId":"10","reference":""}
        {"parts":[{"content":"one","type":"xmtp.org/text:1.0"},{"content":{},"type":"xmtp.org/readReceipt:1.0"},{"content":{"parts":[{"content":"x","type":"xmtp.org/text:1.0"}]},"type":"xmtp.org/composite:1.0"}]}
        {"data":"AQI=","parameters":{"unit":"count"}}
        {"data":"AQI=","parameters":{"unit":"count"}}
        "#);
    }

    #[test]
    fn no_part_of_any_kind_escapes_its_line_or_fills_the_terminal() {
        let evil = format!("\x1b[2J\r\n\u{202e}{}", "x".repeat(5_000));
        let word = || evil.clone();
        let file = Attachment::new(word(), word(), Vec::new());
        let mut transaction = TransactionReference::eip155(1, word());
        transaction.namespace = Some(word());
        transaction.metadata = Some(Box::new(TransactionMetadata {
            currency: Some(word()),
            from_address: Some(word()),
            ..TransactionMetadata::default()
        }));
        let sealed = RemoteAttachment::seal(&file, AttachmentKey::from_random([5; 76]));
        let evil_type = EncodedContent::new(ContentTypeId::new(&evil, &evil, 1, 0), Vec::new());
        let evils: [Content; 8] = [
            Reaction::added(word(), word()).into(),
            Reaction {
                action: word().into(),
                ..Reaction::added(word(), word())
            }
            .into(),
            Reply::new(word(), word()).into(),
            file.into(),
            sealed.at(&format!("https://x{evil}")).unwrap().into(),
            transaction.into(),
            Custom::from(EncodedContent {
                fallback: Some(word()),
                ..evil_type
            })
            .into(),
            Composite {
                parts: vec![word().into(); 1000],
            }
            .into(),
        ];
        for content in evils {
            let line = line(&content);
            assert!(
                !line.contains(|c: char| c.is_control() || c == '\u{202e}'),
                "{line:?}"
            );
            assert!(
                line.len() < 10_000,
                "{} bytes of {}",
                line.len(),
                content.content_type()
            );
        }
    }

    #[test]
    fn the_key_of_a_remote_attachment_is_in_neither() {
        let mut later = remote().to_encoded();
        later.content_type.version_major = 2;
        let later: Content = Custom::from(later).into();
        for content in [remote(), later.clone(), Reply::new(ID, later).into()] {
            let shown = format!("{} {}", line(&content), json(&content));
            assert!(!shown.contains("0505"), "{shown}");
        }
    }
}
