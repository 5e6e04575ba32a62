//! `herald preview`: what a rule would write to whom. Nothing is sent.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{
    Failure, Options,
    deliveries::RuleName,
    desk::{Herald, escaped},
    print,
    wallet_argument::WalletArgument,
};
use crate::{
    bot::rehearsal::{Preview as Answer, PreviewMessage, PreviewPart, PreviewStep},
    bot::trigger::Past,
    console::shapes::PreviewRequest,
};

/// Shows what a rule would write to whom if it fired now, and what would follow; nothing is sent
#[derive(Args, Debug)]
pub(super) struct Preview {
    /// The rule
    #[arg(value_name = "BOT/RULE")]
    rule: RuleName,
    /// Only what this wallet would get, or why it would get nothing; it may be a name: `alice.eth`
    #[arg(long = "as", value_name = "WALLET")]
    wallet: Option<WalletArgument>,
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
    /// What makes it fire, as JSON: the body of a manual rule or a webhook, else the names that the trigger gives; or what is there already: `latest`, `block:N` or `tx:HASH` of a chain, `entry:ID` of a feed or a poll
    #[arg(long, value_name = "FILE|latest|tx:HASH|block:N|entry:ID")]
    event: Option<PathBuf>,
}

impl Event {
    pub(super) fn read(&self) -> anyhow::Result<Option<Value>> {
        let Some(file) = &self.event else {
            return Ok(None);
        };
        if let Some(word) = file.to_str().filter(|word| Past::of(word).is_some()) {
            return Ok(Some(word.into()));
        }
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
            wallet: self.wallet.as_ref().map(ToString::to_string),
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
            if let Some(text) = &message.part.text {
                print::line(&format!("    {}", print::plain(text)));
            }
            for step in &message.then {
                tell_step(step);
            }
        }
        for row in &answer.broken {
            print::line(&print::inline(&format!(
                "row {} of {}: {}",
                row.row, row.source, row.reason
            )));
        }
        print::talk(&print::inline(&self.summary(&answer)));
        if !answer.messages.is_empty() {
            self.brakes(&answer).iter().for_each(|brake| print::talk(brake));
        }
        if is_aside {
            print::talk(
                "no herald runs: who can be reached, and whom the bot denied in its consent list, is not known",
            );
        }
        Ok(())
    }

    /// What would hold the messages up, whoever they are for.
    fn brakes(&self, answer: &Answer) -> Vec<String> {
        let RuleName { bot, rule } = &self.rule;
        let approve = answer
            .approve
            .then(|| format!("nothing would go out before `herald broadcast approve {bot}/{rule}`"));
        let canary = answer.canary.as_ref().map(|canary| {
            let (first, wait) = (canary.first, &canary.wait);
            format!("{first} of the wallets would get it first (canary), all others {wait} later")
        });
        approve.into_iter().chain(canary).collect()
    }

    fn summary(&self, answer: &Answer) -> String {
        if answer.repeated {
            return "the rule has fired with this key before: it would be ignored".to_owned();
        }
        if let Some(reason) = &answer.reason {
            return format!("nobody would be written to: {reason}");
        }
        if let (Some(wallet), true) = (&self.wallet, answer.messages.is_empty()) {
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

/// A follow-up: when, which messages, and what is not known of it yet.
fn tell_step(step: &PreviewStep) {
    let mut when = match &step.after {
        Some(after) => format!("    then {}, {after} after it is delivered", step.step),
        None => format!("    then {}", step.step),
    };
    match (&step.due, &step.reason) {
        (Some(due), _) => when.extend([", ", due]),
        (None, Some(reason)) => when.extend([", never: ", reason]),
        (None, None) => {}
    }
    print::line(&print::inline(&when));
    for message in &step.messages {
        print::line(&format!("        {}", follow_up(message)));
        if let Some(text) = &message.text {
            let text = print::plain(text).replace('\n', "\n        ");
            print::line(&format!("            {text}"));
        }
    }
    for unknown in &step.unknown {
        print::line(&print::inline(&format!("        not known yet: {unknown}")));
    }
}

fn follow_up(message: &PreviewPart) -> String {
    print::inline(&format!("{}{}", what(message).join(", "), standing(message)))
}

/// What a message is.
fn what(message: &PreviewPart) -> Vec<String> {
    let bytes = message.bytes.map(|bytes| format!("{bytes} bytes"));
    [message.kind.clone()].into_iter().chain(bytes).collect()
}

/// What becomes of a message that is not sent at once.
fn standing(message: &PreviewPart) -> String {
    if message.outcome == "sent" {
        return String::new();
    }
    let mut words = format!("  {}", message.outcome);
    if let Some(until) = &message.until {
        words.extend([" until ", until]);
    }
    if let Some(reason) = &message.reason {
        words.extend([": ", reason]);
    }
    words
}

/// Who, what, and what becomes of it.
fn head(message: &PreviewMessage) -> String {
    let mut words = what(&message.part);
    words.extend(message.envelopes.map(|count| match count {
        1 => "1 envelope".to_owned(),
        count => format!("{count} envelopes"),
    }));
    words.extend(message.thread.as_ref().map(|thread| format!("thread {thread}")));
    words.extend(
        message
            .canary
            .filter(|is_canary| *is_canary)
            .map(|_| "canary".to_owned()),
    );
    let standing = standing(&message.part);
    print::inline(&format!("{}  {}{standing}", message.wallet, words.join(", ")))
}
