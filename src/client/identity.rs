//! The wallet's keys: loaded from where they are kept, or made, signed by the wallet and kept there; rotated.
//!
//! The order of a first start is the JavaScript client's: look for keys, sign Create Identity, sign Enable Identity, keep the
//! sealed keys, and only then publish contacts. Whoever can write to the wallet writes to keys that are safe already.

mod rotation;
mod storage;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use herald_protocol::{
    address::Address,
    bundle::{PrivateKeyBundle, UnsignedIdentity},
    ciphertext::Entropy,
    key::PrivateKey,
    key_bundle::SealedKeyBundle,
    time::{Clock, TimestampNs},
    wallet,
};
use zeroize::Zeroizing;

use super::{
    Api, Disposition, private_file, random,
    signer::{self, Signer},
};
use storage::Seen;

/// Where a wallet's keys are kept, always sealed with a signature that only the wallet can make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyStorage {
    /// On the network, where every client of the wallet finds them.
    #[default]
    Network,
    /// In this file, readable by its owner only (a file that others can read is refused), and nowhere else. Keys that the
    /// network has already are taken over into a new file, since other keys would read none of the wallet's messages.
    File(PathBuf),
}

/// Why a wallet has no keys to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The wallet did not sign.
    #[error(transparent)]
    Signer(#[from] signer::Error),
    /// Stored keys do not open.
    #[error("the keys of {wallet} {place} do not open with this wallet's signature")]
    Unreadable {
        /// The wallet.
        wallet: Address,
        /// Where they are.
        place: String,
        /// What was wrong with them.
        #[source]
        source: herald_protocol::Error,
    },
    /// Keys of one wallet were given for another.
    #[error("the keys are of {found}, wanted keys of {wanted}")]
    OtherWallet {
        /// The client's wallet.
        wanted: Address,
        /// The wallet that signed the keys.
        found: Address,
    },
    /// A client of exported keys alone cannot have anything signed.
    #[error("{wallet} has to sign, and this client has its keys only: build it with a signer")]
    NoSigner {
        /// The wallet.
        wallet: Address,
    },
    /// Another client has given the wallet a new identity since.
    #[error("the keys of {wallet} {place} are of another identity than this client's")]
    Replaced {
        /// The wallet.
        wallet: Address,
        /// Where they are.
        place: String,
    },
    /// The file of the keys.
    #[error(transparent)]
    File(#[from] private_file::Error),
}

impl Error {
    /// Whether another try of the same call can help.
    pub(super) fn disposition(&self) -> Disposition {
        match self {
            Self::Signer(error) if error.is_transient() => Disposition::Retry(None),
            Self::File(private_file::Error::Failed { .. }) => Disposition::Retry(None),
            _ => Disposition::Reject,
        }
    }
}

/// A wallet's side of a client: who signs for it, and where its keys are kept.
#[derive(Debug)]
pub(super) struct Identity {
    address: Address,
    signer: Option<Arc<dyn Signer>>,
    storage: KeyStorage,
    /// Held while keys are read, changed and stored.
    rotating: tokio::sync::Mutex<()>,
    /// Whether the client's keys are what was found where they are kept, or stored there by it. Keys that were given may be
    /// older than those.
    kept: AtomicBool,
}

/// Whether the wallet has just signed a text a second time with the same result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signing {
    Proven,
    Unproven,
}

impl Identity {
    pub(super) fn of_signer(signer: Arc<dyn Signer>) -> Self {
        Self {
            address: signer.address(),
            signer: Some(signer),
            storage: KeyStorage::Network,
            rotating: tokio::sync::Mutex::default(),
            kept: AtomicBool::new(false),
        }
    }

    pub(super) fn of_keys(keys: &PrivateKeyBundle) -> Self {
        Self {
            address: keys.address(),
            signer: None,
            storage: KeyStorage::Network,
            rotating: tokio::sync::Mutex::default(),
            kept: AtomicBool::new(false),
        }
    }

    pub(super) fn stored_in(mut self, storage: KeyStorage) -> Self {
        self.storage = storage;
        self
    }

    pub(super) const fn address(&self) -> Address {
        self.address
    }

    fn signer(&self) -> Result<&dyn Signer, Error> {
        self.signer
            .as_deref()
            .ok_or(Error::NoSigner { wallet: self.address })
    }

    /// Has the wallet sign a text.
    pub(super) async fn sign(&self, text: &str) -> Result<Zeroizing<[u8; 65]>, Error> {
        Ok(signer::sign(self.signer()?, text).await?)
    }

    /// Refuses keys of another wallet.
    pub(super) fn own(&self, keys: PrivateKeyBundle) -> Result<PrivateKeyBundle, Error> {
        if keys.address() == self.address {
            Ok(keys)
        } else {
            Err(Error::OtherWallet {
                wanted: self.address,
                found: keys.address(),
            })
        }
    }

    /// The wallet's keys, when it has some. Nothing is written or published.
    pub(super) async fn load(&self, api: &Api) -> Result<Option<PrivateKeyBundle>, super::Error> {
        Ok(self.find(api).await?.map(|stored| stored.keys))
    }

    /// The wallet's keys, and whether they were made just now.
    pub(super) async fn load_or_create(
        &self,
        api: &Api,
        clock: &Clock,
    ) -> Result<(PrivateKeyBundle, bool), super::Error> {
        let loaded = match self.find(api).await? {
            Some(stored) if stored.misplaced => {
                let store = self.store(api, clock, stored.keys, stored.seen, Signing::Proven);
                (store.await?, false)
            }
            Some(stored) => (stored.keys, false),
            None => self.create_and_store(api, clock).await?,
        };
        self.kept.store(true, Ordering::Relaxed);
        Ok(loaded)
    }

    /// Whether the client's keys were found where they are kept, or stored there by it.
    pub(super) fn has_kept_keys(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    /// New keys, unless another client of the wallet made some while this one's wallet was asked.
    async fn create_and_store(
        &self,
        api: &Api,
        clock: &Clock,
    ) -> Result<(PrivateKeyBundle, bool), super::Error> {
        let made = self.create(clock.now()).await?;
        let identity_key = made.public().bundle().identity_key().clone();
        let store = self.store(api, clock, made, Seen::default(), Signing::Unproven);
        match store.await {
            Err(super::Error::Identity(replaced @ Error::Replaced { .. })) => {
                let found = self.find(api).await?.ok_or(replaced)?.keys;
                let is_made = *found.public().bundle().identity_key() == identity_key;
                Ok((found, is_made))
            }
            stored => Ok((stored?, true)),
        }
    }

    /// Makes keys that clients of both generations understand, signed by the wallet.
    async fn create(&self, now: TimestampNs) -> Result<PrivateKeyBundle, super::Error> {
        let unsigned = UnsignedIdentity::legacy(random_key()?, now);
        let signature = signer::sign(self.signer().map_err(super::Error::from)?, &unsigned.text())
            .await
            .map_err(Error::Signer)?;
        Ok(unsigned.signed(self.address, &signature, random_key()?, now)?)
    }

    async fn seal(&self, keys: &PrivateKeyBundle, signing: Signing) -> Result<SealedKeyBundle, super::Error> {
        let signer = self.signer()?;
        let wallet_pre_key = random::<32>()?;
        let text = wallet::enable_identity_text(&wallet_pre_key);
        let signature = signer::sign(signer, &text).await.map_err(Error::Signer)?;
        let entropy = Entropy::from_bytes(random()?);
        let sealed = SealedKeyBundle::seal(keys, wallet_pre_key, &signature, entropy)?;
        if signing == Signing::Unproven && !signer.is_deterministic() {
            // The seal is opened as the next start will open it. One more question now, or keys that are lost then.
            let again = signer::sign(signer, &text).await.map_err(Error::Signer)?;
            if sealed.open(&again).is_err() {
                let wallet = self.address;
                return Err(Error::Signer(signer::Error::NotDeterministic { wallet }).into());
            }
        }
        Ok(sealed)
    }
}

fn random_key() -> Result<PrivateKey, super::Error> {
    // All but one in 2^128 of 32-byte strings are keys.
    let bytes = Zeroizing::new(random::<32>()?);
    Ok(PrivateKey::from_bytes(bytes.as_slice())?)
}

#[cfg(test)]
mod tests;
