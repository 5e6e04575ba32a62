//! Durations (`30s`, `1h`), sizes (`8MiB`) and networks (`10.0.0.0/8`) as they stand in YAML.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize as _, Deserializer, de::Error as _};

use super::problem::quote;

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "found {}, wanted a duration like `500ms`, `30s`, `5m`, `1h` or `7d`",
            quote(&text)
        ))
    })
}

pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    scaled(text, &TIMES).map(Duration::from_millis)
}

pub(super) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let text = String::deserialize(deserializer)?;
    scaled(&text, &SIZES)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| {
            D::Error::custom(format!(
                "found {}, wanted a size like `512KiB` or `8MiB`",
                quote(&text)
            ))
        })
}

/// A duration in its largest whole unit.
pub(super) fn duration_text(duration: Duration) -> String {
    written(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &TIMES)
}

/// A size in its largest whole unit.
pub(super) fn bytes_text(bytes: usize) -> String {
    written(bytes as u64, &SIZES)
}

/// Networks, or single addresses.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: String| {
        let parsed = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        parsed.map_err(|_| {
            D::Error::custom(format!(
                "found {}, wanted a network like `10.0.0.0/8` or `fd00::/8`, or an address",
                quote(&text)
            ))
        })
    };
    Vec::<String>::deserialize(deserializer)?
        .into_iter()
        .map(network)
        .collect()
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

fn written(amount: u64, units: &[(&str, u64)]) -> String {
    let fitting = units
        .iter()
        .filter(|(_, scale)| amount >= *scale && amount.is_multiple_of(*scale))
        .max_by_key(|(_, scale)| *scale);
    fitting.map_or_else(
        || amount.to_string(),
        |(unit, scale)| format!("{}{unit}", amount / scale),
    )
}

/// A unit comes before those whose name ends like its own.
const TIMES: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZES: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)];
