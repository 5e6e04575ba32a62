//! Content of types that applications define, as XIP-5 allows everybody to.

use herald_protocol::content::EncodedContent;

use super::ContentCodec;

/// Content of a type outside of the standard: its bytes, which only a codec of that type understands
/// ([`Content::read`](super::Content::read)), and a fallback for everybody else. Debug shows neither, as of all encoded contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custom {
    encoded: EncodedContent,
    should_push: bool,
}

impl Custom {
    /// What a codec makes of a value, for sending.
    pub fn new(content: &impl ContentCodec) -> Self {
        let mut encoded = content.encode();
        // An empty fallback is none, as in xmtp-js.
        encoded.fallback = encoded
            .fallback
            .or_else(|| content.fallback())
            .filter(|text| !text.is_empty());
        Self {
            encoded,
            should_push: content.should_push(),
        }
    }

    /// The content as messages carry it; decompressed if it was received.
    pub fn encoded(&self) -> &EncodedContent {
        &self.encoded
    }

    /// Whether the recipient's phone should ring for it: as the codec said, yes for what was received.
    pub fn should_push(&self) -> bool {
        self.should_push
    }
}

impl From<EncodedContent> for Custom {
    /// Content that somebody else encoded: a stranger, or an application without a codec here. It rings.
    fn from(encoded: EncodedContent) -> Self {
        Self {
            encoded,
            should_push: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use herald_protocol::{Error, content::ContentTypeId};

    use super::*;
    use crate::content::Content;

    #[derive(Debug, PartialEq)]
    struct Poll(&'static str);

    impl ContentCodec for Poll {
        fn content_type() -> ContentTypeId {
            ContentTypeId::new("example.org", "poll", 2, 1)
        }

        fn encode(&self) -> EncodedContent {
            EncodedContent::new(Self::content_type(), self.0.as_bytes().to_vec())
        }

        fn decode(content: &EncodedContent) -> Result<Self, Error> {
            match content.content.as_slice() {
                b"" => Err(Error::Crypto),
                _ => Ok(Self("read")),
            }
        }

        fn fallback(&self) -> Option<String> {
            Some(self.0.to_owned())
        }

        fn should_push(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_custom_content_is_sent_with_its_codecs_fallback_and_silence() {
        let content = Content::custom(&Poll("lunch?"));
        assert_eq!(content.as_text(), Some("lunch?"));
        assert_eq!(content.fallback().as_deref(), Some("lunch?"));
        assert!(!content.should_push());
        assert_eq!(Content::custom(&Poll("")).fallback(), None);
    }

    #[test]
    fn a_codec_reads_its_major_version_and_those_before() {
        let read = |major, minor| {
            let mut content = Poll("x").encode();
            (
                content.content_type.version_major,
                content.content_type.version_minor,
            ) = (major, minor);
            Content::decode(content).unwrap().read::<Poll>()
        };
        assert_eq!(read(2, 99), Some(Ok(Poll("read"))));
        assert_eq!(read(0, 0), Some(Ok(Poll("read"))));
        assert_eq!(read(3, 0), None);
    }

    #[test]
    fn what_the_codec_refuses_is_its_error_and_other_types_are_not_asked() {
        let empty = Content::decode(Poll("").encode()).unwrap();
        assert_eq!(empty.read::<Poll>(), Some(Err(Error::Crypto)));
        assert_eq!(Content::from("gm").read::<Poll>(), None);
        assert_eq!(Content::from("gm").read::<String>(), Some(Ok("gm".to_owned())));
    }

    #[test]
    fn debug_hides_parameters_which_may_be_a_key() {
        let mut content = Poll("lunch?").encode();
        content.parameters = vec![("secret".to_owned(), "hunter2".to_owned())];
        let shown = format!("{:?}", Content::from(Custom::from(content)));
        assert!(!shown.contains("hunter2") && shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_later_major_version_of_a_standard_type_is_kept_with_its_fallback() {
        let mut content = "gm".to_owned().encode();
        content.content_type.version_major = 2;
        content.fallback = Some("a text of the future".to_owned());
        let read = Content::decode(content.clone()).unwrap();
        assert_eq!(read.as_text(), Some("a text of the future"));
        assert_eq!(read.to_encoded(), content);
    }
}
