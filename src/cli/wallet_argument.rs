//! Wallets on the command line: addresses, or names that herald asks for.

use std::{fmt, str::FromStr};

use herald_protocol::address::Address;

use crate::bot::chain::WalletName;

/// A wallet, by its address or by its name.
#[derive(Debug, Clone)]
pub(super) enum WalletArgument {
    Wallet(Address),
    Named(WalletName),
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
