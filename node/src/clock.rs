//! The wall clock: the only place that reads it. Everything else takes the time as an argument.

use std::time::SystemTime;

use herald_protocol::time::TimestampNs;

/// Now, or the epoch on a machine whose clock stands before it.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn wall() -> TimestampNs {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    TimestampNs::from_ns(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}
