//! Durations (`30s`, `1h`) and sizes (`8MiB`) as they stand in YAML.

use std::time::Duration;

use serde::{Deserialize as _, Deserializer, de::Error as _};

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "`{text}` is not a duration like `500ms`, `30s`, `5m`, `1h` or `7d`"
        ))
    })
}

/// More than nothing.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let units = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    scaled(text, &units)
        .filter(|milliseconds| *milliseconds > 0)
        .map(Duration::from_millis)
}

pub(super) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let text = String::deserialize(deserializer)?;
    scaled(&text, &[("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)])
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| D::Error::custom(format!("`{text}` is not a size like `512KiB` or `8MiB`")))
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find_map(|(unit, scale)| {
        text.strip_suffix(unit)?
            .trim()
            .parse::<u64>()
            .ok()?
            .checked_mul(*scale)
    })
}
