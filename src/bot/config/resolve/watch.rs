//! `watch` and `cleared`.

use std::time::Duration;

use super::report::Report;
use super::trigger::SHORTEST;
use super::{Context, ListReference, declared, find_list, scope};
use crate::bot::config::Table;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{BotFile, ClearedFile, TriggerFile, WatchFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::Text;
use crate::bot::expression::{Expression, Names, Type};
use crate::bot::trigger::{Each, Edge, Watch};

/// How often a value is read unless said otherwise.
const EVERY: Duration = Duration::from_mins(1);

/// Names that a trigger gives, with their types.
type Given = Vec<(&'static str, Type)>;

/// Reads `watch`, and the names it gives.
pub(super) fn watch(report: &mut Report<'_>, context: &Context, file: &WatchFile) -> (Option<Watch>, Given) {
    let (each, subject) = match &file.each {
        Some(text) => each(report, context, text),
        None => (Some(None), None),
    };
    let mut names = names(context, subject.as_ref());
    let value = report.expression(&file.watch, &names);
    let ty = value.as_ref().map_or(Type::Any, |value| value.ty().clone());
    if let Some(value) = &value
        && value.asks()
    {
        names.insert_computed("value", value);
    }
    names.insert("value", ty.clone());
    let edge = edge(report, file, &names);
    let every = file
        .every
        .as_ref()
        .map_or(Some(EVERY), |text| report.duration(text, SHORTEST));
    let patience = file
        .patience
        .as_ref()
        .map_or(Some(Duration::ZERO), |text| report.duration(text, Duration::ZERO));
    let mut given: Given = subject.into_iter().collect();
    given.push(("value", ty));
    let text = [
        &file.each,
        &file.below,
        &file.above,
        &file.becomes,
        &file.changes,
        &file.clear,
    ];
    let text = text.into_iter().flatten().map(|text| text.value.as_str());
    let text: Vec<&str> = std::iter::once(file.watch.value.as_str()).chain(text).collect();
    let watch = || {
        Some(Watch {
            value: value?,
            each: each?,
            every: every?,
            edge: edge?,
            patience: patience?,
            text: text.join("\u{1f}"),
        })
    };
    (watch(), given)
}

/// What a value, and its lines, may use.
fn names(context: &Context, subject: Option<&(&'static str, Type)>) -> Names {
    let mut names = scope::everywhere(&context.vars);
    // No occurrence is there yet.
    names.remove("occurrence");
    names.set_sources(context.source_types.clone());
    if let Some((name, ty)) = subject {
        names.insert(*name, ty.clone());
    }
    names
}

/// The subjects of `each`, and what one is called; the inner option is for none.
#[expect(
    clippy::option_option,
    reason = "a list that is not named and one with a mistake are different things"
)]
fn each(
    report: &mut Report<'_>,
    context: &Context,
    text: &Text,
) -> (Option<Option<Each>>, Option<(&'static str, Type)>) {
    if let Some(table) = context.tables.get(&text.value) {
        let row = table.as_ref().map_or(Type::Any, Table::row_type);
        let each = table.as_ref().map(|_| Some(Each::Table(text.value.clone())));
        return (each, Some(("row", row)));
    }
    match find_list(report, context, text) {
        ListReference::Valid(list) => {
            let member = Type::Record(scope::member(list));
            (Some(Some(Each::List(list.name.clone()))), Some(("sub", member)))
        }
        ListReference::Mistaken | ListReference::Undefined => (None, Some(("sub", Type::Any))),
    }
}

/// When it fires: one of `below`, `above`, `becomes` and `changes`.
fn edge(report: &mut Report<'_>, file: &WatchFile, names: &Names) -> Option<Edge> {
    let told = [&file.below, &file.above, &file.becomes, &file.changes];
    let mut told = told.into_iter().flatten();
    let first = told.next();
    if let Some(second) = told.next() {
        let message = "expected one of `below`, `above`, `becomes` and `changes`, found two";
        report.add(Place::Key(second.node), Code::Shape, message, None);
        return None;
    }
    if first.is_none() {
        let message = "a watch needs one of `below`, `above`, `becomes` and `changes`";
        let hint = "`below: 1.1` fires once the value is below that".to_owned();
        report.add(Place::Key(file.watch.node), Code::MissingKey, message, Some(hint));
        return None;
    }
    if let Some(text) = &file.changes {
        for text in [&file.clear, &file.patience].into_iter().flatten() {
            let key = report.tree.key(text.node).unwrap_or_default();
            let message = format!("`{key}` belongs to `below`, `above` and `becomes`");
            report.add(Place::Key(text.node), Code::UnknownKey, message, None);
        }
        return report.is_true(text).map(|()| Edge::Changes);
    }
    let (holds, clears) = if let Some(text) = &file.below {
        (
            line(report, text, "value < ", names),
            file.clear
                .as_ref()
                .map(|clear| line(report, clear, "value >= ", names)),
        )
    } else if let Some(text) = &file.above {
        (
            line(report, text, "value > ", names),
            file.clear
                .as_ref()
                .map(|clear| line(report, clear, "value <= ", names)),
        )
    } else {
        let becomes = file.becomes.as_ref()?;
        (
            report.expression(becomes, names),
            file.clear.as_ref().map(|clear| report.expression(clear, names)),
        )
    };
    let clears = match clears {
        Some(None) => return None,
        clears => clears.flatten(),
    };
    Some(Edge::Crosses {
        holds: Box::new(holds?),
        clears: clears.map(Box::new),
    })
}

/// Compares the value with a line.
fn line(report: &mut Report<'_>, text: &Text, compared: &str, names: &Names) -> Option<Expression> {
    report.expression(text, names)?;
    match Expression::parse(&format!("{compared}({})", text.value), names) {
        Ok(comparison) => Some(comparison),
        Err(findings) => {
            let message = findings.into_iter().next().map(|finding| finding.message);
            report.wrong(text, Code::Expression, message.unwrap_or_default(), None);
            None
        }
    }
}

/// Reads `cleared`, and the names it gives: those of the watch.
pub(super) fn cleared(
    report: &mut Report<'_>,
    context: &Context,
    (own, file): (&str, &ClearedFile),
) -> (Option<String>, Given) {
    let wanted = file.cleared.value.as_str();
    let tree = report.tree;
    let Some((_, watch)) = context.watches.iter().find(|(rule, _)| rule == wanted) else {
        let is_rule = declared(tree, "rules").any(|rule| rule == wanted);
        let (message, hint) = if is_rule {
            let message = format!("rule {} has no `watch` that could be cleared", quote(wanted));
            (message, None)
        } else {
            let watches = context.watches.iter().map(|(rule, _)| rule.as_str());
            (
                format!("there is no rule {}", quote(wanted)),
                Report::meant(wanted, watches),
            )
        };
        report.wrong(&file.cleared, Code::Undefined, message, hint);
        return (None, vec![("value", Type::Any)]);
    };
    if wanted == own {
        let message = "a rule cannot fire for its own clearing";
        report.wrong(&file.cleared, Code::Name, message, None);
    }
    // What is wrong with the watch is told there.
    let subject = watch.each.as_ref().map(|text| {
        if let Some(table) = context.tables.get(&text.value) {
            return ("row", table.as_ref().map_or(Type::Any, Table::row_type));
        }
        let list = context.lists.get(&text.value).and_then(Option::as_ref);
        (
            "sub",
            list.map_or(Type::Any, |list| Type::Record(scope::member(list))),
        )
    });
    let value = Expression::parse(&watch.watch.value, &names(context, subject.as_ref()));
    let ty = value.map_or(Type::Any, |value| value.ty().clone());
    let mut given: Given = subject.into_iter().collect();
    given.push(("value", ty));
    ((wanted != own).then(|| wanted.to_owned()), given)
}

/// The watches of a file, by the names of their rules.
pub(super) fn all(file: &BotFile) -> Vec<(String, WatchFile)> {
    let rules = file.rules.0.iter();
    let watches = rules.flat_map(|(name, rule)| {
        let triggers = rule.value.when.as_slice().iter();
        triggers.filter_map(move |trigger| match trigger {
            TriggerFile::Watch(watch) => Some((name.clone(), watch.clone())),
            _ => None,
        })
    });
    watches.collect()
}
