//! The typed expression and template language of bots.
//!
//! Source text and the types of the names it may use enter; an [`Expression`] or a [`Template`] that is
//! known to be well typed leaves, or every [`Finding`] at once. Evaluation is pure and bounded: it reads
//! nothing but its [`Scope`], and it stops after [`MAX_STEPS`] steps or [`MAX_OUTPUT`] bytes of output. Text
//! inside values is never read as a template.
//!
//! ```text
//! source -> lexer -> parser -> Syntax -> check (Names: types) -> Code -> evaluate (Scope: values) -> Value
//!                                                  template: text and Code -> render -> String
//! ```

mod check;
mod code;
mod evaluate;
mod fields;
mod functions;
mod lexer;
mod meter;
mod nearest;
mod number;
mod operators;
mod parser;
mod plain;
mod print;
mod read;
mod scope;
mod syntax;
mod template;
mod types;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;

use crate::bot::chain::WalletName;

pub use fields::{Fields, Shape};
pub(crate) use functions::{BLOCK_TIME, ENS, reference, tx_status_type};
pub use meter::{EvaluationError, Failure, MAX_OUTPUT, MAX_STEPS, MAX_TEXT};
pub use nearest::nearest;
pub use read::{JsonMismatch, WalletOf};
pub use scope::{Names, Scope};
pub(crate) use scope::{Outside, Question, SourceType, SourceTypes};
pub use template::Template;
pub use types::{Record, Type};
pub use value::Value;

use check::Checker;
use code::Code;
use evaluate::Evaluation;

/// The longest expression or template, in bytes.
pub const MAX_SOURCE: usize = 64 * 1024;

/// The deepest nesting of an expression, and of blocks in a template.
///
/// It bounds the stack that parsing, checking, evaluating and dropping need.
pub const MAX_DEPTH: usize = 64;

/// How many findings one source reports; the first ones explain the rest.
const MAX_FINDINGS: usize = 100;

/// One thing wrong in a source, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Bytes of the source that was given.
    pub span: Range<usize>,
    /// What was found and what was wanted.
    pub message: String,
    /// How to mend it, where that is known.
    pub hint: Option<String>,
}

impl Finding {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            hint: None,
        }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the nearest of `candidates` as the hint, if one is near.
    fn with_nearest<'a>(mut self, wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        self.hint = nearest(wanted, candidates).map(|name| format!("did you mean `{name}`?"));
        self
    }
}

/// A checked expression.
#[derive(Debug, Clone)]
pub struct Expression {
    code: Code,
    ty: Type,
    uses: Uses,
}

/// What a checked source uses of its scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Names, and the names that computed ones stand on.
    names: BTreeSet<String>,
    /// `vars.place` where a source takes a member, `vars` where it takes the whole.
    paths: BTreeSet<String>,
    /// Whether others are asked for a part of it.
    asks: bool,
    /// The names of wallets that are written out.
    wallet_names: BTreeSet<WalletName>,
    /// The chains that are asked, as far as they are written out.
    chains: BTreeSet<String>,
}

impl Expression {
    /// Parses and checks a bare expression against the names in scope.
    ///
    /// # Errors
    ///
    /// The first mistake of its grammar, or else every mistake of its names and types.
    pub fn parse(source: &str, names: &Names) -> Result<Self, Vec<Finding>> {
        let syntax = parser::expression(source).map_err(|finding| vec![finding])?;
        let mut checker = Checker::new(names);
        let (code, ty) = checker.check(&syntax);
        let uses = checker.finish()?;
        Ok(Self { code, ty, uses })
    }

    /// The type of every value this expression gives.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// The names of the scope it uses, such as `to` or `body`, in order; of a computed name also those it stands on.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.uses.names
    }

    /// Where it takes its values: `vars.place` of a member, `vars` of the whole.
    pub(crate) fn paths(&self) -> &BTreeSet<String> {
        &self.uses.paths
    }

    /// Whether others are asked for a part of it.
    pub(crate) fn asks(&self) -> bool {
        self.uses.asks
    }

    /// The names of wallets that are written out in it.
    pub(crate) fn wallet_names(&self) -> &BTreeSet<WalletName> {
        &self.uses.wallet_names
    }

    /// The chains that are asked for a part of it, as far as they are written out.
    pub(crate) fn chains(&self) -> &BTreeSet<String> {
        &self.uses.chains
    }

    /// The name of a wallet that it is, and nothing else.
    pub(crate) fn as_wallet_name(&self) -> Option<&WalletName> {
        match &self.code.operation {
            code::Operation::WalletName(name) => Some(name),
            _ => None,
        }
    }

    /// Computes the value.
    ///
    /// # Errors
    ///
    /// What types cannot rule out: a division by zero, an overflow, a bound, a value out of `any` of the
    /// wrong kind.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, EvaluationError> {
        let mut evaluation = Evaluation::new(scope);
        let value = evaluation.evaluate(&self.code)?;
        evaluation
            .measure(&value)
            .map_err(|failure| failure.at(self.code.span.clone()))?;
        Ok(value)
    }

    /// Computes a value that is read part by part, never printed as a whole: it may be as large as what it is taken from.
    ///
    /// # Errors
    ///
    /// As [`Self::evaluate`], but for the size of the value.
    pub(crate) fn evaluate_in_parts(&self, scope: &Scope) -> Result<Value, EvaluationError> {
        Evaluation::new(scope).evaluate(&self.code)
    }
}
