//! What is to be said of the nodes of a chain: those that are left out while others go on, and one that all wait for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::rpc;

/// How long a node must not have failed until its next failure is news again.
const QUIET: Duration = Duration::from_mins(1);
/// How long reading may stand still while a node is ahead.
const STILL: Duration = Duration::from_mins(5);
/// Reasons that are remembered at once.
const MOST: usize = 32;

/// The remarks of now, for whoever tells them.
pub(super) struct Remarks {
    seen: Mutex<Seen>,
    shown: watch::Sender<BTreeSet<String>>,
}

#[derive(Default)]
struct Seen {
    /// Why nodes were left out, and when they were last.
    left_out: BTreeMap<String, Instant>,
    still: Option<Still>,
    behind: Option<String>,
}

/// A height up to which two nodes are, since when, and the highest one of then.
struct Still {
    second: u64,
    since: Instant,
    highest: u64,
}

impl Remarks {
    pub(super) fn new() -> Self {
        Self {
            seen: Mutex::default(),
            shown: watch::Sender::default(),
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<BTreeSet<String>> {
        self.shown.subscribe()
    }

    /// A node gave no answer where another one did.
    pub(super) fn left_out(&self, error: &rpc::Error) {
        self.change(|seen| {
            let reason = format!("{error}; the others are asked");
            if seen.left_out.len() < MOST || seen.left_out.contains_key(&reason) {
                seen.left_out.insert(reason, Instant::now());
            }
        });
    }

    /// The heights of the nodes that told one, the highest first.
    pub(super) fn looked(&self, heads: &[(&str, u64)]) {
        self.change(|seen| {
            let now = Instant::now();
            seen.left_out.retain(|_, last| now.duration_since(*last) < QUIET);
            seen.stands(heads, now);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut seen);
        let remarks: BTreeSet<String> = seen.left_out.keys().chain(&seen.behind).cloned().collect();
        drop(seen);
        self.shown.send_if_modified(|shown| {
            let is_new = *shown != remarks;
            *shown = remarks;
            is_new
        });
    }
}

impl Seen {
    fn stands(&mut self, heads: &[(&str, u64)], now: Instant) {
        let [(ahead, highest), (place, second), ..] = *heads else {
            (self.still, self.behind) = (None, None);
            return;
        };
        match &self.still {
            Some(still) if still.second == second => {
                if self.behind.is_none()
                    && highest > still.highest
                    && now.duration_since(still.since) >= STILL
                {
                    self.behind = Some(format!(
                        "{place} stands at block {second} while {ahead} is at {highest}: what is later waits until two have it"
                    ));
                }
            }
            _ => {
                self.behind = None;
                self.still = Some(Still {
                    second,
                    since: now,
                    highest,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(remarks: &Remarks) -> Vec<String> {
        remarks.subscribe().borrow().iter().cloned().collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_height_that_two_nodes_share_for_five_minutes_is_told_until_it_moves() {
        let remarks = Remarks::new();
        remarks.looked(&[("a", 7), ("b", 7)]);
        tokio::time::advance(STILL).await;
        remarks.looked(&[("a", 7), ("b", 7)]);
        assert!(shown(&remarks).is_empty(), "the chain itself stands still");
        remarks.looked(&[("a", 9), ("b", 7)]);
        let told = "b stands at block 7 while a is at 9: what is later waits until two have it";
        assert_eq!(shown(&remarks), [told]);
        remarks.looked(&[("a", 10), ("b", 7)]);
        assert_eq!(shown(&remarks), [told]);
        remarks.looked(&[("a", 10), ("b", 8)]);
        assert!(shown(&remarks).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_left_out_is_news_again_after_a_minute_without_a_failure() {
        let remarks = Remarks::new();
        let error = rpc::Error::Limited {
            place: "http://a".to_owned(),
            after: None,
        };
        remarks.left_out(&error);
        let told = "http://a wants to be asked less often; the others are asked";
        assert_eq!(shown(&remarks), [told]);
        tokio::time::advance(QUIET / 2).await;
        remarks.left_out(&error);
        tokio::time::advance(QUIET / 2).await;
        remarks.looked(&[]);
        assert_eq!(shown(&remarks), [told]);
        tokio::time::advance(QUIET).await;
        remarks.looked(&[]);
        assert!(shown(&remarks).is_empty());
    }
}
