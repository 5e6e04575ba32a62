//! `tests`: steps and expectations, each checked against the rules, lists and types of the file.

/// `expect`.
mod expect;
/// `given`.
mod given;
/// `given.holders`.
mod holders;
/// `log`.
mod log;
/// `mock`.
mod mock;
/// What is read.
mod reading;
/// Steps.
mod step;

use std::collections::{BTreeMap, BTreeSet};

use super::report::Report;
use super::{Context, data::Data};
use crate::bot::config::Rule;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{BotFile, TestFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::Spanned;
use crate::bot::config::testing::{Test, Who};
use crate::bot::config::tree::NodeId;
use crate::bot::testing;

/// The keys of `send`, by which the content of a message is told.
pub(crate) const KINDS: [&str; 8] = [
    "text", "markdown", "reply", "react", "attach", "remote", "tx", "custom",
];

/// Resolves the tests of a file; `None` when one has a mistake.
pub(super) fn resolve_all(
    report: &mut Report<'_>,
    context: &Context,
    rules: Option<&BTreeMap<String, Rule>>,
    file: &BotFile,
) -> Option<Vec<Test>> {
    let mut tests = Some(Vec::new());
    let mut names = BTreeSet::new();
    for test in &file.tests {
        if report.is_full() {
            return None;
        }
        let name = &test.value.name;
        let is_new = names.insert(name.value.clone());
        if !is_new {
            let message = format!("another test of this bot is called {}", quote(&name.value));
            report.wrong(name, Code::Name, message, None);
        }
        let mut resolving = Resolving {
            report: &mut *report,
            context,
            rules,
            file,
            people: BTreeSet::new(),
        };
        let test = resolving.test(test).filter(|_| is_new);
        tests = tests.zip(test).map(|(mut tests, test)| {
            tests.push(test);
            tests
        });
    }
    tests
}

struct Resolving<'r, 't, 'c> {
    report: &'r mut Report<'t>,
    context: &'c Context,
    /// None when one of them has a mistake, which is reported there.
    rules: Option<&'c BTreeMap<String, Rule>>,
    file: &'c BotFile,
    /// The test wallets that are named.
    people: BTreeSet<String>,
}

impl<'t> Resolving<'_, 't, '_> {
    fn test(&mut self, test: &Spanned<TestFile>) -> Option<Test> {
        let given = self.given(&test.value.given);
        let mut steps = Some(Vec::new());
        for step in &test.value.steps {
            let step = self.step(step, given.as_ref());
            steps = steps.zip(step).map(|(mut steps, step)| {
                steps.push(step);
                steps
            });
        }
        let mut expected = Some(Vec::new());
        for entry in &test.value.expect {
            let entry = self.expected(&entry.value);
            expected = expected.zip(entry).map(|(mut expected, entry)| {
                expected.push(entry);
                expected
            });
        }
        Some(Test {
            name: test.value.name.value.clone(),
            line: self.line(test.node),
            given: given?,
            steps: steps?,
            expected: expected?,
            people: std::mem::take(&mut self.people),
        })
    }

    fn line(&self, node: NodeId) -> usize {
        self.report.tree.line(node)
    }

    fn data(&mut self) -> Data<'_, 't> {
        Data {
            report: &mut *self.report,
            may_be_wrong: false,
            people: &mut self.people,
        }
    }

    fn who(&mut self, node: NodeId) -> Option<Who> {
        let found = self.report.tree.scalar(node).unwrap_or_default();
        if let Ok(address) = found.parse() {
            return Some(Who::Address(address));
        }
        self.name(node).map(Who::Name)
    }

    /// The name of a test wallet.
    fn name(&mut self, node: NodeId) -> Option<String> {
        let found = self.report.tree.scalar(node).unwrap_or_default();
        if !testing::is_wallet(found) {
            let message = format!(
                "expected the name of a test wallet like `alice`, found {}",
                quote(found)
            );
            self.report.add(Place::Value(node), Code::Address, message, None);
            return None;
        }
        self.people.insert(found.to_owned());
        Some(found.to_owned())
    }
}
