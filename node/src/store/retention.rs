//! Retention: envelopes that are older than their kind may be are deleted, a few at a time, oldest first.
//!
//! Arrivals are numbered in the order of time, so each kind needs one mark: everything up to it was looked at. A sweep costs by
//! what has arrived since the last one, never by what is stored.

use std::{sync::Arc, time::Duration};

use herald_protocol::topic::{self, TopicKind};
use tokio_util::sync::CancellationToken;

use super::{Error, Store};
use crate::{
    config::{Keep, Retention},
    host::Clock,
    metrics,
};

/// What one step of a sweep did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) deleted: usize,
    /// Whether the next step would find more.
    pub(crate) more: bool,
}

/// A kind of topics whose envelopes may be deleted, and what arrived too late for that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    /// Of one kind, as [`TopicKind::label`] has it.
    pub(crate) kind: &'static str,
    /// Arrivals before this time are to go.
    pub(crate) before_ns: i64,
}

/// What a step found to delete.
#[derive(Debug, Default)]
pub(super) struct Victims {
    pub(super) sequences: Vec<i64>,
    /// The mark before.
    after: i64,
    /// Everything up to here was looked at.
    pub(super) scanned_to: i64,
    pub(super) more: bool,
}

impl Victims {
    /// Whether there is anything to delete or to mark.
    pub(super) fn is_progress(&self) -> bool {
        self.scanned_to > self.after
    }

    /// From rows (sequence, topic, time of arrival) in their order, at most `scanned` of them, behind the mark `after`.
    pub(super) fn among<E>(
        rows: impl IntoIterator<Item = Result<(i64, String, i64), E>>,
        after: i64,
        expiry: Expiry,
    ) -> Result<Self, E> {
        let mut victims = Self {
            after,
            scanned_to: after,
            ..Self::default()
        };
        for row in rows {
            let (sequence, name, received_ns) = row?;
            if received_ns >= expiry.before_ns {
                victims.more = false;
                return Ok(victims);
            }
            victims.scanned_to = sequence;
            victims.more = true;
            if topic::kind(&name).label() == expiry.kind {
                victims.sequences.push(sequence);
            }
            if victims.sequences.len() == VICTIMS {
                return Ok(victims);
            }
        }
        Ok(victims)
    }
}

/// Sweeps once in a while until `shutdown`.
pub(crate) async fn run(store: Arc<Store>, retention: Retention, clock: Clock, shutdown: CancellationToken) {
    let bounded: Vec<(&'static str, Duration)> = KINDS
        .into_iter()
        .filter_map(|kind| match retention.of(kind) {
            Keep::Forever => None,
            Keep::For(age) => Some((kind.label(), age)),
        })
        .collect();
    let shortest = bounded
        .iter()
        .map(|(_, age)| *age / 4)
        .min()
        .unwrap_or(LONGEST_INTERVAL);
    let mut ticks = tokio::time::interval(shortest.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL));
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let sweeping = sweep(&store, &bounded, &clock);
        if let Some(Err(error)) = shutdown.run_until_cancelled(sweeping).await {
            tracing::warn!(%error, cause = std::error::Error::source(&error), "old envelopes could not be deleted");
        }
    }
}

async fn sweep(store: &Store, bounded: &[(&'static str, Duration)], clock: &Clock) -> Result<(), Error> {
    for (kind, age) in bounded {
        let before = clock
            .now()
            .as_ns()
            .saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
        let expiry = Expiry {
            kind,
            before_ns: i64::try_from(before).unwrap_or(i64::MAX),
        };
        loop {
            let swept = store.sweep(expiry).await?;
            metrics::deleted(swept.deleted);
            if !swept.more {
                break;
            }
            // Publishes come first.
            tokio::time::sleep(PAUSE).await;
        }
    }
    while store.compact().await? {
        tokio::time::sleep(PAUSE).await;
    }
    store.forget_relayed(clock.now()).await
}

/// One of each kind that is stored.
const KINDS: [TopicKind<'static>; 9] = [
    TopicKind::Contact(""),
    TopicKind::PrivateStore(""),
    TopicKind::Invite(""),
    TopicKind::Intro(""),
    TopicKind::Dm,
    TopicKind::Conversation,
    TopicKind::UserPreferences,
    TopicKind::GroupInvite,
    TopicKind::Other,
];
/// Rows looked at in one step.
pub(super) const SCANNED: i64 = 4_096;
/// Rows deleted in one step: some 10 milliseconds in which nobody publishes.
const VICTIMS: usize = 512;
const SHORTEST_INTERVAL: Duration = Duration::from_millis(250);
const LONGEST_INTERVAL: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(10);
