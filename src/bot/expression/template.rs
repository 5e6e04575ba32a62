//! Templates: text with `{{ expression }}`, `{% if %}`, `{% for %}` and `{# comments #}`.
//!
//! A line that holds only `{% %}` and `{# #}` tags leaves no line behind.

mod blocks;
mod pieces;

use std::collections::BTreeSet;
use std::ops::Range;

use blocks::Builder;
use pieces::split;

use super::check::Checker;
use super::code::Code;
use super::evaluate::Evaluation;
use super::meter::BoundedText;
use super::print::write_text;
use super::{EvaluationError, Failure, Finding, MAX_OUTPUT, MAX_SOURCE, Names, Scope, Uses, Value};

/// A checked template.
#[derive(Debug, Clone)]
pub struct Template {
    nodes: Vec<Node>,
    uses: Uses,
}

#[derive(Debug, Clone)]
enum Node {
    Text(String),
    Output(Code),
    /// Conditions with what each guards, and what stands when none holds.
    If(Vec<(Code, Vec<Node>)>, Vec<Node>),
    For {
        variable: String,
        list: Code,
        body: Vec<Node>,
        /// What stands when the list is empty.
        otherwise: Vec<Node>,
    },
}

impl Template {
    /// Parses and checks a template against the names in scope.
    ///
    /// # Errors
    ///
    /// Every mistake of grammar, names and types, in the order of the source.
    pub fn parse(source: &str, names: &Names) -> Result<Self, Vec<Finding>> {
        if source.len() > MAX_SOURCE {
            let message = format!("found {} bytes, wanted at most {MAX_SOURCE}", source.len());
            return Err(vec![Finding::new(0..0, message)]);
        }
        let mut checker = Checker::new(names);
        let pieces = split(source, &mut checker);
        let nodes = Builder::new(source, pieces, &mut checker).whole();
        Ok(Self {
            nodes,
            uses: checker.finish()?,
        })
    }

    /// The chains that are asked for a part of it, as far as they are written out.
    pub(crate) fn chains(&self) -> &BTreeSet<String> {
        &self.uses.chains
    }

    /// The names of the scope it uses, such as `to` or `body`, in order; of a computed name also those it stands on.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.uses.names
    }

    /// Where it takes its values: `vars.place` of a member, `vars` of the whole.
    pub(crate) fn paths(&self) -> &BTreeSet<String> {
        &self.uses.paths
    }

    /// The values that it prints outside of conditions and loops.
    ///
    /// # Errors
    ///
    /// As [`Expression::evaluate`](super::Expression::evaluate).
    pub(crate) fn outputs(&self, scope: &Scope) -> Result<Vec<Value>, EvaluationError> {
        let mut evaluation = Evaluation::new(scope);
        let outputs = self.nodes.iter().filter_map(|node| match node {
            Node::Output(code) => Some(evaluation.evaluate(code)),
            _ => None,
        });
        outputs.collect()
    }

    /// Writes the text.
    ///
    /// # Errors
    ///
    /// As [`Expression::evaluate`](super::Expression::evaluate), and when the text exceeds
    /// [`MAX_OUTPUT`].
    pub fn render(&self, scope: &Scope) -> Result<String, EvaluationError> {
        let mut rendering = Rendering {
            evaluation: Evaluation::new(scope),
            text: String::new(),
        };
        rendering.nodes(&self.nodes)?;
        Ok(rendering.text)
    }
}

/// One run of a template.
struct Rendering<'s> {
    evaluation: Evaluation<'s>,
    text: String,
}

impl Rendering<'_> {
    fn nodes(&mut self, nodes: &[Node]) -> Result<(), EvaluationError> {
        nodes.iter().try_for_each(|node| match node {
            Node::Text(text) => self.append(&(0..0), |out| std::fmt::Write::write_str(out, text)),
            Node::Output(code) => {
                let value = self.evaluation.evaluate(code)?;
                self.append(&code.span, |out| write_text(&value, out))
            }
            Node::If(branches, otherwise) => {
                for (condition, body) in branches {
                    if self.evaluation.evaluate(condition)?.is_truthy() {
                        return self.nodes(body);
                    }
                }
                self.nodes(otherwise)
            }
            Node::For {
                variable,
                list,
                body,
                otherwise,
            } => self.repeat(variable, list, body, otherwise),
        })
    }

    fn repeat(
        &mut self,
        variable: &str,
        list: &Code,
        body: &[Node],
        otherwise: &[Node],
    ) -> Result<(), EvaluationError> {
        let at = |failure: Failure| failure.at(list.span.clone());
        let items = match self.evaluation.evaluate(list)? {
            Value::List(items) => items,
            Value::None => std::sync::Arc::default(),
            other => return Err(at(Failure::mismatch(&other, "a list"))),
        };
        if items.is_empty() {
            return self.nodes(otherwise);
        }
        for item in items.iter() {
            self.evaluation.meter.charge(1).map_err(at)?;
            self.evaluation.enter(variable, item.clone());
            let rendered = self.nodes(body);
            self.evaluation.leave();
            rendered?;
        }
        Ok(())
    }

    fn append(
        &mut self,
        span: &Range<usize>,
        write: impl FnOnce(&mut BoundedText<'_>) -> std::fmt::Result,
    ) -> Result<(), EvaluationError> {
        BoundedText::append(&mut self.evaluation.meter, &mut self.text, MAX_OUTPUT, write)
            .map_err(|failure| failure.at(span.clone()))
    }
}
