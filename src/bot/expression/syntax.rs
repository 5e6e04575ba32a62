//! The tree of an expression as it is written.

use std::ops::Range;

use super::{Finding, MAX_DEPTH, Value};

/// One node with its place.
#[derive(Debug)]
pub(super) struct Syntax {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
    /// Whether it stood in parentheses.
    pub(super) parenthesised: bool,
    depth: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Literal(Value),
    Name(String),
    /// A name of a wallet that is no name with members: `1inch.eth`.
    WalletName(String),
    Member(Box<Syntax>, Identifier),
    Index(Box<Syntax>, Box<Syntax>),
    List(Vec<Syntax>),
    Not(Box<Syntax>),
    Negate(Box<Syntax>),
    Binary(Operator, Box<Syntax>, Box<Syntax>),
    /// A function and its arguments; the filter `x | f(a)` is `f(x, a)`.
    Call(Identifier, Vec<Syntax>),
}

/// A name with its place.
#[derive(Debug, Clone)]
pub(super) struct Identifier {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    In,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    pub(super) fn is_comparison(self) -> bool {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Unequal};
        matches!(
            self,
            Equal | Unequal | Less | LessOrEqual | Greater | GreaterOrEqual
        )
    }
}

impl Syntax {
    /// A node over its parts; refused when the tree becomes deeper than the stack is meant for.
    pub(super) fn new(kind: Kind, span: Range<usize>) -> Result<Self, Finding> {
        let below = match &kind {
            Kind::Literal(_) | Kind::Name(_) | Kind::WalletName(_) => 0,
            Kind::Member(inner, _) | Kind::Not(inner) | Kind::Negate(inner) => inner.depth,
            Kind::Index(left, right) | Kind::Binary(_, left, right) => left.depth.max(right.depth),
            Kind::List(parts) | Kind::Call(_, parts) => {
                parts.iter().map(|part| part.depth).max().unwrap_or(0)
            }
        };
        if below >= MAX_DEPTH {
            return Err(too_deep(span));
        }
        Ok(Self {
            kind,
            span,
            parenthesised: false,
            depth: below + 1,
        })
    }
}

pub(super) fn too_deep(span: Range<usize>) -> Finding {
    Finding::new(
        span,
        format!("more than {MAX_DEPTH} operations nest or follow each other here"),
    )
    .with_hint("give a part a name with `let`")
}

impl Operator {
    /// The sentence that says why two kinds do not go together.
    pub(super) fn refusal(self, left: &str, right: &str) -> String {
        match self {
            Self::Add => format!("cannot add {left} and {right}"),
            Self::Subtract => format!("cannot subtract {right} from {left}"),
            Self::Multiply => format!("cannot multiply {left} by {right}"),
            Self::Divide | Self::Remainder => format!("cannot divide {left} by {right}"),
            Self::In => format!("cannot look for {left} in {right}"),
            _ => format!("cannot compare {left} with {right}"),
        }
    }
}
