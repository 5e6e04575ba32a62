//! The names that expressions and templates may use, by place, with their types.

use super::Context;
use crate::bot::config::{Field, List, Table};
use crate::bot::expression::{Names, Record, Type};

/// What is known of every member of a list beside the list's own fields.
pub(super) const MEMBER_NAMES: [&str; 5] = ["wallet", "name", "tz", "lang", "joined_at"];

/// Names that the language gives somewhere: nothing of a file is called so.
const NAMES: [&str; 25] = [
    "vars",
    "now",
    "occurrence",
    "to",
    "sub",
    "row",
    "event",
    "block",
    "tx",
    "log_index",
    "contract",
    "value",
    "item",
    "previous",
    "items",
    "items_left",
    "message",
    "args",
    "answers",
    "mine",
    "body",
    "headers",
    "list",
    "delivery",
    "opens",
];

/// Whether the language gives a name somewhere.
pub(super) fn is_name(name: &str) -> bool {
    NAMES.contains(&name)
}

/// `vars`, `now` and `occurrence`: in scope everywhere.
pub(super) fn everywhere(vars: &Type) -> Names {
    let occurrence: Record = [("id", Type::Text), ("at", Type::Time)].into_iter().collect();
    [
        ("vars", vars.clone()),
        ("now", Type::Time),
        ("occurrence", Type::Record(occurrence)),
    ]
    .into_iter()
    .collect()
}

/// The names of `stop_if`: constants, and the counts of a broadcast.
pub(super) fn counts(names: &Names) -> Names {
    let mut counts: Names = ["delivered", "failed", "rejected", "expired"]
        .into_iter()
        .map(|name| (name, Type::Decimal))
        .collect();
    counts.insert("settled", Type::Int);
    for name in ["vars", "now"] {
        counts.insert(name, names.get(name).cloned().unwrap_or(Type::Any));
    }
    counts
}

/// Somebody who may be no member of any list.
fn person() -> Record {
    [
        ("wallet", Type::Wallet),
        ("name", Type::Text.optional()),
        ("tz", Type::Tz),
        ("lang", Type::Text.optional()),
        ("joined_at", Type::Time.optional()),
    ]
    .into_iter()
    .collect()
}

/// A member of a list.
pub(super) fn member(list: &List) -> Record {
    let mut record = person();
    record.insert("joined_at", Type::Time);
    for field in &list.fields {
        record.insert(field.name.as_str(), type_of(field, list));
    }
    record
}

/// Somebody who may be a member of some of the lists: the fields of all of them, each of which may be missing.
pub(super) fn sender<'a>(lists: impl IntoIterator<Item = &'a List>) -> Record {
    let mut record = person();
    for field in lists.into_iter().flat_map(|list| &list.fields) {
        let ty = match record.get(&field.name) {
            Some(other) if *other != field.ty.clone().optional() => Type::Any,
            _ => field.ty.clone().optional(),
        };
        record.insert(field.name.as_str(), ty);
    }
    record
}

/// A variable that an audience gives. What is known of people keeps its type.
pub(super) fn variable(name: &str) -> Type {
    match person().get(name) {
        Some(known) if name != "joined_at" => known.clone(),
        _ => Type::Any,
    }
}

/// A message that somebody wrote to the bot.
pub(super) fn message() -> Type {
    let record: Record = [
        ("id", Type::Text),
        ("text", Type::Text),
        ("type", Type::Text),
        ("from", Type::Wallet),
        ("sent_at", Type::Time),
        ("conversation", Type::Text),
    ]
    .into_iter()
    .collect();
    Type::Record(record)
}

/// The names of everything that answers a message: `message`, `sub`, `to` and `mine`.
pub(super) fn of_message(context: &Context) -> Names {
    let sender = sender(context.known_lists());
    let mut names = everywhere(&context.vars);
    names.set_sources(context.source_types.clone());
    names.insert("message", message());
    names.insert("sub", Type::Record(sender.clone()).optional());
    names.insert("to", Type::Record(sender));
    if let Some(mine) = mine(context) {
        names.insert("mine", mine);
    }
    names
}

/// The sender's rows by table; nothing in a bot without tables.
pub(super) fn mine(context: &Context) -> Option<Type> {
    let of = |table: Option<&Table>| table.map_or(Type::Any, |table| Type::List(Box::new(table.row_type())));
    let tables = context.tables.iter();
    let record: Record = tables
        .map(|(name, table)| (name.as_str(), of(table.as_ref())))
        .collect();
    (!context.tables.is_empty()).then_some(Type::Record(record))
}

/// The names of several triggers of one rule: a name that only some of them give may be `none`.
pub(super) fn of_all_triggers(triggers: &[Vec<(&'static str, Type)>], names: &mut Names) {
    for (name, ty) in triggers.iter().flatten() {
        let given = triggers
            .iter()
            .map(|names| names.iter().find(|(other, _)| other == name).map(|(_, ty)| ty));
        let is_always = given.clone().all(|given| given.is_some());
        let is_same = given.flatten().all(|other| other == ty);
        let ty = if is_same { ty.clone() } else { Type::Any };
        names.insert(*name, if is_always { ty } else { ty.optional() });
    }
}

/// The type of a field for a member: it may be `none` unless it has a default or every way to join gives it.
fn type_of(field: &Field, list: &List) -> Type {
    if field.default.is_some() || list.is_given(&field.name) {
        field.ty.clone()
    } else {
        field.ty.clone().optional()
    }
}
