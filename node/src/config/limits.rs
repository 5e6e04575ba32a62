//! What one caller may ask of the node, and how long it may take to ask.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Deserialize;

use super::units;

/// Bounds on callers, by their address and by their wallet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Envelopes an address may publish.
    pub publish: Rate,
    /// Everything else an address may ask: queries, streams, changes of a stream's topics.
    pub other: Rate,
    /// Envelopes a wallet may publish, whatever addresses it comes from.
    pub wallet_publish: Rate,
    /// How many times as much allow-listed wallets may.
    pub allow_listed: Factors,
    /// Networks whose direct connections are not limited.
    #[serde(deserialize_with = "units::networks")]
    pub exempt: Vec<IpNet>,
    /// Networks of proxies whose word about the caller's address is taken.
    #[serde(deserialize_with = "units::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// Most open connections to the HTTP and gRPC ports together, and as many to the metrics port.
    pub connections: NonZeroUsize,
    /// Most open connections of one address.
    pub connections_per_address: NonZeroUsize,
    /// Most live streams of one address.
    pub streams_per_address: NonZeroUsize,
    /// Most bytes of requests that have not arrived in full, over all connections.
    #[serde(deserialize_with = "units::bytes")]
    pub unfinished_requests: usize,
    /// Longest TLS handshake, and longest wait for the first words on a connection.
    #[serde(deserialize_with = "units::duration")]
    pub handshake: Duration,
    /// Longest wait for the head of an HTTP/1.1 request.
    #[serde(deserialize_with = "units::duration")]
    pub head: Duration,
    /// Longest wait for the next 64 KiB of a request, or for its end.
    #[serde(deserialize_with = "units::duration")]
    pub body: Duration,
    /// How long a connection may be open without a call, or take nothing of what is sent to it.
    #[serde(deserialize_with = "units::duration")]
    pub idle: Duration,
}

/// A bucket of tokens: so many at once, and so many more each minute, which arrive evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// What a full bucket holds.
    pub burst: NonZeroU32,
    /// What flows back in a minute.
    pub per_minute: NonZeroU32,
}

/// Multiples of burst and refill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Factors {
    /// For publishing.
    pub publish: NonZeroU32,
    /// For everything else.
    pub other: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            publish: Rate::of(1_000, 200),
            other: Rate::of(10_000, 2_000),
            wallet_publish: Rate::of(1_000, 200),
            allow_listed: Factors::default(),
            exempt: loopback(),
            trusted_proxies: Vec::new(),
            connections: count(20_000),
            connections_per_address: count(1_000),
            streams_per_address: count(10_000),
            unfinished_requests: 256 * 1024 * 1024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(75),
            body: Duration::from_secs(30),
            idle: Duration::from_mins(10),
        }
    }
}

impl Default for Factors {
    fn default() -> Self {
        Self {
            publish: NonZeroU32::new(25).unwrap_or(NonZeroU32::MIN),
            other: NonZeroU32::new(5).unwrap_or(NonZeroU32::MIN),
        }
    }
}

impl Rate {
    /// A bucket of these numbers; at least one of each.
    pub fn of(burst: u32, per_minute: u32) -> Self {
        Self {
            burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN),
            per_minute: NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN),
        }
    }
}

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

fn loopback() -> Vec<IpNet> {
    use std::net::{Ipv4Addr, Ipv6Addr};
    vec![
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    ]
}
