//! Gives every part of an expression its type, or a finding.

mod calls;
mod names;

use std::ops::Range;

use super::code::{Code, Operation};
use super::functions;
use super::operators::{arithmetic_type, comparable, sortable};
use super::syntax::{Identifier, Kind, Operator, Syntax, too_deep};
use super::{Finding, MAX_DEPTH, MAX_FINDINGS, Names, SourceType, Type, Uses, Value};
use crate::bot::chain::WalletName;

/// Names that triggers, audiences and places give, where it is not known which of them do: what begins with another and is spelled as the
/// name of a wallet is one.
const GIVEN: [&str; 20] = [
    "answers",
    "args",
    "block",
    "body",
    "contract",
    "event",
    "headers",
    "item",
    "items",
    "list",
    "message",
    "mine",
    "now",
    "occurrence",
    "previous",
    "row",
    "sub",
    "to",
    "value",
    "vars",
];

/// Checks the expressions of one source and collects what is wrong with all of them.
#[derive(Debug)]
pub(super) struct Checker<'n> {
    names: &'n Names,
    /// The variables of the loops around, innermost last.
    locals: Vec<Local>,
    uses: Uses,
    findings: Vec<Finding>,
    patterns: usize,
}

/// The variable of a loop.
#[derive(Debug)]
struct Local {
    name: String,
    ty: Type,
    /// How deep the lists nest that the source itself put around it.
    depth: usize,
}

impl<'n> Checker<'n> {
    pub(super) fn new(names: &'n Names) -> Self {
        Self {
            names,
            locals: Vec::new(),
            uses: Uses::default(),
            findings: Vec::new(),
            patterns: 0,
        }
    }

    /// What was used, or all that was wrong, in the order of the source.
    pub(super) fn finish(mut self) -> Result<Uses, Vec<Finding>> {
        if self.findings.is_empty() {
            return Ok(self.uses);
        }
        self.findings.sort_by_key(|finding| finding.span.start);
        Err(self.findings)
    }

    pub(super) fn report(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// Brings the variable of a loop over `list` into scope.
    ///
    /// Loops in loops could nest lists deeper than the source nests, and values are dropped recursively:
    /// so the depth that the source builds is counted along.
    pub(super) fn enter(&mut self, name: String, ty: Type, list: Option<&Syntax>) {
        let depth = list.map_or(0, |list| self.built_depth(list));
        if let Some(list) = list.filter(|_| depth > MAX_DEPTH) {
            self.report(too_deep(list.span.clone()));
        }
        // The variable is an element: one list less.
        self.locals.push(Local {
            name,
            ty,
            depth: depth.saturating_sub(1),
        });
    }

    /// How deep the lists nest that an expression puts around the values it names.
    fn built_depth(&self, syntax: &Syntax) -> usize {
        let deepest = |parts: &[Syntax]| parts.iter().map(|part| self.built_depth(part)).max().unwrap_or(0);
        match &syntax.kind {
            Kind::Literal(_) | Kind::WalletName(_) => 0,
            Kind::Name(name) => self.local(name).map_or(0, |local| local.depth),
            Kind::Member(inner, _) | Kind::Not(inner) | Kind::Negate(inner) => self.built_depth(inner),
            Kind::Index(left, right) | Kind::Binary(_, left, right) => {
                self.built_depth(left).max(self.built_depth(right))
            }
            Kind::List(items) => 1 + deepest(items),
            Kind::Call(_, arguments) => deepest(arguments),
        }
    }

    fn local(&self, name: &str) -> Option<&Local> {
        self.locals.iter().rev().find(|local| local.name == name)
    }

    /// Takes the innermost variable out of scope.
    pub(super) fn leave(&mut self) {
        self.locals.pop();
    }

    /// The code and type of an expression. A part with a finding is of type `any`, so that it causes no others.
    pub(super) fn check(&mut self, syntax: &Syntax) -> (Code, Type) {
        let (operation, ty) = match &syntax.kind {
            _ if let Some(name) = names::spelled(syntax, |root| self.is_in_scope(root)) => {
                self.wallet_name(&name, &syntax.span)
            }
            // It is spelled as a whole.
            Kind::WalletName(_) => (Operation::Literal(Value::None), Type::Any),
            Kind::Literal(value) => (Operation::Literal(value.clone()), literal_type(value)),
            Kind::Name(name) => {
                self.uses.paths.insert(name.clone());
                (Operation::Name(name.clone()), self.name(name, &syntax.span))
            }
            Kind::Member(record, field) => self.member(record, field),
            Kind::Index(container, index) => self.index(container, index),
            Kind::List(items) => {
                let (items, types): (Vec<_>, Vec<_>) = items.iter().map(|item| self.check(item)).unzip();
                let element = types.into_iter().reduce(Type::join).unwrap_or(Type::Any);
                (Operation::List(items), Type::List(Box::new(element)))
            }
            Kind::Not(operand) => (Operation::Not(Box::new(self.check(operand).0)), Type::Bool),
            Kind::Negate(operand) => {
                let (code, ty) = self.check(operand);
                if !(ty.base().is_number() || matches!(ty.base(), Type::Duration | Type::Any)) {
                    self.report(Finding::new(
                        operand.span.clone(),
                        format!("cannot negate {}", ty.kind()),
                    ));
                }
                (Operation::Negate(Box::new(code)), ty)
            }
            Kind::Binary(operator, left, right) => self.binary(*operator, left, right, &syntax.span),
            Kind::Call(function, arguments) => self.call(function, arguments),
        };
        (
            Code {
                operation,
                span: syntax.span.clone(),
            },
            ty,
        )
    }

    fn name(&mut self, name: &str, span: &Range<usize>) -> Type {
        if let Some(local) = self.local(name) {
            return local.ty.clone();
        }
        if let Some(ty) = self.names.get(name) {
            self.uses.names.insert(name.to_owned());
            let origins = self.names.origins(name).map(ToOwned::to_owned);
            self.uses.names.extend(origins);
            if self.names.is_asking(name) {
                self.note_asking(name, span);
            }
            return ty.clone();
        }
        match self.names.source(name) {
            Some(Ok(SourceType { ty, names })) => {
                self.uses.names.insert(name.to_owned());
                self.uses.names.extend(names);
                self.uses.paths.insert(format!("sources.{name}"));
                self.note_asking(name, span);
                return ty;
            }
            Some(Err(reason)) => {
                self.uses.paths.insert(format!("sources.{name}"));
                let message = format!("source `{name}` cannot be asked here: {reason}");
                self.report(Finding::new(span.clone(), message));
                return Type::Any;
            }
            None if self.names.is_open() => {
                self.uses.names.insert(name.to_owned());
                return Type::Any;
            }
            None => {}
        }
        let finding = Finding::new(span.clone(), format!("unknown name `{name}`"));
        let known = self
            .names
            .iter()
            .map(|(name, _)| name)
            .chain(self.locals.iter().map(|local| local.name.as_str()));
        let finding = match functions::find(name) {
            Some(_) => finding.with_hint(format!(
                "`{name}` is a function: write `x | {name}` or `{name}(x)`"
            )),
            None => finding.with_nearest(name, known),
        };
        self.report(finding);
        Type::Any
    }

    /// Others are asked for a name.
    pub(super) fn note_asking(&mut self, name: &str, span: &Range<usize>) {
        self.uses.asks = true;
        if !self.names.can_ask() {
            let message = format!("`{name}` asks others, and nobody can be asked here");
            let hint = "it may stand in `let` (of a name without `to`), `if`, `send` and what is answered";
            self.report(Finding::new(span.clone(), message).with_hint(hint));
        }
    }

    fn member(&mut self, record: &Syntax, field: &Identifier) -> (Operation, Type) {
        let (code, ty) = match &record.kind {
            Kind::Name(name) => {
                self.uses.paths.insert(format!("{name}.{}", field.name));
                let operation = Operation::Name(name.clone());
                let span = record.span.clone();
                let ty = self.name(name, &span);
                (Code { operation, span }, ty)
            }
            _ => self.check(record),
        };
        let member = self.field(record, &ty, &field.name, &field.span);
        (Operation::Member(Box::new(code), field.name.clone()), member)
    }

    /// The wallet of a name that is written out.
    fn wallet_name(&mut self, text: &str, span: &Range<usize>) -> (Operation, Type) {
        match WalletName::read(text) {
            Ok(name) => {
                if !self.names.knows_wallets() {
                    self.note_asking(name.as_str(), span);
                }
                self.uses.chains.insert(name.chain().to_owned());
                self.uses.wallet_names.insert(name.clone());
                (Operation::WalletName(name), Type::Wallet)
            }
            Err(reason) => {
                self.report(Finding::new(span.clone(), reason));
                (Operation::Literal(Value::None), Type::Any)
            }
        }
    }

    fn is_in_scope(&self, name: &str) -> bool {
        (self.names.is_open() && GIVEN.contains(&name))
            || self.names.get(name).is_some()
            || self.local(name).is_some()
            || self.names.source(name).is_some()
    }

    /// The type of a field of what `record` says.
    fn field(&mut self, record: &Syntax, ty: &Type, name: &str, span: &Range<usize>) -> Type {
        let object = path(record).map_or_else(|| "this".to_owned(), |path| format!("`{path}`"));
        match ty {
            Type::Any => Type::Any,
            Type::Optional(ty) if **ty == Type::Any => Type::Any,
            Type::Optional(ty) => self.field(record, ty, name, span).optional(),
            Type::Record(fields) => fields.get(name).cloned().unwrap_or_else(|| {
                let known = fields.iter().map(|(name, _)| name);
                let finding = Finding::new(span.clone(), format!("{object} has no field `{}`", shown(name)));
                self.report(finding.with_nearest(name, known));
                Type::Any
            }),
            other => {
                let finding = Finding::new(
                    span.clone(),
                    format!("{object} is of type {}, it has no fields", other.kind()),
                );
                self.report(match other {
                    Type::List(_) => {
                        finding.with_hint(format!("write `| map(\"{}\")` or take one element", shown(name)))
                    }
                    _ => finding,
                });
                Type::Any
            }
        }
    }

    fn index(&mut self, container: &Syntax, index: &Syntax) -> (Operation, Type) {
        let (container_code, ty) = self.check(container);
        let (index_code, index_type) = self.check(index);
        let element = match (ty.base(), &index.kind) {
            (Type::Any, _) => Type::Any,
            (Type::List(element), _) if matches!(index_type, Type::Int | Type::Any) => {
                (**element).clone().optional()
            }
            (Type::Record(_), Kind::Literal(Value::Text(name))) => {
                self.field(container, &ty, name, &index.span)
            }
            (Type::List(_), _) => {
                self.report(Finding::new(
                    index.span.clone(),
                    format!("a list takes an int, not {}", index_type.kind()),
                ));
                Type::Any
            }
            (Type::Record(_), _) => {
                self.report(Finding::new(
                    index.span.clone(),
                    "the name of a field is written out here, in quotes",
                ));
                Type::Any
            }
            (other, _) => {
                self.report(Finding::new(
                    container.span.clone(),
                    format!("cannot index {}", other.kind()),
                ));
                Type::Any
            }
        };
        (
            Operation::Index(Box::new(container_code), Box::new(index_code)),
            element,
        )
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &Syntax,
        right: &Syntax,
        span: &Range<usize>,
    ) -> (Operation, Type) {
        let (left_code, left_type) = self.check(left);
        let (right_code, right_type) = self.check(right);
        let (left_base, right_base) = (left_type.base(), right_type.base());
        let ty = match operator {
            Operator::Or => {
                let first = if left_type.is_none() {
                    Type::none()
                } else {
                    left_base.clone()
                };
                first.join(right_type.clone())
            }
            Operator::And => Type::Bool,
            Operator::In => {
                self.check_contained(left, &left_type, right, &right_type, span);
                Type::Bool
            }
            operator if operator.is_comparison() => {
                let ordered = matches!(operator, Operator::Equal | Operator::Unequal)
                    || (sortable(left_base) && sortable(right_base));
                if ordered && comparable(left_base, right_base) {
                    self.check_choice(&left_type, right);
                    self.check_choice(&right_type, left);
                } else {
                    let finding = refusal(operator, &left_type, &right_type, span);
                    self.report(with_literal_hint(finding, left, right));
                }
                Type::Bool
            }
            operator => match arithmetic_type(operator, left_base, right_base) {
                Some(ty) if left_type.is_optional() || right_type.is_optional() => ty.optional(),
                Some(ty) => ty,
                None => {
                    self.report(refusal(operator, &left_type, &right_type, span));
                    Type::Any
                }
            },
        };
        (
            Operation::Binary(operator, Box::new(left_code), Box::new(right_code)),
            ty,
        )
    }

    fn check_contained(
        &mut self,
        left: &Syntax,
        needle: &Type,
        right: &Syntax,
        container: &Type,
        span: &Range<usize>,
    ) {
        let possible = match container.base() {
            Type::Any => true,
            Type::List(element) => comparable(needle.base(), element),
            Type::Record(_) => needle.base().is_text() || *needle.base() == Type::Any,
            text => text.is_text() && (needle.base().is_text() || *needle.base() == Type::Any),
        };
        if !possible {
            self.report(refusal(Operator::In, needle, container, span));
            return;
        }
        if let Type::List(element) = container.base() {
            self.check_choice(element, left);
        }
        if let Kind::List(items) = &right.kind {
            for item in items {
                self.check_choice(needle, item);
            }
        }
    }

    /// Refuses a literal that the closed set beside it does not hold.
    fn check_choice(&mut self, ty: &Type, literal: &Syntax) {
        let (Type::Choice(options), Kind::Literal(Value::Text(text))) = (ty.base(), &literal.kind) else {
            return;
        };
        if !options.iter().any(|option| **option == **text) {
            let message = format!("\"{}\" is none of {}", shown(text), ty.base());
            let options = options.iter().map(String::as_str);
            self.report(Finding::new(literal.span.clone(), message).with_nearest(text, options));
        }
    }
}

fn refusal(operator: Operator, left: &Type, right: &Type, span: &Range<usize>) -> Finding {
    Finding::new(span.clone(), operator.refusal(left.kind(), right.kind()))
}

/// A text in quotes beside a wallet, a number or a time is most often meant as one.
fn with_literal_hint(finding: Finding, left: &Syntax, right: &Syntax) -> Finding {
    let quoted = [left, right].into_iter().find_map(|syntax| match &syntax.kind {
        Kind::Literal(Value::Text(text)) if Type::infer(text) != Type::Text => Some(text),
        _ => None,
    });
    match quoted {
        Some(text) => finding.with_hint(format!("write {text} without quotes")),
        None => finding,
    }
}

fn literal_type(value: &Value) -> Type {
    match value {
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Decimal(_) => Type::Decimal,
        Value::Text(_) => Type::Text,
        Value::Wallet(_) => Type::Wallet,
        Value::Hash(_) => Type::Hash,
        Value::Time(_) => Type::Time,
        Value::Duration(_) => Type::Duration,
        Value::Tz(_) => Type::Tz,
        Value::None | Value::List(_) | Value::Record(_) => Type::none(),
    }
}

/// A name with the members behind it, as it is written; none for anything else.
fn path(syntax: &Syntax) -> Option<String> {
    match &syntax.kind {
        Kind::Name(name) => Some(shown(name)),
        Kind::Member(record, field) => Some(format!("{}.{}", path(record)?, shown(&field.name))),
        _ => None,
    }
}

/// A name as messages show it: cut after 64 characters.
fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}
