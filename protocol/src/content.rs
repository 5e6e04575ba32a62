//! What people read: a typed content with a fallback, possibly compressed.

use std::{fmt, io::Read};

use bytes::Bytes;
use prost::Message as _;

mod composite;

pub use composite::{Composite, Part};

use crate::{Error, Excerpt, Reason, error, limits, proto::contents, wire::Fields};

/// What a content is, for example `xmtp.org/text:1.0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentTypeId {
    /// Who defines it.
    pub authority_id: String,
    /// Its name there.
    pub type_id: String,
    /// Readers of this version or above understand it.
    pub version_major: u32,
    /// Of no consequence to readers.
    pub version_minor: u32,
}

impl ContentTypeId {
    /// A type.
    pub fn new(authority_id: &str, type_id: &str, version_major: u32, version_minor: u32) -> Self {
        Self {
            authority_id: authority_id.into(),
            type_id: type_id.into(),
            version_major,
            version_minor,
        }
    }

    /// Plain text, `xmtp.org/text:1.0`.
    pub fn text() -> Self {
        Self::new("xmtp.org", "text", 1, 0)
    }

    /// Whether a reader of this type understands `other`: same authority and name, major version not above.
    pub fn understands(&self, other: &Self) -> bool {
        self.authority_id == other.authority_id
            && self.type_id == other.type_id
            && self.version_major >= other.version_major
    }
}

impl fmt::Display for ContentTypeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            authority_id,
            type_id,
            version_major,
            version_minor,
        } = self;
        write!(
            formatter,
            "{authority_id}/{type_id}:{version_major}.{version_minor}"
        )
    }
}

/// How a content is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// zlib, RFC 1950 (not raw deflate).
    Deflate,
    /// gzip, RFC 1952.
    Gzip,
}

/// A content as it is signed and sealed. Debug hides what it says: values of parameters may be keys.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedContent {
    /// What it is.
    pub content_type: ContentTypeId,
    /// What its type needs besides the bytes, in the order written.
    pub parameters: Vec<(String, String)>,
    /// What to show instead when the type is unknown.
    pub fallback: Option<String>,
    /// How `content` is compressed, if it is.
    pub compression: Option<Compression>,
    /// The bytes, whose meaning the type defines.
    pub content: Vec<u8>,
}

impl EncodedContent {
    /// A content of this type, without parameters, fallback and compression.
    pub const fn new(content_type: ContentTypeId, content: Vec<u8>) -> Self {
        Self {
            content_type,
            parameters: Vec::new(),
            fallback: None,
            compression: None,
            content,
        }
    }

    /// The value of a parameter; the last one if it was written twice, as maps decode.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Decodes `xmtp.message_contents.EncodedContent`; a type is required, a compression must be known, parameters are
    /// at most [`limits::PARAMETERS`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::bounded(bytes)?;
        Self::from_proto(error::decode("content", bytes)?)
    }

    /// The same for bytes that may be many: `content` is copied out of them once, where [`Self::decode`] needs a second copy for
    /// a moment.
    pub fn decode_owned(bytes: Vec<u8>) -> Result<Self, Error> {
        Self::bounded(&bytes)?;
        let proto = contents::EncodedContent::decode(Bytes::from(bytes));
        Self::from_proto(proto.map_err(|error| Error::malformed("content", error.to_string()))?)
    }

    fn bounded(bytes: &[u8]) -> Result<(), Error> {
        Fields::of("content", bytes).bound(PARAMETERS, "parameters", limits::PARAMETERS)
    }

    fn from_proto(proto: contents::EncodedContent) -> Result<Self, Error> {
        let id = proto.r#type.ok_or(Reason::NoContentType)?;
        let compression = match proto
            .compression
            .map(|number| (number, contents::Compression::try_from(number)))
        {
            None => None,
            Some((_, Ok(contents::Compression::Deflate))) => Some(Compression::Deflate),
            Some((_, Ok(contents::Compression::Gzip))) => Some(Compression::Gzip),
            Some((number, Err(_))) => {
                return Err(Error::Unsupported {
                    what: "compression",
                    found: number.to_string(),
                });
            }
        };
        Ok(Self {
            content_type: ContentTypeId {
                authority_id: id.authority_id,
                type_id: id.type_id,
                version_major: id.version_major,
                version_minor: id.version_minor,
            },
            parameters: proto
                .parameters
                .into_iter()
                .map(|entry| (entry.key, entry.value))
                .collect(),
            fallback: proto.fallback,
            compression,
            content: proto.content,
        })
    }

    /// Encodes `xmtp.message_contents.EncodedContent`, with the compression before the content, as xmtp-js orders it.
    pub fn encode(&self) -> Vec<u8> {
        let entry = |(key, value): &(String, String)| contents::encoded_content::ParametersEntry {
            key: key.clone(),
            value: value.clone(),
        };
        let mut bytes = contents::EncodedContent {
            r#type: Some(contents::ContentTypeId {
                authority_id: self.content_type.authority_id.clone(),
                type_id: self.content_type.type_id.clone(),
                version_major: self.content_type.version_major,
                version_minor: self.content_type.version_minor,
            }),
            parameters: self.parameters.iter().map(entry).collect(),
            fallback: self.fallback.clone(),
            compression: None,
            content: Vec::new(),
        }
        .encode_to_vec();
        if let Some(compression) = self.compression {
            let number = match compression {
                Compression::Deflate => contents::Compression::Deflate,
                Compression::Gzip => contents::Compression::Gzip,
            };
            prost::encoding::int32::encode(5, &i32::from(number), &mut bytes);
        }
        if !self.content.is_empty() {
            prost::encoding::bytes::encode(4, &self.content, &mut bytes);
        }
        bytes
    }

    /// Compresses, if that helps: not what is below 10 bytes, and not above 1000 bytes, which xmtp-js could not read.
    #[must_use]
    pub fn compress(mut self, compression: Compression) -> Self {
        let worth = limits::COMPRESS_MIN_BYTES..=limits::COMPRESS_MAX_BYTES;
        if self.compression.is_some() || !worth.contains(&self.content.len()) {
            return self;
        }
        let level = flate2::Compression::default();
        let mut packed = Vec::new();
        let read = match compression {
            Compression::Deflate => {
                flate2::read::ZlibEncoder::new(self.content.as_slice(), level).read_to_end(&mut packed)
            }
            Compression::Gzip => {
                flate2::read::GzEncoder::new(self.content.as_slice(), level).read_to_end(&mut packed)
            }
        };
        if read.is_ok() {
            self.content = packed;
            self.compression = Some(compression);
        }
        self
    }

    /// Decompresses, reading no further once more than `max_bytes` came out.
    pub fn decompress(mut self, max_bytes: usize) -> Result<Self, Error> {
        #[expect(clippy::disallowed_types, reason = "the place that bounds them")]
        let content = match self.compression {
            None => return Ok(self),
            Some(Compression::Deflate) => {
                read_bounded(flate2::read::ZlibDecoder::new(self.content.as_slice()), max_bytes)
            }
            Some(Compression::Gzip) => {
                read_bounded(flate2::read::GzDecoder::new(self.content.as_slice()), max_bytes)
            }
        };
        self.content = content?;
        self.compression = None;
        Ok(self)
    }
}

impl fmt::Debug for EncodedContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.parameters.iter().map(|(name, _)| name).collect();
        formatter
            .debug_struct("EncodedContent")
            .field("content_type", &self.content_type)
            .field("parameters", &names)
            .field("has_fallback", &self.fallback.is_some())
            .field("compression", &self.compression)
            .field("bytes", &self.content.len())
            .finish()
    }
}

fn read_bounded(reader: impl Read, max_bytes: usize) -> Result<Vec<u8>, Error> {
    let bound = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut content = Vec::new();
    let read = reader.take(bound).read_to_end(&mut content);
    if content.len() > max_bytes {
        return Err(Reason::ContentTooLarge { limit: max_bytes }.into());
    }
    read.map_err(|error| Error::malformed("compressed content", error.to_string()))?;
    Ok(content)
}

/// Plain text as content.
pub fn text(text: &str) -> EncodedContent {
    let parameters = vec![("encoding".to_owned(), "UTF-8".to_owned())];
    EncodedContent {
        parameters,
        ..EncodedContent::new(ContentTypeId::text(), text.as_bytes().to_vec())
    }
}

/// The text of a decompressed text content; `encoding` must say `UTF-8`, as xmtp-js has it.
pub fn decode_text(content: &EncodedContent) -> Result<String, Error> {
    if !ContentTypeId::text().understands(&content.content_type) {
        return Err(Error::Unsupported {
            what: "content type",
            found: content.content_type.to_string(),
        });
    }
    let encoding = content.parameter("encoding");
    if encoding != Some("UTF-8") {
        let found = encoding.map(Excerpt::of);
        return Err(Reason::TextEncoding { found }.into());
    }
    // As xmtp-js decodes: bytes that are not UTF-8 become U+FFFD.
    Ok(String::from_utf8_lossy(&content.content).into_owned())
}

/// The number of `EncodedContent.parameters`.
const PARAMETERS: u32 = 2;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// The start of a stream that would expand to 1 MiB of zeros: reading to its end would fail as truncated.
    fn bomb(compression: Compression) -> EncodedContent {
        let zeros = vec![0; 1024 * 1024];
        let level = flate2::Compression::fast();
        let mut packed = match compression {
            Compression::Deflate => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(&zeros).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(&zeros).unwrap();
                encoder.finish().unwrap()
            }
        };
        packed.truncate(packed.len() / 2);
        EncodedContent {
            compression: Some(compression),
            ..EncodedContent::new(ContentTypeId::text(), packed)
        }
    }

    #[test]
    fn a_bomb_stops_at_the_bound_before_its_end_is_read() {
        for compression in [Compression::Deflate, Compression::Gzip] {
            let stopped = bomb(compression).decompress(10_000);
            assert_eq!(stopped, Err(Reason::ContentTooLarge { limit: 10_000 }.into()));
            assert!(matches!(
                bomb(compression).decompress(usize::MAX),
                Err(Error::Malformed { .. })
            ));
        }
    }

    #[test]
    fn the_bound_itself_still_fits() {
        let content = text(&"a".repeat(1000)).compress(Compression::Gzip);
        assert_eq!(content.compression, Some(Compression::Gzip));
        assert!(content.clone().decompress(1000).is_ok());
        assert_eq!(
            content.decompress(999),
            Err(Reason::ContentTooLarge { limit: 999 }.into())
        );
    }

    #[test]
    fn compression_is_written_before_the_content_and_when_it_is_zero() {
        let plain = text("abcdefghij");
        let packed = plain.clone().compress(Compression::Deflate);
        let head = EncodedContent {
            content: Vec::new(),
            ..plain
        }
        .encode();
        assert!(
            packed
                .encode()
                .starts_with(&[&head[..], &[0x28, 0x00, 0x22]].concat())
        );
    }

    #[test]
    fn what_xmtp_js_could_not_read_is_not_compressed() {
        for length in [9, 1001] {
            assert_eq!(
                text(&"a".repeat(length)).compress(Compression::Gzip).compression,
                None,
                "{length}"
            );
        }
    }

    #[test]
    fn parameters_are_counted_before_they_are_built() {
        let with = |count: usize| {
            let parameters = vec![(String::new(), String::new()); count];
            EncodedContent {
                parameters,
                ..text("x")
            }
            .encode()
        };
        assert!(EncodedContent::decode(&with(limits::PARAMETERS)).is_ok());
        let error = EncodedContent::decode(&with(limits::PARAMETERS + 1)).unwrap_err();
        assert!(
            error.to_string().contains("more than 1000 of `parameters`"),
            "{error}"
        );
    }

    #[test]
    fn parameters_are_counted_over_all_places_where_they_are_written() {
        // Messages one behind the other are one: type and content again after the first parameters.
        let half = EncodedContent {
            parameters: vec![(String::new(), String::new()); limits::PARAMETERS / 2],
            ..text("x")
        };
        let twice = half.encode().repeat(2);
        let read = EncodedContent::decode(&twice).unwrap();
        assert_eq!(read.parameters.len(), limits::PARAMETERS);
        let thrice = [twice, half.encode()].concat();
        assert!(EncodedContent::decode(&thrice).is_err() && EncodedContent::decode_owned(thrice).is_err());
    }

    #[test]
    fn debug_names_parameters_and_sizes_and_says_nothing_of_the_content() {
        let content = EncodedContent {
            parameters: vec![("secret".to_owned(), "hunter2".to_owned())],
            fallback: Some("hunter2".to_owned()),
            ..text("hunter2")
        };
        let shown = format!("{content:?} {:?}", Part::Content(content.clone()));
        assert!(
            !shown.contains("hunter2") && !shown.contains("104, 117"),
            "{shown}"
        );
        assert!(
            shown.contains(r#"["secret"], has_fallback: true, compression: None, bytes: 7"#),
            "{shown}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn content_survives_encoding_and_compression(words in "\\PC{0,200}", gzip in any::<bool>()) {
            let content = text(&words);
            let compression = if gzip { Compression::Gzip } else { Compression::Deflate };
            let packed = content.clone().compress(compression);
            let read = EncodedContent::decode(&packed.encode()).unwrap();
            prop_assert_eq!(&read, &packed);
            prop_assert_eq!(EncodedContent::decode_owned(packed.encode()), Ok(packed));
            let read = read.decompress(limits::CONTENT_BYTES).unwrap();
            prop_assert_eq!(decode_text(&read), Ok(words));
            prop_assert_eq!(read, content);
        }
    }
}
