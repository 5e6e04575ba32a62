//! The one encryption primitive: HKDF-SHA256 to a fresh key, then AES-256-GCM.

use aes_gcm::{AeadInOut as _, Aes256Gcm, KeyInit as _};

use crate::{
    Error, error,
    hash::hkdf_sha256,
    proto::contents::{self, ciphertext::Union},
};

const TAG_BYTES: usize = 16;

/// The random bytes of one sealing: never used twice.
#[derive(Clone, Copy)]
pub struct Entropy {
    /// Salt of the key derivation.
    pub salt: [u8; 32],
    /// Nonce of AES-GCM.
    pub nonce: [u8; 12],
}

impl Entropy {
    /// Splits 44 random bytes.
    pub fn from_bytes(bytes: [u8; 44]) -> Self {
        let mut entropy = Self {
            salt: [0; 32],
            nonce: [0; 12],
        };
        for (to, from) in entropy.salt.iter_mut().chain(&mut entropy.nonce).zip(bytes) {
            *to = from;
        }
        entropy
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Entropy")
    }
}

/// Something sealed, with lengths as they must be: salt 32, nonce 12, payload at least a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ciphertext {
    salt: [u8; 32],
    nonce: [u8; 12],
    payload: Vec<u8>,
}

impl Ciphertext {
    /// Encrypts. An absent `aad` is an empty one.
    pub fn seal(plain: &[u8], secret: &[u8], aad: &[u8], entropy: Entropy) -> Self {
        let mut payload = Vec::with_capacity(plain.len() + TAG_BYTES);
        payload.extend_from_slice(plain);
        encrypt(&mut payload, &cipher(secret, &entropy.salt), aad, &entropy.nonce);
        Self {
            salt: entropy.salt,
            nonce: entropy.nonce,
            payload,
        }
    }

    /// Decrypts. All failures look the same.
    pub fn open(&self, secret: &[u8], aad: &[u8]) -> Result<Vec<u8>, Error> {
        self.clone().into_opened(secret, aad)
    }

    /// Decrypts in place, for payloads that are too large to be held twice. All failures look the same.
    pub fn into_opened(mut self, secret: &[u8], aad: &[u8]) -> Result<Vec<u8>, Error> {
        decrypt(&mut self.payload, &cipher(secret, &self.salt), aad, &self.nonce)?;
        Ok(self.payload)
    }

    /// Reads the wire's form.
    pub fn from_proto(proto: contents::Ciphertext) -> Result<Self, Error> {
        let Some(Union::Aes256GcmHkdfSha256(parts)) = proto.union else {
            return Err(Error::missing("ciphertext", "aes256_gcm_hkdf_sha256"));
        };
        let length = |found, wanted| Error::length("ciphertext", found, wanted);
        let salt = parts
            .hkdf_salt
            .as_slice()
            .try_into()
            .map_err(|_| length(parts.hkdf_salt.len(), 32))?;
        let nonce = parts
            .gcm_nonce
            .as_slice()
            .try_into()
            .map_err(|_| length(parts.gcm_nonce.len(), 12))?;
        if parts.payload.len() < TAG_BYTES {
            let problem = format!(
                "found a payload of {} bytes, wanted at least 16",
                parts.payload.len()
            );
            return Err(Error::malformed("ciphertext", problem));
        }
        Ok(Self {
            salt,
            nonce,
            payload: parts.payload,
        })
    }

    /// The wire's form.
    pub fn into_proto(self) -> contents::Ciphertext {
        contents::Ciphertext {
            union: Some(Union::Aes256GcmHkdfSha256(
                contents::ciphertext::Aes256gcmHkdfsha256 {
                    hkdf_salt: self.salt.to_vec(),
                    gcm_nonce: self.nonce.to_vec(),
                    payload: self.payload,
                },
            )),
        }
    }

    /// Decodes `xmtp.message_contents.Ciphertext`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_proto(error::decode("ciphertext", bytes)?)
    }

    /// Encodes `xmtp.message_contents.Ciphertext`.
    pub fn encode(self) -> Vec<u8> {
        prost::Message::encode_to_vec(&self.into_proto())
    }
}

pub(crate) fn encrypt(plain: &mut Vec<u8>, cipher: &Aes256Gcm, aad: &[u8], nonce: &[u8; 12]) {
    #[expect(
        clippy::expect_used,
        reason = "AES-GCM takes plaintexts and AADs below 64 GiB"
    )]
    cipher
        .encrypt_in_place(nonce.into(), aad, plain)
        .expect("below 64 GiB");
}

pub(crate) fn decrypt(
    payload: &mut Vec<u8>,
    cipher: &Aes256Gcm,
    aad: &[u8],
    nonce: &[u8; 12],
) -> Result<(), Error> {
    cipher
        .decrypt_in_place(nonce.into(), aad, payload)
        .map_err(|_| Error::Crypto)
}

fn cipher(secret: &[u8], salt: &[u8; 32]) -> Aes256Gcm {
    let key = hkdf_sha256(secret, salt, &[]);
    Aes256Gcm::new((&*key).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_payload_becomes_its_plaintext_where_it_lies() {
        let sealed = Ciphertext::seal(&[1; 100], b"secret", &[], Entropy::from_bytes([7; 44]));
        let place = sealed.payload.as_ptr();
        let plain = sealed.into_opened(b"secret", &[]).unwrap();
        assert_eq!((plain.as_ptr(), &plain[..]), (place, &[1; 100][..]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_sealed_opens_to_itself_and_with_nothing_else(
            plain in prop::collection::vec(any::<u8>(), 0..200), secret in prop::collection::vec(any::<u8>(), 0..200),
            aad in prop::collection::vec(any::<u8>(), 0..50), random in any::<[u8; 32]>(),
        ) {
            let mut bytes = [7; 44];
            bytes[..32].copy_from_slice(&random);
            let sealed = Ciphertext::seal(&plain, &secret, &aad, Entropy::from_bytes(bytes));
            let read = Ciphertext::decode(&sealed.clone().encode()).unwrap();
            prop_assert_eq!(&read, &sealed);
            prop_assert_eq!(read.open(&secret, &aad), Ok(plain));
            let other = [&aad[..], b"x"].concat();
            prop_assert_eq!(read.open(&secret, &other), Err(Error::Crypto));
            let other = [&secret[..], b"x"].concat();
            prop_assert_eq!(read.open(&other, &aad), Err(Error::Crypto));
        }
    }
}
