//! A checked expression, ready to evaluate.

use std::ops::Range;

use regex::Regex;

use super::Value;
use super::functions::Function;
use super::syntax::Operator;
use crate::bot::chain::WalletName;

/// One operation with its place in the source.
#[derive(Debug, Clone)]
pub(super) struct Code {
    pub(super) operation: Operation,
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) enum Operation {
    Literal(Value),
    Name(String),
    /// The wallet of this name.
    WalletName(WalletName),
    Member(Box<Code>, String),
    Index(Box<Code>, Box<Code>),
    List(Vec<Code>),
    Not(Box<Code>),
    Negate(Box<Code>),
    Binary(Operator, Box<Code>, Box<Code>),
    Call(&'static Function, Vec<Code>),
    /// `matches`, whose pattern is compiled when the source is checked.
    Matches(Box<Code>, Pattern),
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// What matching one byte costs at worst: more for patterns with more states.
    pub(super) steps_per_byte: usize,
}
