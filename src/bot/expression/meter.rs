//! What an evaluation may cost, and why one stops.

use std::fmt;
use std::ops::Range;

use super::Value;

/// The steps one evaluation or rendering may take. A step is one operation on up to 64 bytes or one element.
pub const MAX_STEPS: usize = 50_000;

/// The longest output of a template, in bytes.
pub const MAX_OUTPUT: usize = 64 * 1024;

/// The longest text an operation may make, in bytes: as long as the data a bot takes from outside, so that
/// `content | plain | truncate(280)` works on all of it.
pub const MAX_TEXT: usize = 256 * 1024;

/// Bytes that one step may touch.
const BYTES_PER_STEP: usize = 64;

/// The deepest value an evaluation may give: bounds what reading, printing and dropping it recurse.
const MAX_VALUE_DEPTH: usize = 160;

/// Why a checked expression gave no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct EvaluationError {
    /// Bytes of the source of the operation that failed.
    pub span: Range<usize>,
    /// What failed.
    pub failure: Failure,
}

/// The ways an evaluation can fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The right side of `/` or `%` was zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A number left its range: 256 bits signed for an int, 80 digits before the point for a decimal.
    #[error("the {0} is too large")]
    Overflow(&'static str),
    /// The work exceeded [`MAX_STEPS`].
    #[error("it takes more than 50,000 steps")]
    TooManySteps,
    /// A text exceeded [`MAX_TEXT`], or the output [`MAX_OUTPUT`].
    #[error("the text grows too long (an output has at most 65,536 bytes, a text in between 262,144)")]
    TooLong,
    /// A value nests deeper than any the language reads or writes.
    #[error("a value nests too deep")]
    TooDeep,
    /// A value out of `any` was of a kind the operation does not take.
    #[error("found {found}, wanted {wanted}")]
    Mismatch {
        /// The kind or text that was there.
        found: String,
        /// What the operation takes.
        wanted: String,
    },
    /// Two values out of `any` do not go together.
    #[error("{0}")]
    Incompatible(String),
    /// A name was declared when the source was checked and has no value now.
    #[error("`{0}` has no value here")]
    NoValue(String),
    /// Others are to be asked first: whoever evaluates it does so, and begins anew.
    #[error("`{0}` is not known yet")]
    Unasked(String),
    /// Others were asked and have not answered.
    #[error("{0}")]
    Unanswered(String),
    /// A name is no wallet's.
    #[error("{0}")]
    Nobodys(String),
}

impl Failure {
    pub(super) fn at(self, span: Range<usize>) -> EvaluationError {
        EvaluationError { span, failure: self }
    }

    pub(crate) fn mismatch(found: &Value, wanted: impl Into<String>) -> Self {
        Self::Mismatch {
            found: found.kind().to_owned(),
            wanted: wanted.into(),
        }
    }
}

/// Counts the steps of one evaluation.
#[derive(Debug)]
pub(super) struct Meter {
    left: usize,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self { left: MAX_STEPS }
    }

    /// Takes steps before the work they stand for is done.
    pub(super) fn charge(&mut self, steps: usize) -> Result<(), Failure> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Failure::TooManySteps),
        }
    }

    /// Takes the steps of touching so many bytes.
    pub(super) fn charge_bytes(&mut self, bytes: usize) -> Result<(), Failure> {
        self.charge(1 + bytes / BYTES_PER_STEP)
    }

    /// Checks that a text of so many bytes may be made, and takes its steps.
    pub(super) fn charge_text(&mut self, bytes: usize) -> Result<(), Failure> {
        if bytes > MAX_TEXT {
            return Err(Failure::TooLong);
        }
        self.charge_bytes(bytes)
    }

    /// Walks a value with all it holds and takes a step for each part.
    ///
    /// Lists are shared, so a small template can name a value whose printed form is astronomical: the walk
    /// stops as soon as the steps are used up.
    pub(super) fn charge_value(&mut self, value: &Value) -> Result<(), Failure> {
        self.walk(value, MAX_VALUE_DEPTH)
    }

    fn walk(&mut self, value: &Value, depth: usize) -> Result<(), Failure> {
        let depth = depth.checked_sub(1).ok_or(Failure::TooDeep)?;
        match value {
            Value::Text(text) => self.charge_bytes(text.len()),
            Value::List(items) => {
                self.charge(1)?;
                items.iter().try_for_each(|item| self.walk(item, depth))
            }
            Value::Record(fields) => {
                self.charge(1)?;
                fields.iter().try_for_each(|(name, field)| {
                    self.charge_bytes(name.len())?;
                    self.walk(field, depth)
                })
            }
            _ => self.charge(1),
        }
    }
}

/// A text that grows under a meter up to its bound.
#[derive(Debug)]
pub(super) struct BoundedText<'m> {
    meter: &'m mut Meter,
    text: &'m mut String,
    most: usize,
    failure: Option<Failure>,
}

impl<'m> BoundedText<'m> {
    /// Lets `write` append to a text of at most so many bytes; gives why it was stopped.
    pub(super) fn append(
        meter: &'m mut Meter,
        text: &'m mut String,
        most: usize,
        write: impl FnOnce(&mut Self) -> fmt::Result,
    ) -> Result<(), Failure> {
        let mut bounded = Self {
            meter,
            text,
            most,
            failure: None,
        };
        write(&mut bounded).map_err(|fmt::Error| bounded.failure.unwrap_or(Failure::TooLong))
    }
}

impl fmt::Write for BoundedText<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let charged = if self.text.len() + part.len() > self.most {
            Err(Failure::TooLong)
        } else {
            self.meter.charge_bytes(part.len())
        };
        if let Err(failure) = charged {
            self.failure = Some(failure);
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}
