//! `herald keys export` and `herald keys rotate`: the XMTP keys that a wallet has on the network.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use herald_protocol::address::Address;

use super::{Options, folder, print, tell};
use crate::{
    cli::{inbox::NodeFlag, wallet::Key},
    client::private_file,
};

/// Exports XMTP keys.
#[derive(Args, Debug)]
pub(in crate::cli) struct Export {
    /// The file; in the data folder's keys/ under the wallet's address when left out
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    node: NodeFlag,
}

/// Rotates a pre-key.
#[derive(Args, Debug)]
pub(in crate::cli) struct Rotate {
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    node: NodeFlag,
}

impl Export {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let wallet = self.key.wallet()?;
        let address = wallet.address();
        let keys = self.node.builder(wallet).load_keys().await?;
        let keys = keys.with_context(|| absent(address))?;
        let path = self
            .path
            .unwrap_or_else(|| folder(options).join(format!("{address}.xmtp")));
        private_file::create(&path, &keys.encode_v1()?)?;
        tell(address, Some(&path), None, options);
        Ok(())
    }
}

impl Rotate {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let wallet = self.key.wallet()?;
        let address = wallet.address();
        let builder = self.node.builder(wallet);
        // A wallet is not given an identity by the way.
        let keys = builder.load_keys().await?.with_context(|| absent(address))?;
        builder.keys(keys).connect().await?.rotate_pre_key().await?;
        tell(address, None, None, options);
        print::talk("a new pre-key is published; restart the clients of this wallet that are running");
        Ok(())
    }
}

fn absent(wallet: Address) -> String {
    format!("{wallet} has no keys on the network: it never signed in at this node")
}
