//! Calls of several contracts by one: the bytes of `aggregate3((address target, bool allowFailure, bytes callData)[] calls) returns
//! ((bool success, bytes returnData)[] results)` of Multicall3 (multicall3.com).
//!
//! They are written and read in place, as thousands of calls pass here at a time.

use bytes::Bytes;
use herald_protocol::address::Address;

use super::{Answered, Call, reverted};

/// Multicall3, which stands at this address on most chains.
pub(super) const MULTICALL: Address = Address::from_bytes([
    0xca, 0x11, 0xbd, 0xe0, 0x59, 0x77, 0xb3, 0x63, 0x11, 0x67, 0x02, 0x88, 0x62, 0xbe, 0x2a, 0x17, 0x39,
    0x76, 0xca, 0x11,
]);
const SELECTOR: [u8; 4] = [0x82, 0xad, 0x56, 0xcb];
const WORD: usize = 32;
/// Words of a call before its data: the contract, that it may fail, where the data is, and how long.
const HEAD: usize = 4;

/// What the contract is called with. Each call may fail by itself.
pub(super) fn encode(calls: &[Call]) -> Vec<u8> {
    let sizes = calls
        .iter()
        .map(|(_, data)| HEAD * WORD + data.len().next_multiple_of(WORD));
    let size = SELECTOR.len() + (2 + calls.len()) * WORD + sizes.clone().sum::<usize>();
    let mut bytes = Vec::with_capacity(size);
    bytes.extend(SELECTOR);
    put(&mut bytes, WORD);
    put(&mut bytes, calls.len());
    let mut offset = calls.len() * WORD;
    for size in sizes {
        put(&mut bytes, offset);
        offset += size;
    }
    for (target, data) in calls {
        bytes.extend([0; 12]);
        bytes.extend(target.as_bytes());
        put(&mut bytes, 1);
        put(&mut bytes, 3 * WORD);
        put(&mut bytes, data.len());
        bytes.extend(data);
        let rest = data.len().next_multiple_of(WORD) - data.len();
        bytes.resize(bytes.len() + rest, 0);
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend([0; WORD - size_of::<usize>()]);
    bytes.extend(number.to_be_bytes());
}

/// What came of so many calls; none where this is no answer to them. The answers are parts of these bytes and together no longer:
/// where they are read, one that repeats itself would be many times its size.
pub(super) fn decode(answer: &Bytes, count: usize) -> Option<Vec<Answered>> {
    let list = number(answer, 0)?;
    if number(answer, list)? != count {
        return None;
    }
    let start = list.checked_add(WORD)?;
    let mut left = answer.len();
    let results = (0..count).map(|place| {
        let at = start.checked_add(number(answer, start.checked_add(place.checked_mul(WORD)?)?)?)?;
        let is_success = match number(answer, at)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let data = at.checked_add(number(answer, at.checked_add(WORD)?)?)?;
        let (first, length) = (data.checked_add(WORD)?, number(answer, data)?);
        left = left.checked_sub(length)?;
        let end = first.checked_add(length).filter(|end| *end <= answer.len())?;
        let data = answer.slice(first..end);
        Some(if is_success {
            Ok(data)
        } else {
            Err(reverted(data.into()))
        })
    });
    results.collect()
}

/// The number in the word at a place, if it is one that can count these bytes.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<WORD>()?;
    let (high, low) = word.split_last_chunk::<{ size_of::<usize>() }>()?;
    let number = usize::from_be_bytes(*low);
    (high.iter().all(|byte| *byte == 0) && number <= bytes.len()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bot::{chain::abi::Function, expression::Value};

    fn bytes(data: &[u8]) -> Value {
        Value::text(const_hex::encode_prefixed(data))
    }

    #[test]
    fn calls_are_written_as_the_abi_writes_them() {
        let line = "aggregate3((address target, bool allowFailure, bytes callData)[] calls) returns ()";
        let function = Function::parse(line).unwrap();
        for lengths in [vec![], vec![0], vec![4, 32, 36, 100]] {
            let call = |length: usize| (MULTICALL, vec![7; length]);
            let calls: Vec<Call> = lengths.into_iter().map(call).collect();
            let values = calls.iter().map(|(target, data)| {
                Value::record([
                    ("target", Value::Wallet(*target)),
                    ("allowFailure", Value::Bool(true)),
                    ("callData", bytes(data)),
                ])
            });
            assert_eq!(encode(&calls), function.encode(&[Value::list(values)]).unwrap());
        }
    }

    fn answer(results: &[(bool, &[u8])]) -> Vec<u8> {
        let function = Function::parse("f((bool success, bytes returnData)[] results) returns ()").unwrap();
        let results = results.iter().map(|(success, data)| {
            Value::record([("success", Value::Bool(*success)), ("returnData", bytes(data))])
        });
        function.encode(&[Value::list(results)]).unwrap().split_off(4)
    }

    #[test]
    fn answers_are_read_as_the_abi_writes_them() {
        let data = Bytes::from(answer(&[(true, &[7; 33]), (false, &[1, 2]), (true, &[])]));
        let answers = decode(&data, 3).unwrap();
        assert_eq!(answers[0], Ok(Bytes::from(vec![7; 33])));
        assert_eq!(answers[1].as_ref().unwrap_err().data, [1, 2]);
        assert_eq!(answers[2], Ok(Bytes::new()));
        assert!(decode(&data, 2).is_none());
    }

    #[test]
    fn an_answer_that_repeats_itself_is_none() {
        let mut results = [(false, [].as_slice()); 8];
        results[0].1 = &[7; 320];
        let mut data = answer(&results);
        assert!(decode(&Bytes::from(data.clone()), 8).is_some());
        let places = 2 * WORD;
        for place in 1..8 {
            data.copy_within(places..places + WORD, places + place * WORD);
        }
        assert!(decode(&Bytes::from(data), 8).is_none());
    }

    #[test]
    fn what_is_no_answer_is_none_wherever_it_is_wrong() {
        let good = answer(&[(true, &[7; 33]), (false, &[])]);
        for length in 0..good.len() {
            // The last word is the padding of nothing.
            let cut = Bytes::copy_from_slice(&good[..length]);
            assert!(decode(&cut, 2).is_none(), "cut at {length}");
        }
        for place in 0..good.len() / WORD {
            let mut odd = good.clone();
            odd[place * WORD] = 0xff;
            let is_data = decode(&Bytes::from(good.clone()), 2) != decode(&Bytes::from(odd.clone()), 2);
            assert!(is_data, "word {place}");
            odd[place * WORD..][..WORD].fill(0xff);
            drop(decode(&Bytes::from(odd), 2));
        }
    }
}
