//! `herald keys`: wallet keys in files, readable by their owner only.

use std::{
    fs::OpenOptions,
    io::{IsTerminal as _, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use herald_protocol::{address::Address, wallet::WalletKey};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::{
    Failure, Options, print,
    wallet::{Key, Passphrase},
};
use crate::{bot::config::SecretReference, client::keystore};

/// Makes, shows and imports wallet keys.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a new wallet key and write it to a file
    New(New),
    /// Print the address of a wallet key
    Show(Show),
    /// Write a hex key from elsewhere to a file: from a reference, or from stdin
    Import(Import),
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

/// Imports a key.
#[derive(Args, Debug)]
pub(super) struct Import {
    /// Where the hex key is: `env:NAME` or `file:PATH`; stdin when left out
    #[arg(long, value_name = "REF")]
    key: Option<SecretReference>,
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
    pub(super) fn execute(self, options: &Options) -> anyhow::Result<()> {
        match self {
            Self::New(New { target }) => {
                let secret = random_secret()?;
                target.write(&secret, options)
            }
            Self::Import(Import { key, target }) => {
                let secret = read_hex(key.as_ref())?;
                target.write(&secret, options)
            }
            Self::Show(show) => show.execute(options),
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
    options.data.join("keys")
}

/// Writes a new file that its owner alone can read; an existing one is never replaced.
pub(super) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
    {
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.write_all(b"\n"))?;
    Ok(file.sync_all()?)
}

/// A new wallet's secret.
pub(super) fn random_secret() -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut_slice()).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(secret)
}

fn read_hex(reference: Option<&SecretReference>) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let text = match reference {
        Some(reference) => {
            let folder = std::env::current_dir()?;
            let secret = reference
                .resolve(&folder)
                .map_err(|error| Failure::Usage(error.into()))?;
            Zeroizing::new(secret.expose_secret().to_owned())
        }
        None if std::io::stdin().is_terminal() => Zeroizing::new(rpassword::prompt_password("hex key: ")?),
        None => {
            let mut text = Zeroizing::new(String::new());
            std::io::stdin().take(1_024).read_to_string(&mut text)?;
            text
        }
    };
    let mut secret = Zeroizing::new([0; 32]);
    let hex = text.trim();
    const_hex::decode_to_slice(hex, secret.as_mut_slice())
        .map_err(|_| Failure::Usage(anyhow::anyhow!("expected a key of 64 hex digits")))?;
    Ok(secret)
}
