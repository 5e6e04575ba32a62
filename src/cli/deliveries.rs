//! `herald deliveries`: the log of what was sent to whom.

mod replay;

use std::{path::PathBuf, str::FromStr};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Failure, Options, print, project, wallet_argument::WalletArgument};
use crate::bot::{
    print_time,
    store::{Broken, Delivery, Filter, State, Store},
};
use crate::console::shapes::DeliveryShape;

/// Lists deliveries, newest first, or tells more of one
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Deliveries {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show all that is known of one delivery
    Show(Show),
    /// Say in one sentence why a wallet got a rule's message, or did not
    Why(AskWhy),
    /// Try again what was rejected or has expired; what was delivered is never sent twice
    Replay(replay::Replay),
}

/// Which deliveries are listed.
#[derive(Args, Debug)]
struct List {
    /// Only of this bot
    #[arg(long)]
    bot: Option<String>,
    /// Only of this rule
    #[arg(long)]
    rule: Option<String>,
    /// Only to this wallet, or to who has this name
    #[arg(long)]
    wallet: Option<WalletArgument>,
    /// Only in this state: planned, held, sealed, delivered, rejected, expired or skipped
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// Only those planned at this RFC 3339 time or later
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<DateTime<Utc>>,
    /// The rows of audiences that could not be read, instead of deliveries
    #[arg(long, conflicts_with_all = ["wallet", "state"])]
    broken: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u32,
}

#[derive(Args, Debug)]
struct Show {
    /// The delivery's id, as the list and events have it
    #[arg(value_name = "ID")]
    id: i64,
}

#[derive(Args, Debug)]
struct AskWhy {
    /// The wallet, or its name
    #[arg(value_name = "WALLET")]
    wallet: WalletArgument,
    /// The rule
    #[arg(value_name = "BOT/RULE")]
    rule: RuleName,
}

/// `BOT/RULE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleName {
    pub(super) bot: String,
    pub(super) rule: String,
}

impl FromStr for RuleName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((bot, rule)) if !bot.is_empty() && !rule.is_empty() => Ok(Self {
                bot: bot.to_owned(),
                rule: rule.to_owned(),
            }),
            _ => Err("expected BOT/RULE".to_owned()),
        }
    }
}

fn state(word: &str) -> Result<State, String> {
    let states = "planned, held, sealed, delivered, rejected, expired or skipped";
    State::parse(word).ok_or_else(|| format!("expected {states}"))
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .map_err(|_| "expected a time like 2026-11-20T09:00:00Z".to_owned())
}

impl Deliveries {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        match self.action {
            None => self.list.execute(options).await,
            Some(Action::Show(show)) => show.execute(options).await,
            Some(Action::Why(why)) => why.execute(options).await,
            Some(Action::Replay(replay)) => replay.execute(options).await,
        }
    }
}

/// The file of the store that a herald has made.
pub(super) fn store_file(options: &Options) -> anyhow::Result<PathBuf> {
    let path = options.store(&project::load(options, &project::here())?);
    if path.is_file() {
        return Ok(path);
    }
    let reason = format!(
        "there is no store at {}; --data names the folder of the herald that ran, --project its project",
        path.display()
    );
    Err(Failure::Usage(anyhow::anyhow!(reason)).into())
}

/// Opens the store to look at it, beside a running herald or not.
pub(super) fn open(options: &Options) -> anyhow::Result<Store> {
    Ok(Store::open_to_read(&store_file(options)?)?)
}

impl List {
    async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let wallet = match self.wallet {
            Some(wallet) => Some(wallet.find(options).await?),
            None => None,
        };
        let filter = Filter {
            bot: self.bot,
            rule: self.rule,
            wallet,
            state: self.state,
            since: self.since,
            limit: self.limit,
            id: None,
        };
        let store = open(options)?;
        if self.broken {
            for broken in store.all_broken(filter).await? {
                if options.json {
                    print::json(&broken_to_json(&broken));
                } else {
                    print::line(&broken_to_line(&broken));
                }
            }
            return Ok(());
        }
        for row in store.deliveries(filter).await? {
            if options.json {
                print::json(&DeliveryShape::from(&row));
            } else {
                print::line(&to_line(&row));
            }
        }
        Ok(())
    }
}

impl Show {
    async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let filter = Filter {
            id: Some(self.id),
            limit: 1,
            ..Filter::default()
        };
        let rows = open(options)?.deliveries(filter).await?;
        let row = rows
            .first()
            .ok_or_else(|| anyhow::anyhow!("there is no delivery {}", self.id))?;
        let mut json = serde_json::to_value(DeliveryShape::from(row))?;
        json["step"] = row.part.step().into();
        json["part"] = row.part.number().into();
        json["due_at"] = row.settled.is_none().then(|| print_time(row.due)).into();
        json["expires_at"] = print_time(row.expires).into();
        json["tried_at"] = row.tried.map(print_time).into();
        json["sealed_at"] = row.sealed.as_ref().map(|sealed| print_time(sealed.sealed)).into();
        if options.json {
            print::json(&json);
            return Ok(());
        }
        for (name, value) in json.as_object().into_iter().flatten() {
            match value {
                Value::Null => {}
                Value::String(text) => print::line(&format!("{name:<10}  {}", print::inline(text))),
                other => print::line(&format!("{name:<10}  {other}")),
            }
        }
        Ok(())
    }
}

impl AskWhy {
    async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let store = open(options)?;
        let wallet = self.wallet.find(options).await?;
        let why = store.why(&self.rule.bot, &self.rule.rule, wallet).await?;
        if options.json {
            print::json(&serde_json::json!({
                "wallet": wallet.to_string(),
                "bot": self.rule.bot,
                "rule": self.rule.rule,
                "answer": why.sentence(),
                "delivery": why.delivery.as_ref().map(DeliveryShape::from),
            }));
        } else {
            print::line(&print::inline(&why.sentence()));
        }
        Ok(())
    }
}

fn to_line(row: &Delivery) -> String {
    let envelope = row
        .sealed
        .as_ref()
        .map(|sealed| const_hex::encode(sealed.envelope));
    let until = row.until.map(|until| format!(" until {}", print_time(until)));
    format!(
        "{:>6}  {}  {}  {}/{}  {:<9}  {}{}",
        row.id,
        print_time(row.created),
        row.wallet,
        row.bot,
        row.rule,
        row.state.as_str(),
        row.reason.clone().or(envelope).unwrap_or_default(),
        until.unwrap_or_default(),
    )
}

fn broken_to_json(broken: &Broken) -> Value {
    serde_json::json!({
        "bot": broken.bot,
        "rule": broken.rule,
        "key": broken.key,
        "at": print_time(broken.at),
        "source": broken.row.source,
        "row": broken.row.number,
        "reason": broken.row.reason,
    })
}

fn broken_to_line(broken: &Broken) -> String {
    let Broken {
        bot, rule, at, row, ..
    } = broken;
    format!(
        "{}  {bot}/{rule}  {} row {}: {}",
        print_time(*at),
        row.source,
        row.number,
        row.reason
    )
}
