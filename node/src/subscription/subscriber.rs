//! The queue between the feed and one reader, and the bookkeeping that makes "behind" and "live" meet without a seam.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};

use super::{End, Interest};
use crate::{envelope::Arrival, metrics};

#[derive(Debug)]
pub(super) struct Subscriber {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug)]
struct State {
    interest: Interest,
    queue: VecDeque<Arc<Arrival>>,
    queued_bytes: usize,
    /// All wanted arrivals up to here were taken from the queue or read from the store.
    position: i64,
    /// The newest arrival that was left out of the queue. While set, the store feeds the reader, up to there at least.
    left_out: Option<i64>,
    /// Since when the reader has taken nothing although something waits.
    waiting_since: Option<Instant>,
    end: Option<End>,
}

/// What a reader finds.
pub(super) enum Next {
    Arrival(Arc<Arrival>),
    /// The queue is empty and arrivals after `position` are in the store only.
    Behind {
        position: i64,
    },
    Nothing,
    Ended(End),
}

impl Subscriber {
    pub(super) fn new(interest: Interest, head: i64) -> Self {
        let state = State {
            interest,
            queue: VecDeque::new(),
            queued_bytes: 0,
            position: head,
            left_out: None,
            waiting_since: None,
            end: None,
        };
        Self {
            state: Mutex::new(state),
            wake: Notify::new(),
        }
    }

    /// Queues the arrival, or notes that the store has to feed this reader from here on.
    pub(super) fn offer(&self, arrival: &Arc<Arrival>) {
        let mut state = self.state();
        if state.end.is_some() {
            return;
        }
        let full = state.queue.len() >= QUEUED_ARRIVALS || state.queued_bytes >= QUEUED_BYTES;
        match arrival.sequence() {
            // Already read from the store, ahead of the feed.
            Some(sequence) if sequence <= state.position => return,
            Some(sequence) if full || state.left_out.is_some() => state.left_out = Some(sequence),
            None if full || state.left_out.is_some() => {
                metrics::ephemeral_dropped();
                return;
            }
            _ => {
                state.queued_bytes += arrival.size();
                state.queue.push_back(Arc::clone(arrival));
            }
        }
        state.waiting_since.get_or_insert_with(Instant::now);
        drop(state);
        self.wake.notify_one();
    }

    pub(super) fn next(&self) -> Next {
        let mut state = self.state();
        if let Some(arrival) = state.queue.pop_front() {
            state.queued_bytes -= arrival.size();
            if let Some(sequence) = arrival.sequence() {
                state.position = sequence;
            }
            state.shrink();
            let waiting = !state.queue.is_empty() || state.left_out.is_some();
            state.waiting_since = waiting.then(Instant::now);
            return Next::Arrival(arrival);
        }
        if let Some(end) = state.end.take() {
            return Next::Ended(end);
        }
        if state.left_out.is_some() {
            return Next::Behind {
                position: state.position,
            };
        }
        state.waiting_since = None;
        Next::Nothing
    }

    /// The reader took one of the arrivals that were read from the store.
    pub(super) fn progressed(&self) {
        self.state().waiting_since = Some(Instant::now());
    }

    /// The reader holds all wanted arrivals up to `scanned_to`.
    pub(super) fn replayed(&self, scanned_to: i64) {
        let mut state = self.state();
        state.position = scanned_to;
        // What was left out is in hand; whatever comes now is newer and goes to the queue again.
        if state.left_out.is_some_and(|newest| newest <= scanned_to) {
            state.left_out = None;
        }
    }

    /// Returns when something may have changed since the last [`Self::next`].
    pub(super) async fn arrived(&self) {
        self.wake.notified().await;
    }

    pub(super) fn end(&self, end: End) {
        let mut state = self.state();
        if matches!(end, End::Stalled) {
            state.queue = VecDeque::new();
            state.queued_bytes = 0;
        }
        state.end = Some(end);
        drop(state);
        self.wake.notify_one();
    }

    pub(super) fn interest(&self) -> Interest {
        self.state().interest.clone()
    }

    pub(super) fn replace_interest(&self, interest: Interest) {
        let mut state = self.state();
        if let Interest::Topics(topics) = &interest {
            state.queue.retain(|arrival| topics.contains_key(arrival.topic()));
            state.queued_bytes = state.queue.iter().map(|arrival| arrival.size()).sum();
        }
        state.interest = interest;
    }

    /// True when the reader has taken nothing since `limit` although something waits.
    pub(super) fn waits_since(&self, limit: Instant) -> bool {
        self.state().waiting_since.is_some_and(|since| since < limit)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A burst must not leave every later idle stream with the room of a full queue.
    fn shrink(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > IDLE_CAPACITY {
            self.queue = VecDeque::new();
        }
    }
}

/// By count and by bytes, whichever is reached first; beyond, the store feeds.
const QUEUED_ARRIVALS: usize = 1_024;
const QUEUED_BYTES: usize = 4 * 1024 * 1024;
const IDLE_CAPACITY: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "t";

    fn arrival(sequence: i64) -> Arc<Arrival> {
        Arc::new(Arrival::read(sequence, TOPIC, 0, bytes::Bytes::new()))
    }

    /// A log that is committed, fed and read at three speeds that change all the time.
    fn read_all(mut seed: u64, last: i64) -> Vec<i64> {
        let mut random = move |below: i64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 1).cast_signed() % below
        };
        let subscriber = Subscriber::new(Interest::All { from: 0 }, 0);
        let (mut committed, mut fed, mut read) = (0, 0, Vec::new());
        while read.last() != Some(&last) {
            committed = last.min(committed + random(900));
            for sequence in fed + 1..=committed.min(fed + random(1_200)) {
                subscriber.offer(&arrival(sequence));
                fed = sequence;
            }
            for _ in 0..random(700) {
                match subscriber.next() {
                    Next::Arrival(arrival) => read.extend(arrival.sequence()),
                    Next::Behind { position } => {
                        // The store is often ahead of the feed.
                        let scanned_to = committed.min(position + 256);
                        read.extend(position + 1..=scanned_to);
                        subscriber.replayed(scanned_to);
                    }
                    Next::Nothing | Next::Ended(_) => break,
                }
            }
        }
        read
    }

    #[test]
    fn whatever_the_speeds_a_reader_gets_the_log_once_and_in_order() {
        for seed in 1..=12 {
            assert!(read_all(seed, 4_000).into_iter().eq(1..=4_000), "seed {seed}");
        }
    }

    #[test]
    fn a_full_queue_drops_ephemeral_arrivals_and_leaves_stored_ones_to_the_store() {
        let subscriber = Subscriber::new(Interest::All { from: 0 }, 0);
        let stored = i64::try_from(QUEUED_ARRIVALS).unwrap() + 1;
        for sequence in 1..=stored {
            subscriber.offer(&arrival(sequence));
        }
        let mut taken = 0;
        while let Next::Arrival(_) = subscriber.next() {
            taken += 1;
        }
        assert_eq!(taken, QUEUED_ARRIVALS);
        assert!(matches!(subscriber.next(), Next::Behind { position } if position == stored - 1));
        assert!(
            subscriber.state().queue.capacity() <= IDLE_CAPACITY,
            "an idle queue holds no memory"
        );
    }
}
