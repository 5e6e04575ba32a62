//! Replies, `xmtp.org/reply:1.0`, as the reply proposal defines them: any content, said about an earlier message.

use herald_protocol::{
    Error,
    content::{ContentTypeId, EncodedContent},
};

use super::{Content, ContentCodec, nested, required, standard};

/// An answer to one message.
///
/// The answer may be of any type, one that nobody here knows included: it is kept as [`Content::Custom`], where xmtp-js would reject
/// the whole message. Only such an answer loses its fallback, since nested contents are written without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The id of the message that is answered, as its readers show it: 64 hex digits in V2.
    pub reference: String,
    /// The inbox of that message's sender; unknown in V1 and V2 conversations, and never empty.
    pub reference_inbox_id: Option<String>,
    /// The answer. Read are at most 16 answers inside of each other.
    pub content: Box<Content>,
}

impl Reply {
    /// An answer to the message of this id.
    pub fn new(reference: impl Into<String>, content: impl Into<Content>) -> Self {
        Self {
            reference: reference.into(),
            reference_inbox_id: None,
            content: Box::new(content.into()),
        }
    }

    pub(super) fn decode_in(room: &mut nested::Room<'_>, content: EncodedContent) -> Result<Self, Error> {
        Ok(Self {
            reference: required("reply", &content, "reference")?.to_owned(),
            reference_inbox_id: content
                .parameter("referenceInboxId")
                .filter(|id| !id.is_empty())
                .map(ToOwned::to_owned),
            // The type is the inner content's own; the parameter `contentType` only repeats it.
            content: Box::new(nested::decode(content.content, room)?),
        })
    }
}

impl ContentCodec for Reply {
    fn content_type() -> ContentTypeId {
        standard("reply")
    }

    fn encode(&self) -> EncodedContent {
        let inner = nested::encode(&self.content);
        let mut parameters = vec![
            ("contentType".to_owned(), inner.content_type.to_string()),
            ("reference".to_owned(), self.reference.clone()),
        ];
        if let Some(inbox) = self.reference_inbox_id.clone().filter(|id| !id.is_empty()) {
            parameters.push(("referenceInboxId".to_owned(), inbox));
        }
        EncodedContent {
            parameters,
            fallback: self.fallback(),
            ..EncodedContent::new(Self::content_type(), inner.encode())
        }
    }

    fn decode(content: &EncodedContent) -> Result<Self, Error> {
        nested::Room::whole(|room| Self::decode_in(room, content.clone()))
    }

    fn fallback(&self) -> Option<String> {
        Some(match &*self.content {
            Content::Text(text) => format!("Replied with “{text}” to an earlier message"),
            _ => "Replied to an earlier message".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use herald_protocol::{Reason, content::Compression};

    use super::*;
    use crate::content::{Attachment, ReadReceipt};

    fn nested_replies(levels: usize) -> Content {
        (0..levels).fold(Content::from("gm"), |inner, _| Reply::new("id", inner).into())
    }

    #[test]
    fn the_fallback_quotes_an_answer_in_text_and_nothing_else() {
        let fallback = |content: Content| Reply::new("id", content).fallback();
        assert_eq!(
            fallback("yes".into()).as_deref(),
            Some("Replied with “yes” to an earlier message")
        );
        assert_eq!(
            fallback(ReadReceipt.into()).as_deref(),
            Some("Replied to an earlier message")
        );
    }

    #[test]
    fn the_answer_inside_has_neither_fallback_nor_compression() {
        let attachment = Attachment::new("a.txt", "text/plain", vec![7; 100]);
        let encoded = Reply::new("id", attachment).encode();
        let inner = EncodedContent::decode(&encoded.content).unwrap();
        assert_eq!((inner.fallback, inner.compression), (None, None));
        assert_eq!(encoded.parameter("contentType"), Some("xmtp.org/attachment:1.0"));
    }

    #[test]
    fn an_answer_of_an_unknown_type_is_kept() {
        let poll = EncodedContent::new(ContentTypeId::new("example.org", "poll", 1, 0), vec![1]);
        let mut encoded = Reply::new("id", "x").encode();
        encoded.content = poll.encode();
        let Ok(Content::Reply(reply)) = Content::decode(encoded) else {
            panic!("a reply is read as one");
        };
        assert_eq!(reply.content.to_encoded(), poll);
    }

    #[test]
    fn an_answer_without_type_is_refused() {
        let mut encoded = Reply::new("id", "x").encode();
        encoded.content = Vec::new();
        assert_eq!(Reply::decode(&encoded), Err(Reason::NoContentType.into()));
    }

    #[test]
    fn a_compressed_answer_is_refused_before_it_is_decompressed() {
        let mut encoded = Reply::new("id", "x").encode();
        encoded.content = "gm ".repeat(10).encode().compress(Compression::Gzip).encode();
        assert!(matches!(Reply::decode(&encoded), Err(Error::Malformed { .. })));
    }

    #[test]
    fn sixteen_answers_inside_of_each_other_are_read_and_seventeen_refused() {
        let deepest = nested_replies(nested::MAX_DEPTH);
        assert_eq!(Content::decode(deepest.to_encoded()), Ok(deepest));
        let deeper = nested_replies(nested::MAX_DEPTH + 1);
        assert!(matches!(
            Content::decode(deeper.to_encoded()),
            Err(Error::Malformed { .. })
        ));
    }

    #[test]
    fn a_million_empty_parameters_are_refused_before_they_are_made() {
        let mut encoded = Reply::new("id", "x").encode();
        encoded.content = [&[0x0a, 0][..], &[0x12, 0].repeat(1_000_000)].concat();
        assert!(matches!(Reply::decode(&encoded), Err(Error::Malformed { .. })));
    }
}
