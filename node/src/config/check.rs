//! What a value must be beyond its type. Each refusal names its key, so that the place is found.

use std::{collections::HashMap, ops::RangeInclusive, time::Duration};

use super::{
    Config, Limits,
    problem::{Place, Problem, quote},
    units,
};

/// A value that cannot be used.
#[derive(Debug)]
pub(super) struct Unfit {
    /// The key, and another one it cannot stand beside; the place of the first one that was written is told.
    pub(super) keys: Vec<&'static str>,
    pub(super) message: String,
}

pub(super) fn check(config: &Config) -> Result<(), Unfit> {
    addresses(&[
        ("http", &config.http),
        ("grpc", &config.grpc),
        ("metrics", &config.metrics),
    ])?;
    size("max_request", config.max_request, 64 * KIB..=64 * 1024 * KIB)?;
    time("heartbeat", config.heartbeat, SECOND..=HOUR)?;
    time("stall", config.stall, SECOND..=HOUR)?;
    time("drain", config.drain, Duration::from_millis(100)..=HOUR)?;
    time("auth.max_age", config.auth.max_age, SECOND..=30 * 24 * HOUR)?;
    time("auth.max_future", config.auth.max_future, SECOND..=24 * HOUR)?;
    limits(&config.limits)?;
    config
        .tls
        .as_ref()
        .map_or(Ok(()), |tls| time("tls.reload", tls.reload, SECOND..=24 * HOUR))
}

fn limits(limits: &Limits) -> Result<(), Unfit> {
    let memory = MIB..=1024 * 1024 * MIB;
    size("limits.unfinished_requests", limits.unfinished_requests, memory)?;
    time("limits.handshake", limits.handshake, SECOND..=HOUR)?;
    time("limits.head", limits.head, SECOND..=HOUR)?;
    time("limits.body", limits.body, SECOND..=HOUR)?;
    time("limits.idle", limits.idle, SECOND..=24 * HOUR)
}

impl Unfit {
    /// The same with its place. A key that came in one piece with its parent is found there.
    pub(super) fn told(self, places: &HashMap<String, Place>) -> Problem {
        let parents =
            |key: &'static str| std::iter::successors(Some(key), |key| Some(key.rsplit_once('.')?.0));
        let written = self.keys.iter().find_map(|key| {
            let place = parents(key).find_map(|parent| places.get(parent))?;
            Some((*key, place))
        });
        let (key, place) = written.unwrap_or(("", &Place::DEFAULTS));
        Problem::new(self.message).located(place, key)
    }
}

fn unfit(key: &'static str, message: String) -> Unfit {
    Unfit {
        keys: vec![key],
        message,
    }
}

fn time(key: &'static str, found: Duration, wanted: RangeInclusive<Duration>) -> Result<(), Unfit> {
    if wanted.contains(&found) {
        return Ok(());
    }
    let [found, least, most] = [found, *wanted.start(), *wanted.end()].map(units::duration_text);
    Err(unfit(
        key,
        format!("found `{found}`, wanted `{least}` to `{most}`"),
    ))
}

fn size(key: &'static str, found: usize, wanted: RangeInclusive<usize>) -> Result<(), Unfit> {
    if wanted.contains(&found) {
        return Ok(());
    }
    let [found, least, most] = [found, *wanted.start(), *wanted.end()].map(units::bytes_text);
    Err(unfit(
        key,
        format!("found `{found}`, wanted `{least}` to `{most}`"),
    ))
}

/// Every address is `host:port`, and no two are the same.
fn addresses(addresses: &[(&'static str, &String)]) -> Result<(), Unfit> {
    let mut seen: Vec<(&'static str, &str, u16)> = Vec::new();
    for (key, address) in addresses {
        let (host, port) = split(address).ok_or_else(|| {
            let found = quote(address);
            unfit(
                key,
                format!("found {found}, wanted `host:port` like `127.0.0.1:5555` or `[::1]:5555`"),
            )
        })?;
        let clash = seen
            .iter()
            .find(|(_, other, taken)| port != 0 && port == *taken && overlap(host, other));
        if let Some((other, ..)) = clash {
            return Err(Unfit {
                keys: vec![key, other],
                message: format!(
                    "found {} for both `{other}` and `{key}`, wanted a port for each",
                    quote(address)
                ),
            });
        }
        seen.push((key, host, port));
    }
    Ok(())
}

fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let named = !host.is_empty() && (bracketed || !host.contains([':', '/', ' ']));
    named.then_some((host, port.parse().ok()?))
}

/// Whether two hosts can mean one address: the same, or one of them is every address.
fn overlap(one: &str, other: &str) -> bool {
    let every = |host: &str| matches!(host, "0.0.0.0" | "[::]");
    let plain = |host: &str| {
        if host == "localhost" {
            "127.0.0.1".to_owned()
        } else {
            host.to_owned()
        }
    };
    every(one) || every(other) || plain(one) == plain(other)
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
