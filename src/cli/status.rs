//! `herald status`: how the bots of a running herald stand.

use clap::Args;
use reqwest::Method;

use super::{Options, desk, print};
use crate::{bot::status::Status as BotStatus, console::shapes::Status as Answer};

/// Asks a running herald how its bots stand
#[derive(Args, Debug)]
pub(super) struct Status {
    #[command(flatten)]
    herald: desk::Herald,
}

impl Status {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let desk = self.herald.running(options)?;
        let status: Answer = desk.ask(Method::GET, "status", desk::NOTHING).await?;
        if options.json {
            print::json(&status);
            return Ok(());
        }
        let version = print::inline(&status.version);
        print::line(&format!("herald {version} at {}", desk.url()));
        for bot in &status.bots {
            print::line(&print::inline(&line(bot)));
        }
        Ok(())
    }
}

/// One bot in a line.
fn line(bot: &BotStatus) -> String {
    let queue = &bot.queue;
    let mut line = format!(
        "{}  {}  {} {}  {} planned, {} held, {} sealed",
        bot.bot,
        bot.wallet,
        bot.rules,
        if bot.rules == 1 { "rule" } else { "rules" },
        queue.planned,
        queue.held,
        queue.sealed,
    );
    if let Some(oldest) = &queue.oldest {
        line.extend(["  oldest since ", oldest]);
    }
    for tick in bot.next.iter().take(SHOWN) {
        line.extend(["  ", &tick.rule, " at ", &tick.at]);
    }
    if !bot.paused.is_empty() {
        line.extend(["  paused: ", &bot.paused.join(", ")]);
    }
    line
}

/// Rules whose next instants a line shows; `--json` has all of them.
const SHOWN: usize = 3;
