//! The proof that a bundle's signatures were checked.

use super::signed::SignedPublicKeyBundle;
use crate::{Error, address::Address};

/// A bundle whose pre-key is signed by its identity key, whose identity key is signed by the wallet of
/// [`VerifiedBundle::address`]. Only [`SignedPublicKeyBundle::verify`] makes one.
#[derive(Debug, Clone)]
pub struct VerifiedBundle {
    bundle: SignedPublicKeyBundle,
    encoded: Vec<u8>,
    address: Address,
}

impl VerifiedBundle {
    pub(super) fn new(bundle: SignedPublicKeyBundle) -> Result<Self, Error> {
        bundle.verify_pre_key()?;
        let address = bundle.identity_key().wallet_address()?;
        let encoded = bundle.encode();
        Ok(Self {
            bundle,
            encoded,
            address,
        })
    }

    /// The bundle itself.
    pub const fn bundle(&self) -> &SignedPublicKeyBundle {
        &self.bundle
    }

    /// The encoded bundle, made once.
    pub fn as_encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The wallet whose bundle this is.
    pub const fn address(&self) -> Address {
        self.address
    }
}

impl PartialEq for VerifiedBundle {
    fn eq(&self, other: &Self) -> bool {
        self.bundle == other.bundle
    }
}

impl Eq for VerifiedBundle {}
