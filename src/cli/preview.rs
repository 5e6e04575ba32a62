//! `herald preview`: what a rule would write to whom. Nothing is sent.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use herald_protocol::address::Address;
use reqwest::Method;
use serde_json::Value;

use super::{
    Failure, Options,
    deliveries::RuleName,
    desk::{Herald, escaped},
    print,
};
use crate::{
    bot::rehearsal::{Preview as Answer, PreviewMessage},
    console::shapes::PreviewRequest,
};

/// Shows what a rule would write to whom if it fired now; nothing is sent
#[derive(Args, Debug)]
pub(super) struct Preview {
    /// The rule
    #[arg(value_name = "BOT/RULE")]
    rule: RuleName,
    /// Only what this wallet would get, or why it would get nothing
    #[arg(long = "as", value_name = "WALLET")]
    wallet: Option<Address>,
    #[command(flatten)]
    event: Event,
    /// At most so many messages
    #[arg(short = 'n', long, value_name = "N", default_value_t = 5)]
    limit: u32,
    #[command(flatten)]
    herald: Herald,
}

/// What makes the rule fire.
#[derive(Args, Debug)]
pub(super) struct Event {
    /// What makes it fire, as JSON: the body of a manual rule or a webhook, else the names that the trigger gives
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
}

impl Event {
    pub(super) fn read(&self) -> anyhow::Result<Option<Value>> {
        let Some(file) = &self.event else {
            return Ok(None);
        };
        let read = || -> anyhow::Result<Value> {
            let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", file.display()))
        };
        read().map(Some).map_err(|error| Failure::Usage(error).into())
    }
}

impl Preview {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let asked = PreviewRequest {
            event: self.event.read()?,
            wallet: self.wallet.map(|wallet| wallet.to_string()),
            limit: Some(self.limit),
        };
        let RuleName { bot, rule } = &self.rule;
        let path = format!("bots/{}/rules/{}/preview", escaped(bot), escaped(rule));
        let desk = self.herald.open(options).await?;
        let is_aside = desk.is_aside();
        let answer: anyhow::Result<Answer> = desk.ask(Method::POST, &path, Some(&asked)).await;
        desk.close().await?;
        let answer = answer?;
        if options.json {
            print::json(&answer);
            return Ok(());
        }
        for message in &answer.messages {
            print::line(&head(message));
            if let Some(text) = &message.text {
                print::line(&format!("    {}", print::plain(text)));
            }
        }
        for row in &answer.broken {
            print::line(&print::inline(&format!(
                "row {} of {}: {}",
                row.row, row.source, row.reason
            )));
        }
        print::talk(&print::inline(&self.summary(&answer)));
        if is_aside {
            print::talk(
                "no herald runs: who can be reached, and whom the bot denied in its consent list, is not known",
            );
        }
        Ok(())
    }

    fn summary(&self, answer: &Answer) -> String {
        if answer.repeated {
            return "the rule has fired with this key before: it would be ignored".to_owned();
        }
        if let Some(reason) = &answer.reason {
            return format!("nobody would be written to: {reason}");
        }
        if let (Some(wallet), true) = (self.wallet, answer.messages.is_empty()) {
            return format!(
                "{wallet} is not among the {} wallets of the audience",
                answer.wallets
            );
        }
        let shown = answer.messages.len();
        let noun = if answer.wallets == 1 { "wallet" } else { "wallets" };
        format!(
            "{} {noun} in the audience, {shown} of its messages shown; nothing was sent",
            answer.wallets
        )
    }
}

/// Who, what, and what becomes of it.
fn head(message: &PreviewMessage) -> String {
    let mut words = vec![message.kind.clone()];
    words.extend(message.bytes.map(|bytes| format!("{bytes} bytes")));
    words.extend(message.envelopes.map(|count| match count {
        1 => "1 envelope".to_owned(),
        count => format!("{count} envelopes"),
    }));
    words.extend(message.thread.as_ref().map(|thread| format!("thread {thread}")));
    let mut line = format!("{}  {}", message.wallet, words.join(", "));
    if message.outcome != "sent" {
        line.extend(["  ", &message.outcome]);
        if let Some(until) = &message.until {
            line.extend([" until ", until]);
        }
        if let Some(reason) = &message.reason {
            line.extend([": ", reason]);
        }
    }
    print::inline(&line)
}
