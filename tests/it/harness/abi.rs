//! Calls of contracts as the Solidity ABI specification writes them, apart from herald's own encoding.

use herald_protocol::address::Address;
use serde_json::Value;
use sha3::{Digest as _, Keccak256};

/// A type of an argument.
#[derive(Clone)]
enum Kind {
    /// 32 bytes. Those of `bytes4` and its like begin at the left.
    Word {
        is_left: bool,
    },
    /// `bytes`, written `0x…`.
    Bytes,
    Text,
    List(Box<Kind>),
    Tuple(Vec<Kind>),
}

/// A call like `mint(address,uint256)` with its arguments in an array: addresses, numbers (large ones as decimal
/// digits in a string), truth values, texts, `0x…` for bytes, arrays for lists and tuples.
pub(crate) fn encode(signature: &str, arguments: &Value) -> String {
    let (_, types) = signature.split_once('(').expect("a signature");
    let kinds = Kind::all(types.strip_suffix(')').expect("a signature"));
    let mut bytes = keccak(signature.as_bytes())[..4].to_vec();
    bytes.extend(sequence(&kinds, arguments));
    hex(bytes)
}

/// The number in the word of this index of an answer.
#[track_caller]
pub(crate) fn number(answer: &[u8], index: usize) -> u128 {
    let word = word_at(answer, index);
    assert_eq!(word[..16], [0; 16], "it is too large");
    u128::from_be_bytes(word[16..].try_into().unwrap())
}

/// The address in the word of this index of an answer.
#[track_caller]
pub(crate) fn address(answer: &[u8], index: usize) -> Address {
    let word = word_at(answer, index);
    assert_eq!(word[..12], [0; 12], "it is no address");
    Address::from_bytes(word[12..].try_into().unwrap())
}

/// The bytes or the text that an answer consists of.
#[track_caller]
pub(crate) fn bytes(answer: &[u8]) -> Vec<u8> {
    assert_eq!(number(answer, 0), 32);
    let length = usize::try_from(number(answer, 1)).unwrap();
    answer[64..64 + length].to_vec()
}

pub(crate) fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    const_hex::encode_prefixed(bytes)
}

#[track_caller]
fn word_at(answer: &[u8], index: usize) -> &[u8] {
    let word = answer.get(32 * index..32 * (index + 1));
    word.unwrap_or_else(|| panic!("no word {index} in {}", hex(answer)))
}

impl Kind {
    fn of(text: &str) -> Self {
        if let Some(element) = text.strip_suffix("[]") {
            return Self::List(Box::new(Self::of(element)));
        }
        if let Some(members) = text.strip_prefix('(') {
            return Self::Tuple(Self::all(members.strip_suffix(')').expect("a closed tuple")));
        }
        match text {
            "bytes" => Self::Bytes,
            "string" => Self::Text,
            _ => Self::Word {
                is_left: text.starts_with("bytes"),
            },
        }
    }

    /// The types of a list between commas.
    fn all(text: &str) -> Vec<Self> {
        let mut depth = 0;
        let members = text.split(|character| {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            character == ',' && depth == 0
        });
        members
            .filter(|member| !member.is_empty())
            .map(Self::of)
            .collect()
    }

    fn is_dynamic(&self) -> bool {
        match self {
            Self::Word { .. } => false,
            Self::Bytes | Self::Text | Self::List(_) => true,
            Self::Tuple(members) => members.iter().any(Self::is_dynamic),
        }
    }

    fn encode(&self, value: &Value) -> Vec<u8> {
        match self {
            Self::Word { is_left } => word(*is_left, value).to_vec(),
            Self::Bytes => counted(&const_hex::decode(value.as_str().expect("bytes")).unwrap()),
            Self::Text => counted(value.as_str().expect("a text").as_bytes()),
            Self::List(element) => {
                let count = value.as_array().expect("a list").len();
                let mut bytes = length(count).to_vec();
                bytes.extend(sequence(&vec![(**element).clone(); count], value));
                bytes
            }
            Self::Tuple(members) => sequence(members, value),
        }
    }
}

/// Values in a row: those of a fixed size first, with the places of the others among them, then the others.
fn sequence(kinds: &[Kind], values: &Value) -> Vec<u8> {
    let values = values.as_array().expect("an array of values");
    assert_eq!(
        kinds.len(),
        values.len(),
        "not as many values as types: {values:?}"
    );
    let parts: Vec<(bool, Vec<u8>)> = kinds
        .iter()
        .zip(values)
        .map(|(kind, value)| (kind.is_dynamic(), kind.encode(value)))
        .collect();
    let size = |(is_dynamic, bytes): &(bool, Vec<u8>)| if *is_dynamic { 32 } else { bytes.len() };
    let mut place: usize = parts.iter().map(size).sum();
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    for (is_dynamic, bytes) in parts {
        if is_dynamic {
            head.extend(length(place));
            place += bytes.len();
            tail.extend(bytes);
        } else {
            head.extend(bytes);
        }
    }
    head.extend(tail);
    head
}

fn word(is_left: bool, value: &Value) -> [u8; 32] {
    let bytes = match value {
        Value::Bool(is_true) => vec![u8::from(*is_true)],
        Value::Number(number) => number.as_u64().expect("a whole number").to_be_bytes().to_vec(),
        Value::String(text) if text.starts_with("0x") => const_hex::decode(text).unwrap(),
        Value::String(digits) => digits.parse::<u128>().unwrap().to_be_bytes().to_vec(),
        other => panic!("no word: {other}"),
    };
    let mut word = [0; 32];
    let start = if is_left { 0 } else { 32 - bytes.len() };
    word[start..start + bytes.len()].copy_from_slice(&bytes);
    word
}

fn length(count: usize) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&u64::try_from(count).unwrap().to_be_bytes());
    word
}

fn counted(content: &[u8]) -> Vec<u8> {
    let mut bytes = length(content.len()).to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes
}
