//! The wall clock, the only place that reads it; everything else takes the time as an argument.

use herald_protocol::time::TimestampNs;

/// The current time. Before 1970 (a clock never set) it is zero.
pub fn now() -> TimestampNs {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    let elapsed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    TimestampNs::from_ns(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}
