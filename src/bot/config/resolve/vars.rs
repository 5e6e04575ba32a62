//! `vars`: constants. A plain scalar is what it reads as in the language (an int, a wallet, a time, …), a quoted one is text.

use std::str::FromStr as _;

use herald_protocol::address::Address;

use super::exposed;
use super::report::Report;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Entries, Raw};
use crate::bot::config::tree::{Content, NodeId};
use crate::bot::dialog::command::is_identifier;
use crate::bot::expression::{Record, Type, Value};

/// The record of the constants and its type. The value is `None` when one has a mistake.
pub(super) fn resolve(report: &mut Report<'_>, vars: Option<&Entries<Raw>>) -> (Type, Option<Value>) {
    let mut record = Record::new();
    let mut values = Some(Vec::new());
    for (name, raw) in vars.into_iter().flat_map(|vars| &vars.0) {
        let named = check_name(report, name, raw.node);
        let (ty, value) = read(report, raw.value.0);
        record.insert(name.as_str(), ty);
        match (&mut values, value.filter(|_| named)) {
            (Some(values), Some(value)) => values.push((name.clone(), value)),
            _ => values = None,
        }
    }
    (Type::Record(record), values.map(Value::record))
}

fn check_name(report: &mut Report<'_>, name: &str, node: NodeId) -> bool {
    if !is_identifier(name) && !report.is_full() {
        let message = format!(
            "expected a name of letters, digits and `_`, found {}",
            quote(name)
        );
        let right = name.replace(['-', ' ', '.'], "_");
        let hint = is_identifier(&right).then(|| format!("write `{right}`"));
        report.add(Place::Key(node), Code::Name, message, hint);
    }
    is_identifier(name)
}

/// The type and value of a node; without a value where there is a mistake in it.
fn read(report: &mut Report<'_>, id: NodeId) -> (Type, Option<Value>) {
    let tree = report.tree;
    if report.is_full() {
        return (Type::Any, None);
    }
    match tree.content(id) {
        Content::Scalar(_) if tree.is_empty(id) => {
            report.add(
                Place::Value(id),
                Code::Shape,
                "expected a value, found nothing",
                None,
            );
            (Type::Any, None)
        }
        Content::Scalar(text) if exposed::in_constant(report, id, tree.key(id).unwrap_or_default(), text) => {
            (Type::Any, None)
        }
        Content::Scalar(text) if tree.is_plain(id) => {
            let ty = plain_type(report, id, text);
            let value = ty.read_text(text).ok();
            (ty, value)
        }
        Content::Scalar(text) => (Type::Text, Some(Value::text(text.as_str()))),
        Content::List(items) => {
            let (types, values): (Vec<Type>, Vec<Option<Value>>) =
                items.iter().map(|item| read(report, *item)).unzip();
            let first = types.first().cloned().unwrap_or(Type::Any);
            let element = if types.iter().all(|ty| *ty == first) {
                first
            } else {
                Type::Any
            };
            let values: Option<Vec<Value>> = values.into_iter().collect();
            (Type::List(Box::new(element)), values.map(Value::list))
        }
        Content::Map(entries) => {
            let mut record = Record::new();
            let mut values = Some(Vec::new());
            for (name, entry) in entries {
                let named = check_name(report, name, *entry);
                let (ty, value) = read(report, *entry);
                record.insert(name.as_str(), ty);
                values = values.zip(value.filter(|_| named)).map(|(mut values, value)| {
                    values.push((name.clone(), value));
                    values
                });
            }
            (Type::Record(record), values.map(Value::record))
        }
    }
}

/// What a plain scalar reads as. An address whose checksum is wrong is reported, and a wallet without value.
fn plain_type(report: &mut Report<'_>, id: NodeId, text: &str) -> Type {
    let ty = Type::infer(text);
    let looks_like_address = text.len() == 42
        && text
            .strip_prefix("0x")
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if looks_like_address && ty != Type::Wallet {
        let right = Address::from_str(&text.to_ascii_lowercase()).ok();
        let message = format!("the checksum of address `{text}` is wrong");
        let hint = right.map(|right| format!("if every digit is right, it is written `{right}`"));
        report.add(Place::Value(id), Code::Address, message, hint);
        return Type::Wallet;
    }
    ty
}
