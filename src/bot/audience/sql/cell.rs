//! Values of PostgreSQL as JSON, from their binary form.

use std::error::Error;

use chrono::{DateTime, Days, NaiveDate, SecondsFormat};
use serde_json::Value as Json;
use tokio_postgres::types::{FromSql, Type};

use crate::bot::audience::row::bytes_text;

/// A value that is not null. Numbers that JSON readers would round are texts.
pub(super) struct Cell(pub(super) Json);

impl Cell {
    /// Whether values of the type are read.
    pub(super) fn reads(ty: &Type) -> bool {
        READ.contains(ty)
    }
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let json = match *ty {
            Type::BOOL => Json::from(bool::from_sql(ty, raw)?),
            Type::INT2 => Json::from(i16::from_sql(ty, raw)?),
            Type::INT4 => Json::from(i32::from_sql(ty, raw)?),
            Type::INT8 => Json::from(i64::from_sql(ty, raw)?),
            // By its shortest text: 0.1 stays 0.1.
            Type::FLOAT4 => Json::from(f32::from_sql(ty, raw)?.to_string()),
            Type::FLOAT8 => Json::from(f64::from_sql(ty, raw)?.to_string()),
            Type::NUMERIC => Json::from(numeric(raw).ok_or("a number that is none")?),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
                Json::from(std::str::from_utf8(raw)?)
            }
            Type::BYTEA => Json::from(bytes_text(raw)),
            Type::TIMESTAMPTZ | Type::TIMESTAMP => {
                let micros = i64::from_be_bytes(raw.try_into()?).checked_add(EPOCH_MICROS);
                let time = micros
                    .and_then(DateTime::from_timestamp_micros)
                    .ok_or("a time out of range")?;
                Json::from(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
            }
            Type::DATE => {
                let days = i32::from_be_bytes(raw.try_into()?);
                let start = NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default();
                let span = Days::new(u64::from(days.unsigned_abs()));
                let date = if days < 0 {
                    start.checked_sub_days(span)
                } else {
                    start.checked_add_days(span)
                };
                Json::from(date.ok_or("a date out of range")?.to_string())
            }
            Type::UUID => {
                let hex = const_hex::encode(raw);
                let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
                Json::from([part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-"))
            }
            Type::JSON => serde_json::from_slice(raw)?,
            Type::JSONB => serde_json::from_slice(raw.strip_prefix(&[1]).ok_or("an odd version of jsonb")?)?,
            _ => return Err("a type that is not read".into()),
        };
        Ok(Self(json))
    }

    fn accepts(ty: &Type) -> bool {
        Self::reads(ty)
    }
}

const READ: [Type; 19] = [
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::NUMERIC,
    Type::TEXT,
    Type::VARCHAR,
    Type::BPCHAR,
    Type::NAME,
    Type::UNKNOWN,
    Type::BYTEA,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMP,
    Type::DATE,
    Type::UUID,
    Type::JSON,
    Type::JSONB,
];

/// 2000-01-01, where PostgreSQL counts from, in microseconds since 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The digits of a `numeric`: groups of four decimal digits, the first of weight 10,000 to the power `weight`.
fn numeric(raw: &[u8]) -> Option<String> {
    let mut words = raw.chunks_exact(2).map(|word| match word {
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    });
    let (_count, weight) = (words.next()?, words.next()?);
    let (sign, scale) = (words.next()?, usize::from(words.next()?));
    let weight = i16::from_be_bytes(weight.to_be_bytes());
    let is_negative = match sign {
        0x0000 => false,
        0x4000 => true,
        // Not a number, or infinite.
        _ => return None,
    };
    let digits: Vec<u16> = words.collect();
    let group = |power: i32| {
        let at = usize::try_from(i32::from(weight) - power).ok();
        at.and_then(|at| digits.get(at)).copied().unwrap_or(0)
    };
    let groups = |powers: &mut dyn Iterator<Item = i32>| -> String {
        let groups = powers.map(|power| format!("{:04}", group(power)));
        groups.collect::<Vec<_>>().concat()
    };
    let mut text = groups(&mut (0..=i32::from(weight).max(0)).rev());
    let whole = text.trim_start_matches('0');
    text = if whole.is_empty() {
        "0".to_owned()
    } else {
        whole.to_owned()
    };
    if scale > 0 {
        let count = i32::try_from(scale.div_ceil(4)).ok()?;
        let fraction = groups(&mut (1..=count).map(|power| -power));
        text.push('.');
        text.extend(fraction.chars().take(scale));
    }
    Some(if is_negative { format!("-{text}") } else { text })
}
