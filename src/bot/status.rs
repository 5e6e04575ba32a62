//! How a running bot stands: what waits, since when, and what its clocks do next.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    event::print_time,
    running::Running,
    store::{self, State},
    trigger,
};

/// One bot of a running herald.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BotStatus")]
pub struct Status {
    /// Its name.
    pub bot: String,
    /// Its wallet.
    pub wallet: String,
    /// How many rules it has.
    pub rules: usize,
    /// Those that are paused.
    pub paused: Vec<String>,
    /// Messages that wait, by what they wait for.
    pub queue: Queue,
    /// When its timed rules fire next, soonest first.
    pub next: Vec<Tick>,
}

/// Messages that have not ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Queue {
    /// To be looked at next.
    pub planned: u64,
    /// Waiting for a reason that `herald deliveries` names.
    pub held: u64,
    /// On their way.
    pub sealed: u64,
    /// When the oldest of them that is not held was planned.
    pub oldest: Option<String>,
}

/// A rule that will fire by itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Tick {
    /// The rule.
    pub rule: String,
    /// When.
    pub at: String,
}

/// How a bot stands now.
pub(crate) async fn status(running: &Running) -> Result<Status, store::Error> {
    let mut queue = Queue::default();
    let mut oldest: Option<DateTime<Utc>> = None;
    for waiting in running.store.waiting(&running.bot.name).await? {
        let count = match waiting.state {
            State::Held => &mut queue.held,
            State::Sealed => &mut queue.sealed,
            _ => &mut queue.planned,
        };
        *count += waiting.count;
        if waiting.state != State::Held {
            oldest = [oldest, Some(waiting.oldest)].into_iter().flatten().min();
        }
    }
    queue.oldest = oldest.map(print_time);
    let mut next = trigger::next_ticks(running).await?;
    next.sort_by_key(|(_, at)| *at);
    let paused = running.bot.rules.values().filter(|rule| rule.paused);
    Ok(Status {
        bot: running.bot.name.clone(),
        wallet: running.address.to_string(),
        rules: running.bot.rules.len(),
        paused: paused.map(|rule| rule.name.clone()).collect(),
        queue,
        next: next
            .into_iter()
            .map(|(rule, at)| Tick {
                rule,
                at: print_time(at),
            })
            .collect(),
    })
}
