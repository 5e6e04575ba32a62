//! Blocks and logs as nodes write them, and as they are known to be once read.

use std::fmt;

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use serde::Deserialize;

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogWire {
    address: String,
    topics: Vec<String>,
    data: String,
    block_number: Option<String>,
    block_hash: Option<String>,
    transaction_hash: Option<String>,
    log_index: Option<String>,
    #[serde(default)]
    removed: bool,
}

impl LogWire {
    pub(super) fn is_removed(&self) -> bool {
        self.removed
    }

    pub(super) fn read(&self) -> Option<Log> {
        Some(Log {
            contract: address(&self.address)?,
            topics: self
                .topics
                .iter()
                .map(|topic| bytes(topic))
                .collect::<Option<_>>()?,
            data: const_hex::decode(&self.data).ok()?,
            block: number(self.block_number.as_deref()?)?,
            block_hash: bytes(self.block_hash.as_deref()?)?,
            tx: bytes(self.transaction_hash.as_deref()?)?,
            index: number(self.log_index.as_deref()?)?,
        })
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

fn address(text: &str) -> Option<Address> {
    bytes(text).map(Address::from_bytes)
}
