//! Bytes of a contract to values. Offsets in them may lead anywhere and meet, so every value that is read is counted: an honest
//! encoding has no more of them than words.

use std::fmt;

use herald_protocol::address::Address;
use num_bigint::{BigInt, BigUint, Sign};

use super::{Event, Function, Kind, Parameter};
use crate::bot::expression::Value;

/// Bytes that are no encoding of what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the data {}", self.0)
    }
}

impl std::error::Error for Malformed {}

const SHORT: Malformed = Malformed("ends too early");
const REPEATED: Malformed = Malformed("refers to the same bytes again and again");
const OUT_OF_RANGE: Malformed = Malformed("has a number that does not fit its type");
const TOPICS: Malformed = Malformed("has not the topics of this event");

impl Event {
    /// What a log tells.
    ///
    /// # Errors
    /// [`Malformed`]: it is a log of another event, or none that a compiler makes.
    pub fn decode(&self, topics: &[[u8; 32]], data: &[u8]) -> Result<Value, Malformed> {
        let mut topics = topics.iter();
        if !self.anonymous && topics.next() != Some(&self.topic()) {
            return Err(TOPICS);
        }
        let plain = self.parameters.iter().filter(|one| !one.indexed);
        let mut plain = Decoder::new(data).sequence(plain, 0)?.into_iter();
        let mut values = Vec::with_capacity(self.parameters.len());
        for parameter in &self.parameters {
            let value = if parameter.indexed {
                let topic = topics.next().ok_or(TOPICS)?;
                if parameter.kind.fits_topic() {
                    single(&parameter.kind, topic)?
                } else {
                    Value::Hash(*topic)
                }
            } else {
                plain.next().ok_or(SHORT)?
            };
            values.push(value);
        }
        if topics.next().is_some() {
            return Err(TOPICS);
        }
        Ok(self.shape.record(values))
    }

    /// Whether a log has as many topics as this event: other contracts have events of the same signature with others indexed.
    pub fn has_topics(&self, count: usize) -> bool {
        let indexed = self.parameters.iter().filter(|one| one.indexed).count();
        count == indexed + usize::from(!self.anonymous)
    }
}

impl Function {
    /// The record of what a call gave.
    ///
    /// # Errors
    /// [`Malformed`]: the contract has no such function, or one that gives something else.
    pub fn decode(&self, data: &[u8]) -> Result<Value, Malformed> {
        let values = Decoder::new(data).sequence(&self.outputs, 0)?;
        Ok(self.shape.record(values))
    }
}

struct Decoder<'d> {
    data: &'d [u8],
    /// How many more values are read.
    left: usize,
}

impl<'d> Decoder<'d> {
    fn new(data: &'d [u8]) -> Self {
        Self {
            data,
            left: 2 * (data.len() / 32) + 64,
        }
    }

    fn spend(&mut self, count: usize) -> Result<(), Malformed> {
        self.left = self.left.checked_sub(count).ok_or(REPEATED)?;
        Ok(())
    }

    fn bytes(&self, at: usize, count: usize) -> Result<&'d [u8], Malformed> {
        let end = at.checked_add(count).ok_or(SHORT)?;
        self.data.get(at..end).ok_or(SHORT)
    }

    fn word(&self, at: usize) -> Result<&'d [u8; 32], Malformed> {
        let bytes = self.bytes(at, 32)?;
        bytes.first_chunk().ok_or(SHORT)
    }

    /// A number that counts or leads somewhere in the data.
    fn count(&self, at: usize) -> Result<usize, Malformed> {
        let word = self.word(at)?;
        let (high, low) = word.split_at(24);
        let low: [u8; 8] = low.try_into().map_err(|_| SHORT)?;
        let count = usize::try_from(u64::from_be_bytes(low)).map_err(|_| SHORT)?;
        if high.iter().any(|byte| *byte != 0) || count > self.data.len() {
            return Err(SHORT);
        }
        Ok(count)
    }

    /// Values that follow one another, whose offsets start here.
    fn sequence<'p>(
        &mut self,
        parameters: impl IntoIterator<Item = &'p Parameter>,
        start: usize,
    ) -> Result<Vec<Value>, Malformed> {
        let parameters = parameters.into_iter();
        let mut values = Vec::with_capacity(parameters.size_hint().1.unwrap_or_default());
        let mut at = start;
        for parameter in parameters {
            values.push(self.placed(&parameter.kind, start, at)?);
            at += 32 * parameter.kind.words();
        }
        Ok(values)
    }

    /// A value that is named at a place: there, or where an offset from `start` leads.
    fn placed(&mut self, kind: &Kind, start: usize, at: usize) -> Result<Value, Malformed> {
        if !kind.is_dynamic() {
            return self.value(kind, at);
        }
        let offset = self.count(at)?;
        self.value(kind, start.checked_add(offset).ok_or(SHORT)?)
    }

    fn value(&mut self, kind: &Kind, at: usize) -> Result<Value, Malformed> {
        self.spend(1)?;
        match kind {
            Kind::List(element) => {
                let count = self.count(at)?;
                self.elements(element, count, at + 32)
            }
            Kind::Array(element, count) => self.elements(element, *count, at),
            Kind::Tuple(parts) => {
                let values = self.sequence(parts, at)?;
                let names = parts.iter().map(|part| part.name.as_str());
                Ok(Value::record(names.zip(values)))
            }
            Kind::String | Kind::Bytes => {
                let length = self.count(at)?;
                self.spend(length / 32)?;
                let bytes = self.bytes(at + 32, length)?;
                Ok(match kind {
                    Kind::String => Value::text(String::from_utf8_lossy(bytes).as_ref()),
                    _ => hex(bytes),
                })
            }
            kind => single(kind, self.word(at)?),
        }
    }

    fn elements(&mut self, element: &Kind, count: usize, start: usize) -> Result<Value, Malformed> {
        let size = 32 * element.words();
        // Also of elements that are never read because the first one is wrong.
        self.bytes(start, count.checked_mul(size).ok_or(SHORT)?)?;
        let mut values = Vec::new();
        for number in 0..count {
            values.push(self.placed(element, start, start + number * size)?);
        }
        Ok(Value::list(values))
    }
}

/// A value of one word.
fn single(kind: &Kind, word: &[u8; 32]) -> Result<Value, Malformed> {
    let fits = |is_right: bool| if is_right { Ok(()) } else { Err(OUT_OF_RANGE) };
    Ok(match kind {
        Kind::Uint(bits) => {
            let number = BigUint::from_bytes_be(word);
            fits(number.bits() <= u64::from(*bits))?;
            Value::Int(BigInt::from_biguint(Sign::Plus, number))
        }
        Kind::Int(bits) => {
            let number = BigInt::from_signed_bytes_be(word);
            let magnitude = if number.sign() == Sign::Minus {
                (number.clone() + 1u8).bits()
            } else {
                number.bits()
            };
            fits(magnitude < u64::from(*bits))?;
            Value::Int(number)
        }
        Kind::Address => {
            let (high, low) = word.split_at(12);
            fits(high.iter().all(|byte| *byte == 0))?;
            let bytes: [u8; 20] = low.try_into().map_err(|_| SHORT)?;
            Value::Wallet(Address::from_bytes(bytes))
        }
        Kind::Bool => {
            let (high, low) = word.split_at(31);
            fits(high.iter().all(|byte| *byte == 0) && matches!(low, [0 | 1]))?;
            Value::Bool(low == [1])
        }
        Kind::Word(32) => Value::Hash(*word),
        Kind::Word(count) => hex(word.get(..usize::from(*count)).ok_or(SHORT)?),
        _ => return Err(OUT_OF_RANGE),
    })
}

fn hex(bytes: &[u8]) -> Value {
    Value::text(const_hex::encode_prefixed(bytes))
}

/// The zero of a type, for what a test does not say.
fn zero(kind: &Kind) -> Value {
    match kind {
        Kind::Uint(_) | Kind::Int(_) => Value::Int(BigInt::ZERO),
        Kind::Address => Value::Wallet(Address::from_bytes([0; 20])),
        Kind::Bool => Value::Bool(false),
        Kind::String => Value::text(""),
        Kind::Bytes => hex(&[]),
        Kind::Word(32) => Value::Hash([0; 32]),
        Kind::Word(count) => hex(&vec![0; usize::from(*count)]),
        Kind::List(_) => Value::list([]),
        Kind::Array(element, count) => Value::list(vec![zero(element); *count]),
        Kind::Tuple(parts) => Value::record(parts.iter().map(|part| (part.name.as_str(), zero(&part.kind)))),
    }
}

impl Function {
    /// What it gives where it gives nothing but zeros.
    pub fn zeros(&self) -> Value {
        let outputs = self.outputs.iter();
        self.shape.record(outputs.map(|output| zero(&output.kind)))
    }
}

impl Event {
    /// What a log of nothing but zeros tells.
    pub fn zeros(&self) -> Value {
        let values = self.parameters.iter().map(|one| {
            if one.indexed && !one.kind.fits_topic() {
                Value::Hash([0; 32])
            } else {
                zero(&one.kind)
            }
        });
        self.shape.record(values)
    }
}
