//! Reading values of a known type from texts (command arguments, YAML scalars) and from JSON.

use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use chrono_tz::Tz;
use herald_protocol::address::Address;
use serde_json::Value as Json;

use super::number::{parse_number, to_decimal};
use super::print::UNITS;
use super::{Type, Value};
use crate::bot::chain::WalletName;

/// Whose a name is, or why it is nobody's.
pub type WalletOf<'w> = dyn Fn(&WalletName) -> Result<Value, String> + 'w;

/// A place in JSON whose value is not of the declared type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: found {found}, wanted {wanted}")]
pub struct JsonMismatch {
    /// Steps from the value that was read: `.total`, `.items[2].price`, empty for the value itself. A
    /// caller puts the name of what it read in front.
    pub path: String,
    /// What was there; texts are cut and escaped.
    pub found: String,
    /// What the type takes.
    pub wanted: String,
}

/// Past this a float no longer tells neighbouring ints apart, so a JSON number that large may have been rounded.
const EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

impl Type {
    /// Reads a text: an argument of a command, a scalar of YAML.
    ///
    /// Words of a closed set match in any case. A list is separated by commas. For `any` the text decides, see
    /// [`Type::infer`].
    ///
    /// # Errors
    ///
    /// One sentence: what was found and what was wanted.
    pub fn read_text(&self, text: &str) -> Result<Value, String> {
        self.read_named(text, &|name| {
            Err(format!(
                "found {}: the name of a wallet, wanted an address",
                quoted(name.as_str())
            ))
        })
    }

    /// As [`read_text`](Self::read_text), where a wallet may have a name: `wallet` says whose it is, or why it is nobody's.
    ///
    /// # Errors
    ///
    /// One sentence: what was found and what was wanted.
    pub fn read_named(&self, text: &str, wallet: &WalletOf<'_>) -> Result<Value, String> {
        let trimmed = text.trim();
        let value = match self {
            Self::Any => return Self::infer(text).read_named(text, wallet),
            Self::Text => Some(Value::text(text)),
            Self::Word => word(trimmed),
            Self::Choice(options) => options
                .iter()
                .find(|option| option.eq_ignore_ascii_case(trimmed))
                .map(|o| Value::text(o.as_str())),
            Self::Bool if trimmed.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
            Self::Bool if trimmed.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
            Self::Bool | Self::Record(_) => None,
            Self::Optional(_) if trimmed.is_empty() => Some(Value::None),
            Self::Optional(ty) => return ty.read_named(text, wallet),
            Self::List(_) if trimmed.is_empty() => Some(Value::list([])),
            Self::List(element) => {
                let items: Result<Arc<[Value]>, String> = trimmed
                    .split(',')
                    .map(|item| element.read_named(item.trim(), wallet))
                    .collect();
                return items.map(Value::List);
            }
            Self::Wallet if WalletName::is_meant(trimmed) => return wallet(&WalletName::read(trimmed)?),
            Self::Wallet => return read_wallet(trimmed),
            Self::Int | Self::Decimal | Self::Hash | Self::Time | Self::Duration | Self::Tz => {
                self.scalar(trimmed)
            }
        };
        value.ok_or_else(|| format!("found {}, wanted {}", quoted(text), self.description()))
    }

    /// Calls `each` for every text of JSON that stands where this type wants a wallet.
    pub fn each_wallet(&self, json: &mut Json, each: &mut impl FnMut(&mut String)) {
        match (self, json) {
            (Self::Wallet, Json::String(text)) => each(text),
            (Self::Optional(ty), json) => ty.each_wallet(json, each),
            (Self::List(element), Json::Array(items)) => {
                for item in items {
                    element.each_wallet(item, each);
                }
            }
            (Self::Record(record), Json::Object(members)) => {
                for (name, ty) in record.iter() {
                    if let Some(member) = members.get_mut(name) {
                        ty.each_wallet(member, each);
                    }
                }
            }
            _ => {}
        }
    }

    /// The type that a text without a declared type has: wallet, hash, int, decimal, bool, time, or else text.
    #[must_use]
    pub fn infer(text: &str) -> Self {
        let scalars = [Self::Wallet, Self::Hash, Self::Int, Self::Decimal, Self::Time];
        match text {
            "true" | "false" => Self::Bool,
            _ => scalars
                .into_iter()
                .find(|ty| ty.scalar(text).is_some())
                .unwrap_or(Self::Text),
        }
    }

    /// Reads a JSON value: the body of a webhook, or what [`Value::to_json`] stored.
    ///
    /// Numbers may be JSON numbers or texts. Fields of a record that its type does not name are ignored;
    /// missing ones are `none` where they may be.
    ///
    /// # Errors
    ///
    /// The first place whose value is not of its type.
    pub fn read_json(&self, json: &Json) -> Result<Value, JsonMismatch> {
        self.read_json_at(json, &mut String::new())
    }

    fn read_json_at(&self, json: &Json, path: &mut String) -> Result<Value, JsonMismatch> {
        let value = match (self, json) {
            (Self::Any, json) => any(json),
            (Self::Optional(_), Json::Null) => Some(Value::None),
            (Self::Optional(ty), json) => return ty.read_json_at(json, path),
            (Self::Bool, Json::Bool(bool)) => Some(Value::Bool(*bool)),
            (Self::Text, Json::String(text)) => Some(Value::text(text.as_str())),
            (Self::Word, Json::String(text)) => word(text),
            (Self::Choice(options), Json::String(text)) => {
                options.contains(text).then(|| Value::text(text.as_str()))
            }
            (Self::List(element), Json::Array(items)) => return read_list(element, items, path),
            (Self::Record(fields), Json::Object(members)) => {
                let mut values = Vec::new();
                for (name, ty) in fields.iter() {
                    let value = within(path, format_args!(".{name}"), |path| match members.get(name) {
                        None if ty.is_optional() => Ok(Value::None),
                        None => Err(mismatch(path, "nothing".to_owned(), ty)),
                        Some(member) => ty.read_json_at(member, path),
                    })?;
                    values.push((name, value));
                }
                Some(Value::record(values))
            }
            (Self::Int | Self::Decimal | Self::Time, Json::Number(number)) => self.number(number),
            (_, Json::String(text)) => self.scalar(text),
            _ => None,
        };
        value.ok_or_else(|| mismatch(path, json_found(json), self))
    }

    fn number(&self, number: &serde_json::Number) -> Option<Value> {
        match (self, json_number(number)?) {
            (Self::Time, Value::Int(seconds)) => from_unix(&seconds).map(Value::Time),
            (Self::Int, int @ Value::Int(_)) => Some(int),
            (Self::Int, Value::Decimal(decimal)) if decimal.is_integer() => {
                parse_number(&decimal.with_scale(0).to_plain_string(), false)
            }
            (Self::Decimal, number) => to_decimal(&number).map(Value::Decimal),
            _ => None,
        }
    }

    /// Reads the text of one scalar that is neither text nor bool.
    pub(super) fn scalar(&self, text: &str) -> Option<Value> {
        match self {
            Self::Int => parse_number(text, false).filter(|number| matches!(number, Value::Int(_))),
            Self::Decimal => to_decimal(&parse_number(text, false)?).map(Value::Decimal),
            Self::Wallet => Address::from_str(text).ok().map(Value::Wallet),
            Self::Hash => parse_hash(text).map(Value::Hash),
            Self::Time => bounded_time(DateTime::parse_from_rfc3339(text).ok()?.to_utc()).map(Value::Time),
            Self::Duration => parse_duration(text).map(Value::Duration),
            Self::Tz => parse_zone(text).map(Value::Tz),
            _ => None,
        }
    }
}

fn read_list(element: &Type, items: &[Json], path: &mut String) -> Result<Value, JsonMismatch> {
    let mut values = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        values.push(within(path, format_args!("[{index}]"), |path| {
            element.read_json_at(item, path)
        })?);
    }
    Ok(Value::list(values))
}

/// Runs `read` with one more step on the path, and takes the step away again.
fn within<T>(path: &mut String, step: std::fmt::Arguments<'_>, read: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    // Writing to a String cannot fail.
    let _ = path.write_fmt(step);
    let value = read(path);
    path.truncate(length);
    value
}

fn mismatch(path: &str, found: String, wanted: &Type) -> JsonMismatch {
    JsonMismatch {
        path: path.to_owned(),
        found,
        wanted: wanted.description(),
    }
}

fn read_wallet(text: &str) -> Result<Value, String> {
    Address::from_str(text).map(Value::Wallet).map_err(|error| {
        format!(
            "found {}, wanted {}: {error}",
            quoted(text),
            Type::Wallet.description()
        )
    })
}

fn word(text: &str) -> Option<Value> {
    (!text.is_empty() && !text.contains(char::is_whitespace)).then(|| Value::text(text))
}

/// JSON of unknown shape. Numbers that have no exact value here are refused.
fn any(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::None,
        Json::Bool(bool) => Value::Bool(*bool),
        Json::Number(number) => json_number(number)?,
        Json::String(text) => Value::text(text.as_str()),
        Json::Array(items) => Value::List(items.iter().map(any).collect::<Option<_>>()?),
        Json::Object(members) => {
            let fields: Option<Vec<_>> = members
                .iter()
                .map(|(name, member)| Some((name.clone(), any(member)?)))
                .collect();
            Value::record(fields?)
        }
    })
}

fn json_number(number: &serde_json::Number) -> Option<Value> {
    let inexact =
        !number.is_i64() && !number.is_u64() && number.as_f64().is_none_or(|f| f.abs() >= EXACT_FLOAT);
    if inexact {
        None
    } else {
        parse_number(&number.to_string(), true)
    }
}

fn json_found(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(bool) => format!("`{bool}`"),
        Json::Number(number) if json_number(number).is_none() => {
            format!("the number {number}, which JSON readers round (send it as a text)")
        }
        Json::Number(number) => format!("the number {number}"),
        Json::String(text) => quoted(text),
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "a record".to_owned(),
    }
}

/// A text as messages show it: escaped, and cut after 40 characters.
pub(super) fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    let more = if text.chars().nth(SHOWN).is_some() {
        "…"
    } else {
        ""
    };
    format!("\"{cut}{more}\"")
}

const SHOWN: usize = 40;

/// Reads `0x` and 64 hex digits.
pub(super) fn parse_hash(text: &str) -> Option<[u8; 32]> {
    const_hex::decode_to_array(text.strip_prefix("0x")?).ok()
}

/// Reads `90s`, `24h`, `7d`, `1h30m`; units are `ms`, `s`, `m`, `h`, `d`, `w`.
pub(super) fn parse_duration(text: &str) -> Option<TimeDelta> {
    let (mut rest, negative) = text.strip_prefix('-').map_or((text, false), |rest| (rest, true));
    let mut milliseconds: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (count, tail) = rest.split_at_checked(digits)?;
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let part = count.parse::<i64>().ok()?.checked_mul(*length)?;
        milliseconds = milliseconds.checked_add(part)?;
        rest = tail;
    }
    TimeDelta::try_milliseconds(if negative { -milliseconds } else { milliseconds })
}

/// Reads the name of a time zone in any case, since people type it.
pub(super) fn parse_zone(text: &str) -> Option<Tz> {
    let typed = || {
        chrono_tz::TZ_VARIANTS
            .iter()
            .copied()
            .find(|tz| tz.name().eq_ignore_ascii_case(text))
    };
    Tz::from_str(text).ok().or_else(typed)
}

/// The instant of so many seconds since 1970.
pub(super) fn from_unix(seconds: &num_bigint::BigInt) -> Option<DateTime<Utc>> {
    bounded_time(DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)?)
}

/// A time of the years 1 to 9998: RFC 3339 writes it in every time zone.
pub(super) fn bounded_time(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (1..=9998).contains(&time.year()).then_some(time)
}
