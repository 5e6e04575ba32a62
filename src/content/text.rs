//! Plain text, `xmtp.org/text:1.0`, as XIP-5 defines it: UTF-8, and the parameter `encoding` saying so.

use herald_protocol::{
    Error,
    content::{self, ContentTypeId, EncodedContent},
};

use super::ContentCodec;

impl ContentCodec for String {
    fn content_type() -> ContentTypeId {
        ContentTypeId::text()
    }

    fn encode(&self) -> EncodedContent {
        content::text(self)
    }

    fn decode(content: &EncodedContent) -> Result<Self, Error> {
        content::decode_text(content)
    }
}

#[cfg(test)]
mod tests {
    use herald_protocol::{Reason, content::Compression};

    use super::*;
    use crate::content::Content;

    #[test]
    fn text_that_does_not_name_its_encoding_is_refused_as_xmtp_js_refuses_it() {
        let mut text = "gm ☀".to_owned().encode();
        assert_eq!(Content::decode(text.clone()), Ok(Content::from("gm ☀")));
        text.parameters.clear();
        assert_eq!(
            Content::decode(text),
            Err(Reason::TextEncoding { found: None }.into())
        );
    }

    #[test]
    fn text_that_is_still_compressed_is_decompressed() {
        let text = "gm ".repeat(100);
        for compression in [Compression::Deflate, Compression::Gzip] {
            let packed = text.encode().compress(compression);
            assert!(packed.content.len() < text.len());
            assert_eq!(Content::decode(packed), Ok(Content::Text(text.clone())));
        }
    }
}
