//! The contract ABI: lines as Solidity writes them, or a JSON file of a compiler; values to bytes and back.
//!
//! Enters: `Name(type name, type indexed name, …)` or `name(types) returns (types names)`. Leaves: an `Event` or a `Function` whose
//! values have types of the bot language. Bytes of a contract that are no such values are refused: what is read of them takes
//! no more steps and memory than a few times their own length.

mod decode;
mod encode;
mod json;
mod read;

use sha3::{Digest as _, Keccak256};

use crate::bot::expression::{Record, Shape, Type};

pub use decode::Malformed;
pub use encode::Unfit;

/// A type of Solidity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `uintN`, of so many bits.
    Uint(u16),
    /// `intN`, of so many bits.
    Int(u16),
    /// `address`.
    Address,
    /// `bool`.
    Bool,
    /// `string`.
    String,
    /// `bytes`.
    Bytes,
    /// `bytesN`, of so many bytes.
    Word(u8),
    /// `T[]`.
    List(Box<Kind>),
    /// `T[N]`.
    Array(Box<Kind>, usize),
    /// `(T name, …)`.
    Tuple(Vec<Parameter>),
}

/// A parameter of an event or a function, or a part of a tuple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name; one without a name is called by its place: `arg0`.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Whether it stands in the topics of a log, where long values are only their hashes.
    pub indexed: bool,
}

/// An event of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// What it tells, in order.
    pub parameters: Vec<Parameter>,
    /// Whether its logs lack the topic that tells it from others.
    pub anonymous: bool,
    topic: [u8; 32],
    shape: Shape,
}

/// A function of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it is given, in order.
    pub inputs: Vec<Parameter>,
    /// What it gives, in order.
    pub outputs: Vec<Parameter>,
    selector: [u8; 4],
    shape: Shape,
}

/// What is wrong with a line, and at which byte of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The byte.
    pub at: usize,
    /// What was found and what was wanted.
    pub message: String,
}

impl Kind {
    /// Its spelling in signatures.
    pub fn canonical(&self) -> String {
        match self {
            Self::Uint(bits) => format!("uint{bits}"),
            Self::Int(bits) => format!("int{bits}"),
            Self::Address => "address".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::String => "string".to_owned(),
            Self::Bytes => "bytes".to_owned(),
            Self::Word(bytes) => format!("bytes{bytes}"),
            Self::List(element) => format!("{}[]", element.canonical()),
            Self::Array(element, count) => format!("{}[{count}]", element.canonical()),
            Self::Tuple(parts) => format!("({})", canonical(parts)),
        }
    }

    /// The type of its values in the bot language.
    pub fn ty(&self) -> Type {
        match self {
            Self::Uint(_) | Self::Int(_) => Type::Int,
            Self::Address => Type::Wallet,
            Self::Bool => Type::Bool,
            Self::Word(32) => Type::Hash,
            Self::String | Self::Bytes | Self::Word(_) => Type::Text,
            Self::List(element) | Self::Array(element, _) => Type::List(Box::new(element.ty())),
            Self::Tuple(parts) => Type::Record(record(parts)),
        }
    }

    /// Whether its values stand apart from where they are named, since their length is told by them.
    fn is_dynamic(&self) -> bool {
        match self {
            Self::String | Self::Bytes | Self::List(_) => true,
            Self::Array(element, _) => element.is_dynamic(),
            Self::Tuple(parts) => parts.iter().any(|part| part.kind.is_dynamic()),
            _ => false,
        }
    }

    /// How many words a value takes where it is named. The reader of lines keeps this small.
    fn words(&self) -> usize {
        match self {
            _ if self.is_dynamic() => 1,
            Self::Array(element, count) => element.words().saturating_mul(*count),
            Self::Tuple(parts) => words(parts),
            _ => 1,
        }
    }

    /// Whether a topic holds the value itself.
    fn fits_topic(&self) -> bool {
        !matches!(
            self,
            Self::String | Self::Bytes | Self::List(_) | Self::Array(..) | Self::Tuple(_)
        )
    }
}

impl Parameter {
    /// The type of what a log tells of it.
    fn logged(&self) -> Type {
        if self.indexed && !self.kind.fits_topic() {
            return Type::Hash;
        }
        self.kind.ty()
    }
}

impl Event {
    fn new(name: String, parameters: Vec<Parameter>, anonymous: bool) -> Self {
        Self {
            topic: Keccak256::digest(signature(&name, &parameters)).into(),
            shape: shape(&parameters),
            name,
            parameters,
            anonymous,
        }
    }

    /// Reads `Name(type name, type indexed name, …)`.
    ///
    /// # Errors
    /// The first mistake, with its place in the line.
    pub fn parse(line: &str) -> Result<Self, Mistake> {
        read::event(line)
    }

    /// Finds an event in a JSON ABI: by its name, or by its name and types where several have that name.
    ///
    /// # Errors
    /// What is wrong with the file, or that it has no such event.
    pub fn find(abi: &str, wanted: &str) -> Result<Self, String> {
        json::event(abi, wanted)
    }

    /// Its name and the types of its parameters.
    pub fn signature(&self) -> String {
        signature(&self.name, &self.parameters)
    }

    /// The topic that tells its logs from others.
    pub fn topic(&self) -> [u8; 32] {
        self.topic
    }

    /// The type of the record of what a log tells.
    pub fn ty(&self) -> Type {
        let parameters = self.parameters.iter();
        Type::Record(parameters.map(|one| (one.name.as_str(), one.logged())).collect())
    }
}

impl Function {
    fn new(name: String, inputs: Vec<Parameter>, outputs: Vec<Parameter>) -> Self {
        let digest: [u8; 32] = Keccak256::digest(signature(&name, &inputs)).into();
        Self {
            selector: [digest[0], digest[1], digest[2], digest[3]],
            shape: shape(&outputs),
            name,
            inputs,
            outputs,
        }
    }

    /// Reads `name(types) returns (types names)`.
    ///
    /// # Errors
    /// The first mistake, with its place in the line.
    pub fn parse(line: &str) -> Result<Self, Mistake> {
        read::function(line)
    }

    /// Its name and the types that it is given.
    pub fn signature(&self) -> String {
        signature(&self.name, &self.inputs)
    }

    /// The four bytes that a call of it begins with.
    pub fn selector(&self) -> [u8; 4] {
        self.selector
    }

    /// The types of what it is given.
    pub fn input_types(&self) -> Vec<Type> {
        self.inputs.iter().map(|input| input.kind.ty()).collect()
    }

    /// The type of the record that it gives.
    pub fn output_type(&self) -> Type {
        Type::Record(record(&self.outputs))
    }
}

fn signature(name: &str, parameters: &[Parameter]) -> String {
    format!("{name}({})", canonical(parameters))
}

fn canonical(parameters: &[Parameter]) -> String {
    let kinds: Vec<String> = parameters.iter().map(|one| one.kind.canonical()).collect();
    kinds.join(",")
}

fn shape(parameters: &[Parameter]) -> Shape {
    Shape::new(parameters.iter().map(|one| one.name.as_str()))
}

fn record(parameters: &[Parameter]) -> Record {
    let fields = parameters.iter();
    fields.map(|one| (one.name.as_str(), one.kind.ty())).collect()
}

fn words(parameters: &[Parameter]) -> usize {
    let words = parameters.iter().map(|one| one.kind.words());
    words.fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests;
