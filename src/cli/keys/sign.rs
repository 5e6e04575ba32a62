//! `herald keys sign`: one signature, so that the machine with the key need not be the one with the client.

use std::io::Read as _;

use anyhow::Context as _;
use clap::Args;
use zeroize::Zeroizing;

use super::{Failure, Options, print};
use crate::cli::wallet::Key;

/// Signs the text on stdin, every byte of it, and prints R, S, v as hex.
#[derive(Args, Debug)]
pub(in crate::cli) struct Sign {
    #[command(flatten)]
    key: Key,
}

/// No text that wallets are shown is longer.
const LONGEST: usize = 64 * 1024;

impl Sign {
    pub(super) fn execute(self, options: &Options) -> anyhow::Result<()> {
        let wallet = self.key.wallet()?;
        let mut text = String::new();
        std::io::stdin()
            .take(u64::try_from(LONGEST)? + 1)
            .read_to_string(&mut text)
            .context("stdin")?;
        if text.is_empty() || text.len() > LONGEST {
            let wanted = anyhow::anyhow!("expected a text of 1 to {LONGEST} bytes on stdin");
            return Err(Failure::Usage(wanted).into());
        }
        let signature = Zeroizing::new(wallet.sign_text(&text));
        let signature = Zeroizing::new(format!("0x{}", const_hex::encode(signature.as_slice())));
        if options.json {
            print::json(&serde_json::json!({
                "address": wallet.address().to_string(),
                "signature": signature.as_str(),
            }));
        } else {
            print::line(&signature);
        }
        Ok(())
    }
}
