//! Attachments inside of the message, `xmtp.org/attachment:1.0`, as XIP-15 defines them (deployed as version 1.0): small files.

use herald_protocol::{
    Error,
    content::{ContentTypeId, EncodedContent},
};

use super::{ContentCodec, required, safe_filename, standard};

/// A file.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What its sender calls it: data, never a path ([`Self::safe_filename`]).
    pub filename: String,
    /// What its sender says it is, such as `image/png`; nobody checked.
    pub mime_type: String,
    /// Its bytes. About 1 MB fits in a message; larger files travel as [`RemoteAttachment`](super::RemoteAttachment).
    pub data: Vec<u8>,
}

impl Attachment {
    /// A file.
    pub fn new(filename: impl Into<String>, mime_type: impl Into<String>, data: Vec<u8>) -> Self {
        Self {
            filename: filename.into(),
            mime_type: mime_type.into(),
            data,
        }
    }

    /// Reads without copying the file's bytes.
    pub(super) fn decode_owned(content: EncodedContent) -> Result<Self, Error> {
        Ok(Self {
            filename: required("attachment", &content, "filename")?.to_owned(),
            mime_type: required("attachment", &content, "mimeType")?.to_owned(),
            data: content.content,
        })
    }

    /// A name for the file in a folder of ours; see [`safe_filename`].
    pub fn safe_filename(&self) -> String {
        safe_filename(&self.filename)
    }
}

impl ContentCodec for Attachment {
    fn content_type() -> ContentTypeId {
        standard("attachment")
    }

    fn encode(&self) -> EncodedContent {
        EncodedContent {
            parameters: vec![
                ("filename".to_owned(), self.filename.clone()),
                ("mimeType".to_owned(), self.mime_type.clone()),
            ],
            fallback: self.fallback(),
            ..EncodedContent::new(Self::content_type(), self.data.clone())
        }
    }

    fn decode(content: &EncodedContent) -> Result<Self, Error> {
        Self::decode_owned(content.clone())
    }

    fn fallback(&self) -> Option<String> {
        Some(fallback(&self.filename))
    }
}

/// What attachments of both kinds offer instead.
pub(super) fn fallback(filename: &str) -> String {
    format!("Can’t display \"{filename}\". This app doesn’t support attachments.")
}

impl std::fmt::Debug for Attachment {
    /// Tells the size, not the bytes.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Attachment")
            .field("filename", &self.filename)
            .field("mime_type", &self.mime_type)
            .field("bytes", &self.data.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;

    #[test]
    fn an_attachment_without_name_or_type_is_refused() {
        let whole = Attachment::new("note.txt", "text/plain", vec![1, 2]);
        assert_eq!(Attachment::decode(&whole.encode()), Ok(whole.clone()));
        for absent in 0..2 {
            let mut encoded = whole.encode();
            encoded.parameters.remove(absent);
            assert!(matches!(
                Attachment::decode(&encoded),
                Err(Error::Malformed { .. })
            ));
        }
    }

    #[test]
    fn the_bytes_of_a_file_that_is_read_stay_where_they_are() {
        let encoded = Attachment::new("note.txt", "text/plain", vec![7; 100]).encode();
        let place = encoded.content.as_ptr();
        let Ok(Content::Attachment(read)) = Content::decode(encoded) else {
            panic!("an attachment is read as one");
        };
        assert_eq!(read.data.as_ptr(), place);
    }

    #[test]
    fn the_fallback_has_typographic_apostrophes_and_straight_quotes() {
        let attachment = Attachment::new("note.txt", "text/plain", Vec::new());
        assert_eq!(
            attachment.fallback().as_deref(),
            Some("Can\u{2019}t display \"note.txt\". This app doesn\u{2019}t support attachments.")
        );
    }
}
