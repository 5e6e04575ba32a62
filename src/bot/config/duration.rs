//! Spans of time as a bot's file writes them: a whole number and one unit, `90s`, `24h`, `7d`.

use std::time::Duration;

/// The longest span a file may ask for: a hundred years. It keeps every sum with an instant of today representable.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// Reads `\d+(ms|s|m|h|d|w)`.
///
/// # Errors
/// The text is not of that shape, or the span is longer than a hundred years.
pub fn parse(text: &str) -> Result<Duration, Error> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (Some(number), Some(unit)) = (text.get(..digits), text.get(digits..)) else {
        return Err(Error::Shape(text.to_owned()));
    };
    let unit = unit_span(unit).ok_or_else(|| Error::Shape(text.to_owned()))?;
    if number.is_empty() {
        return Err(Error::Shape(text.to_owned()));
    }
    let count: u32 = number.parse().map_err(|_| Error::Long(text.to_owned()))?;
    unit.checked_mul(count)
        .filter(|span| *span <= LONGEST)
        .ok_or_else(|| Error::Long(text.to_owned()))
}

/// The span of one unit of the language.
fn unit_span(unit: &str) -> Option<Duration> {
    Some(match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        "d" => Duration::from_hours(24),
        "w" => Duration::from_hours(7 * 24),
        _ => return None,
    })
}

/// The right spelling of a span written another way, such as `5 minutes`, where it can be told.
pub(crate) fn spelling(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, word) = (text.get(..digits)?, text.get(digits..)?.trim());
    let unit = match word {
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        "w" | "wk" | "week" | "weeks" => "w",
        _ => return None,
    };
    (!number.is_empty()).then(|| format!("{number}{unit}"))
}

/// Why a text is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a whole number with one unit.
    #[error("expected a duration like `5m`, found `{0}`")]
    Shape(String),
    /// Beyond a hundred years.
    #[error("expected a duration of at most a hundred years, found `{0}`")]
    Long(String),
}

#[cfg(test)]
mod tests {
    use super::{Error, parse, spelling};
    use std::time::Duration;

    #[test]
    fn every_unit_reads() {
        for (text, millis) in [
            ("250ms", 250),
            ("0s", 0),
            ("90s", 90_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
            ("2w", 1_209_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn other_shapes_are_refused_and_told_apart_from_long_ones() {
        for text in [
            "",
            "5",
            "m",
            "5 minutes",
            "1.5h",
            "-5m",
            "5M",
            "5m ",
            "1h30m",
            "٣s",
        ] {
            assert_eq!(parse(text), Err(Error::Shape(text.into())), "{text}");
        }
        for text in ["5201w2", "99999999999999999999s", "5300w", "36501d"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("36500d"), Ok(Duration::from_hours(36_500 * 24)));
    }

    #[test]
    fn a_span_in_words_gets_its_spelling() {
        assert_eq!(spelling("5 minutes").as_deref(), Some("5m"));
        assert_eq!(spelling("1 Day").as_deref(), Some("1d"));
        assert_eq!(spelling("1h30m"), None);
        assert_eq!(spelling("soon"), None);
    }
}
