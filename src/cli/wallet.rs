//! Which wallet a command acts for: `--key env:X` or `--key file:PATH`, a hex key or a keystore.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::Args;
use herald_protocol::wallet::WalletKey;
use secrecy::{ExposeSecret as _, SecretString};

use super::Failure;
use crate::{bot::config::SecretReference, client::keystore};

/// The wallet and where its passphrase is.
#[derive(Args, Clone, Debug)]
pub(super) struct Key {
    /// The wallet's key: `env:NAME`, `file:PATH` or `exec:COMMAND`: 64 hex digits or an Ethereum keystore
    #[arg(long, value_name = "REF")]
    pub(super) key: SecretReference,
    #[command(flatten)]
    pub(super) passphrase: Passphrase,
}

/// Where a keystore's passphrase is.
#[derive(Args, Clone, Debug)]
pub(super) struct Passphrase {
    /// The keystore's passphrase: `env:NAME`, `file:PATH` or `exec:COMMAND`; asked for on a terminal
    #[arg(long, value_name = "REF")]
    pub(super) passphrase: Option<SecretReference>,
}

impl Key {
    /// Reads the wallet's key.
    pub(super) fn wallet(&self) -> anyhow::Result<WalletKey> {
        let text = self.text()?;
        let passphrase = keystore::is_keystore(text.expose_secret())
            .then(|| self.passphrase.ask(false))
            .transpose()?;
        let wallet = keystore::read(
            text.expose_secret(),
            passphrase.as_ref().map(secrecy::ExposeSecret::expose_secret),
        );
        Ok(wallet
            .with_context(|| format!("the key at {}", self.key))
            .map_err(Failure::Usage)?)
    }

    /// The text of the key or keystore.
    pub(super) fn text(&self) -> anyhow::Result<SecretString> {
        let folder = std::env::current_dir()?;
        Ok(self
            .key
            .resolve(&folder)
            .map_err(|error| Failure::Usage(error.into()))?)
    }
}

impl Passphrase {
    /// The passphrase, from its reference or from whoever sits at the terminal; asked twice for a new one.
    pub(super) fn ask(&self, new: bool) -> anyhow::Result<SecretString> {
        if let Some(reference) = &self.passphrase {
            let folder = std::env::current_dir()?;
            return Ok(reference
                .resolve(&folder)
                .map_err(|error| Failure::Usage(error.into()))?);
        }
        if !std::io::stdin().is_terminal() {
            let missing =
                "a passphrase is needed: name it with --passphrase env:NAME or --passphrase file:PATH";
            return Err(Failure::Usage(anyhow::anyhow!(missing)).into());
        }
        let first = SecretString::from(rpassword::prompt_password("passphrase: ")?);
        if new {
            let again = SecretString::from(rpassword::prompt_password("once more: ")?);
            if again.expose_secret() != first.expose_secret() {
                return Err(Failure::Usage(anyhow::anyhow!("the two passphrases differ")).into());
            }
        }
        Ok(first)
    }
}
