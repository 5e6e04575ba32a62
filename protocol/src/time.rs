//! Points in time, and the shape of what tells them. Nothing here reads the machine's clock.

use std::{fmt, sync::Arc, time::Duration};

/// Nanoseconds since the Unix epoch, as envelopes and headers carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimestampNs(u64);

const NS_PER_MS: u64 = 1_000_000;

impl TimestampNs {
    /// This many nanoseconds since the epoch.
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// This many milliseconds since the epoch; nothing if that is beyond the year 2554.
    pub const fn from_ms(ms: u64) -> Option<Self> {
        match ms.checked_mul(NS_PER_MS) {
            Some(ns) => Some(Self(ns)),
            None => None,
        }
    }

    /// Nanoseconds since the epoch.
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the epoch.
    pub const fn as_ms(self) -> u64 {
        self.0 / NS_PER_MS
    }

    /// Whole seconds since the epoch.
    pub const fn as_seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// This time and a duration later; nothing beyond the year 2554.
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let ns = u64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_add(ns).map(Self)
    }

    /// This time less a duration; the epoch if that is before it.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero if it is not.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for TimestampNs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Tells the time: the machine's clock, or one that a test moves. Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> TimestampNs + Send + Sync>);

impl Clock {
    /// A clock that calls this each time it is read.
    pub fn new(read: impl Fn() -> TimestampNs + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The time it shows.
    pub fn now(&self) -> TimestampNs {
        (self.0)()
    }
}

impl<F: Fn() -> TimestampNs + Send + Sync + 'static> From<F> for Clock {
    fn from(read: F) -> Self {
        Self::new(read)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Clock").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_made_from_whatever_tells_the_time() {
        fn fixed() -> TimestampNs {
            TimestampNs::from_ns(7)
        }
        let moved = TimestampNs::from_ns(8);
        let clocks = [Clock::from(fixed), Clock::new(move || moved)];
        let clones = clocks.clone().map(|clock| clock.now().as_ns());
        assert_eq!(clones, [7, 8]);
    }

    #[test]
    fn milliseconds_survive_and_overflow_is_told() {
        assert_eq!(
            TimestampNs::from_ms(1_686_830_400_001).map(TimestampNs::as_ms),
            Some(1_686_830_400_001)
        );
        assert_eq!(TimestampNs::from_ms(u64::MAX / NS_PER_MS + 1), None);
        assert_eq!(
            TimestampNs::from_ns(u64::MAX).checked_add(Duration::from_nanos(1)),
            None
        );
    }
}
