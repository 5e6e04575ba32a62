//! A bot's wallet key, from where its file says it is.

use std::path::PathBuf;

use herald_protocol::wallet::WalletKey;
use secrecy::ExposeSecret as _;

use super::config::{Bot, Identity, SecretReference, secret};
use crate::client::keystore;

/// Why a bot has no wallet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key, or its passphrase, cannot be read.
    #[error("identity of bot `{bot}`")]
    Secret {
        /// The bot's name.
        bot: String,
        /// What is wrong with the reference.
        #[source]
        source: secret::Error,
    },
    /// What was read is no key.
    #[error("identity of bot `{bot}` at {}", path.display())]
    Key {
        /// The bot's name.
        bot: String,
        /// Where it was read.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: keystore::Error,
    },
}

impl Error {
    /// Whether there is no key at all, as opposed to one that cannot be used.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Secret { source, .. } if source.is_missing())
    }
}

/// Reads the wallet key of a bot.
pub fn resolve(bot: &Bot) -> Result<WalletKey, Error> {
    let secret = |reference: &SecretReference| {
        reference.resolve(bot.folder()).map_err(|source| Error::Secret {
            bot: bot.name.clone(),
            source,
        })
    };
    let (key, passphrase) = match &bot.identity {
        Identity::Environment(name) => (SecretReference::Environment(name.clone()), None),
        Identity::File(path) => (SecretReference::File(path.clone()), None),
        Identity::Keystore { path, passphrase } => {
            (SecretReference::File(path.clone()), Some(secret(passphrase)?))
        }
    };
    let text = secret(&key)?;
    let passphrase = passphrase.as_ref().map(secrecy::ExposeSecret::expose_secret);
    keystore::read(text.expose_secret(), passphrase).map_err(|source| Error::Key {
        bot: bot.name.clone(),
        path: PathBuf::from(key.to_string()),
        source,
    })
}
