//! What contracts log: the step `log`.

use super::Resolving;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::resolve::{declared, report::Report};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Entries, Raw};
use crate::bot::config::testing::Action;
use crate::bot::config::tree::{Content, NodeId};
use crate::bot::trigger::Trigger;

impl Resolving<'_, '_, '_> {
    pub(super) fn log(&mut self, node: NodeId, log: &Entries<Raw>) -> Option<Action> {
        let [(name, raw)] = log.0.as_slice() else {
            let message = "expected one rule and what the log says, like `{ sold: { amount: 7 } }`";
            self.report.add(Place::Value(node), Code::Shape, message, None);
            return None;
        };
        let triggers = self.rules?.get(name).into_iter().flat_map(|rule| &rule.triggers);
        let event = triggers.into_iter().find_map(|trigger| match trigger {
            Trigger::Log(log) => Some(&log.event),
            _ => None,
        });
        let Some(event) = event else {
            let hint = Report::meant(name, declared(self.report.tree, "rules"));
            let message = format!("there is no rule with a log called {}", quote(name));
            self.report
                .add(Place::Key(raw.node), Code::Undefined, message, hint);
            return None;
        };
        let ty = event.ty();
        let says = match self.report.tree.content(raw.value.0) {
            Content::Map(entries) => entries.as_slice(),
            Content::Scalar(_) if self.report.tree.is_empty(raw.value.0) => &[],
            _ => {
                let message = "expected what the log says, by the names of its event";
                self.report
                    .add(Place::Value(raw.value.0), Code::Shape, message, None);
                return None;
            }
        };
        let known = || event.parameters.iter().map(|parameter| parameter.name.as_str());
        if let Some((name, entry)) = says.iter().find(|(name, _)| !known().any(|one| one == name)) {
            let message = format!("event `{}` has no {}", event.name, quote(name));
            let hint = Report::meant(name, known());
            self.report
                .add(Place::Key(*entry), Code::UnknownKey, message, hint);
            return None;
        }
        let mut json = event.zeros().to_json();
        if !says.is_empty() {
            let said = self.data().typed(raw.value.0, &ty)?;
            if let (Some(all), Some(said)) = (json.as_object_mut(), said.as_object()) {
                all.extend(said.clone());
            }
        }
        match ty.read_json(&json) {
            Ok(event) => Some(Action::Log {
                rule: name.clone(),
                event,
            }),
            Err(mismatch) => {
                let message = format!(
                    "`event{}`: expected {}, found {}",
                    mismatch.path, mismatch.wanted, mismatch.found
                );
                self.report
                    .add(Place::Value(raw.value.0), Code::Type, message, None);
                None
            }
        }
    }
}
