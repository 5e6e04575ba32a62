//! `herald keys sign-consent`: a wallet's signed wish to be written to by a bot, made without the network.

use clap::Args;
use herald_protocol::{address::Address, consent::ConsentProof};

use crate::cli::{Options, print, wallet::Key};

/// Signs that a bot may write to this wallet; a join by web or with --proof takes it for 30 days
#[derive(Args, Debug)]
pub(in crate::cli) struct SignConsent {
    /// The bot's wallet
    #[arg(value_name = "BOT-WALLET")]
    bot: Address,
    #[command(flatten)]
    key: Key,
}

impl SignConsent {
    pub(super) fn execute(self, options: &Options) -> anyhow::Result<()> {
        let wallet = self.key.wallet()?;
        let proof = ConsentProof::sign(&wallet, self.bot, crate::clock::now());
        if options.json {
            print::json(&serde_json::json!({
                "wallet": wallet.address().to_string(),
                "bot": self.bot.to_string(),
                "signature": proof.signature,
                "timestamp": proof.timestamp_ms,
            }));
        } else {
            print::line(&format!("{}  {}", proof.signature, proof.timestamp_ms));
        }
        Ok(())
    }
}
