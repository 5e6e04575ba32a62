//! Wallets on the command line: addresses, or names that herald asks for.

use std::{fmt, str::FromStr};

use herald_protocol::address::Address;

use super::{Failure, Options, project};
use crate::bot::chain::{Chains, NameError, WalletName};

/// A wallet, by its address or by its name.
#[derive(Debug, Clone)]
pub(super) enum WalletArgument {
    Wallet(Address),
    Named(WalletName),
}

impl WalletArgument {
    /// The wallet; a name is asked for on the project's chains.
    pub(super) async fn find(&self, options: &Options) -> anyhow::Result<Address> {
        let name = match self {
            Self::Wallet(wallet) => return Ok(*wallet),
            Self::Named(name) => name,
        };
        let project = project::load(options, &project::here())?;
        let fetch = project.fetch()?;
        let found = Chains::of(&project, &fetch)
            .wallets(&fetch, std::slice::from_ref(name))
            .await;
        match found.into_iter().next() {
            Some(Ok(wallet)) => Ok(wallet),
            Some(Err(NameError::Unknown(reason))) => Err(Failure::Usage(anyhow::anyhow!(reason)).into()),
            Some(Err(NameError::Away(reason))) => Err(Failure::Unreachable(anyhow::anyhow!(reason)).into()),
            None => anyhow::bail!("{name} was not asked for"),
        }
    }
}

impl FromStr for WalletArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if WalletName::is_meant(text) {
            return WalletName::read(text).map(Self::Named);
        }
        text.parse()
            .map(Self::Wallet)
            .map_err(|error: herald_protocol::address::ParseAddressError| error.to_string())
    }
}

impl fmt::Display for WalletArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wallet(wallet) => wallet.fmt(f),
            Self::Named(name) => name.fmt(f),
        }
    }
}
