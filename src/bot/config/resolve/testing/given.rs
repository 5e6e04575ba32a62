//! `given`: what is so before the bot starts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Resolving;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::resolve::{declared, report::Report};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Entries, Raw, Text};
use crate::bot::config::testing::{Given, GivenRow};
use crate::bot::config::tree::{Content, NodeId};
use crate::bot::config::{List, Table};
use crate::bot::expression::Type;
use crate::bot::store::Member;
use crate::bot::testing;

/// What the clock of a test shows at first: 2026-01-01T00:00:00Z, in seconds.
const NEW_YEAR: i64 = 1_767_225_600;
const TAKES: &str = "`given` takes `now`, `files`, `holders`, `seen`, and members by the name of their list";

impl Resolving<'_, '_, '_> {
    pub(super) fn given(&mut self, file: &Entries<Raw>) -> Option<Given> {
        let mut given = Given {
            now: DateTime::<Utc>::from_timestamp(NEW_YEAR, 0).unwrap_or_default(),
            members: Vec::new(),
            rows: Vec::new(),
            files: BTreeMap::new(),
            seen: BTreeMap::new(),
            holders: BTreeMap::new(),
        };
        let mut is_right = true;
        for (key, raw) in &file.0 {
            let node = raw.value.0;
            let read = match key.as_str() {
                "now" => self.instant(node).map(|now| given.now = now),
                "files" => self.files(node).map(|files| given.files = files),
                "seen" => self.seen(node).map(|seen| given.seen = seen),
                "holders" => self.holders(node).map(|holders| given.holders = holders),
                table if self.context.tables.contains_key(table) => {
                    self.rows(table, node).map(|rows| given.rows.extend(rows))
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
            let hint = Report::meant(name, lists.chain(["now", "files", "holders", "seen"]))
                .or_else(|| Some(TAKES.to_owned()));
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

    fn rows(&mut self, name: &str, node: NodeId) -> Option<Vec<(String, GivenRow)>> {
        let table = self.context.tables.get(name)?.as_ref()?;
        let Content::List(items) = self.report.tree.content(node) else {
            let message = "expected a list of rows like `{ owner: alice }`";
            self.report.add(Place::Value(node), Code::Shape, message, None);
            return None;
        };
        let mut rows = Some(Vec::new());
        for item in items {
            let row = self.row(table, *item);
            rows = rows.zip(row).map(|(mut rows, row)| {
                rows.push((name.to_owned(), row));
                rows
            });
        }
        rows
    }

    fn row(&mut self, table: &Table, node: NodeId) -> Option<GivenRow> {
        let tree = self.report.tree;
        let (mut owner, mut columns, mut is_right) = (None, serde_json::Map::new(), true);
        let entries = match tree.content(node) {
            Content::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        for (key, entry) in entries {
            if key == "owner" {
                owner = self.who(*entry);
                continue;
            }
            let Some(ty) = table.column(key) else {
                let names = table.columns.iter().map(|(name, _)| name.as_str());
                let hint = Report::meant(key, names.chain(["owner"]));
                let message = format!("rows of `{}` have no column {}", table.name, quote(key));
                self.report
                    .add(Place::Key(*entry), Code::UnknownKey, message, hint);
                is_right = false;
                continue;
            };
            match self.data().typed(*entry, ty) {
                Some(value) => {
                    columns.insert(key.clone(), value);
                }
                None => is_right = false,
            }
        }
        if entries.iter().all(|(key, _)| key != "owner") {
            let message = "expected a row like `{ owner: alice }`";
            self.report.add(Place::Value(node), Code::Shape, message, None);
        }
        for (name, ty) in &table.columns {
            if !ty.is_optional() && entries.iter().all(|(key, _)| key != name) {
                let message = format!("a row of `{}` needs `{name}`", table.name);
                self.report
                    .add(Place::Value(node), Code::MissingKey, message, None);
                is_right = false;
            }
        }
        let owner = owner.filter(|_| is_right)?.address();
        Some(GivenRow { owner, columns })
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
}

fn has_extension(path: &str, extension: &str) -> bool {
    let found = std::path::Path::new(path).extension();
    found.is_some_and(|found| found.eq_ignore_ascii_case(extension))
}
