//! What messages say. One content type of the protocol a variant; types this client does not know keep their fallback.

use herald_protocol::{
    Error,
    content::{self, ContentTypeId, EncodedContent},
};

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// `xmtp.org/text:1.0`.
    Text(String),
    /// A type that this client does not read.
    Unknown(Box<EncodedContent>),
}

impl Content {
    /// Reads decompressed content. Errors: content of a known type that breaks its rules.
    pub fn decode(content: EncodedContent) -> Result<Self, Error> {
        if ContentTypeId::text().understands(&content.content_type) {
            return content::decode_text(&content).map(Self::Text);
        }
        Ok(Self::Unknown(Box::new(content)))
    }

    /// The content as messages carry it.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => content::text(text).encode(),
            Self::Unknown(content) => content.encode(),
        }
    }

    /// The text, or what the sender offers to readers that do not know the type.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Unknown(content) => content.fallback.as_deref(),
        }
    }

    /// The type, such as `xmtp.org/text:1.0`.
    pub fn content_type(&self) -> ContentTypeId {
        match self {
            Self::Text(_) => ContentTypeId::text(),
            Self::Unknown(content) => content.content_type.clone(),
        }
    }

    /// Whether a reader's phone should ring for it.
    pub fn should_push(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_and_an_unknown_type_keeps_its_fallback() {
        let text = Content::Text("gm ☀".to_owned());
        let decoded = EncodedContent::decode(&text.encode()).unwrap();
        assert_eq!(Content::decode(decoded).unwrap(), text);
        let mut other = content::text("x");
        other.content_type = ContentTypeId::new("example.org", "poll", 1, 0);
        other.fallback = Some("a poll".to_owned());
        let read = Content::decode(other).unwrap();
        assert_eq!(read.as_text(), Some("a poll"));
        assert_eq!(read.content_type().to_string(), "example.org/poll:1.0");
    }
}
