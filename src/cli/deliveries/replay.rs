//! `herald deliveries replay`: dead deliveries are tried again, by the running herald or by the next one.

use clap::Args;
use reqwest::Method;

use crate::{
    cli::{Options, desk, print},
    console::shapes::{Dead, ReplayedDeliveries},
};

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(super) struct Replay {
    /// The delivery's id
    #[arg(value_name = "ID", group = "which")]
    id: Option<i64>,
    /// Everything that was rejected or has expired
    #[arg(long, group = "which")]
    dead: bool,
    /// Of --dead only this bot's
    #[arg(long, requires = "dead")]
    bot: Option<String>,
    /// Of --dead only this rule's
    #[arg(long, requires = "dead")]
    rule: Option<String>,
    #[command(flatten)]
    herald: desk::Herald,
}

impl Replay {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let desk = self.herald.open(options).await?;
        let dead = Dead {
            id: self.id,
            bot: self.bot,
            rule: self.rule,
        };
        let replayed: anyhow::Result<ReplayedDeliveries> =
            desk.ask(Method::POST, "deliveries/replay", Some(&dead)).await;
        let when = if desk.is_aside() {
            "when herald runs"
        } else {
            "now"
        };
        desk.close().await?;
        let replayed = replayed?;
        if let (Some(id), []) = (self.id, replayed.replayed.as_slice()) {
            anyhow::bail!("delivery {id} was neither rejected nor has it expired");
        }
        if options.json {
            print::json(&replayed);
            return Ok(());
        }
        let noun = match replayed.replayed.len() {
            1 => "delivery is",
            _ => "deliveries are",
        };
        print::line(&format!("{} {noun} tried again {when}", replayed.replayed.len()));
        Ok(())
    }
}
