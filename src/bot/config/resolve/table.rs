//! `tables`: the columns of rows, and how many rows a wallet may have.

use std::collections::BTreeMap;

use super::report::Report;
use super::{Context, declared};
use crate::bot::config::Table;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::TableFile;
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Entries, Spanned, Text};
use crate::bot::dialog::command::is_identifier;
use crate::bot::expression::Type;

/// Rows of one wallet in a table that does not say how many.
const PER_OWNER: u32 = 100;
/// Whoever writes to a bot sees all its rows at once, and so does each of its expressions.
const MOST_PER_OWNER: u32 = 1_000;

/// Resolves all tables; `None` for one that has a mistake.
pub(super) fn resolve_all(
    report: &mut Report<'_>,
    file: &Entries<TableFile>,
) -> BTreeMap<String, Option<Table>> {
    let mut tables = BTreeMap::new();
    for (name, table) in &file.0 {
        let is_named = identifier(report, name, table);
        let resolved = if report.is_full() {
            None
        } else {
            resolve(report, (name, table))
        };
        tables.insert(name.clone(), resolved.filter(|_| is_named));
    }
    tables
}

/// Whether a table's name can stand behind `mine.`.
fn identifier(report: &mut Report<'_>, name: &str, table: &Spanned<TableFile>) -> bool {
    let message = if !is_identifier(name) {
        let found = quote(name);
        format!("expected a name of letters, digits and `_`, found {found}")
    } else if declared(report.tree, "lists").any(|list| list == name) {
        format!("`{name}` is the name of a list already")
    } else {
        return true;
    };
    report.add(Place::Key(table.node), Code::Name, message, None);
    false
}

fn resolve(report: &mut Report<'_>, (name, file): (&str, &Spanned<TableFile>)) -> Option<Table> {
    let columns = &file.value.columns.0;
    let columns: Vec<_> = columns
        .iter()
        .map(|(name, text)| column(report, name, text))
        .collect();
    if columns.is_empty() {
        let message = format!("`tables.{name}` has no columns");
        report.add(Place::Key(file.node), Code::MissingKey, message, None);
    }
    let per_owner = match &file.value.per_owner {
        Some(text) => count(report, text),
        None => Some(PER_OWNER),
    };
    let columns: Vec<_> = columns.into_iter().collect::<Option<_>>()?;
    Some(Table {
        name: name.to_owned(),
        per_owner: per_owner.filter(|_| !columns.is_empty())?,
        columns,
    })
}

fn column(report: &mut Report<'_>, name: &str, text: &Text) -> Option<(String, Type)> {
    let message = if !is_identifier(name) {
        let found = quote(name);
        format!("expected a name of letters, digits and `_`, found {found}")
    } else if Table::OWN.contains(&name) {
        format!("`{name}` is known of every row; no column can have the name")
    } else {
        return report.ty(text).map(|ty| (name.to_owned(), ty));
    };
    report.add(Place::Key(text.node), Code::Name, message, None);
    None
}

fn count(report: &mut Report<'_>, text: &Text) -> Option<u32> {
    let count = text.value.parse().ok();
    let count = count.filter(|count| (1..=MOST_PER_OWNER).contains(count));
    if count.is_none() {
        let message = format!(
            "expected how many rows, 1 to {MOST_PER_OWNER}, found {}",
            quote(&text.value)
        );
        report.wrong(text, Code::Limit, message, None);
    }
    count
}

/// Finds a table by the name that a text gives; `None` where it has a mistake or is not there, which is reported.
pub(super) fn find<'c>(report: &mut Report<'_>, context: &'c Context, text: &Text) -> Option<&'c Table> {
    let tree = report.tree;
    if let Some(known) = context.tables.get(&text.value) {
        return known.as_ref();
    }
    if declared(tree, "tables").any(|name| name == text.value) {
        return None;
    }
    let hint = Report::meant(&text.value, declared(tree, "tables"));
    let message = format!("there is no table {}", quote(&text.value));
    report.wrong(text, Code::Undefined, message, hint);
    None
}
