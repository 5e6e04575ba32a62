//! `herald keys`: wallet keys in files, readable by their owner only, and the XMTP keys of a wallet.

mod bundle;
mod consent;
mod import;
mod sign;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use herald_protocol::{address::Address, wallet::WalletKey};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::{
    Failure, Options, print,
    wallet::{Key, Passphrase},
};
use crate::client::{keystore, private_file};

/// Makes, shows and imports wallet keys; exports and rotates XMTP keys.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a new wallet key and write it to a file
    New(New),
    /// Print the address of a wallet key
    Show(Show),
    /// Write a hex key or a mnemonic's key from elsewhere to a file: from a reference, or from stdin
    Import(import::Import),
    /// Sign a text from stdin as a wallet does (EIP-191), for programs that take their signatures from a command
    Sign(sign::Sign),
    /// Sign that a bot may write to a wallet: the consent proof that joins by web and imports take
    SignConsent(consent::SignConsent),
    /// Write a wallet's XMTP keys to a file; whoever has it reads and writes as that wallet
    Export(bundle::Export),
    /// Give a wallet a new pre-key and publish it; older ones are kept, so nothing becomes unreadable
    Rotate(bundle::Rotate),
}

/// How a key file is written.
#[derive(Args, Debug)]
pub(super) struct Target {
    /// The file; in the data folder's keys/ under the wallet's address when left out
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Write 64 hex digits in place of a keystore under a passphrase
    #[arg(long)]
    hex: bool,
    #[command(flatten)]
    passphrase: Passphrase,
}

/// Makes a new key.
#[derive(Args, Debug)]
pub(super) struct New {
    #[command(flatten)]
    target: Target,
}

/// Shows a key.
#[derive(Args, Debug)]
pub(super) struct Show {
    #[command(flatten)]
    key: Key,
    /// Print the private key, too
    #[arg(long)]
    reveal: bool,
}

impl Keys {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        match self {
            Self::New(New { target }) => {
                let secret = random_secret()?;
                target.write(&secret, options)
            }
            Self::Show(show) => show.execute(options),
            Self::Import(import) => import.execute(options),
            Self::Sign(sign) => sign.execute(options),
            Self::SignConsent(sign) => sign.execute(options),
            Self::Export(export) => Box::pin(export.execute(options)).await,
            Self::Rotate(rotate) => Box::pin(rotate.execute(options)).await,
        }
    }
}

impl Target {
    fn write(self, secret: &[u8; 32], options: &Options) -> anyhow::Result<()> {
        let wallet = WalletKey::from_bytes(secret).map_err(|error| Failure::Usage(error.into()))?;
        let text = if self.hex {
            Zeroizing::new(const_hex::encode(secret))
        } else {
            let passphrase = self.passphrase.ask(true)?;
            Zeroizing::new(keystore::encrypt(secret, passphrase.expose_secret())?)
        };
        let extension = if self.hex { "key" } else { "json" };
        let address = wallet.address();
        let path = self
            .path
            .unwrap_or_else(|| folder(options).join(format!("{address}.{extension}")));
        write_private(&path, &text)?;
        tell(address, Some(&path), None, options);
        Ok(())
    }
}

impl Show {
    fn execute(self, options: &Options) -> anyhow::Result<()> {
        let wallet = self.key.wallet()?;
        let secret = self.reveal.then(|| wallet.to_bytes());
        tell(wallet.address(), None, secret.as_deref(), options);
        Ok(())
    }
}

fn tell(address: Address, path: Option<&Path>, secret: Option<&[u8; 32]>, options: &Options) {
    let path = path.map(|path| path.display().to_string());
    let secret = secret.map(const_hex::encode);
    if options.json {
        let mut shown = serde_json::json!({ "address": address.to_string() });
        if let Some(shown) = shown.as_object_mut() {
            shown.extend(path.map(|path| ("path".to_owned(), path.into())));
            shown.extend(secret.map(|secret| ("key".to_owned(), secret.into())));
        }
        print::json(&shown);
    } else {
        print::line(
            &[Some(address.to_string()), path, secret]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("  "),
        );
    }
}

/// Where keys are kept.
pub(super) fn folder(options: &Options) -> PathBuf {
    options.data().join("keys")
}

/// Writes a new file of one line that its owner alone can read; an existing one is never replaced.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let line = Zeroizing::new(format!("{text}\n"));
    Ok(private_file::create(path, line.as_bytes())?)
}

/// A new wallet's secret.
pub(super) fn random_secret() -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut_slice()).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(secret)
}
