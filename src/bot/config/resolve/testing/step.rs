//! Steps: what happens, in order.

use std::time::Duration;

use super::Resolving;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{SaidFile, StepFile};
use crate::bot::config::resolve::{ListReference, declared, find_list, report::Report};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Entries, Raw, Spanned, Text};
use crate::bot::config::testing::{Action, Given, Saying, Step};
use crate::bot::config::tree::NodeId;
use crate::bot::expression::Type;
use crate::bot::trigger::Trigger;

impl Resolving<'_, '_, '_> {
    pub(super) fn step(&mut self, step: &Spanned<StepFile>, given: Option<&Given>) -> Option<Step> {
        let file = &step.value;
        let told = [
            file.mock.is_some(),
            file.approve.is_some(),
            file.wait.is_some(),
            file.message.is_some(),
            file.run.is_some(),
            file.webhook.is_some(),
            file.feed.is_some(),
            file.poll.is_some(),
            file.log.is_some(),
            file.join.is_some(),
            file.restart.is_some(),
            file.reload.is_some(),
        ];
        if told.into_iter().filter(|told| *told).count() != 1 {
            // A step that is not available yet is reported at its key.
            if !self.report.has_left_out(step.node) {
                let message = "expected a step with one of `mock`, `wait`, `message`, `run`, `approve`, `webhook`, `feed`, `poll`, `log`, `join`, `restart`, `reload`";
                self.report
                    .add(Place::Value(step.node), Code::Shape, message, None);
            }
            return None;
        }
        for text in [&file.signature, &file.answer].into_iter().flatten() {
            if file.webhook.is_none() {
                let key = self.report.tree.key(text.node).unwrap_or_default();
                let message = format!("`{key}` belongs to a `webhook`");
                self.report
                    .add(Place::Key(text.node), Code::UnknownKey, message, None);
                return None;
            }
        }
        let action = if let Some(text) = &file.wait {
            Action::Wait(self.report.duration(text, Duration::ZERO)?)
        } else if let Some(said) = &file.message {
            self.say(said)?
        } else if let Some(text) = &file.run {
            Action::Run(self.rule(text.node, &text.value)?.to_owned())
        } else if let Some(text) = &file.approve {
            Action::Approve(self.rule(text.node, &text.value)?.to_owned())
        } else if let Some(mock) = &file.mock {
            self.mock(step.node, mock)?
        } else if let Some(webhook) = &file.webhook {
            self.post(step.node, webhook, file)?
        } else if let Some(feed) = &file.feed {
            self.read(step.node, feed)?
        } else if let Some(poll) = &file.poll {
            self.read(step.node, poll)?
        } else if let Some(log) = &file.log {
            self.log(step.node, log)?
        } else if let Some(join) = &file.join {
            self.join(step.node, join)?
        } else if let Some(text) = &file.reload {
            self.reload(text, given?)?
        } else {
            let text = file.restart.as_ref()?;
            self.report.is_true(text)?;
            Action::Restart
        };
        Some(Step {
            line: self.line(step.node),
            action,
        })
    }

    fn say(&mut self, said: &SaidFile) -> Option<Action> {
        let kind = match said.kind.as_ref() {
            None => Saying::Text,
            Some(text) => match text.value.as_str() {
                "text" => Saying::Text,
                "reply" => Saying::Reply,
                "react" => Saying::React,
                "read_receipt" => Saying::ReadReceipt,
                _ => {
                    let known = ["text", "reply", "react", "read_receipt"];
                    self.report.word(text, &known);
                    return None;
                }
            },
        };
        let from = self.name(said.from.node)?;
        if said.text.is_none() && kind != Saying::ReadReceipt {
            let message = format!(
                "{} has no `text`",
                quote(&self.report.tree.path(said.from.node).replace(".from", ""))
            );
            self.report.add(
                Place::Value(said.from.node),
                Code::MissingKey,
                message,
                Some("add `text:`".to_owned()),
            );
            return None;
        }
        let text = said.text.as_ref().map(|text| text.value.clone());
        Some(Action::Say {
            from,
            text: text.unwrap_or_default(),
            kind,
        })
    }

    /// The name of a rule.
    fn rule<'n>(&mut self, node: NodeId, name: &'n str) -> Option<&'n str> {
        let tree = self.report.tree;
        if declared(tree, "rules").any(|rule| rule == name) {
            return Some(name);
        }
        let hint = Report::meant(name, declared(tree, "rules"));
        let place = if tree.key(node) == Some(name) {
            Place::Key(node)
        } else {
            Place::Value(node)
        };
        self.report.add(
            place,
            Code::Undefined,
            format!("there is no rule {}", quote(name)),
            hint,
        );
        None
    }

    fn post(&mut self, node: NodeId, webhook: &Entries<Raw>, file: &StepFile) -> Option<Action> {
        let [(name, raw)] = webhook.0.as_slice() else {
            let message = "expected one rule and the body it gets, like `{ order: { id: A1 } }`";
            self.report.add(Place::Value(node), Code::Shape, message, None);
            return None;
        };
        let rule = self.rule(raw.node, name)?.to_owned();
        let signed = match &file.signature {
            None => true,
            Some(text) if text.value == "wrong" => false,
            Some(text) => {
                self.report.word(text, &["wrong"]);
                return None;
            }
        };
        let answer = match &file.answer {
            None => None,
            Some(text) => {
                let status = text
                    .value
                    .parse()
                    .ok()
                    .filter(|status| (200..=599).contains(status));
                if status.is_none() {
                    let message = format!("expected a status like `401`, found {}", quote(&text.value));
                    self.report.wrong(text, Code::Word, message, None);
                    return None;
                }
                status
            }
        };
        let mut triggers = self.rules?.get(&rule).into_iter().flat_map(|rule| &rule.triggers);
        let body = triggers.find_map(|trigger| match trigger {
            Trigger::Webhook(webhook) => Some(webhook.body.clone().unwrap_or(Type::Any)),
            _ => None,
        });
        let Some(ty) = body else {
            let message = format!("rule `{rule}` has no webhook");
            self.report
                .add(Place::Key(raw.node), Code::Undefined, message, None);
            return None;
        };
        // A body that is to be refused may be as wrong as it likes.
        let is_refused = answer.is_some_and(|status| status >= 400);
        let mut data = self.data();
        data.may_be_wrong = is_refused;
        let body = data.typed(raw.value.0, &ty)?;
        if let Err(mismatch) = ty.read_json(&body)
            && !is_refused
        {
            let message = format!(
                "`body{}`: expected {}, found {}",
                mismatch.path, mismatch.wanted, mismatch.found
            );
            self.report
                .add(Place::Value(raw.value.0), Code::Type, message, None);
            return None;
        }
        Some(Action::Post {
            rule,
            body,
            signed,
            answer,
        })
    }

    /// Joins as people do: by the list's command.
    fn join(&mut self, node: NodeId, join: &Entries<Raw>) -> Option<Action> {
        let tree = self.report.tree;
        let find = |key: &str| {
            join.0
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, raw)| raw.value.0)
        };
        let (Some(list), Some(wallet)) = (find("list"), find("wallet")) else {
            let message = "expected `{ list, wallet }`, and the fields that its command takes";
            self.report
                .add(Place::Value(node), Code::MissingKey, message, None);
            return None;
        };
        let value = tree.scalar(list).unwrap_or_default().to_owned();
        let text = Text { value, node: list };
        let ListReference::Valid(list) = find_list(self.report, self.context, &text) else {
            return None;
        };
        let Some(command) = list.join.first() else {
            let message = format!("list `{}` has no `join` command", list.name);
            let hint = "put the member under `given`".to_owned();
            self.report.wrong(&text, Code::Undefined, message, Some(hint));
            return None;
        };
        let mut said = command
            .text()
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        let (mut is_complete, mut is_right) = (true, true);
        for argument in command.arguments() {
            let Some(node) = find(&argument.name) else {
                is_complete = false;
                continue;
            };
            let value = self.data().typed(node, &argument.ty);
            is_right &= value.is_some() && is_complete;
            if !is_complete {
                let message = format!(
                    "`{}` can only be told after the arguments before it",
                    argument.name
                );
                self.report.add(Place::Key(node), Code::Command, message, None);
            }
            if let Some(value) = value {
                said.push(' ');
                said.push_str(
                    &value
                        .as_str()
                        .map_or_else(|| value.to_string(), ToOwned::to_owned),
                );
            }
        }
        for (name, raw) in &join.0 {
            let is_known = matches!(name.as_str(), "list" | "wallet")
                || command.arguments().iter().any(|argument| argument.name == *name);
            if !is_known {
                let hint = Report::meant(
                    name,
                    command.arguments().iter().map(|argument| argument.name.as_str()),
                );
                let message = format!("`{}` takes no {}", command.text(), quote(name));
                self.report
                    .add(Place::Key(raw.node), Code::UnknownKey, message, hint);
                is_right = false;
            }
        }
        let from = self.name(wallet)?;
        is_right.then_some(Action::Say {
            from,
            text: said,
            kind: Saying::Text,
        })
    }

    fn reload(&mut self, text: &Text, given: &Given) -> Option<Action> {
        if let Some(file) = given.files.get(&text.value) {
            return Some(Action::Reload(file.clone()));
        }
        match std::fs::read_to_string(self.context.folder.join(&text.value)) {
            Ok(file) => Some(Action::Reload(file)),
            Err(error) => {
                let message = format!("cannot read {}: {error}", quote(&text.value));
                let hint = "it is looked for under `given.files`, then in the bot's folder".to_owned();
                self.report.wrong(text, Code::Unreadable, message, Some(hint));
                None
            }
        }
    }
}
