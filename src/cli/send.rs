//! `herald send`: one message from a wallet.

use std::{io::Read as _, time::Instant};

use anyhow::Context as _;
use clap::Args;
use herald_protocol::limits;

use super::{Failure, Options, inbox::NodeFlag, print, wallet::Key, wallet_argument::WalletArgument};

/// Sends one text message and waits until the node has it on disk.
#[derive(Args, Debug)]
pub(super) struct Send {
    /// The wallet to write to, or its name: `alice.eth`
    wallet: WalletArgument,
    /// The text; `-` reads it from stdin
    text: String,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    node: NodeFlag,
}

impl Send {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let text = if self.text == "-" {
            read_stdin()?
        } else {
            self.text
        };
        if text.trim().is_empty() {
            return Err(Failure::Usage(anyhow::anyhow!("the text is empty")).into());
        }
        let wallet = self.wallet.find(options).await?;
        let client = self.node.client(self.key.wallet()?, options).await?;
        let started = Instant::now();
        let sent = client.send(wallet, text).await?;
        let (envelope, message) = (
            const_hex::encode(sent.envelope_id()),
            sent.message_id().to_string(),
        );
        if options.json {
            print::json(&serde_json::json!({
                "envelope": envelope,
                "message": message,
                "wallet": wallet.to_string(),
                "conversation": sent.conversation().topic().as_str(),
                "sent_ns": sent.sent().as_ns().to_string(),
                "new": sent.is_new(),
            }));
        } else {
            let kind = if sent.is_new() { "new" } else { "known" };
            print::line(&format!(
                "published {}… in {} ms to {} ({kind} conversation)",
                message.get(..8).unwrap_or_default(),
                started.elapsed().as_millis(),
                print::short(wallet),
            ));
        }
        Ok(())
    }
}

/// Text from stdin, bounded by what fits in a message.
fn read_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    let bound = u64::try_from(limits::MESSAGE_BYTES)?;
    std::io::stdin()
        .take(bound + 1)
        .read_to_string(&mut text)
        .context("stdin")?;
    if text.len() > limits::MESSAGE_BYTES {
        return Err(Failure::Usage(anyhow::anyhow!(
            "the text is longer than a message, {bound} bytes"
        ))
        .into());
    }
    Ok(text)
}
