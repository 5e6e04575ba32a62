//! One field of a cron line: a comma-separated list of `*`, `*/n`, `a`, `a-b` and `a-b/n`, with names where they exist.

use std::collections::BTreeSet;
use std::fmt;

/// The five fields, in the order of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12, or `jan` to `dec`.
    Month,
    /// 0 to 7, or `sun` to `sat`; 0 and 7 are both Sunday.
    DayOfWeek,
}

impl Field {
    /// The fields in the order of a line.
    pub(crate) const ALL: [Self; 5] = [
        Self::Minute,
        Self::Hour,
        Self::DayOfMonth,
        Self::Month,
        Self::DayOfWeek,
    ];

    fn bounds(self) -> (u32, u32) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// The names of the field's values, the first standing for the lowest value.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &[
                "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
            ],
            Self::DayOfWeek => &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
            _ => &[],
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}

/// The values one field allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Values {
    /// The numbers, Sunday always as 0.
    numbers: BTreeSet<u32>,
    /// Whether the field starts with `*`: such a day field does not restrict the day on its own.
    pub(crate) starts_with_star: bool,
    /// Whether the field is made of fixed numbers only: no `*` and no step.
    pub(crate) is_fixed: bool,
}

impl Values {
    /// Reads the text of one field.
    pub(crate) fn parse(field: Field, text: &str) -> Result<Self, Error> {
        let mut numbers = BTreeSet::new();
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, Some(read_step(field, item, step)?)),
                None => (item, None),
            };
            let (low, high) = match range.split_once('-') {
                _ if range == "*" => field.bounds(),
                Some((low, high)) => (read_value(field, low)?, read_value(field, high)?),
                None if step.is_some() => {
                    return Err(Error::Step {
                        field,
                        found: item.to_owned(),
                    });
                }
                None => {
                    let value = read_value(field, range)?;
                    (value, value)
                }
            };
            if low > high {
                return Err(Error::Backwards {
                    field,
                    found: range.to_owned(),
                });
            }
            numbers.extend((low..=high).step_by(step.unwrap_or(1)));
        }
        if field == Field::DayOfWeek && numbers.remove(&7) {
            numbers.insert(0);
        }
        Ok(Self {
            numbers,
            starts_with_star: text.starts_with('*'),
            is_fixed: !text.contains(['*', '/']),
        })
    }

    /// The field in the dialect of the `cron` crate: numbers only, Sunday as 1 in the day of week.
    pub(crate) fn to_quartz(&self, field: Field) -> String {
        let (low, high) = field.bounds();
        let all = if field == Field::DayOfWeek {
            7
        } else {
            high - low + 1
        };
        if u32::try_from(self.numbers.len()) == Ok(all) {
            return "*".to_owned();
        }
        let shift = u32::from(field == Field::DayOfWeek);
        let numbers: Vec<String> = self
            .numbers
            .iter()
            .map(|number| (number + shift).to_string())
            .collect();
        numbers.join(",")
    }
}

fn read_value(field: Field, text: &str) -> Result<u32, Error> {
    let (low, high) = field.bounds();
    let position = field
        .names()
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text));
    let number = match position.and_then(|index| u32::try_from(index).ok()) {
        Some(index) => Some(low + index),
        None if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        None => None,
    };
    number
        .filter(|number| (low..=high).contains(number))
        .ok_or_else(|| Error::Value {
            field,
            found: text.to_owned(),
        })
}

fn read_step(field: Field, item: &str, text: &str) -> Result<usize, Error> {
    let (low, high) = field.bounds();
    let longest = (high - low + 1) as usize;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|step| digits && (1..=longest).contains(step))
        .ok_or_else(|| Error::Step {
            field,
            found: item.to_owned(),
        })
}

/// What is wrong with a cron line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not five fields.
    #[error("expected five fields (minute, hour, day of month, month, day of week), found {0}")]
    Fields(usize),
    /// A value that the field does not have.
    #[error("expected {} in the {field} field, found `{found}`", Expected(*field))]
    Value {
        /// Which field.
        field: Field,
        /// What stands there.
        found: String,
    },
    /// A step without a range, or beyond the field.
    #[error("expected a step like `*/5` or `10-50/5` in the {field} field, found `{found}`")]
    Step {
        /// Which field.
        field: Field,
        /// What stands there.
        found: String,
    },
    /// A range whose end comes before its start.
    #[error("expected a range from low to high in the {field} field, found `{found}`")]
    Backwards {
        /// Which field.
        field: Field,
        /// What stands there.
        found: String,
    },
    /// A date that no calendar has, such as 30 February.
    #[error("no day matches the day of month and month fields")]
    Never,
}

impl Error {
    /// The byte of the line at which the field with the mistake starts; 0 when it is the line as a whole.
    pub fn offset(&self, line: &str) -> usize {
        let (Self::Value { field, .. } | Self::Step { field, .. } | Self::Backwards { field, .. }) = self
        else {
            return 0;
        };
        let index = Field::ALL
            .iter()
            .position(|other| other == field)
            .unwrap_or_default();
        line.split_ascii_whitespace().nth(index).map_or(0, |text| {
            text.as_ptr().addr().saturating_sub(line.as_ptr().addr())
        })
    }
}

/// Prints the values of a field as a message says them.
struct Expected(Field);

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.0.bounds();
        write!(f, "{low} to {high}")?;
        match (self.0.names().first(), self.0.names().last()) {
            (Some(first), Some(last)) => write!(f, " or `{first}` to `{last}`"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Field, Values};

    fn quartz(field: Field, text: &str) -> String {
        Values::parse(field, text).unwrap().to_quartz(field)
    }

    #[test]
    fn fields_become_plain_numbers_of_the_quartz_dialect() {
        assert_eq!(quartz(Field::Minute, "*/20"), "0,20,40");
        assert_eq!(quartz(Field::Minute, "5,1-3,50-59/4"), "1,2,3,5,50,54,58");
        assert_eq!(quartz(Field::Hour, "*"), "*");
        assert_eq!(quartz(Field::Month, "jan,Nov-DEC"), "1,11,12");
        assert_eq!(quartz(Field::DayOfWeek, "mon-fri"), "2,3,4,5,6");
        assert_eq!(quartz(Field::DayOfWeek, "0"), "1");
        assert_eq!(quartz(Field::DayOfWeek, "7"), "1");
        assert_eq!(quartz(Field::DayOfWeek, "5-7"), "1,6,7");
        assert_eq!(quartz(Field::DayOfWeek, "0-7"), "*");
    }

    #[test]
    fn a_value_outside_its_field_is_named() {
        let message = |field, text| Values::parse(field, text).unwrap_err().to_string();
        assert_eq!(
            message(Field::Hour, "24"),
            "expected 0 to 23 in the hour field, found `24`"
        );
        assert_eq!(
            message(Field::DayOfWeek, "mon-fry"),
            "expected 0 to 7 or `sun` to `sat` in the day of week field, found `fry`"
        );
        assert_eq!(
            message(Field::Minute, "5/15"),
            "expected a step like `*/5` or `10-50/5` in the minute field, found `5/15`"
        );
        for text in ["*/0", "*/61", "*/", "*/+5", "*/-5"] {
            assert!(
                matches!(Values::parse(Field::Minute, text), Err(Error::Step { .. })),
                "{text}"
            );
        }
        for text in ["", "1,", "+1", "-1", "1-", "?", "L", "jan", "**"] {
            assert!(Values::parse(Field::Minute, text).is_err(), "{text}");
        }
        assert!(matches!(
            Values::parse(Field::DayOfMonth, "20-10"),
            Err(Error::Backwards { .. })
        ));
    }
}
