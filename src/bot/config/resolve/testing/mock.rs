//! `mock`: answers of sources and upload targets, of queries by the names of their rules, of callbacks as `RULE.callback`, and of
//! what flows post as `FLOW.post`.

use super::Resolving;
use crate::bot::audience::Audience;
use crate::bot::chain::abi;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::SourceFile;
use crate::bot::config::resolve::{declared, report::Report};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Entries, Raw};
use crate::bot::config::testing::Action;
use crate::bot::config::tree::{Content, NodeId};
use crate::bot::expression::{BLOCK_TIME, ENS, Type, Value, tx_status_type};
use crate::bot::source::{Answer, CALLBACK, POST};
use crate::bot::testing;
use crate::bot::trigger::Trigger;

/// What an answer is read as.
struct Columns {
    /// The members of its items that hold wallets.
    wallets: Vec<String>,
    /// Whether something reads it as a list.
    is_list: bool,
}

impl Resolving<'_, '_, '_> {
    pub(super) fn mock(&mut self, node: NodeId, mock: &Entries<Raw>) -> Option<Action> {
        if mock.0.is_empty() {
            let message =
                "expected a source and what `pick` gives of it, like `{ customers: [{ wallet: alice }] }`";
            self.report.add(Place::Value(node), Code::Shape, message, None);
            return None;
        }
        let mut answers = Some(Vec::new());
        for (name, raw) in &mock.0 {
            let answer = self.answer(name, raw.value.0);
            answers = answers.zip(answer).map(|(mut answers, answer)| {
                answers.push((name.clone(), answer));
                answers
            });
        }
        answers.map(Action::Mock)
    }

    fn answer(&mut self, name: &str, node: NodeId) -> Option<Answer> {
        if let Some(rule) = name.strip_suffix(CALLBACK) {
            self.has_callback(rule, node)?;
            return self.status(node).map(Answer::Status);
        }
        if let Some(flow) = name.strip_suffix(POST) {
            self.has_flow(flow, node)?;
            return self.status(node).map(Answer::Status);
        }
        let is_source = declared(self.report.tree, "sources").any(|source| source == name);
        if !is_source && self.context.project.uploads.contains_key(name) {
            return self.status(node).map(Answer::Status);
        }
        self.value(name, node).map(Answer::Value)
    }

    /// Whether there is a flow; a finding when there is not.
    fn has_flow(&mut self, flow: &str, node: NodeId) -> Option<()> {
        if declared(self.report.tree, "flows").any(|known| known == flow) {
            return Some(());
        }
        let message = format!("there is no flow {}", quote(flow));
        let hint = Report::meant(flow, declared(self.report.tree, "flows"));
        self.report.add(Place::Key(node), Code::Undefined, message, hint);
        None
    }

    /// Whether a rule calls back; a finding when it does not.
    fn has_callback(&mut self, rule: &str, node: NodeId) -> Option<()> {
        let (message, hint) = match self.rules?.get(rule) {
            Some(known) if known.policy.callback.is_some() => return Some(()),
            Some(_) => (format!("rule {} has no `callback`", quote(rule)), None),
            None => (
                format!("there is no rule {}", quote(rule)),
                Report::meant(rule, declared(self.report.tree, "rules")),
            ),
        };
        self.report.add(Place::Key(node), Code::Undefined, message, hint);
        None
    }

    /// What an upload target, or who is called back, answers.
    fn status(&mut self, node: NodeId) -> Option<u16> {
        let found = self.report.tree.scalar(node).unwrap_or_default();
        let status = found.parse().ok().filter(|status| (200..=599).contains(status));
        if status.is_none() {
            let message = format!("expected a status like `503`, found {}", quote(found));
            self.report.add(Place::Value(node), Code::Word, message, None);
        }
        status
    }

    /// What a source gives, or the rows of a query.
    fn value(&mut self, name: &str, node: NodeId) -> Option<Value> {
        if let Some((ty, zeros)) = self.typed(name) {
            return self.typed_answer((name, &ty), &zeros, node);
        }
        let columns = self.columns(name, node)?;
        let is_list = columns.is_list;
        match self.report.tree.content(node) {
            Content::List(items) => {
                let items = items.iter().map(|item| self.item(*item, &columns.wallets));
                let items: Vec<Option<Value>> = items.collect();
                items.into_iter().collect::<Option<Vec<_>>>().map(Value::list)
            }
            _ if !is_list => self.item(node, &[]),
            _ => {
                let message = format!(
                    "expected the items that {} gives, like `[{{ wallet: alice }}]`",
                    quote(name)
                );
                self.report.add(Place::Value(node), Code::Shape, message, None);
                None
            }
        }
    }

    /// The type of what a contract or a function that asks gives, and what is given of it where a mock is silent.
    fn typed(&self, name: &str) -> Option<(Type, Value)> {
        let call = self
            .context
            .sources
            .iter()
            .find_map(|(own, source)| match &source.value {
                SourceFile::Call(file) if own == name => Some(file),
                _ => None,
            });
        if let Some(file) = call {
            let function = abi::Function::parse(&file.call.value).ok()?;
            return Some((function.output_type(), function.zeros()));
        }
        if declared(self.report.tree, "sources").any(|source| source == name) {
            return None;
        }
        match name {
            BLOCK_TIME => Some((Type::Time, Value::None)),
            ENS => Some((Type::Text, Value::None)),
            "tx_status" => {
                let found = ("found", Value::Bool(true));
                let others = ["status", "time", "block"].map(|name| (name, Value::None));
                Some((tx_status_type(), Value::record([found].into_iter().chain(others))))
            }
            _ => None,
        }
    }

    /// An answer of such a type, or one for each of several arguments: their values, or wallets of the test.
    fn typed_answer(&mut self, (name, ty): (&str, &Type), zeros: &Value, node: NodeId) -> Option<Value> {
        let Content::Map(entries) = self.report.tree.content(node) else {
            if matches!(ty, Type::Record(_)) {
                let message = format!("expected what {} gives, by its names", quote(name));
                self.report.add(Place::Value(node), Code::Shape, message, None);
                return None;
            }
            return self.one_answer(ty, zeros, node);
        };
        let is_one = match zeros {
            Value::Record(fields) => entries.iter().any(|(key, _)| fields.contains(key)),
            _ => false,
        };
        if is_one {
            return self.one_answer(ty, zeros, node);
        }
        let mut answers = Vec::with_capacity(entries.len());
        for (key, entry) in entries {
            if testing::is_wallet(key) {
                self.people.insert(key.clone());
            }
            answers.push((key.clone(), self.one_answer(ty, zeros, *entry)?));
        }
        Some(Value::record(answers))
    }

    fn one_answer(&mut self, ty: &Type, zeros: &Value, node: NodeId) -> Option<Value> {
        if let (Content::Map(entries), Value::Record(fields)) = (self.report.tree.content(node), zeros)
            && let Some((key, entry)) = entries.iter().find(|(key, _)| !fields.contains(key))
        {
            let hint = Report::meant(key, fields.names());
            let message = format!("what it gives has no {}", quote(key));
            self.report
                .add(Place::Key(*entry), Code::UnknownKey, message, hint);
            return None;
        }
        let said = self.data().typed(node, ty)?;
        let json = match (zeros.to_json(), said) {
            (serde_json::Value::Object(mut all), serde_json::Value::Object(said)) => {
                all.extend(said);
                serde_json::Value::Object(all)
            }
            (_, said) => said,
        };
        let value = ty.read_json(&json);
        if let Err(mismatch) = &value {
            let message = format!(
                "`{}`: expected {}, found {}",
                mismatch.path.trim_start_matches('.'),
                mismatch.wanted,
                mismatch.found
            );
            self.report.add(Place::Value(node), Code::Type, message, None);
        }
        value.ok()
    }

    /// The members of an answer's items that hold wallets.
    fn columns(&mut self, name: &str, node: NodeId) -> Option<Columns> {
        let tree = self.report.tree;
        let rules = self.rules?;
        if declared(tree, "sources").any(|source| source == name) {
            let branches = rules.values().flat_map(|rule| rule.audience.branches());
            let columns = branches.filter_map(|branch| match branch.audience {
                Audience::Source(source) if source.http.name == name => Some(source.column.clone()),
                _ => None,
            });
            let wallets: Vec<String> = columns.collect();
            let mut triggers = rules.values().flat_map(|rule| &rule.triggers);
            let is_polled =
                triggers.any(|trigger| matches!(trigger, Trigger::Poll(poll) if poll.source.name == name));
            return Some(Columns {
                is_list: is_polled || !wallets.is_empty(),
                wallets,
            });
        }
        let queries = rules.values().filter(|rule| {
            let mut branches = rule.audience.branches().into_iter();
            branches.any(|branch| matches!(branch.audience, Audience::Sql(_)))
        });
        let queries: Vec<&str> = queries.map(|rule| rule.name.as_str()).collect();
        if queries.contains(&name) {
            return Some(Columns {
                wallets: vec!["wallet".to_owned()],
                is_list: true,
            });
        }
        let uploads = self.context.project.uploads.keys().map(String::as_str);
        let hint = match rules.get(name).filter(|rule| rule.policy.callback.is_some()) {
            Some(_) => Some(format!(
                "write `{name}{CALLBACK}` for the status that its callback is answered with"
            )),
            None => Report::meant(name, declared(tree, "sources").chain(queries).chain(uploads)),
        };
        let message = format!(
            "there is no source, no rule with a query, and no upload target called {}",
            quote(name)
        );
        self.report.add(Place::Key(node), Code::Undefined, message, hint);
        None
    }

    fn item(&mut self, node: NodeId, columns: &[String]) -> Option<Value> {
        let mut item = self.data().any(node);
        for column in columns {
            let Some(member) = item.get_mut(column) else {
                continue;
            };
            let name = member.as_str().filter(|name| testing::is_wallet(name));
            if let Some(name) = name.map(ToOwned::to_owned) {
                *member = testing::wallet(&name).address().to_string().into();
                self.people.insert(name);
            }
        }
        let value = Type::Any.read_json(&item);
        if let Err(mismatch) = &value {
            let message = format!("expected {}, found {}", mismatch.wanted, mismatch.found);
            self.report.add(Place::Value(node), Code::Type, message, None);
        }
        value.ok()
    }
}
