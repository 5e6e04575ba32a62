//! The clock of a test.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, Utc};
use herald_protocol::time::{Clock, TimestampNs};

/// A clock that stands still but for a nanosecond at each look, so that no two messages are of the same instant. Clones are the
/// same clock.
#[derive(Clone, Debug, Default)]
pub struct VirtualTime(Arc<AtomicU64>);

impl VirtualTime {
    /// A clock that shows this.
    pub fn at(now: DateTime<Utc>) -> Self {
        let time = Self::default();
        time.move_to(now);
        time
    }

    /// As everything takes it.
    pub fn clock(&self) -> Clock {
        let time = self.clone();
        Clock::new(move || TimestampNs::from_ns(time.0.fetch_add(1, Ordering::SeqCst)))
    }

    /// What it shows, without a look that moves it.
    pub(super) fn now(&self) -> DateTime<Utc> {
        let nanoseconds = i64::try_from(self.0.load(Ordering::SeqCst)).unwrap_or(i64::MAX);
        DateTime::from_timestamp_nanos(nanoseconds)
    }

    /// Moves on; never back.
    pub(super) fn move_to(&self, then: DateTime<Utc>) {
        let then = then
            .timestamp_nanos_opt()
            .and_then(|then| u64::try_from(then).ok());
        self.0.fetch_max(then.unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}
