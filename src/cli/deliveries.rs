//! `herald deliveries`: the log of what was sent to whom.

use chrono::{DateTime, Utc};
use clap::Args;
use herald_protocol::address::Address;

use super::{Failure, Options, print, project};
use crate::bot::{
    print_time,
    store::{Broken, Delivery, Filter, State, Store},
};
use crate::console::shapes::DeliveryShape;

/// Lists deliveries, newest first.
#[derive(Args, Debug)]
pub(super) struct Deliveries {
    /// Only of this bot
    #[arg(long)]
    bot: Option<String>,
    /// Only of this rule
    #[arg(long)]
    rule: Option<String>,
    /// Only to this wallet
    #[arg(long)]
    wallet: Option<Address>,
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
        let store = open(options)?;
        let filter = Filter {
            bot: self.bot,
            rule: self.rule,
            wallet: self.wallet,
            state: self.state,
            since: self.since,
            limit: self.limit,
        };
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

/// Opens the store to look at it, beside a running herald or not.
pub(super) fn open(options: &Options) -> anyhow::Result<Store> {
    let path = options.store(&project::load(options, &project::here())?);
    if !path.is_file() {
        let reason = format!(
            "there is no store at {}; --data names the folder of the herald that ran, --project its project",
            path.display()
        );
        return Err(Failure::Usage(anyhow::anyhow!(reason)).into());
    }
    Ok(Store::open_to_read(&path)?)
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

fn broken_to_json(broken: &Broken) -> serde_json::Value {
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
