//! `tests`: steps and expectations, each checked against the rules, lists and types of the file.

/// `mock`.
mod mock;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::report::Report;
use super::{Context, data::Data, declared};
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{BotFile, ExpectFile, SaidFile, StepFile, TestFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Entries, Raw, Spanned, Text};
use crate::bot::config::testing::{Action, Expected, Given, Saying, Step, Test, Who};
use crate::bot::config::tree::{Content, NodeId};
use crate::bot::config::{List, Rule};
use crate::bot::expression::Type;
use crate::bot::store::{Member, State};
use crate::bot::testing;
use crate::bot::trigger::Trigger;

/// What the clock of a test shows at first: 2026-01-01T00:00:00Z, in seconds.
const NEW_YEAR: i64 = 1_767_225_600;

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

    fn given(&mut self, file: &Entries<Raw>) -> Option<Given> {
        let mut given = Given {
            now: DateTime::<Utc>::from_timestamp(NEW_YEAR, 0).unwrap_or_default(),
            members: Vec::new(),
            files: BTreeMap::new(),
        };
        let mut is_right = true;
        for (key, raw) in &file.0 {
            let node = raw.value.0;
            let read = match key.as_str() {
                "now" => self.instant(node).map(|now| given.now = now),
                "files" => self.files(node).map(|files| given.files = files),
                "seen" | "holders" => {
                    let message = format!("`{key}` is not available yet");
                    self.report.add(Place::Key(node), Code::NotYet, message, None);
                    None
                }
                list => self
                    .members(list, node)
                    .map(|members| given.members.extend(members)),
            };
            is_right &= read.is_some();
        }
        is_right.then_some(given)
    }

    fn instant(&mut self, node: NodeId) -> Option<DateTime<Utc>> {
        let value = self.report.tree.scalar(node).unwrap_or_default().to_owned();
        self.report.instant(&Text { value, node }, None)
    }

    fn files(&mut self, node: NodeId) -> Option<BTreeMap<String, String>> {
        let tree = self.report.tree;
        let Content::Map(entries) = tree.content(node) else {
            let message = "expected a map of paths and texts";
            self.report.add(Place::Value(node), Code::Shape, message, None);
            return None;
        };
        let mut files = BTreeMap::new();
        for (path, entry) in entries {
            let is_plain = std::path::Path::new(path)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            if !is_plain || path.is_empty() {
                let message = format!("expected a path inside the bot's folder, found {}", quote(path));
                self.report.add(Place::Key(*entry), Code::Name, message, None);
                return None;
            }
            let Some(text) = tree.scalar(*entry) else {
                let message = format!("expected the text of {}", quote(path));
                self.report.add(Place::Value(*entry), Code::Shape, message, None);
                return None;
            };
            files.insert(path.clone(), self.file_text(path, text));
        }
        Some(files)
    }

    /// The text of a file; in a CSV test wallets stand for their addresses.
    fn file_text(&mut self, path: &str, text: &str) -> String {
        let Some((header, rows)) = text.split_once('\n').filter(|_| has_extension(path, "csv")) else {
            return text.to_owned();
        };
        let wallet = header
            .trim_end()
            .split(',')
            .position(|column| column.trim() == "wallet");
        let mut file = format!("{header}\n");
        for row in rows.split_inclusive('\n') {
            let cells: Vec<String> = row
                .split(',')
                .enumerate()
                .map(|(column, cell)| match cell.trim() {
                    name if Some(column) == wallet && testing::is_wallet(name) => {
                        self.people.insert(name.to_owned());
                        cell.replace(name, &testing::wallet(name).address().to_string())
                    }
                    _ => cell.to_owned(),
                })
                .collect();
            file.push_str(&cells.join(","));
        }
        file
    }

    fn members(&mut self, name: &str, node: NodeId) -> Option<Vec<(String, Member)>> {
        let tree = self.report.tree;
        let known = self.context.lists.get(name);
        let Some(list) = known.map(Option::as_ref) else {
            let lists = declared(tree, "lists");
            let hint = Report::meant(name, lists.chain(["now", "files"])).or_else(|| {
                Some("`given` takes `now`, `files`, and members by the name of their list".to_owned())
            });
            let message = format!("there is no list {}", quote(name));
            self.report.add(Place::Key(node), Code::Undefined, message, hint);
            return None;
        };
        let Content::List(items) = tree.content(node) else {
            let message = "expected a list of members like `{ wallet: alice }`";
            self.report.add(Place::Value(node), Code::Shape, message, None);
            return None;
        };
        let mut members = Some(Vec::new());
        for item in items {
            let member = self.member(list?, *item);
            members = members.zip(member).map(|(mut members, member)| {
                members.push((name.to_owned(), member));
                members
            });
        }
        members
    }

    fn member(&mut self, list: &List, node: NodeId) -> Option<Member> {
        let tree = self.report.tree;
        let (mut wallet, mut fields, mut is_right) = (None, serde_json::Map::new(), true);
        let entries = match tree.content(node) {
            Content::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        for (key, entry) in entries {
            if key == "wallet" {
                wallet = self.who(*entry);
                continue;
            }
            let declared = list.fields.iter().find(|field| field.name == *key);
            let ty = match (key.as_str(), declared) {
                (_, Some(field)) => field.ty.clone(),
                ("name" | "lang", None) => Type::Text,
                ("tz", None) => Type::Tz,
                _ => {
                    let names = list.fields.iter().map(|field| field.name.as_str());
                    let hint = Report::meant(key, names.chain(["wallet", "name", "lang", "tz"]));
                    let message = format!("members of `{}` have no field {}", list.name, quote(key));
                    self.report
                        .add(Place::Key(*entry), Code::UnknownKey, message, hint);
                    is_right = false;
                    continue;
                }
            };
            match self.data().typed(*entry, &ty) {
                Some(value) => {
                    fields.insert(key.clone(), value);
                }
                None => is_right = false,
            }
        }
        if entries.iter().all(|(key, _)| key != "wallet") {
            let message = "expected a member like `{ wallet: alice }`";
            self.report.add(Place::Value(node), Code::Shape, message, None);
        }
        let wallet = wallet.filter(|_| is_right)?.address();
        Some(Member {
            wallet,
            fields,
            // Filled in when the test starts.
            joined: DateTime::<Utc>::default(),
        })
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

    fn step(&mut self, step: &Spanned<StepFile>, given: Option<&Given>) -> Option<Step> {
        let file = &step.value;
        let told = [
            file.mock.is_some(),
            file.approve.is_some(),
            file.wait.is_some(),
            file.message.is_some(),
            file.run.is_some(),
            file.webhook.is_some(),
            file.join.is_some(),
            file.restart.is_some(),
            file.reload.is_some(),
        ];
        if told.into_iter().filter(|told| *told).count() != 1 {
            // A step that is not available yet is reported at its key.
            if !self.report.has_left_out(step.node) {
                let message = "expected a step with one of `mock`, `wait`, `message`, `run`, `approve`, `webhook`, `join`, `restart`, `reload`";
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
        let super::ListReference::Valid(list) = super::find_list(self.report, self.context, &text) else {
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

    fn expected(&mut self, file: &ExpectFile) -> Option<Expected> {
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
        let state = file.state.as_ref().map(|text| self.state(text));
        let has_no_content = |text: &&Text| file.state.is_some() && self.report.tree.key(text.node).is_some();
        let content = [&file.text, &file.kind, &file.time, &file.thread];
        if let Some(text) = content.into_iter().flatten().find(has_no_content) {
            let key = self.report.tree.key(text.node).unwrap_or_default();
            let message = format!("a message that was not delivered has no `{key}`");
            self.report
                .add(Place::Key(text.node), Code::UnknownKey, message, None);
            return None;
        }
        if let (Some(Who::Address(_)), None) = (&to, &file.state) {
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
        })
    }

    /// Where a message comes from: a rule, or an answer of a list or a command.
    fn origin(&mut self, text: &Text) -> Option<String> {
        let tree = self.report.tree;
        let known: Vec<String> = declared(tree, "rules")
            .map(ToOwned::to_owned)
            .chain(declared(tree, "lists").map(|list| format!("list:{list}")))
            .chain(["list:all".to_owned(), "command:/help".to_owned()])
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

fn has_extension(path: &str, extension: &str) -> bool {
    let found = std::path::Path::new(path).extension();
    found.is_some_and(|found| found.eq_ignore_ascii_case(extension))
}
