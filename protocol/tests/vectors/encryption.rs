//! `encryption.json`: the primitive.

use herald_protocol::{
    ciphertext::{Ciphertext, Entropy},
    proto::contents::ciphertext::Union,
};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::{
    case::{Case, Checked, same, told},
    people::People,
};

pub(crate) fn check(case: &Case<'_>, _: &People) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let (secret, plain, entropy) = (
        inputs.bytes("secret")?,
        inputs.bytes("plaintext")?,
        inputs.entropy()?,
    );
    let aad = if inputs.optional("aad").is_some() {
        inputs.bytes("aad")?
    } else {
        Vec::new()
    };
    let sealed = Ciphertext::seal(&plain, &secret, &aad, entropy);
    expected.is_bytes("ciphertext", &sealed.clone().encode())?;
    expected.is_bytes("aes_key", &aes_key(&secret, &entropy.salt))?;
    expected.is_bytes("payload", &payload_of(plain.clone(), &secret, &aad, entropy))?;
    let read = told(Ciphertext::decode(&expected.bytes("ciphertext")?))?;
    same("opened", &read.open(&secret, &aad), &Ok(plain))
}

/// The key between the derivation and the cipher, computed apart from the crate.
pub(crate) fn aes_key(secret: &[u8], salt: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let expanded = Hkdf::<Sha256>::new(Some(salt), secret).expand(&[], &mut key);
    if expanded.is_ok() { key } else { [0; 32] }
}

/// The payload the crate makes of this.
pub(crate) fn payload_of(plain: impl AsRef<[u8]>, secret: &[u8], aad: &[u8], entropy: Entropy) -> Vec<u8> {
    match Ciphertext::seal(plain.as_ref(), secret, aad, entropy)
        .into_proto()
        .union
    {
        Some(Union::Aes256GcmHkdfSha256(parts)) => parts.payload,
        None => Vec::new(),
    }
}
