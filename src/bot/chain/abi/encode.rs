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
        let mut call = Vec::with_capacity(4 + 32 * words(&self.inputs));
        call.extend(self.selector());
        let pairs = self.inputs.iter().map(|input| &input.kind).zip(values);
        sequence(&mut call, pairs).ok_or_else(|| {
            let mut inputs = self.inputs.iter().zip(values);
            let unfit = inputs.find(|(input, value)| encode(&mut Vec::new(), &input.kind, value).is_none());
            let (parameter, wanted) = unfit.map_or_else(
                || (self.name.clone(), "function of these values".to_owned()),
                |(input, _)| (input.name.clone(), input.kind.canonical()),
            );
            Unfit { parameter, wanted }
        })?;
        Ok(call)
    }
}

/// Adds values that follow one another: first what has its place there, then what stands apart.
fn sequence<'v>(
    bytes: &mut Vec<u8>,
    pairs: impl Iterator<Item = (&'v Kind, &'v Value)> + Clone,
) -> Option<()> {
    let start = bytes.len();
    for (kind, value) in pairs.clone() {
        if kind.is_dynamic() {
            bytes.extend(count(0));
        } else {
            encode(bytes, kind, value)?;
        }
    }
    let mut named = start;
    for (kind, value) in pairs {
        if kind.is_dynamic() {
            let offset = count(bytes.len() - start);
            bytes
                .get_mut(named..)?
                .first_chunk_mut()
                .map(|word| *word = offset)?;
            encode(bytes, kind, value)?;
        }
        named += 32 * kind.words();
    }
    Some(())
}

/// Adds a value; none where it is none of this type, and then what was added is of no use.
fn encode(bytes: &mut Vec<u8>, kind: &Kind, value: &Value) -> Option<()> {
    match (kind, value) {
        (Kind::Uint(bits), Value::Int(number)) => {
            let fits = number.sign() != Sign::Minus && number.bits() <= u64::from(*bits);
            bytes.extend(fits.then(|| word(number))?);
        }
        (Kind::Int(bits), Value::Int(number)) => {
            let magnitude = if number.sign() == Sign::Minus {
                (number.clone() + 1u8).bits()
            } else {
                number.bits()
            };
            bytes.extend((magnitude < u64::from(*bits)).then(|| word(number))?);
        }
        (Kind::Address, Value::Wallet(address)) => {
            bytes.extend([0; 12]);
            bytes.extend(address.as_bytes());
        }
        (Kind::Bool, Value::Bool(bool)) => bytes.extend(count(usize::from(*bool))),
        (Kind::Word(32), Value::Hash(hash)) => bytes.extend(hash),
        (Kind::Word(length), Value::Text(text)) => {
            let data = const_hex::decode(text.as_ref()).ok()?;
            (data.len() == usize::from(*length)).then(|| padded(bytes, &data))?;
        }
        (Kind::String, Value::Text(text)) => sized(bytes, text.as_bytes()),
        (Kind::Bytes, Value::Text(text)) => sized(bytes, &const_hex::decode(text.as_ref()).ok()?),
        (Kind::List(element), Value::List(items)) => {
            bytes.extend(count(items.len()));
            sequence(bytes, items.iter().map(|item| (&**element, item)))?;
        }
        (Kind::Array(element, length), Value::List(items)) if items.len() == *length => {
            sequence(bytes, items.iter().map(|item| (&**element, item)))?;
        }
        (Kind::Tuple(parts), Value::Record(fields)) => {
            let pairs = parts
                .iter()
                .map(|part| Some((&part.kind, fields.get(&part.name)?)));
            sequence(bytes, pairs.collect::<Option<Vec<_>>>()?.into_iter())?;
        }
        _ => return None,
    }
    Some(())
}

fn sized(bytes: &mut Vec<u8>, data: &[u8]) {
    bytes.extend(count(data.len()));
    padded(bytes, data);
}

fn padded(bytes: &mut Vec<u8>, data: &[u8]) {
    bytes.extend(data);
    let rest = data.len().next_multiple_of(32) - data.len();
    bytes.resize(bytes.len() + rest, 0);
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
