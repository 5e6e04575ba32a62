//! The user's own keys, stored on the network: sealed with a signature only the wallet can make.

use prost::Message as _;
use zeroize::Zeroizing;

use crate::{
    Error,
    bundle::PrivateKeyBundle,
    ciphertext::{Ciphertext, Entropy},
    error,
    proto::contents::{self, encrypted_private_key_bundle::Version, private_key_bundle},
    wallet,
};

/// A sealed key bundle, before or after the network.
#[derive(Debug, Clone)]
pub struct SealedKeyBundle {
    wallet_pre_key: [u8; 32],
    ciphertext: Ciphertext,
    older_form: bool,
}

/// What a sealed key bundle held.
#[derive(Debug, Clone)]
pub struct OpenedKeyBundle {
    /// The keys.
    pub bundle: PrivateKeyBundle,
    /// Whether it was stored in a form that no client writes any more: publish it again.
    pub older_form: bool,
}

impl SealedKeyBundle {
    /// Seals keys. `wallet_pre_key` is random and new for every write, `signature` the wallet's R, S, v of
    /// [`wallet::enable_identity_text`] over it. Impossible for native V2 keys.
    pub fn seal(
        keys: &PrivateKeyBundle,
        wallet_pre_key: [u8; 32],
        signature: &[u8; 65],
        entropy: Entropy,
    ) -> Result<Self, Error> {
        let ciphertext = Ciphertext::seal(&keys.encode_v1()?, signature, &[], entropy);
        Ok(Self {
            wallet_pre_key,
            ciphertext,
            older_form: false,
        })
    }

    /// Encodes `xmtp.message_contents.EncryptedPrivateKeyBundle`.
    pub fn encode(&self) -> Vec<u8> {
        let v1 = contents::EncryptedPrivateKeyBundleV1 {
            wallet_pre_key: self.wallet_pre_key.to_vec(),
            ciphertext: Some(self.ciphertext.clone().into_proto()),
        };
        contents::EncryptedPrivateKeyBundle {
            version: Some(Version::V1(v1)),
        }
        .encode_to_vec()
    }

    /// Decodes `xmtp.message_contents.EncryptedPrivateKeyBundle`, or its `v1` without the wrapper (an older form).
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let wrapped = error::decode("sealed key bundle", bytes).and_then(
            |proto: contents::EncryptedPrivateKeyBundle| match proto.version {
                Some(Version::V1(v1)) => Self::from_v1(v1, false),
                None => Err(Error::missing("sealed key bundle", "v1")),
            },
        );
        wrapped.or_else(|error| {
            let bare = error::decode("sealed key bundle", bytes).and_then(|v1| Self::from_v1(v1, true));
            bare.map_err(|_| error)
        })
    }

    fn from_v1(v1: contents::EncryptedPrivateKeyBundleV1, older_form: bool) -> Result<Self, Error> {
        let length = Error::length("sealed key bundle", v1.wallet_pre_key.len(), 32);
        let wallet_pre_key = v1.wallet_pre_key.try_into().map_err(|_| length)?;
        let ciphertext = v1
            .ciphertext
            .ok_or_else(|| Error::missing("sealed key bundle", "ciphertext"))?;
        Ok(Self {
            wallet_pre_key,
            ciphertext: Ciphertext::from_proto(ciphertext)?,
            older_form,
        })
    }

    /// The text the wallet has to sign so that [`SealedKeyBundle::open`] can work.
    pub fn text(&self) -> String {
        wallet::enable_identity_text(&self.wallet_pre_key)
    }

    /// Opens with the wallet's signature of [`SealedKeyBundle::text`]. Some wallets return v as 0 or 1, so the other
    /// spelling of v is tried too.
    pub fn open(&self, signature: &[u8; 65]) -> Result<OpenedKeyBundle, Error> {
        let mut other = Zeroizing::new(*signature);
        let [.., v] = &mut *other;
        *v = if *v < 27 { *v + 27 } else { *v - 27 };
        let opened = self
            .ciphertext
            .open(signature, &[])
            .or_else(|_| self.ciphertext.open(other.as_slice(), &[]));
        let (bundle, bare) = decode_plain(&Zeroizing::new(opened?))?;
        Ok(OpenedKeyBundle {
            bundle,
            older_form: bare || self.older_form,
        })
    }
}

/// Reads the wrapped form, or else `PrivateKeyBundleV1` without its wrapper; tells whether it was the latter.
fn decode_plain(plain: &[u8]) -> Result<(PrivateKeyBundle, bool), Error> {
    let wrapped =
        error::decode("private key bundle", plain).and_then(|proto: contents::PrivateKeyBundle| match proto
            .version
        {
            Some(private_key_bundle::Version::V1(v1)) => PrivateKeyBundle::from_v1(v1),
            // No client stores this form, none could read it.
            Some(private_key_bundle::Version::V2(_)) => Err(Error::Unsupported {
                what: "stored private key bundle",
                found: "v2".into(),
            }),
            None => Err(Error::missing("private key bundle", "v1")),
        });
    match wrapped {
        Ok(bundle) => Ok((bundle, false)),
        Err(error) => error::decode("private key bundle", plain)
            .and_then(PrivateKeyBundle::from_v1)
            .map(|bundle| (bundle, true))
            .map_err(|_| error),
    }
}
