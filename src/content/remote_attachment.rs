//! Attachments outside of the message, `xmtp.org/remoteStaticAttachment:1.0`, as XIP-17 and XIP-18 define them (deployed under
//! this name and as version 1.0): where the encrypted file lies and how it is opened.

use std::fmt;

use herald_protocol::{
    Error,
    content::{ContentTypeId, EncodedContent},
};
use zeroize::Zeroizing;

use super::{
    AttachmentError, AttachmentKey, Content, ContentCodec, attachment, malformed, required, safe_filename,
    sealed_attachment, standard,
};

/// A file that lies encrypted under an address, and the key that opens it. Whoever reads the message can read the file.
///
/// It is made by [`SealedAttachment::at`](super::SealedAttachment::at); its address always begins with `https://`,
/// or with `http://` and the name of this machine itself (`127.0.0.1`, `localhost`), where people try things out.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteAttachment {
    pub(super) url: String,
    pub(super) digest: [u8; 32],
    pub(super) key: AttachmentKey,
    pub(super) content_length: Option<u64>,
    pub(super) filename: Option<String>,
}

impl RemoteAttachment {
    /// Where the encrypted file lies. A stranger chose it: fetch it through a guard.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// SHA-256 of the encrypted file.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The size of the encrypted file in bytes, as its sender says: to show, not to allocate.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// What its sender calls the file: data, never a path ([`Self::safe_filename`]).
    pub fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// A name for the file in a folder of ours; see [`safe_filename`].
    pub fn safe_filename(&self) -> String {
        safe_filename(self.filename().unwrap_or_default())
    }

    /// Opens the encrypted file that was found under the address; in most cases it is an [`Attachment`](super::Attachment). Errors:
    /// nothing or something else was found there; it does not decrypt; its content breaks the rules of its type; it is a remote
    /// attachment itself, which the standard forbids.
    pub fn open(&self, blob: &[u8]) -> Result<Content, AttachmentError> {
        self.open_in_place(blob.to_vec())
    }

    /// The same for a file that may be large: it is decrypted where it lies, and held twice only while its content is read from it.
    pub fn open_in_place(&self, blob: Vec<u8>) -> Result<Content, AttachmentError> {
        sealed_attachment::open(blob, &self.digest, &self.key)
    }
}

impl ContentCodec for RemoteAttachment {
    fn content_type() -> ContentTypeId {
        standard("remoteStaticAttachment")
    }

    fn encode(&self) -> EncodedContent {
        let hex = |bytes: &[u8]| const_hex::encode(bytes);
        let named = |name: &str, value: String| (name.to_owned(), value);
        let mut parameters = vec![
            named("contentDigest", hex(&self.digest)),
            named("salt", hex(self.key.salt())),
            named("nonce", hex(self.key.nonce())),
            named("secret", hex(self.key.secret())),
            named("scheme", SCHEME.to_owned()),
        ];
        parameters.extend(
            self.content_length
                .map(|length| named("contentLength", length.to_string())),
        );
        parameters.extend(self.filename.clone().map(|name| named("filename", name)));
        EncodedContent {
            parameters,
            fallback: self.fallback(),
            ..EncodedContent::new(Self::content_type(), self.url.as_bytes().to_vec())
        }
    }

    fn decode(content: &EncodedContent) -> Result<Self, Error> {
        let url = String::from_utf8(content.content.clone())
            .map_err(|_| malformed(WHAT, "the address is not UTF-8"))?;
        if !is_public(&url) {
            let found: String = url.chars().take(100).collect();
            let problem = format!("the address is `{}`, wanted `https://…`", found.escape_debug());
            return Err(malformed(WHAT, problem));
        }
        match content.parameter("scheme") {
            None | Some(SCHEME) => {}
            Some(other) => {
                return Err(Error::Unsupported {
                    what: "scheme of a remote attachment",
                    found: other.chars().take(100).collect(),
                });
            }
        }
        let secret = Zeroizing::new(bytes(content, "secret")?);
        let key = AttachmentKey::new(&secret, bytes(content, "salt")?, bytes(content, "nonce")?);
        Ok(Self {
            digest: bytes(content, "contentDigest")?,
            key,
            content_length: content.parameter("contentLength").map(length).transpose()?,
            filename: content.parameter("filename").map(ToOwned::to_owned),
            url,
        })
    }

    fn fallback(&self) -> Option<String> {
        Some(attachment::fallback(self.filename().unwrap_or("attachment")))
    }
}

impl fmt::Debug for RemoteAttachment {
    /// Hides the key, and the address, which may hold a token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteAttachment")
            .field("filename", &self.filename)
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

/// Whether an address begins as xmtp-js wants it, with something behind. On this machine it may do without TLS, for trying things
/// out.
pub(super) fn is_public(url: &str) -> bool {
    let is_own = |rest: &str| {
        let hosts = ["127.0.0.1", "localhost", "[::1]"];
        let behind = hosts.iter().find_map(|host| rest.strip_prefix(host));
        behind.is_some_and(|behind| behind.starts_with([':', '/']))
    };
    let is_word = |rest: &str| rest.starts_with(|c: char| c != '/' && !c.is_whitespace() && !c.is_control());
    url.strip_prefix(SCHEME).is_some_and(is_word) || url.strip_prefix("http://").is_some_and(is_own)
}

fn bytes<const N: usize>(content: &EncodedContent, name: &str) -> Result<[u8; N], Error> {
    let text = required(WHAT, content, name)?;
    let mut bytes = [0; N];
    const_hex::decode_to_slice(text, &mut bytes).map_err(|_| {
        // The value may be the secret: only its length is told.
        malformed(
            WHAT,
            format!(
                "`{name}` has {} characters, wanted {} hex digits",
                text.len(),
                2 * N
            ),
        )
    })?;
    Ok(bytes)
}

fn length(text: &str) -> Result<u64, Error> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|length| is_decimal && *length <= MAX_LENGTH)
        .ok_or_else(|| malformed(WHAT, "`contentLength` is not a number of bytes up to 2^53"))
}

const WHAT: &str = "remote attachment";

const SCHEME: &str = "https://";

/// What JavaScript counts exactly.
const MAX_LENGTH: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use herald_protocol::ciphertext::Entropy;

    use super::*;
    use crate::content::Attachment;

    fn remote() -> RemoteAttachment {
        let key = AttachmentKey::from_entropy(&[9; 32], Entropy::from_bytes([7; 44]));
        RemoteAttachment::seal(&Attachment::new("note.txt", "text/plain", vec![1]), key)
            .at("https://files.example.org/x?token=hunter2")
            .unwrap()
    }

    fn with(name: &str, value: Option<&str>) -> Result<RemoteAttachment, Error> {
        let mut encoded = remote().encode();
        encoded.parameters.retain(|(key, _)| key != name);
        encoded
            .parameters
            .extend(value.map(|value| (name.to_owned(), value.to_owned())));
        RemoteAttachment::decode(&encoded)
    }

    #[test]
    fn it_comes_back_and_its_parameters_are_in_the_order_of_xmtp_js() {
        let encoded = remote().encode();
        let names: Vec<_> = encoded.parameters.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "contentDigest",
                "salt",
                "nonce",
                "secret",
                "scheme",
                "contentLength",
                "filename"
            ]
        );
        assert_eq!(RemoteAttachment::decode(&encoded), Ok(remote()));
    }

    #[test]
    fn what_could_not_be_opened_is_refused() {
        let long = "00".repeat(33);
        for name in ["contentDigest", "salt", "nonce", "secret"] {
            for value in [None, Some(""), Some("zz"), Some("00"), Some(long.as_str())] {
                assert!(
                    matches!(with(name, value), Err(Error::Malformed { .. })),
                    "{name} {value:?}"
                );
            }
        }
        assert!(matches!(
            with("scheme", Some("ipfs://")),
            Err(Error::Unsupported { .. })
        ));
        for length in ["", "-1", "+1", "1e3", "9007199254740993", "99999999999999999999"] {
            assert!(with("contentLength", Some(length)).is_err(), "{length}");
        }
        for url in [
            "http://x",
            "https:/x",
            "https://",
            "https:///x",
            "HTTPS//x",
            "file:///etc/passwd",
            "",
        ] {
            let encoded = EncodedContent {
                content: url.as_bytes().to_vec(),
                ..remote().encode()
            };
            assert!(
                matches!(RemoteAttachment::decode(&encoded), Err(Error::Malformed { .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn what_only_informs_may_be_absent() {
        for name in ["scheme", "contentLength", "filename"] {
            assert!(with(name, None).is_ok(), "{name}");
        }
        assert_eq!(with("filename", None).unwrap().safe_filename(), "attachment");
    }

    #[test]
    fn neither_key_nor_address_show_in_debug_or_in_errors() {
        let shown = format!(
            "{:?} {:?}",
            remote(),
            with("secret", Some("hunter2")).unwrap_err()
        );
        assert!(
            !shown.contains("hunter2") && !shown.contains("0909") && !shown.contains("9, 9"),
            "{shown}"
        );
    }
}
