//! What messages say, each from bytes to whether they are a content of that kind: the bytes of an `EncodedContent`, compressed or
//! not. What is taken is written and read once more: it must come back as itself.

use herald::content::Content;
use herald_protocol::content::EncodedContent;

/// A decoder: whether it took the bytes.
pub(crate) type Decoder = fn(&[u8]) -> bool;

/// The decoders by the names of their corpora.
pub(crate) const DECODERS: [(&str, Decoder); 6] = [
    ("content_attachment", |bytes| {
        matches!(read(bytes), Some(Content::Attachment(_)))
    }),
    ("content_composite", |bytes| {
        matches!(read(bytes), Some(Content::Composite(_)))
    }),
    ("content_reaction", |bytes| {
        matches!(read(bytes), Some(Content::Reaction(_)))
    }),
    ("content_remote_attachment", |bytes| {
        matches!(read(bytes), Some(Content::RemoteAttachment(_)))
    }),
    ("content_reply", |bytes| {
        matches!(read(bytes), Some(Content::Reply(_)))
    }),
    ("content_transaction_reference", |bytes| {
        matches!(read(bytes), Some(Content::TransactionReference(_)))
    }),
];

fn read(bytes: &[u8]) -> Option<Content> {
    let content = EncodedContent::decode(bytes).and_then(Content::decode).ok()?;
    assert!(
        is_custom(&content) || Content::decode(content.to_encoded()).as_ref() == Ok(&content),
        "what was read is written and read as itself"
    );
    Some(content)
}

/// Whether it holds a custom content, whose fallback is not written again when it is inside of another.
fn is_custom(content: &Content) -> bool {
    match content {
        Content::Custom(_) => true,
        Content::Reply(reply) => is_custom(&reply.content),
        Content::Composite(composite) => composite.parts.iter().any(is_custom),
        _ => false,
    }
}
