//! The cryptography of remote attachments (XIP-17): a content of its own, under a key of its own. No network: whoever uploads and
//! downloads brings the bytes.

use std::fmt;

use bytes::Bytes;
use herald_protocol::{
    Error,
    ciphertext::{Ciphertext, Entropy},
    content::EncodedContent,
    proto::contents::{self, ciphertext::Union},
};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Attachment, Content, ContentCodec as _, RemoteAttachment, nested, remote_attachment};

/// What opens one encrypted file. Each file has its own, of fresh random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct AttachmentKey {
    secret: Zeroizing<[u8; 32]>,
    salt: [u8; 32],
    nonce: [u8; 12],
}

impl AttachmentKey {
    /// Splits 76 random bytes. The copy that the caller keeps is the caller's to clear.
    pub fn from_random(mut bytes: [u8; 76]) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        let mut rest = [0; 44];
        for (to, from) in secret.iter_mut().chain(&mut rest).zip(&bytes) {
            *to = *from;
        }
        bytes.zeroize();
        Self::from_entropy(&secret, Entropy::from_bytes(rest))
    }

    /// A secret and the random bytes of one sealing.
    pub fn from_entropy(secret: &[u8; 32], entropy: Entropy) -> Self {
        Self::new(secret, entropy.salt, entropy.nonce)
    }

    pub(super) fn new(secret: &[u8; 32], salt: [u8; 32], nonce: [u8; 12]) -> Self {
        Self {
            secret: Zeroizing::new(*secret),
            salt,
            nonce,
        }
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    pub(super) fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    pub(super) fn nonce(&self) -> &[u8; 12] {
        &self.nonce
    }
}

impl fmt::Debug for AttachmentKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AttachmentKey")
    }
}

/// An encrypted file that lies nowhere yet: upload [`Self::blob`], then say [`Self::at`] which address.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedAttachment {
    blob: Bytes,
    digest: [u8; 32],
    key: AttachmentKey,
    filename: Option<String>,
}

impl SealedAttachment {
    /// What to upload: AES-256-GCM ciphertext and tag, nothing else.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The same, not copied.
    pub(crate) fn shared_blob(&self) -> Bytes {
        self.blob.clone()
    }

    /// SHA-256 of the blob.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The content to send once the blob can be read at this address. Errors: the address does not begin with `https://`
    /// and is not of this machine.
    pub fn at(&self, url: &str) -> Result<RemoteAttachment, AttachmentError> {
        if !remote_attachment::is_public(url) {
            let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
            return Err(AttachmentError::NotHttps {
                found: scheme.chars().take(20).collect(),
            });
        }
        Ok(RemoteAttachment {
            url: url.to_owned(),
            digest: self.digest,
            key: self.key.clone(),
            content_length: u64::try_from(self.blob.len()).ok(),
            filename: self.filename.clone(),
        })
    }
}

impl fmt::Debug for SealedAttachment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SealedAttachment")
            .field("filename", &self.filename)
            .field("bytes", &self.blob.len())
            .finish_non_exhaustive()
    }
}

impl RemoteAttachment {
    /// Encrypts a file.
    pub fn seal(attachment: &Attachment, key: AttachmentKey) -> SealedAttachment {
        let filename = Some(attachment.filename.clone());
        seal(nested::bare(attachment.encode()), filename, key)
    }

    /// Encrypts the same file again as it was when this was made, for another try to upload it. None when it is not the same file: its
    /// key must not be used for another.
    pub fn seal_again(&self, attachment: &Attachment) -> Option<SealedAttachment> {
        let sealed = Self::seal(attachment, self.key.clone());
        (sealed.digest == self.digest).then_some(sealed)
    }

    /// Encrypts a content of another type. Errors: it is a remote attachment itself, which the standard forbids.
    pub fn seal_content(
        content: &Content,
        filename: Option<String>,
        key: AttachmentKey,
    ) -> Result<SealedAttachment, AttachmentError> {
        match content {
            Content::RemoteAttachment(_) => Err(AttachmentError::Nested),
            content => Ok(seal(nested::encode(content), filename, key)),
        }
    }
}

fn seal(inner: EncodedContent, filename: Option<String>, key: AttachmentKey) -> SealedAttachment {
    let entropy = Entropy {
        salt: key.salt,
        nonce: key.nonce,
    };
    let plain = inner.encode();
    drop(inner);
    let sealed = Ciphertext::seal(&plain, &*key.secret, &[], entropy).into_proto();
    drop(plain);
    let blob = match sealed.union {
        Some(Union::Aes256GcmHkdfSha256(parts)) => parts.payload,
        // The only kind there is; an empty blob opens nowhere.
        None => Vec::new(),
    };
    SealedAttachment {
        digest: Sha256::digest(&blob).into(),
        blob: blob.into(),
        key,
        filename,
    }
}

pub(super) fn open(
    blob: Vec<u8>,
    digest: &[u8; 32],
    key: &AttachmentKey,
) -> Result<Content, AttachmentError> {
    if blob.is_empty() {
        return Err(AttachmentError::Empty);
    }
    let (found, wanted) = (Sha256::digest(&blob).into(), *digest);
    if found != wanted {
        return Err(AttachmentError::Digest { found, wanted });
    }
    let sealed = Ciphertext::from_proto(contents::Ciphertext {
        union: Some(Union::Aes256GcmHkdfSha256(
            contents::ciphertext::Aes256gcmHkdfsha256 {
                hkdf_salt: key.salt.to_vec(),
                gcm_nonce: key.nonce.to_vec(),
                payload: blob,
            },
        )),
    })?;
    let plain = sealed.into_opened(&*key.secret, &[])?;
    let inner = nested::plain(EncodedContent::decode_owned(plain)?)?;
    match Content::decode(inner)? {
        Content::RemoteAttachment(_) => Err(AttachmentError::Nested),
        content => Ok(content),
    }
}

/// Why a remote attachment was not made or not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachmentError {
    /// The address of a remote attachment does not begin with `https://`.
    #[error("scheme of the attachment's address is `{found}`, wanted `https`")]
    NotHttps {
        /// The scheme that it has.
        found: String,
    },
    /// Nothing was found at the address.
    #[error("the attachment's address holds nothing")]
    Empty,
    /// Other bytes than the sender's were found at the address.
    #[error(
        "SHA-256 of the bytes at the attachment's address is `{}`, wanted the message's `{}`",
        const_hex::encode(.found),
        const_hex::encode(.wanted)
    )]
    Digest {
        /// Of the bytes at the address.
        found: [u8; 32],
        /// As the message has it.
        wanted: [u8; 32],
    },
    /// A remote attachment is inside of a remote attachment.
    #[error("a remote attachment is inside of a remote attachment")]
    Nested,
    /// What was found does not decrypt, or its content breaks the rules of its type.
    #[error(transparent)]
    Content(#[from] Error),
}

impl AttachmentError {
    /// A stable label for counters.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NotHttps { .. } => "not_https",
            Self::Empty => "empty",
            Self::Digest { .. } => "digest",
            Self::Nested => "nested",
            Self::Content(error) => error.label(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Reply;

    const URL: &str = "https://files.example.org/blob";

    fn key() -> AttachmentKey {
        AttachmentKey::from_random([5; 76])
    }

    fn note() -> Attachment {
        Attachment::new("note.txt", "text/plain", b"gm".to_vec())
    }

    #[test]
    fn a_sealed_attachment_opens_to_itself_and_says_its_length() {
        let sealed = RemoteAttachment::seal(&note(), key());
        let remote = sealed.at(URL).unwrap();
        assert_eq!(remote.content_length(), Some(sealed.blob().len() as u64));
        assert_eq!(remote.filename(), Some("note.txt"));
        assert_eq!(remote.open(sealed.blob()), Ok(note().into()));
    }

    #[test]
    fn any_flipped_bit_is_another_digest_and_behind_a_right_digest_does_not_decrypt() {
        let sealed = RemoteAttachment::seal(&note(), key());
        let remote = sealed.at(URL).unwrap();
        for bit in 0..sealed.blob().len() * 8 {
            let mut blob = sealed.blob().to_vec();
            blob[bit / 8] ^= 1 << (bit % 8);
            let (digest, wanted) = (Sha256::digest(&blob).into(), *sealed.digest());
            let found = digest;
            assert_eq!(remote.open(&blob), Err(AttachmentError::Digest { found, wanted }));
            let forged = RemoteAttachment {
                digest,
                ..remote.clone()
            };
            assert_eq!(forged.open(&blob), Err(AttachmentError::Content(Error::Crypto)));
        }
        assert_eq!(remote.open(&[]), Err(AttachmentError::Empty));
        let short = RemoteAttachment {
            digest: Sha256::digest([1]).into(),
            ..remote
        };
        assert!(matches!(
            short.open(&[1]),
            Err(AttachmentError::Content(Error::Malformed { .. }))
        ));
    }

    #[test]
    fn a_remote_attachment_inside_of_one_is_neither_sealed_nor_opened() {
        let remote = RemoteAttachment::seal(&note(), key()).at(URL).unwrap();
        let content = Content::from(remote.clone());
        let refused = RemoteAttachment::seal_content(&content, None, key());
        assert_eq!(refused.unwrap_err(), AttachmentError::Nested);
        let forced = seal(remote.encode(), None, key());
        assert_eq!(
            forced.at(URL).unwrap().open(forced.blob()),
            Err(AttachmentError::Nested)
        );
    }

    #[test]
    fn contents_of_other_types_travel_too_and_broken_ones_are_told() {
        let reply = Content::from(Reply::new("id", "gm"));
        let sealed = RemoteAttachment::seal_content(&reply, None, key()).unwrap();
        assert_eq!(sealed.at(URL).unwrap().open(sealed.blob()), Ok(reply));
        let nameless = EncodedContent::new(Attachment::content_type(), vec![1]);
        let broken = seal(nameless, None, key());
        let opened = broken.at(URL).unwrap().open(broken.blob());
        assert!(matches!(
            opened,
            Err(AttachmentError::Content(Error::Malformed { .. }))
        ));
    }

    #[test]
    fn only_https_addresses_are_sent() {
        let sealed = RemoteAttachment::seal(&note(), key());
        for url in [
            "http://x",
            "HTTPS://x",
            "httpsx",
            "https://",
            "ftp://x",
            "",
            "//x",
            " https://x",
        ] {
            assert!(
                matches!(sealed.at(url), Err(AttachmentError::NotHttps { .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn keys_do_not_show_in_debug() {
        let sealed = RemoteAttachment::seal(&note(), key());
        let shown = format!("{:?} {sealed:?} {:?}", key(), sealed.at(URL).unwrap());
        assert!(!shown.contains("5, 5") && !shown.contains("0505"), "{shown}");
    }
}
