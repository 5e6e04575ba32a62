//! `herald broadcast`: big sends and their brakes, of a running herald or in its store.

mod plan;

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Failure, Options,
    desk::{Desk, Herald, NOTHING, escaped},
    print,
};

/// Starts, approves, pauses, resumes, cancels and shows the broadcasts of a rule.
#[derive(Debug, Subcommand)]
pub(super) enum Broadcast {
    /// Show who could be reached, and what it would take; nothing is sent
    Plan(plan::Plan),
    /// Fire a `manual` rule
    Start(Start),
    /// Let what awaits approval go
    Approve(Place),
    /// Stop what is under way; it keeps its place
    Pause(Place),
    /// Go on with what was paused
    Resume(Place),
    /// End what is not done
    Cancel(Place),
    /// Show how far the newest broadcasts are
    Status(Status),
}

/// Which rule.
#[derive(Args, Debug)]
pub(super) struct Place {
    /// The bot and its rule
    #[arg(value_name = "BOT/RULE", value_parser = place)]
    place: (String, String),
    #[command(flatten)]
    herald: Herald,
}

/// A rule to fire.
#[derive(Args, Debug)]
pub(super) struct Start {
    #[command(flatten)]
    place: Place,
    /// What the rule sees as `body`: JSON
    #[arg(long, value_name = "JSON", value_parser = json_of)]
    body: Option<Value>,
}

/// What to show.
#[derive(Args, Debug)]
pub(super) struct Status {
    #[command(flatten)]
    place: Place,
    /// Show the newest until nothing of it is left, or it waits for somebody
    #[arg(long)]
    follow: bool,
}

fn place(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((bot, rule)) if !bot.is_empty() && !rule.is_empty() && !rule.contains('/') => {
            Ok((bot.to_owned(), rule.to_owned()))
        }
        _ => Err("expected `BOT/RULE`, such as `aurora-drops/aurora-ii`".to_owned()),
    }
}

fn json_of(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("expected JSON: {error}"))
}

impl Broadcast {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        match self {
            Self::Plan(plan) => plan.execute(options).await,
            Self::Start(start) => start.execute(options).await,
            Self::Approve(place) => place.act("approve", "approved", options).await,
            Self::Pause(place) => place.act("pause", "paused", options).await,
            Self::Resume(place) => place.act("resume", "resumed", options).await,
            Self::Cancel(place) => place.act("cancel", "cancelled", options).await,
            Self::Status(status) => status.execute(options).await,
        }
    }
}

impl Place {
    async fn act(&self, action: &str, done: &str, options: &Options) -> anyhow::Result<()> {
        let (bot, rule) = &self.place;
        let path = format!("broadcasts/{}/{}/{action}", escaped(bot), escaped(rule));
        let desk = self.herald.open(options).await?;
        let answer: anyhow::Result<Value> = desk.ask(Method::POST, &path, NOTHING).await;
        desk.close().await?;
        let answer = answer?;
        if options.json {
            print::json(&answer);
            return Ok(());
        }
        for id in answer["broadcasts"].as_array().into_iter().flatten() {
            let id = id.as_str().unwrap_or_default();
            print::line(&format!("{done} {bot}/{rule} {}", print::inline(id)));
        }
        Ok(())
    }
}

impl Start {
    async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let (bot, rule) = &self.place.place;
        let path = format!("bots/{}/rules/{}", escaped(bot), escaped(rule));
        let desk = self.place.herald.open(options).await?;
        let answer: anyhow::Result<Value> = desk.ask(Method::POST, &path, self.body.as_ref()).await;
        desk.close().await?;
        let answer = answer?;
        if options.json {
            print::json(&answer);
        } else {
            let id = answer["occurrence"].as_str().unwrap_or_default();
            print::line(&format!("started {bot}/{rule} {}", print::inline(id)));
            print::talk(&format!("next: herald broadcast status {bot}/{rule}"));
        }
        Ok(())
    }
}

/// How often a followed broadcast is looked at.
const LOOK: Duration = Duration::from_millis(500);

impl Status {
    async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let desk = self.place.herald.open(options).await?;
        let shown = self.show(&desk, options).await;
        desk.close().await?;
        shown
    }

    async fn show(&self, desk: &Desk, options: &Options) -> anyhow::Result<()> {
        let (bot, rule) = &self.place.place;
        let path = format!("broadcasts/{}/{}", escaped(bot), escaped(rule));
        let mut line = Line::default();
        loop {
            let broadcasts: Vec<Value> = desk.ask(Method::GET, &path, NOTHING).await?;
            let Some(newest) = broadcasts.first() else {
                let reason = format!("`{bot}/{rule}` has not been broadcast yet");
                return Err(Failure::Usage(anyhow::anyhow!(reason)).into());
            };
            if !self.follow {
                for broadcast in &broadcasts {
                    if options.json {
                        print::json(broadcast);
                    } else {
                        print::line(&sentence(broadcast));
                    }
                }
                return Ok(());
            }
            line.show(newest, options);
            if is_done(newest) {
                line.end();
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn count(broadcast: &Value, name: &str) -> u64 {
    broadcast[name].as_u64().unwrap_or_default()
}

/// Whether nothing more happens by itself.
fn is_done(broadcast: &Value) -> bool {
    let waits = ["approval", "paused"]
        .iter()
        .any(|gate| broadcast["gate"] == *gate);
    let open = count(broadcast, "left") + count(broadcast, "held");
    broadcast["complete"] == json!(true) && (open == 0 || waits)
}

/// One line: where it stands, its counts, which add up to `planned`, and why it was closed.
fn sentence(broadcast: &Value) -> String {
    let gate = match broadcast["gate"].as_str().unwrap_or_default() {
        "approval" => "awaits approval",
        "open" if is_done(broadcast) => "done",
        "open" => "under way",
        other => other,
    };
    let counts: Vec<String> = ["delivered", "rejected", "expired", "skipped", "held", "left"]
        .iter()
        .map(|name| (count(broadcast, name), name))
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let planned = count(broadcast, "planned");
    let more = if broadcast["complete"] == json!(true) {
        ""
    } else {
        " so far"
    };
    let id = print::inline(broadcast["occurrence"].as_str().unwrap_or_default());
    let reason = broadcast["reason"]
        .as_str()
        .map(|reason| format!(" ({})", print::inline(reason)))
        .unwrap_or_default();
    let counts = if counts.is_empty() {
        String::new()
    } else {
        format!(": {}", counts.join(", "))
    };
    format!("{gate}{reason}, {planned} planned{more}{counts}  {id}")
}

/// A line that is written over on a terminal, and told anew where it changes elsewhere.
#[derive(Default)]
struct Line {
    last: String,
}

impl Line {
    fn show(&mut self, broadcast: &Value, options: &Options) {
        let text = if options.json {
            broadcast.to_string()
        } else {
            sentence(broadcast)
        };
        if text == self.last {
            return;
        }
        if options.json || !std::io::stdout().is_terminal() {
            print::line(&text);
        } else {
            let planned = count(broadcast, "planned");
            let open = count(broadcast, "left") + count(broadcast, "held");
            write_over(&text, (planned.saturating_sub(open), planned));
        }
        self.last = text;
    }

    /// Shows how far something is, on a terminal only.
    fn progress(&mut self, text: &str, done: (u64, u64)) {
        if std::io::stdout().is_terminal() {
            write_over(text, done);
            text.clone_into(&mut self.last);
        }
    }

    /// Leaves the line on the terminal.
    fn end(self) {
        if std::io::stdout().is_terminal() && !self.last.is_empty() {
            print::line("");
        }
    }
}

/// Shows a line in the place of the last.
fn write_over(text: &str, (done, all): (u64, u64)) {
    let mut stdout = std::io::stdout().lock();
    // Nobody reading is no reason to stop.
    let _ = write!(stdout, "\r\x1b[2K{} {text}", bar(done, all)).and_then(|()| stdout.flush());
}

/// A bar of twenty: what is done of all.
fn bar(done: u64, all: u64) -> String {
    const WIDTH: u64 = 20;
    let full = (done * WIDTH) / all.max(1);
    (0..WIDTH)
        .map(|step| if step < full { '█' } else { '░' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(gate: &str, left: u32) -> Value {
        json!({
            "occurrence": "o1", "gate": gate, "reason": null, "complete": true, "planned": 10,
            "delivered": 7 - left, "rejected": 1, "expired": 0, "skipped": 2, "held": 0, "left": left,
        })
    }

    #[test]
    fn a_status_is_a_sentence_whose_counts_add_up() {
        assert_eq!(
            sentence(&status("open", 3)),
            "under way, 10 planned: 4 delivered, 1 rejected, 2 skipped, 3 left  o1"
        );
        assert_eq!(
            sentence(&status("open", 0)),
            "done, 10 planned: 7 delivered, 1 rejected, 2 skipped  o1"
        );
        assert!(!is_done(&status("open", 1)) && is_done(&status("paused", 1)) && is_done(&status("open", 0)));
        assert_eq!(bar(5, 10), "██████████░░░░░░░░░░");
        assert_eq!((bar(10, 10), bar(0, 0)), ("█".repeat(20), "░".repeat(20)));
    }
}
