//! How values are written: as text for people, as JSON text inside a template, as JSON for storage.

use std::fmt::{self, Write};

use bigdecimal::ToPrimitive;
use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Number, json};

use super::Value;

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(self, out)
    }
}

/// Writes a value as a template prints it.
pub(super) fn write_text(value: &Value, out: &mut impl Write) -> fmt::Result {
    match value {
        Value::None => Ok(()),
        Value::List(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            if index > 0 {
                out.write_str(", ")?;
            }
            write_text(item, out)
        }),
        Value::Record(_) => write_json(value, out),
        Value::Text(text) => out.write_str(text),
        Value::Bool(bool) => write!(out, "{bool}"),
        Value::Int(int) => write!(out, "{int}"),
        Value::Decimal(decimal) => out.write_str(&decimal.to_plain_string()),
        Value::Wallet(wallet) => write!(out, "{wallet}"),
        Value::Hash(hash) => out.write_str(&const_hex::encode_prefixed(hash)),
        Value::Time(time) => out.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        Value::Duration(duration) => write_duration(*duration, out),
        Value::Tz(tz) => out.write_str(tz.name()),
    }
}

/// Writes a value as JSON text: numbers exactly, everything JSON does not know as its text.
pub(super) fn write_json(value: &Value, out: &mut impl Write) -> fmt::Result {
    match value {
        Value::None => out.write_str("null"),
        Value::Bool(_) | Value::Int(_) | Value::Decimal(_) => write_text(value, out),
        Value::Text(text) => write_quoted(text, out),
        Value::List(items) => {
            out.write_char('[')?;
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                write_json(item, out)?;
            }
            out.write_char(']')
        }
        Value::Record(fields) => {
            out.write_char('{')?;
            for (index, (name, field)) in fields.iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                write_quoted(name, out)?;
                out.write_char(':')?;
                write_json(field, out)?;
            }
            out.write_char('}')
        }
        Value::Wallet(_) | Value::Hash(_) | Value::Time(_) | Value::Duration(_) | Value::Tz(_) => {
            write_quoted(&value.to_string(), out)
        }
    }
}

fn write_quoted(text: &str, out: &mut impl Write) -> fmt::Result {
    let quoted = serde_json::to_string(text).map_err(|_| fmt::Error)?;
    out.write_str(&quoted)
}

/// Significant digits that every reader of JSON keeps, also one that computes the float in haste.
const FLOAT_DIGITS: u64 = 15;

/// The JSON a value is stored as.
pub(super) fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::None => serde_json::Value::Null,
        Value::Bool(bool) => json!(bool),
        Value::Int(int) => int
            .to_i64()
            .map_or_else(|| json!(int.to_string()), |int| json!(int)),
        Value::Decimal(decimal) => {
            let text = decimal.to_plain_string();
            let number = decimal.to_f64().and_then(Number::from_f64);
            match number.filter(|number| decimal.digits() <= FLOAT_DIGITS && number.to_string() == text) {
                Some(number) => serde_json::Value::Number(number),
                None => json!(text),
            }
        }
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Record(fields) => fields
            .iter()
            .map(|(name, field)| (name.to_owned(), to_json(field)))
            .collect(),
        Value::Text(_)
        | Value::Wallet(_)
        | Value::Hash(_)
        | Value::Time(_)
        | Value::Duration(_)
        | Value::Tz(_) => json!(value.to_string()),
    }
}

/// Units of a duration, largest first, in milliseconds.
pub(super) const UNITS: [(&str, i64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Writes the largest unit that the duration is a whole number of: `1d`, `90s`, `36h`. Weeks are read, not written.
fn write_duration(duration: TimeDelta, out: &mut impl Write) -> fmt::Result {
    let milliseconds = duration.num_milliseconds();
    if milliseconds == 0 {
        return out.write_str("0s");
    }
    let unit = UNITS
        .iter()
        .skip(1)
        .find(|(_, length)| milliseconds % length == 0);
    match unit {
        Some((name, length)) => write!(out, "{}{name}", milliseconds / length),
        None => Ok(()),
    }
}
