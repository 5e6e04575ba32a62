//! Values of the language.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use herald_protocol::address::Address;
use num_bigint::BigInt;

use super::{fields::Fields, print};

/// A value. Clones are cheap: texts, lists and records are shared.
///
/// `Display` prints it as a template does: `none` as nothing, decimals with the digits they have, wallets in
/// EIP-55, times in RFC 3339, durations in their largest whole unit, lists comma separated, records as JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: an optional value that is not there.
    None,
    /// `true` or `false`.
    Bool(bool),
    /// An int of at most 256 bits, signed.
    Int(BigInt),
    /// An exact decimal.
    Decimal(BigDecimal),
    /// A text, a word or one of a closed set.
    Text(Arc<str>),
    /// The address of a wallet.
    Wallet(Address),
    /// 32 bytes, such as the hash of a transaction.
    Hash([u8; 32]),
    /// An instant.
    Time(DateTime<Utc>),
    /// A span of time, signed.
    Duration(TimeDelta),
    /// A time zone.
    Tz(Tz),
    /// Values in order.
    List(Arc<[Value]>),
    /// Values by name.
    Record(Fields),
}

impl Value {
    /// A text value.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A list value.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Self::List(items.into_iter().collect())
    }

    /// A record value.
    pub fn record<N: Into<Box<str>>>(fields: impl IntoIterator<Item = (N, Value)>) -> Self {
        Self::Record(fields.into_iter().collect())
    }

    /// Whether a condition holds for it: everything but `none`, `false` and what is empty. Zero is a value.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(bool) => *bool,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Record(fields) => !fields.is_empty(),
            _ => true,
        }
    }

    /// The text a template prints for it.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// The JSON that [`Type::read_json`](super::Type::read_json) of its type reads back as the same value.
    ///
    /// Ints beyond 64 bits and decimals that a binary float would change are JSON texts.
    pub fn to_json(&self) -> serde_json::Value {
        print::to_json(self)
    }

    /// The name of its kind, as messages say it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Decimal(_) => "decimal",
            Self::Text(_) => "text",
            Self::Wallet(_) => "wallet",
            Self::Hash(_) => "hash",
            Self::Time(_) => "time",
            Self::Duration(_) => "duration",
            Self::Tz(_) => "tz",
            Self::List(_) => "list",
            Self::Record(_) => "record",
        }
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Address> for Value {
    fn from(wallet: Address) -> Self {
        Self::Wallet(wallet)
    }
}

impl From<DateTime<Utc>> for Value {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Time(time)
    }
}
