//! `herald keys import`: a key that was made elsewhere, as hex or as words.

use std::io::{IsTerminal as _, Read as _};

use clap::Args;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::{Failure, Options, Target};
use crate::{
    bot::config::SecretReference,
    client::mnemonic::{self, DerivationPath},
};

/// Imports a key.
#[derive(Args, Debug)]
pub(in crate::cli) struct Import {
    /// Where the hex key or the mnemonic is: `env:NAME`, `file:PATH` or `exec:COMMAND`; stdin when left out
    #[arg(long, value_name = "REF")]
    key: Option<SecretReference>,
    /// Which key of a mnemonic; m/44'/60'/0'/0/0, the first account of most wallets, when left out
    #[arg(long, value_name = "PATH")]
    derivation: Option<DerivationPath>,
    #[command(flatten)]
    target: Target,
}

impl Import {
    pub(super) fn execute(self, options: &Options) -> anyhow::Result<()> {
        let text = self.text()?;
        let secret = secret(text.trim(), self.derivation).map_err(Failure::Usage)?;
        self.target.write(&secret, options)
    }

    fn text(&self) -> anyhow::Result<Zeroizing<String>> {
        if let Some(reference) = &self.key {
            let folder = std::env::current_dir()?;
            let secret = reference
                .resolve(&folder)
                .map_err(|error| Failure::Usage(error.into()))?;
            return Ok(Zeroizing::new(secret.expose_secret().to_owned()));
        }
        if std::io::stdin().is_terminal() {
            let asked = rpassword::prompt_password("hex key or mnemonic: ")?;
            return Ok(Zeroizing::new(asked));
        }
        // Allocated at once: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(LONGEST + 64));
        std::io::stdin()
            .take(u64::try_from(LONGEST)?)
            .read_to_string(&mut text)?;
        Ok(text)
    }
}

/// 24 words need 215 characters; the rest is room for white space.
const LONGEST: usize = 1_024;

/// Several words are a mnemonic, one is hex.
fn secret(text: &str, derivation: Option<DerivationPath>) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    if text.contains(char::is_whitespace) {
        let wallet = mnemonic::read(text, "", &derivation.unwrap_or_default())?;
        return Ok(wallet.to_bytes());
    }
    anyhow::ensure!(
        derivation.is_none(),
        "--derivation is of a mnemonic, and the key is one word"
    );
    let mut secret = Zeroizing::new([0; 32]);
    const_hex::decode_to_slice(text, secret.as_mut_slice())
        .map_err(|_| anyhow::anyhow!("expected a key of 64 hex digits, or a mnemonic of 12 to 24 words"))?;
    Ok(secret)
}
