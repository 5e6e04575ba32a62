//! What feeds and polls read: the steps `feed` and `poll`, and `given.seen`.

use std::collections::BTreeMap;

use super::Resolving;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::resolve::{declared, report::Report};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Entries, Raw};
use crate::bot::config::testing::Action;
use crate::bot::config::tree::{Content, NodeId};
use crate::bot::expression::{Type, Value};
use crate::bot::source::entry_type;
use crate::bot::trigger::Trigger;

impl Resolving<'_, '_, '_> {
    pub(super) fn read(&mut self, node: NodeId, read: &Entries<Raw>) -> Option<Action> {
        let [(name, raw)] = read.0.as_slice() else {
            let message = "expected one rule and what it reads, like `{ post: [{ id: a, title: Hello }] }`";
            self.report.add(Place::Value(node), Code::Shape, message, None);
            return None;
        };
        let (rules, ty) = self.readers(name, raw.node)?;
        let items = self.read_items(raw.value.0, &ty)?;
        Some(Action::Read { rules, items })
    }

    /// `given.seen`.
    pub(super) fn seen(&mut self, node: NodeId) -> Option<BTreeMap<String, Vec<Value>>> {
        let tree = self.report.tree;
        let Content::Map(entries) = tree.content(node) else {
            let message = "expected what was read, by rules: `{ post: [{ id: a }] }`";
            self.report.add(Place::Value(node), Code::Shape, message, None);
            return None;
        };
        let mut seen = BTreeMap::new();
        for (name, entry) in entries {
            let (rules, ty) = self.readers(name, *entry)?;
            let items = self.read_items(*entry, &ty)?;
            seen.extend(rules.into_iter().map(|rule| (rule, items.clone())));
        }
        Some(seen)
    }

    /// The rules that read a feed or poll a source, by the name of the rule or of the source, and the type of what they read.
    fn readers(&mut self, name: &str, node: NodeId) -> Option<(Vec<String>, Type)> {
        let rules = self.rules?;
        let (mut readers, mut ty) = (Vec::new(), Type::Any);
        for rule in rules.values() {
            for trigger in &rule.triggers {
                match trigger {
                    Trigger::Feed(_) if rule.name == name => ty = entry_type(),
                    Trigger::Poll(poll) if rule.name == name || poll.source.name == name => {}
                    _ => continue,
                }
                readers.push(rule.name.clone());
            }
        }
        if readers.is_empty() {
            let tree = self.report.tree;
            let hint = Report::meant(name, declared(tree, "rules").chain(declared(tree, "sources")));
            let message = format!("there is no rule with a feed or a poll called {}", quote(name));
            self.report.add(Place::Key(node), Code::Undefined, message, hint);
            return None;
        }
        Some((readers, ty))
    }

    fn read_items(&mut self, node: NodeId, ty: &Type) -> Option<Vec<Value>> {
        let Content::List(items) = self.report.tree.content(node) else {
            let message = "expected a list of what is read, like `[{ id: a, title: Hello }]`";
            self.report.add(Place::Value(node), Code::Shape, message, None);
            return None;
        };
        let items: Vec<_> = items.iter().map(|item| self.read_item(*item, ty)).collect();
        items.into_iter().collect()
    }

    fn read_item(&mut self, node: NodeId, ty: &Type) -> Option<Value> {
        if let Type::Record(record) = ty {
            let entries = match self.report.tree.content(node) {
                Content::Map(entries) => entries.as_slice(),
                _ => &[],
            };
            let known = || record.iter().map(|(name, _)| name);
            if let Some((name, entry)) = entries.iter().find(|(name, _)| record.get(name).is_none()) {
                let message = format!("an entry of a feed has no {}", quote(name));
                let hint = Report::meant(name, known());
                self.report
                    .add(Place::Key(*entry), Code::UnknownKey, message, hint);
                return None;
            }
        }
        let mut json = self.data().typed(node, ty)?;
        if let (Type::Record(record), Some(members)) = (ty, json.as_object_mut())
            && record.get("tags").is_some()
        {
            members
                .entry("tags")
                .or_insert_with(|| serde_json::Value::Array(Vec::new()));
        }
        match ty.read_json(&json) {
            Ok(value) => Some(value),
            Err(mismatch) => {
                let message = format!(
                    "`{}`: expected {}, found {}",
                    mismatch.path.trim_start_matches('.'),
                    mismatch.wanted,
                    mismatch.found
                );
                self.report.add(Place::Value(node), Code::Type, message, None);
                None
            }
        }
    }
}
