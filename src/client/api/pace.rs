//! Waits that a node asked for, kept by all calls of a client.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// When the next call of a class may start.
#[derive(Debug, Default)]
pub(super) struct Pace {
    open: Mutex<Option<Instant>>,
}

impl Pace {
    /// Waits until calls may start.
    pub(super) async fn ready(&self) {
        while let Some(open) = self.open().filter(|open| *open > Instant::now()) {
            // Waiters do not start at one instant.
            let rest = open.saturating_duration_since(Instant::now());
            tokio::time::sleep_until(open + super::jittered(rest.min(SPREAD) / 2)).await;
        }
    }

    /// Keeps calls from starting for this long. A longer wait that was asked for before stays.
    pub(super) fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open = Some(open.map_or(until, |open| open.max(until)));
    }

    fn open(&self) -> Option<Instant> {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waiters start within half of this at the most.
const SPREAD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_calls_keep_the_longest_wait_that_was_asked_for() {
        let pace = Pace::default();
        pace.ready().await;
        let begin = Instant::now();
        pace.hold(Duration::from_secs(30));
        pace.hold(Duration::from_secs(5));
        tokio::join!(pace.ready(), pace.ready());
        let waited = begin.elapsed();
        assert!(
            waited >= Duration::from_secs(30) && waited < Duration::from_secs(32),
            "{waited:?}"
        );
    }
}
