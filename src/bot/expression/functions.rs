//! The filters and functions: an allow-list, each with the types it takes and gives.
//!
//! A filter given `none` gives `none`; the evaluator sees to that before it calls one.

mod chains;
mod lists;
mod numbers;
mod text;
mod time;
mod wallets;

use std::sync::Arc;

use bigdecimal::BigDecimal;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use herald_protocol::address::Address;

use super::meter::{BoundedText, Meter};
use super::number::{parse_number, to_count, to_decimal};
use super::read::{from_unix, parse_zone, quoted};
use super::{Failure, MAX_TEXT, Question, Scope, Type, Value};

pub(crate) use chains::{BLOCK_TIME, tx_status_type};
pub(crate) use wallets::ENS;

/// One filter or function.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    /// How it is written, for messages.
    pub(super) usage: &'static str,
    /// What it gives, for the reference.
    pub(super) about: &'static str,
    /// What each argument is; the first is what stands before the `|`.
    pub(super) accepts: &'static [Accepts],
    /// How many of the arguments must be there.
    pub(super) required: usize,
    /// What it needs beside its arguments.
    pub(super) needs: Needs,
    /// The type of the result.
    pub(super) gives: Gives,
    /// Computes the result.
    pub(super) run: fn(&mut Call<'_>) -> Result<Value, Failure>,
}

/// What a function needs beside its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// The instant of the run.
    Now,
    /// A chain that is asked: the one that an argument names, or else this.
    Chain(Option<&'static str>),
}

/// The type of a result, for arguments that were accepted.
#[derive(Debug)]
pub(super) enum Gives {
    /// Always this one.
    Always(Type),
    /// That of the first argument.
    Same,
    /// One that follows from the arguments.
    From(fn(&[Argument<'_>]) -> Type),
    /// One that follows from the arguments, which do not always go together.
    Try(fn(&[Argument<'_>]) -> Result<Type, Refusal>),
}

impl Gives {
    pub(super) fn for_arguments(&self, arguments: &[Argument<'_>]) -> Result<Type, Refusal> {
        match self {
            Self::Always(ty) => Ok(ty.clone()),
            Self::Same => Ok(arguments
                .first()
                .map_or(Type::Any, |argument| argument.ty.clone())),
            Self::From(decide) => Ok(decide(arguments)),
            Self::Try(decide) => decide(arguments),
        }
    }
}

/// The kinds an argument may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    Anything,
    Number,
    Int,
    Text,
    /// Everything but lists and records.
    Scalar,
    List,
    /// What has a length.
    Countable,
    /// Numbers, times, durations and texts, or a list of them.
    Ordered,
    /// A time, an RFC 3339 text or Unix seconds.
    Moment,
    /// A time zone or its name.
    Zone,
    Wallet,
    /// A wallet or a hash.
    Identifier,
    Hash,
    /// A chain's name.
    Chain,
    /// The name of a field, written out.
    Field,
    /// A strftime format, written out.
    Format,
    /// A regular expression, written out.
    Pattern,
}

impl Accepts {
    pub(super) fn permits(self, ty: &Type) -> bool {
        if *ty == Type::Any {
            return true;
        }
        match self {
            Self::Anything => true,
            Self::Number => ty.is_number(),
            Self::Int => *ty == Type::Int,
            Self::Text | Self::Chain | Self::Field | Self::Format | Self::Pattern => ty.is_text(),
            Self::Scalar => !matches!(ty, Type::List(_) | Type::Record(_)),
            Self::List => matches!(ty, Type::List(_)),
            Self::Countable => ty.is_text() || matches!(ty, Type::List(_) | Type::Record(_)),
            Self::Ordered => {
                let element = if let Type::List(element) = ty {
                    element.base()
                } else {
                    ty
                };
                super::operators::sortable(element)
            }
            Self::Moment => *ty == Type::Time || ty.is_text() || ty.is_number(),
            Self::Zone => *ty == Type::Tz || ty.is_text(),
            Self::Wallet => *ty == Type::Wallet || ty.is_text(),
            Self::Hash => *ty == Type::Hash || ty.is_text(),
            Self::Identifier => matches!(ty, Type::Wallet | Type::Hash) || ty.is_text(),
        }
    }

    /// Whether the argument must be a literal.
    pub(super) fn is_written_out(self) -> bool {
        matches!(self, Self::Field | Self::Format | Self::Pattern)
    }

    /// Whether an argument behind the first may be `none`.
    pub(super) fn permits_none(self) -> bool {
        self == Self::Anything
    }

    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::Anything => "any value",
            Self::Number => "a number",
            Self::Int => "an int",
            Self::Text => "a text",
            Self::Scalar => "one value",
            Self::List => "a list",
            Self::Countable => "a list, a text or a record",
            Self::Ordered => "values that have an order",
            Self::Moment => "a time, an RFC 3339 text or Unix seconds",
            Self::Zone => "a time zone",
            Self::Wallet => "a wallet",
            Self::Identifier => "a wallet or a hash",
            Self::Hash => "a hash",
            Self::Chain => "the name of a chain",
            Self::Field => "the name of a field",
            Self::Format => "a date format",
            Self::Pattern => "a pattern",
        }
    }
}

/// An argument when the source is checked.
#[derive(Debug)]
pub(super) struct Argument<'a> {
    /// Its type without `optional`.
    pub(super) ty: &'a Type,
    /// Its value, if it is written out.
    pub(super) literal: Option<&'a Value>,
}

impl<'a> Argument<'a> {
    pub(super) fn literal_text(&self) -> Option<&'a str> {
        match self.literal {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// Why a function does not take an argument.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) argument: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Refusal {
    fn new(argument: usize, message: impl Into<String>) -> Self {
        Self {
            argument,
            message: message.into(),
            hint: None,
        }
    }
}

static FUNCTIONS: [&[Function]; 6] = [
    &numbers::FUNCTIONS,
    &text::FUNCTIONS,
    &lists::FUNCTIONS,
    &time::FUNCTIONS,
    &wallets::FUNCTIONS,
    &chains::FUNCTIONS,
];

/// The function of that name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS
        .iter()
        .copied()
        .flatten()
        .find(|function| function.name == name)
}

/// How each function is written and what it gives, in the order of the table.
pub(crate) fn reference() -> impl Iterator<Item = (&'static str, &'static str)> {
    FUNCTIONS
        .iter()
        .copied()
        .flatten()
        .map(|function| (function.usage, function.about))
}

/// The names of all functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().copied().flatten().map(|function| function.name)
}

/// One call at run time, with the kinds of its arguments read out of `any` where needed.
#[derive(Debug)]
pub(super) struct Call<'c> {
    arguments: &'c [Value],
    meter: &'c mut Meter,
    now: Option<DateTime<Utc>>,
    /// Where others are asked.
    scope: Option<&'c Scope>,
}

impl<'c> Call<'c> {
    pub(super) fn new(arguments: &'c [Value], meter: &'c mut Meter) -> Self {
        Self {
            arguments,
            meter,
            now: None,
            scope: None,
        }
    }

    pub(super) fn at(self, now: DateTime<Utc>) -> Self {
        Self {
            now: Some(now),
            ..self
        }
    }

    pub(super) fn asking(self, scope: &'c Scope) -> Self {
        Self {
            scope: Some(scope),
            ..self
        }
    }

    /// What others answer, for functions that declare to need them.
    fn ask(&self, question: Question<'_>) -> Result<Value, Failure> {
        let asked = self.scope.and_then(|scope| scope.ask(question));
        asked.unwrap_or_else(|| Err(Failure::NoValue(question.to_string())))
    }

    /// A wallet, or a text that is one.
    fn wallet(&self, index: usize) -> Result<Address, Failure> {
        let value = self.value(index);
        let read = match value {
            Value::Text(text) => Type::Wallet.scalar(text),
            other => Some(other.clone()),
        };
        match (read, value) {
            (Some(Value::Wallet(wallet)), _) => Ok(wallet),
            (_, Value::Text(text)) => Err(unreadable(text, Accepts::Wallet.wanted())),
            (_, other) => Err(Failure::mismatch(other, Accepts::Wallet.wanted())),
        }
    }

    /// An argument, none if it was left out.
    fn value(&self, index: usize) -> &'c Value {
        self.arguments.get(index).unwrap_or(&Value::None)
    }

    fn has(&self, index: usize) -> bool {
        index < self.arguments.len()
    }

    /// A text; other single values are taken as they print. Charges reading it once.
    pub(super) fn text(&mut self, index: usize) -> Result<Arc<str>, Failure> {
        let text = match self.value(index) {
            Value::Text(text) => Arc::clone(text),
            value @ (Value::None | Value::List(_) | Value::Record(_)) => {
                return Err(Failure::mismatch(value, "a text"));
            }
            value => value.to_string().into(),
        };
        self.meter.charge_bytes(text.len())?;
        Ok(text)
    }

    fn number(&self, index: usize) -> Result<Value, Failure> {
        let value = self.value(index);
        match value {
            Value::Int(_) | Value::Decimal(_) => Ok(value.clone()),
            Value::Text(text) => parse_number(text, true).ok_or_else(|| unreadable(text, "a number")),
            _ => Err(Failure::mismatch(value, "a number")),
        }
    }

    fn decimal(&self, index: usize) -> Result<BigDecimal, Failure> {
        let number = self.number(index)?;
        to_decimal(&number).ok_or_else(|| Failure::mismatch(&number, "a number"))
    }

    /// A whole number from zero to `most`; `default` if it was left out.
    fn count(&self, index: usize, default: usize, most: usize) -> Result<usize, Failure> {
        if !self.has(index) {
            return Ok(default);
        }
        let wanted = || format!("an int from 0 to {most}");
        match self.number(index)? {
            Value::Int(int) => to_count(&int, most).ok_or_else(|| Failure::Mismatch {
                found: int.to_string(),
                wanted: wanted(),
            }),
            other => Err(Failure::mismatch(&other, wanted())),
        }
    }

    /// A list; charges one step for each element.
    fn list(&mut self, index: usize) -> Result<Arc<[Value]>, Failure> {
        match self.value(index) {
            Value::List(items) => {
                self.meter.charge(items.len())?;
                Ok(Arc::clone(items))
            }
            value => Err(Failure::mismatch(value, "a list")),
        }
    }

    /// A time, an RFC 3339 text or Unix seconds.
    fn moment(&self, index: usize) -> Result<DateTime<Utc>, Failure> {
        let wanted = Accepts::Moment.wanted();
        let value = self.value(index);
        let time = match value {
            Value::Time(time) => return Ok(*time),
            Value::Text(text) => match Type::Time.scalar(text) {
                Some(Value::Time(time)) => return Ok(time),
                _ => parse_number(text, true).ok_or_else(|| unreadable(text, wanted))?,
            },
            other => other.clone(),
        };
        let seconds = match &time {
            Value::Int(seconds) => from_unix(seconds),
            Value::Decimal(seconds) => from_unix(&seconds.with_scale(0).into_bigint_and_exponent().0),
            other => return Err(Failure::mismatch(other, wanted)),
        };
        seconds.ok_or(Failure::Overflow("time"))
    }

    fn zone(&self, index: usize) -> Result<Tz, Failure> {
        match self.value(index) {
            Value::Tz(tz) => Ok(*tz),
            Value::Text(name) => {
                parse_zone(name).ok_or_else(|| unreadable(name, "a time zone such as Europe/Lisbon"))
            }
            value => Err(Failure::mismatch(value, Accepts::Zone.wanted())),
        }
    }

    /// The instant of the run, for functions that declare to need it.
    fn now(&self) -> Result<DateTime<Utc>, Failure> {
        self.now.ok_or_else(|| Failure::NoValue("now".to_owned()))
    }

    /// A text that was made, after its length is checked.
    fn made(&mut self, text: impl Into<Arc<str>>) -> Result<Value, Failure> {
        let text = text.into();
        self.meter.charge_text(text.len())?;
        Ok(Value::Text(text))
    }

    /// A text that is written piece by piece and stops at its bound.
    fn write(
        &mut self,
        write: impl FnOnce(&mut BoundedText<'_>) -> std::fmt::Result,
    ) -> Result<Value, Failure> {
        let mut text = String::new();
        BoundedText::append(self.meter, &mut text, MAX_TEXT, write)?;
        Ok(Value::text(text))
    }
}

fn unreadable(text: &str, wanted: &str) -> Failure {
    Failure::Mismatch {
        found: quoted(text),
        wanted: wanted.to_owned(),
    }
}

/// The element type of the first argument.
fn element(arguments: &[Argument<'_>]) -> Type {
    match arguments.first().map(|argument| argument.ty) {
        Some(Type::List(element)) => (**element).clone(),
        _ => Type::Any,
    }
}
