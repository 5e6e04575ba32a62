//! A bot's wallet key, from where its file says it is.

use std::path::PathBuf;

use herald_protocol::wallet::WalletKey;
use secrecy::ExposeSecret as _;

use super::config::{Bot, Identity, SecretReference, secret};
use crate::client::{keystore, mnemonic};

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
    /// What was read is no mnemonic.
    #[error("identity of bot `{bot}` at {place}")]
    Mnemonic {
        /// The bot's name.
        bot: String,
        /// Where the words were read.
        place: SecretReference,
        /// What is wrong with them.
        #[source]
        source: mnemonic::Error,
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
        Identity::Command(command) => (command.clone(), None),
        Identity::Keystore { path, passphrase } => {
            (SecretReference::File(path.clone()), Some(secret(passphrase)?))
        }
        Identity::Mnemonic { words, path } => {
            let derived = mnemonic::read(secret(words)?.expose_secret(), "", path);
            return derived.map_err(|source| Error::Mnemonic {
                bot: bot.name.clone(),
                place: words.clone(),
                source,
            });
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

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::bot::config;

    const JUNK: &str = "test test test test test test test test test test test junk";

    /// A bot whose words stand in a file beside it.
    fn wallet_of(words: &str, path: &str) -> Result<WalletKey, Error> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("words");
        std::fs::write(&file, words).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let bot = folder.path().join("bot.yaml");
        let text = format!("herald: 1\nbot: bell\nidentity: {{ mnemonic: file:words, path: {path} }}\n");
        std::fs::write(&bot, text).unwrap();
        resolve(&config::load(&bot).unwrap().0)
    }

    #[test]
    fn a_bots_wallet_is_the_one_that_its_words_and_path_name() {
        let first = wallet_of(&format!("{JUNK}\n"), "m/44'/60'/0'/0/0").unwrap();
        assert_eq!(
            first.address().to_string(),
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        );
        let fourth = wallet_of(JUNK, "m/44'/60'/0'/0/3").unwrap();
        assert_eq!(
            fourth.address().to_string(),
            "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
        );
    }

    #[test]
    fn a_slip_in_the_words_is_told_by_its_place_and_not_by_the_word() {
        let error = wallet_of(&JUNK.replace("junk", "junkyard"), "m").unwrap_err();
        assert!(!error.is_missing());
        assert_eq!(error.to_string(), "identity of bot `bell` at file:words");
        let source = error.source().unwrap().to_string();
        assert_eq!(source, "word 12 of the mnemonic is not in the English word list");
        assert!(!format!("{error:?}").contains("junk"));
    }
}
