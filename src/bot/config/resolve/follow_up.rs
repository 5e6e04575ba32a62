//! `then` and `after`: what follows the delivery of a rule's message.

use super::content::InScope;
use super::report::Report;
use super::rule::condition;
use super::trigger::SHORTEST;
use super::{Context, ListReference, content, find_list, table};
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{AfterFile, FollowUpFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Spanned, Text};
use crate::bot::config::{After, FollowUp, Later, List};
use crate::bot::expression::{Expression, Names, Record, Type};

/// Resolves the follow-ups of a rule against the names of its message.
pub(super) fn resolve(
    report: &mut Report<'_>,
    context: &Context,
    files: &[FollowUpFile],
    (names, of_all): (&Names, &Names),
) -> Option<Vec<FollowUp>> {
    let mut names = names.clone();
    let delivery: Record = [("id", Type::Int), ("at", Type::Time)].into_iter().collect();
    names.insert("delivery", Type::Record(delivery));
    let scope = InScope {
        names: &names,
        of_all,
        follows: true,
    };
    let follow_ups: Vec<Option<FollowUp>> = files
        .iter()
        .map(|file| follow_up(report, context, file, scope))
        .collect();
    follow_ups.into_iter().collect()
}

fn follow_up(
    report: &mut Report<'_>,
    context: &Context,
    file: &FollowUpFile,
    scope: InScope<'_>,
) -> Option<FollowUp> {
    let names = scope.names;
    if report.is_full() {
        return None;
    }
    let when = match (&file.at, &file.after) {
        (Some(at), None) => {
            let time = report.expression(at, &names.planned());
            let time = time.filter(|time| {
                let fits = Type::Time.optional().accepts(time.ty());
                if !fits {
                    let message = format!("expected a time, found {}", time.ty());
                    report.wrong(at, Code::Expression, message, None);
                }
                fits
            });
            time.map(Later::At)
        }
        (None, Some(after)) => report.duration(after, SHORTEST).map(Later::After),
        (Some(_), Some(after)) => {
            let message = "expected one of `at` and `after`, found both";
            report.add(Place::Key(after.node), Code::Shape, message, None);
            None
        }
        (None, None) => {
            let hint = Some("`after: 1d` counts from the delivery".to_owned());
            let message = "a follow-up needs `at` or `after`";
            report.add(Place::Key(file.send.node), Code::MissingKey, message, hint);
            None
        }
    };
    let holds = condition(report, file.condition.as_ref(), names);
    let cancel_if = condition(report, file.cancel_if.as_ref(), names);
    let parts = content::parts(report, context, &file.send.value, scope);
    let unless_reply = file
        .unless_reply
        .as_ref()
        .map(|text| text.value.trim().to_lowercase());
    Some(FollowUp {
        when: when?,
        condition: holds?,
        unless_reply,
        cancel_if: cancel_if?,
        parts: parts?,
    })
}

/// Resolves what happens once a message of a rule is delivered.
pub(super) fn after(
    report: &mut Report<'_>,
    context: &Context,
    (file, list): (&AfterFile, Option<&str>),
    names: &Names,
) -> Option<After> {
    let leave = match &file.leave {
        Some(text) => match find_list(report, context, text) {
            ListReference::Valid(list) => Some(Some(list.name.clone())),
            ListReference::Mistaken | ListReference::Undefined => None,
        },
        None => Some(None),
    };
    let list = list
        .and_then(|name| context.lists.get(name))
        .and_then(Option::as_ref);
    let mut set = Some(Vec::new());
    for (name, text) in file.set.iter().flat_map(|set| &set.0) {
        let value = field(report, list, (name, text), names);
        set = set.zip(value).map(|(mut set, value)| {
            set.push((name.clone(), value));
            set
        });
    }
    let remove = match &file.remove {
        Some(text) => row_of(report, context, text, names).map(Some),
        None => Some(None),
    };
    Some(After {
        leave: leave?,
        set: set?,
        remove: remove?,
    })
}

/// The table whose row fired.
fn row_of(report: &mut Report<'_>, context: &Context, text: &Text, names: &Names) -> Option<String> {
    let table = table::find(report, context, text)?;
    if names.get("row").is_none() {
        let message = "`remove` needs a trigger that a row fires, and here is none";
        report.add(Place::Key(text.node), Code::Undefined, message, None);
        return None;
    }
    Some(table.name.clone())
}

/// The new value of a field of a member.
fn field(
    report: &mut Report<'_>,
    list: Option<&List>,
    (name, text): (&str, &Spanned<String>),
    names: &Names,
) -> Option<Expression> {
    let Some(list) = list else {
        let message = "`set` needs an audience that is a list: its fields are what is set";
        report.add(Place::Key(text.node), Code::Shape, message, None);
        return None;
    };
    let Some(field) = list.fields.iter().find(|field| field.name == name) else {
        let hint = Report::meant(name, list.fields.iter().map(|field| field.name.as_str()));
        let message = format!("list `{}` has no field {}", list.name, quote(name));
        report.add(Place::Key(text.node), Code::Undefined, message, hint);
        return None;
    };
    let value = report.expression(text, names)?;
    if !field.ty.clone().optional().accepts(value.ty()) {
        let message = format!("`{name}` is {}, found {}", field.ty, value.ty());
        report.wrong(text, Code::Expression, message, None);
        return None;
    }
    Some(value)
}
