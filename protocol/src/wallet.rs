//! What wallets sign: two texts, by EIP-191 `personal_sign`.

use std::fmt;

use crate::{
    Error,
    address::Address,
    hash::keccak256,
    key::{PrivateKey, PublicKey},
    signature::Signature,
};

/// The text that makes a key an identity of the signing wallet. `signed_bytes` are the encoded key.
pub fn create_identity_text(signed_bytes: &[u8]) -> String {
    text("Create", signed_bytes)
}

/// The text whose signature encrypts the key bundle on the network.
pub fn enable_identity_text(wallet_pre_key: &[u8; 32]) -> String {
    text("Enable", wallet_pre_key)
}

fn text(verb: &str, bytes: &[u8]) -> String {
    let hex = const_hex::encode(bytes);
    format!("XMTP : {verb} Identity\n{hex}\n\nFor more info: https://xmtp.org/signatures/")
}

/// The EIP-191 digest of a text: Keccak-256 with the personal-message prefix.
pub fn digest(text: &str) -> [u8; 32] {
    let length = text.len().to_string();
    keccak256(&[
        b"\x19Ethereum Signed Message:\n",
        length.as_bytes(),
        text.as_bytes(),
    ])
}

/// The wallet that signed a text. `signature` is R, S, v. Every well-formed signature yields *some* address.
pub fn recover_text(text: &str, signature: &[u8; 65]) -> Result<Address, Error> {
    recover(text, &Signature::from_wallet(signature)?)
}

/// The wallet that signed a text, from a signature as keys carry it.
pub(crate) fn recover(text: &str, signature: &Signature) -> Result<Address, Error> {
    Ok(PublicKey::recover(&digest(text), signature)?.address())
}

/// A wallet's own private key, for bots that hold one. Wiped when dropped.
#[derive(Clone)]
pub struct WalletKey(PrivateKey);

impl WalletKey {
    /// Reads 32 bytes, big-endian, in 1..n.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        PrivateKey::from_bytes(bytes).map(Self)
    }

    /// Reads 64 hex digits, with or without `0x`. The error does not repeat them.
    pub fn from_hex(hex: &str) -> Result<Self, Error> {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        const_hex::decode_to_slice(hex, bytes.as_mut_slice())
            .map_err(|_| Error::malformed("wallet key", "wanted 64 hex digits"))?;
        Self::from_bytes(bytes.as_slice())
    }

    /// The 32 bytes, big-endian; wiped when dropped.
    pub fn to_bytes(&self) -> zeroize::Zeroizing<[u8; 32]> {
        self.0.to_bytes()
    }

    /// The wallet's address.
    pub fn address(&self) -> Address {
        self.0.public_key().address()
    }

    /// Signs a text: R, S, v with v 27 or 28. Deterministic.
    pub fn sign_text(&self, text: &str) -> [u8; 65] {
        let signature = self.0.sign(&digest(text));
        let mut bytes = [27 + signature.recovery(); 65];
        for (to, from) in bytes.iter_mut().zip(signature.as_bytes()) {
            *to = *from;
        }
        bytes
    }
}

impl fmt::Debug for WalletKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WalletKey(of {})", self.address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signer_of_a_text_is_recovered_for_every_spelling_of_v() {
        let wallet = WalletKey::from_bytes(&[3; 32]).unwrap();
        let mut signature = wallet.sign_text("hello");
        assert_eq!(recover_text("hello", &signature), Ok(wallet.address()));
        assert_ne!(recover_text("hello!", &signature), Ok(wallet.address()));
        signature[64] -= 27;
        assert_eq!(recover_text("hello", &signature), Ok(wallet.address()));
        signature[64] = 29;
        assert!(recover_text("hello", &signature).is_err());
    }

    #[test]
    fn a_wallet_key_reads_hex_and_never_shows_it() {
        let hex = "5a".repeat(32);
        let wallet = WalletKey::from_hex(&hex).unwrap();
        assert_eq!(
            WalletKey::from_hex(&format!("0x{hex}")).unwrap().address(),
            wallet.address()
        );
        assert!(!format!("{wallet:?}").contains("5a5a"));
        assert!(
            !WalletKey::from_hex(&format!("{hex}5"))
                .unwrap_err()
                .to_string()
                .contains("5a5a")
        );
    }
}
