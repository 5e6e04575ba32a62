//! Names of wallets among expressions: `alice.eth`, `my-name.eth`.

use super::super::syntax::{Kind, Operator, Syntax};
use crate::bot::chain::WalletName;

/// The name of a wallet that an expression spells, unless its first part is a name that is in scope.
pub(super) fn spelled(syntax: &Syntax, is_in_scope: impl Fn(&str) -> bool) -> Option<String> {
    // What ends otherwise need not be put together.
    let last = match &syntax.kind {
        Kind::WalletName(name) => return Some(name.clone()),
        Kind::Binary(Operator::Subtract, _, right) => right,
        _ => syntax,
    };
    let is_meant = match &last.kind {
        Kind::WalletName(_) => true,
        Kind::Member(_, field) => matches!(field.name.to_ascii_lowercase().as_str(), "eth" | "lens"),
        _ => false,
    };
    if !is_meant {
        return None;
    }
    let name = joined(syntax)?;
    let root = name.split(['.', '-']).next()?;
    (WalletName::is_meant(&name) && !is_in_scope(root)).then_some(name)
}

/// Names joined by `.` and `-` without spaces, as they are written.
fn joined(syntax: &Syntax) -> Option<String> {
    let part = |syntax: &Syntax| joined(syntax).filter(|_| !syntax.parenthesised);
    match &syntax.kind {
        Kind::Name(name) | Kind::WalletName(name) => Some(name.clone()),
        Kind::Member(record, field) if record.span.end + 1 == field.span.start => {
            Some(format!("{}.{}", part(record)?, field.name))
        }
        Kind::Binary(Operator::Subtract, left, right) if left.span.end + 1 == right.span.start => {
            Some(format!("{}-{}", part(left)?, part(right)?))
        }
        _ => None,
    }
}
