//! Blocks and logs as nodes write them, and as they are known to be once read.

use std::fmt;

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// When it says it was made.
    pub time: DateTime<Utc>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockWire {
    number: Option<String>,
    hash: Option<String>,
    timestamp: Option<String>,
}

impl BlockWire {
    pub(super) fn read(&self) -> Option<Head> {
        let seconds = i64::try_from(number(self.timestamp.as_deref()?)?).ok()?;
        Some(Head {
            number: number(self.number.as_deref()?)?,
            hash: bytes(self.hash.as_deref()?)?,
            time: DateTime::from_timestamp(seconds, 0)?,
        })
    }
}

/// A log of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) contract: Address,
    pub(crate) topics: Vec<[u8; 32]>,
    pub(crate) data: Vec<u8>,
    pub(crate) block: u64,
    pub(crate) block_hash: [u8; 32],
    pub(crate) tx: [u8; 32],
    pub(crate) index: u64,
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tx = const_hex::encode_prefixed(self.tx);
        write!(f, "log {} of transaction {tx}", self.index)
    }
}

/// A log that a node tells of; one of a block that is not on its chain has no place there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogWire {
    address: Fixed<20>,
    topics: Vec<Fixed<32>>,
    data: Data,
    block_number: Option<Quantity>,
    block_hash: Option<Fixed<32>>,
    transaction_hash: Option<Fixed<32>>,
    log_index: Option<Quantity>,
    #[serde(default)]
    removed: bool,
}

impl LogWire {
    pub(super) fn is_removed(&self) -> bool {
        self.removed
    }

    pub(super) fn read(self) -> Option<Log> {
        Some(Log {
            contract: Address::from_bytes(self.address.0),
            topics: self.topics.into_iter().map(|topic| topic.0).collect(),
            data: self.data.0,
            block: self.block_number?.0,
            block_hash: self.block_hash?.0,
            tx: self.transaction_hash?.0,
            index: self.log_index?.0,
        })
    }
}

/// So many bytes in hex.
struct Fixed<const N: usize>([u8; N]);

/// Bytes in hex.
pub(super) struct Data(pub(super) Vec<u8>);

/// A number in hex.
struct Quantity(u64);

/// Reads a text without keeping it.
struct Text<T>(&'static str, fn(&str) -> Option<T>);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text("bytes in hex", |text| bytes(text).map(Self)))
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |text: &str| const_hex::decode(text).ok().map(Self);
        deserializer.deserialize_str(Text("bytes in hex", read))
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text("a number in hex", |text| number(text).map(Self)))
    }
}

/// A quantity: `0x1b4`.
pub(super) fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

pub(super) fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

pub(super) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    const_hex::decode_to_array(text).ok()
}
