//! Numbers of JSON with all of their digits: an amount in wei is longer than any machine number.

use std::{fmt, str::FromStr};

use herald_protocol::Error;
use serde::{Serialize, Serializer, ser};
use serde_json::value::RawValue;

use super::malformed;

/// A number as JSON spells it, such as `100000`, `0.5` or `-1e21`, exactly; two spellings of one value differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JsonNumber(String);

impl JsonNumber {
    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole number that it is; nothing for fractions, exponents, signs and what is above `u64`.
    pub fn to_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

impl From<u64> for JsonNumber {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl FromStr for JsonNumber {
    type Err = Error;

    /// Takes what JSON calls a number, of at most 256 characters.
    fn from_str(text: &str) -> Result<Self, Error> {
        let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            && serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get() == text);
        if text.len() > MAX_BYTES {
            return Err(malformed(
                "number",
                format!("found {} characters, wanted at most {MAX_BYTES}", text.len()),
            ));
        }
        if !is_number {
            return Err(malformed("number", format!("found `{}`", text.escape_debug())));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for JsonNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for JsonNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.clone())
            .map_err(ser::Error::custom)?
            .serialize(serializer)
    }
}

/// Ours: the largest integer of an EVM has 78 digits.
const MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_is_kept() {
        for text in [
            "0",
            "100000",
            "123456789012345678901234567890.000",
            "-0.10",
            "1e+21",
            "1E-7",
        ] {
            let number: JsonNumber = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&number).unwrap(), text);
        }
        assert_eq!(
            "18446744073709551615".parse::<JsonNumber>().unwrap().to_u64(),
            Some(u64::MAX)
        );
    }

    #[test]
    fn what_json_calls_no_number_is_refused() {
        let long = "1".repeat(257);
        for text in [
            "", "01", "+1", ".5", "1.", "1e", "0x1", "NaN", "-", " 1", "1 ", "\"1\"", "1,2", "null", &long,
        ] {
            assert!(text.parse::<JsonNumber>().is_err(), "{text}");
        }
    }
}
