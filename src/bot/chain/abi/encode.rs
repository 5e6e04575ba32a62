//! Values to what a contract is given.

use std::fmt;

use num_bigint::{BigInt, Sign};

use super::{Function, Kind, words};
use crate::bot::expression::Value;

/// A value that is none of its parameter's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The parameter's name.
    pub parameter: String,
    /// What was wanted.
    pub wanted: String,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no {}", self.parameter, self.wanted)
    }
}

impl std::error::Error for Unfit {}

impl Function {
    /// The bytes of a call with these values, in the order of the inputs.
    ///
    /// # Errors
    /// [`Unfit`]: a value of another type, an int out of range, or another number of values.
    pub fn encode(&self, values: &[Value]) -> Result<Vec<u8>, Unfit> {
        if values.len() != self.inputs.len() {
            return Err(Unfit {
                parameter: self.name.clone(),
                wanted: format!("function of {} values", values.len()),
            });
        }
        let pairs: Vec<(&Kind, &Value)> = self.inputs.iter().map(|input| &input.kind).zip(values).collect();
        let body = sequence(&pairs, words(&self.inputs));
        let body = body.ok_or_else(|| {
            let mut inputs = self.inputs.iter().zip(values);
            let unfit = inputs.find(|(input, value)| encode(&input.kind, value).is_none());
            let (parameter, wanted) = unfit.map_or_else(
                || (self.name.clone(), "function of these values".to_owned()),
                |(input, _)| (input.name.clone(), input.kind.canonical()),
            );
            Unfit { parameter, wanted }
        })?;
        let mut call = self.selector().to_vec();
        call.extend(body);
        Ok(call)
    }
}

fn sequence(pairs: &[(&Kind, &Value)], head_words: usize) -> Option<Vec<u8>> {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    for (kind, value) in pairs {
        let bytes = encode(kind, value)?;
        if kind.is_dynamic() {
            head.extend(count(32 * head_words + tail.len()));
            tail.extend(bytes);
        } else {
            head.extend(bytes);
        }
    }
    head.extend(tail);
    Some(head)
}

fn encode(kind: &Kind, value: &Value) -> Option<Vec<u8>> {
    match (kind, value) {
        (Kind::Uint(bits), Value::Int(number)) => {
            let fits = number.sign() != Sign::Minus && number.bits() <= u64::from(*bits);
            fits.then(|| word(number).to_vec())
        }
        (Kind::Int(bits), Value::Int(number)) => {
            let magnitude = if number.sign() == Sign::Minus {
                (number.clone() + 1u8).bits()
            } else {
                number.bits()
            };
            (magnitude < u64::from(*bits)).then(|| word(number).to_vec())
        }
        (Kind::Address, Value::Wallet(address)) => {
            let mut word = [0; 32];
            word[12..].copy_from_slice(address.as_bytes());
            Some(word.to_vec())
        }
        (Kind::Bool, Value::Bool(bool)) => Some(count(usize::from(*bool)).to_vec()),
        (Kind::Word(32), Value::Hash(hash)) => Some(hash.to_vec()),
        (Kind::Word(length), Value::Text(text)) => {
            let bytes = const_hex::decode(text.as_ref()).ok()?;
            (bytes.len() == usize::from(*length)).then(|| padded(bytes))
        }
        (Kind::String, Value::Text(text)) => Some(sized(text.as_bytes().to_vec())),
        (Kind::Bytes, Value::Text(text)) => Some(sized(const_hex::decode(text.as_ref()).ok()?)),
        (Kind::List(element), Value::List(items)) => {
            let mut bytes = count(items.len()).to_vec();
            bytes.extend(elements(element, items)?);
            Some(bytes)
        }
        (Kind::Array(element, length), Value::List(items)) if items.len() == *length => {
            elements(element, items)
        }
        (Kind::Tuple(parts), Value::Record(fields)) => {
            let mut pairs = Vec::new();
            for part in parts {
                pairs.push((&part.kind, fields.get(&part.name)?));
            }
            sequence(&pairs, words(parts))
        }
        _ => None,
    }
}

fn elements(element: &Kind, items: &[Value]) -> Option<Vec<u8>> {
    let pairs: Vec<(&Kind, &Value)> = items.iter().map(|item| (element, item)).collect();
    sequence(&pairs, items.len() * element.words())
}

fn sized(bytes: Vec<u8>) -> Vec<u8> {
    let mut all = count(bytes.len()).to_vec();
    all.extend(padded(bytes));
    all
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes
}

fn count(count: usize) -> [u8; 32] {
    let mut word = [0; 32];
    if let Some(end) = word.last_chunk_mut() {
        *end = count.to_be_bytes();
    }
    word
}

/// A number that fits, in two's complement.
fn word(number: &BigInt) -> [u8; 32] {
    let fill = if number.sign() == Sign::Minus { 0xff } else { 0 };
    let bytes = number.to_signed_bytes_be();
    let mut word = [fill; 32];
    // A uint of all 256 bits has a zero before them.
    for (place, byte) in word.iter_mut().rev().zip(bytes.iter().rev()) {
        *place = *byte;
    }
    word
}
