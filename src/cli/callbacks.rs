//! `herald callbacks`: what was told of deliveries where rules' `callback` says, and telling it again.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Options, deliveries, desk::Herald, print};
use crate::{
    bot::{
        print_time,
        store::{Callback, CallbackFilter, CallbackState},
    },
    console::shapes,
};

/// Lists callbacks, newest first.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Callbacks {
    #[command(subcommand)]
    action: Option<Action>,
    /// Only of this bot
    #[arg(long)]
    bot: Option<String>,
    /// Only of this rule
    #[arg(long)]
    rule: Option<String>,
    /// Only in this state: waiting, done or dead
    #[arg(long, value_parser = state)]
    state: Option<CallbackState>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u32,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Let some go out again, or all that were given up: with the id and body of the first time
    Replay(Replay),
}

/// Which callbacks.
#[derive(Args, Debug)]
struct Replay {
    /// Their ids, as `herald callbacks` lists them
    #[arg(value_name = "ID", required_unless_present = "dead")]
    ids: Vec<i64>,
    /// All that were given up
    #[arg(long, conflicts_with = "ids")]
    dead: bool,
    #[command(flatten)]
    herald: Herald,
}

fn state(word: &str) -> Result<CallbackState, String> {
    CallbackState::parse(word).ok_or_else(|| "expected waiting, done or dead".to_owned())
}

impl Callbacks {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        if let Some(Action::Replay(replay)) = self.action {
            return replay.execute(options).await;
        }
        let filter = CallbackFilter {
            bot: self.bot,
            rule: self.rule,
            state: self.state,
            limit: self.limit,
        };
        for callback in deliveries::open(options)?.callbacks(filter).await? {
            if options.json {
                print::json(&to_json(&callback));
            } else {
                print::line(&to_line(&callback));
            }
        }
        Ok(())
    }
}

impl Replay {
    async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let asked = shapes::Replay {
            callbacks: self.ids,
            dead: self.dead,
        };
        let desk = self.herald.open(options).await?;
        let answer: anyhow::Result<shapes::Replayed> =
            desk.ask(Method::POST, "callbacks/replay", Some(&asked)).await;
        desk.close().await?;
        let answer = answer?;
        if options.json {
            print::json(&answer);
        } else {
            print::line(&format!("{} to be told again", answer.replayed));
        }
        Ok(())
    }
}

fn to_json(callback: &Callback) -> Value {
    let is_waiting = callback.state == CallbackState::Waiting;
    json!({
        "callback": callback.id,
        "bot": callback.bot,
        "rule": callback.rule,
        "delivery": callback.delivery,
        "wallet": callback.wallet.to_string(),
        "event": callback.event.as_str(),
        "state": callback.state.as_str(),
        "reason": callback.reason,
        "tries": callback.tries,
        "webhook_id": callback.webhook,
        "created_at": print_time(callback.created),
        "due_at": is_waiting.then(|| print_time(callback.due)),
        "settled_at": callback.settled.map(print_time),
    })
}

fn to_line(callback: &Callback) -> String {
    let reason = callback.reason.as_deref().map(print::inline).unwrap_or_default();
    format!(
        "{:>6}  {}  {}/{}  {:<9}  of delivery {}  {:<7}  {} tries  {reason}",
        callback.id,
        print_time(callback.created),
        callback.bot,
        callback.rule,
        callback.event.as_str(),
        callback.delivery,
        callback.state.as_str(),
        callback.tries,
    )
}
