//! `expect`: what arrives, rows that do not, and callbacks.

use super::{KINDS, Resolving};
use crate::bot::config::CallbackEvent;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::ExpectFile;
use crate::bot::config::resolve::{declared, report::Report};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::Text;
use crate::bot::config::testing::{Expected, Who};
use crate::bot::store::{CallbackState, State};

impl Resolving<'_, '_, '_> {
    pub(super) fn expected(&mut self, file: &ExpectFile) -> Option<Expected> {
        let to = self.who(file.to.node);
        let rule = file.rule.as_ref().map(|text| self.origin(text));
        let kind = file.kind.as_ref().map(|text| {
            let is_known = KINDS.contains(&text.value.as_str());
            if !is_known {
                self.report.word(text, &KINDS);
            }
            is_known.then(|| text.value.clone())
        });
        let time = file.time.as_ref().map(|text| self.report.instant(text, None));
        let callback = file
            .callback
            .as_ref()
            .map(|text| self.callback(text, file.state.as_ref()));
        let state = file.state.as_ref().filter(|_| file.callback.is_none());
        let state = state.map(|text| self.state(text));
        let without = match (&file.callback, &file.state) {
            (Some(_), _) => Some("a callback"),
            (None, Some(_)) => Some("a message that was not delivered"),
            (None, None) => None,
        };
        let mut content = [&file.text, &file.kind, &file.time, &file.thread]
            .into_iter()
            .flatten();
        if let Some((what, text)) = without.zip(content.next()) {
            let key = self.report.tree.key(text.node).unwrap_or_default();
            let message = format!("{what} has no `{key}`");
            self.report
                .add(Place::Key(text.node), Code::UnknownKey, message, None);
            return None;
        }
        if let (Some(Who::Address(_)), None) = (&to, without) {
            let message = "nobody can open what is written to an address; name a test wallet like `alice`, or a `state`";
            self.report.wrong(&file.to, Code::Address, message, None);
            return None;
        }
        Some(Expected {
            to: to?,
            rule: flat(rule)?,
            text: file.text.as_ref().map(|text| text.value.clone()),
            kind: flat(kind)?,
            time: flat(time)?,
            thread: file.thread.as_ref().map(|text| text.value.clone()),
            state: flat(state)?,
            callback: flat(callback)?,
        })
    }

    /// What is told, and where it stands: `done` if nothing else is said.
    fn callback(&mut self, event: &Text, state: Option<&Text>) -> Option<(CallbackEvent, CallbackState)> {
        let told = CallbackEvent::parse(&event.value);
        if told.is_none() {
            self.report
                .word(event, &CallbackEvent::ALL.map(CallbackEvent::as_str));
        }
        let state = state.map_or(Some(CallbackState::Done), |text| {
            let state = CallbackState::parse(&text.value);
            if state.is_none() {
                self.report
                    .word(text, &CallbackState::ALL.map(CallbackState::as_str));
            }
            state
        });
        told.zip(state)
    }

    /// Where a message comes from: a rule, or an answer of a list or a command.
    fn origin(&mut self, text: &Text) -> Option<String> {
        let tree = self.report.tree;
        let known: Vec<String> = declared(tree, "rules")
            .map(ToOwned::to_owned)
            .chain(declared(tree, "lists").map(|list| format!("list:{list}")))
            .chain(["list:all", "command:/help", "bot:fallback"].map(ToOwned::to_owned))
            .chain(declared(tree, "flows").map(|flow| format!("flow:{flow}")))
            .chain(self.file.commands.0.iter().map(|(declaration, _)| {
                let word = declaration.split_whitespace().next().unwrap_or_default();
                format!("command:/{}", word.trim_start_matches('/'))
            }))
            .collect();
        if known.contains(&text.value) {
            return Some(text.value.clone());
        }
        let hint = Report::meant(&text.value, known.iter().map(String::as_str));
        self.report.wrong(
            text,
            Code::Undefined,
            format!("there is no rule {}", quote(&text.value)),
            hint,
        );
        None
    }

    fn state(&mut self, text: &Text) -> Option<State> {
        const STATES: [&str; 4] = ["held", "skipped", "rejected", "expired"];
        let state = State::parse(&text.value).filter(|_| STATES.contains(&text.value.as_str()));
        if state.is_none() {
            self.report.word(text, &STATES);
        }
        state
    }
}

/// An absent value and a wrong one are different things: the outer option is for a mistake.
#[expect(
    clippy::option_option,
    reason = "an absent value and a wrong one are different things"
)]
fn flat<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        Some(None) => None,
        Some(right) => Some(right),
        None => Some(None),
    }
}
