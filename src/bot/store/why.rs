//! What there is to say of a wallet and a rule: the last message, or why there is none.

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Delivery, Filter, State, Store, delivery, time};
use crate::bot::print_time;

/// What the store knows of a wallet and a rule.
#[derive(Clone, Debug)]
pub struct Why {
    /// The newest message of the rule to the wallet.
    pub delivery: Option<Delivery>,
    /// The newest occurrence of the rule, whoever it wrote to.
    pub fired: Option<Fired>,
    /// How many occurrences of the rule there are.
    pub occurrences: u64,
    /// When the wallet said a leave word, unless it joined again.
    pub left: Option<DateTime<Utc>>,
    /// The lists the wallet is on, and since when.
    pub lists: Vec<(String, DateTime<Utc>)>,
}

/// How a rule fired last.
#[derive(Clone, Debug)]
pub struct Fired {
    /// When.
    pub at: DateTime<Utc>,
    /// `planning`, `planned`, `skipped` or `rejected`.
    pub state: String,
    /// Why it wrote to nobody.
    pub reason: Option<String>,
}

impl Store {
    /// Why a wallet got what it got of a rule, or nothing.
    pub async fn why(&self, bot: &str, rule: &str, wallet: Address) -> Result<Why, super::Error> {
        let (bot, rule) = (bot.to_owned(), rule.to_owned());
        self.read(move |connection| why(connection, bot, rule, wallet))
            .await
    }
}

fn why(connection: &Connection, bot: String, rule: String, wallet: Address) -> Result<Why, rusqlite::Error> {
    let fired = connection
        .prepare_cached(
            "SELECT at_ms, state, reason FROM occurrence WHERE bot = ?1 AND rule = ?2 ORDER BY id DESC LIMIT 1",
        )?
        .query_row([&bot, &rule], |row| {
            Ok(Fired {
                at: time(row.get(0)?),
                state: row.get(1)?,
                reason: row.get(2)?,
            })
        })
        .optional()?;
    let occurrences: i64 = connection
        .prepare_cached("SELECT count(*) FROM occurrence WHERE bot = ?1 AND rule = ?2")?
        .query_row([&bot, &rule], |row| row.get(0))?;
    let left = connection
        .prepare_cached("SELECT left_ms FROM departure WHERE bot = ?1 AND wallet = ?2")?
        .query_row(params![bot, wallet.to_string()], |row| row.get(0))
        .optional()?;
    let lists = connection
        .prepare_cached("SELECT list, joined_ms FROM member WHERE bot = ?1 AND wallet = ?2 ORDER BY list")?
        .query_map(params![bot, wallet.to_string()], |row| {
            Ok((row.get(0)?, time(row.get(1)?)))
        })?
        .collect::<Result<_, _>>()?;
    let filter = Filter {
        bot: Some(bot),
        rule: Some(rule),
        wallet: Some(wallet),
        limit: 1,
        ..Filter::default()
    };
    Ok(Why {
        delivery: delivery::list(connection, &filter)?.pop(),
        fired,
        occurrences: occurrences.unsigned_abs(),
        left: left.map(time),
        lists,
    })
}

impl Why {
    /// The answer, in one sentence.
    pub fn sentence(&self) -> String {
        match (&self.delivery, &self.fired) {
            (Some(delivery), _) => of_delivery(delivery),
            (None, None) => "no message: the rule has never fired".to_owned(),
            (None, Some(fired)) => self.of_absence(fired),
        }
    }

    fn of_absence(&self, fired: &Fired) -> String {
        let at = print_time(fired.at);
        match (fired.state.as_str(), &fired.reason) {
            ("planning", _) => {
                return format!("no message yet: the rule fired at {at} and its audience is being resolved");
            }
            ("skipped" | "rejected", Some(reason)) => {
                return format!("no message: the rule fired at {at} and wrote to nobody because {reason}");
            }
            _ => {}
        }
        let times = match self.occurrences {
            1 => format!("when the rule fired, at {at}"),
            times => format!("at any of the {times} times the rule fired, last at {at}"),
        };
        let why = match (&self.left, self.lists.as_slice()) {
            (Some(left), _) => format!("; it left the bot at {}", print_time(*left)),
            (None, []) => "; it is on no list of the bot".to_owned(),
            (None, lists) => {
                let lists: Vec<String> = lists
                    .iter()
                    .map(|(list, joined)| format!("`{list}` since {}", print_time(*joined)))
                    .collect();
                format!("; it is on {}", lists.join(" and "))
            }
        };
        format!("no message: the wallet was not in the audience {times}{why}")
    }
}

fn of_delivery(delivery: &Delivery) -> String {
    let because = match &delivery.reason {
        Some(reason) => format!(" because {reason}"),
        None => String::new(),
    };
    let ended = delivery.settled.map(print_time).unwrap_or_default();
    let said = match delivery.state {
        State::Planned => format!("planned at {}, and looked at next", print_time(delivery.created)),
        State::Held => {
            let until = delivery.until.unwrap_or(delivery.due);
            format!("held until {}{because}", print_time(until))
        }
        State::Sealed => match delivery.tries {
            0 => "sealed, and on its way".to_owned(),
            tries => format!("sealed, and tried {tries} times without an answer{because}"),
        },
        State::Delivered => format!("delivered at {ended}"),
        State::Rejected => format!("rejected at {ended}{because}"),
        State::Expired => format!("expired at {ended}{because}"),
        State::Skipped => format!("skipped at {ended}{because}"),
    };
    format!("{said} (delivery {}, key `{}`)", delivery.id, delivery.key)
}
