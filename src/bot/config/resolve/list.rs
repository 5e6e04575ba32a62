//! `lists`: how they are joined and left, and what is kept of a member.

use std::collections::BTreeMap;

use super::content::{InScope, parts};
use super::report::Report;
use super::scope::{self, MEMBER_NAMES};
use super::{Context, NodeId};
use crate::bot::audience::list::LEAVE_WORDS;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{FieldFile, ListFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Entries, OneOrMany, Raw, Spanned, Text};
use crate::bot::config::tree::Content;
use crate::bot::config::{Field, List};
use crate::bot::dialog::command::{Argument, CommandDeclaration, is_identifier, order, out_of_bounds};
use crate::bot::expression::{Type, Value};

/// Resolves all lists; `None` for one that has a mistake.
pub(super) fn resolve_all(
    report: &mut Report<'_>,
    context: &Context,
    file: &Entries<ListFile>,
) -> BTreeMap<String, Option<List>> {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    let mut lists = BTreeMap::new();
    for (name, list) in &file.0 {
        let is_named = report.name(Place::Key(list.node), name, "list name");
        let resolved = if report.is_full() {
            None
        } else {
            resolve(report, context, (name, &list.value), &mut taken)
        };
        lists.insert(name.clone(), resolved.filter(|_| is_named));
    }
    lists
}

fn resolve(
    report: &mut Report<'_>,
    context: &Context,
    (name, file): (&str, &ListFile),
    taken: &mut BTreeMap<String, String>,
) -> Option<List> {
    let mut join = Some(Vec::new());
    for text in file.join.iter().flat_map(OneOrMany::as_slice) {
        if report.is_full() {
            return None;
        }
        let owner = format!("list `{name}`");
        let declaration = declaration(report, Place::In(text.node, 0), &text.value, (&owner, taken))
            .filter(|declaration| fits_member(report, text, declaration))
            .filter(|declaration| agrees(report, text, declaration, join.as_deref().unwrap_or_default()));
        join = join.zip(declaration).map(|(mut join, declaration)| {
            join.push(declaration);
            join
        });
    }
    let leave = leave(report, &file.leave);
    let confirms = file
        .confirm
        .as_ref()
        .map_or(Some(false), |text| match text.value.as_str() {
            "none" => Some(false),
            "signature" => Some(true),
            _ => {
                report.word(text, &["none", "signature"]);
                None
            }
        });
    let join = join?;
    let fields = fields(report, &join, &file.fields)?;
    let join = join
        .into_iter()
        .map(|declaration| declaration.bounded_by(&fields))
        .collect();
    let mut list = List {
        name: name.to_owned(),
        join,
        leave: leave?,
        fields,
        confirms: confirms?,
        welcome: None,
        goodbye: None,
    };
    let mut names = scope::everywhere(&context.vars);
    let member = scope::member(&list);
    names.insert("sub", Type::Record(member.clone()));
    names.insert("to", Type::Record(member));
    names.insert("list", Type::Text);
    let welcome = file
        .welcome
        .as_ref()
        .map(|content| parts(report, context, content, InScope::of_one(&names)));
    let goodbye = file
        .goodbye
        .as_ref()
        .map(|content| parts(report, context, content, InScope::of_one(&names)));
    if let Some(welcome) = welcome {
        list.welcome = Some(welcome?);
    }
    if let Some(goodbye) = goodbye {
        list.goodbye = Some(goodbye?);
    }
    Some(list)
}

/// Reads the declaration of a command and takes its name, which no other command and no leave word may have.
pub(super) fn declaration(
    report: &mut Report<'_>,
    place: Place,
    text: &str,
    (owner, taken): (&str, &mut BTreeMap<String, String>),
) -> Option<CommandDeclaration> {
    let declaration = match CommandDeclaration::parse(text) {
        Ok(declaration) => declaration,
        Err(finding) => {
            report.add(
                place.moved(finding.span.start),
                Code::Command,
                finding.message,
                finding.hint,
            );
            return None;
        }
    };
    let name = declaration.name();
    if LEAVE_WORDS.contains(&name) {
        let message = format!("`{name}` is a leave word; no command can have it");
        report.add(place, Code::Name, message, None);
        return None;
    }
    if let Some(other) = taken.get(name) {
        report.add(
            place,
            Code::Name,
            format!("`/{name}` is already the command of {other}"),
            None,
        );
        return None;
    }
    taken.insert(name.to_owned(), owner.to_owned());
    Some(declaration)
}

/// Whether the arguments that fill what is known of every member have its types.
fn fits_member(report: &mut Report<'_>, text: &Text, declaration: &CommandDeclaration) -> bool {
    let wrong = declaration.arguments().iter().find(|argument| {
        let fits = match argument.name.as_str() {
            "tz" => argument.ty == Type::Tz,
            "name" | "lang" => matches!(argument.ty, Type::Text | Type::Word | Type::Choice(_)),
            "wallet" | "joined_at" => false,
            _ => true,
        };
        !fits
    });
    if let Some(argument) = wrong {
        let message = match argument.name.as_str() {
            "tz" => format!("`tz` of a member is a time zone, found {}", argument.ty),
            "name" | "lang" => format!("`{}` of a member is text, found {}", argument.name, argument.ty),
            name => format!("`{name}` of a member cannot be given by a command"),
        };
        let offset = text
            .value
            .find(&format!("<{}", argument.name))
            .map_or(0, |at| at + 1);
        report.add(Place::In(text.node, offset), Code::Type, message, None);
    }
    wrong.is_none()
}

/// Whether arguments that other commands of the list also have are of the same type there: both fill one field.
fn agrees(
    report: &mut Report<'_>,
    text: &Text,
    declaration: &CommandDeclaration,
    others: &[CommandDeclaration],
) -> bool {
    let differs = declaration.arguments().iter().find_map(|argument| {
        let mut others = others.iter().flat_map(CommandDeclaration::arguments);
        let other = others.find(|other| other.name == argument.name && other.ty != argument.ty)?;
        Some((argument, other))
    });
    if let Some((argument, other)) = differs {
        let message = format!(
            "`{}` is {} here and {} in another command of the list",
            argument.name, argument.ty, other.ty
        );
        report.wrong(text, Code::Type, message, None);
    }
    differs.is_none()
}

fn leave(report: &mut Report<'_>, words: &[Text]) -> Option<Vec<String>> {
    let mut leave = Some(Vec::new());
    for text in words {
        if report.is_full() {
            return None;
        }
        let word = text.value.split_whitespace().collect::<Vec<_>>().join(" ");
        // One final `.` or `!` is taken off a message before it is compared.
        if word.is_empty() || word.ends_with(['.', '!']) {
            let message = format!(
                "expected a word without a final `.` or `!`, found {}",
                quote(&text.value)
            );
            report.wrong(text, Code::Word, message, None);
            leave = None;
        } else if let Some(leave) = &mut leave {
            leave.push(word);
        }
    }
    leave
}

/// The declared fields, and after them the arguments that only a join command declares.
fn fields(
    report: &mut Report<'_>,
    join: &[CommandDeclaration],
    file: &Entries<FieldFile>,
) -> Option<Vec<Field>> {
    let mut fields = Some(Vec::new());
    for (name, field) in &file.0 {
        if report.is_full() {
            return None;
        }
        let resolved = field_of(report, join, (name, field));
        fields = fields.zip(resolved).map(|(mut fields, field)| {
            fields.push(field);
            fields
        });
    }
    let mut fields = fields?;
    for argument in join.iter().flat_map(CommandDeclaration::arguments) {
        let is_known = MEMBER_NAMES.contains(&argument.name.as_str())
            || fields.iter().any(|field| field.name == argument.name);
        if !is_known {
            fields.push(Field {
                name: argument.name.clone(),
                ty: argument.ty.clone(),
                default: argument.default.clone(),
                min: None,
                max: None,
            });
        }
    }
    Some(fields)
}

fn field_of(
    report: &mut Report<'_>,
    join: &[CommandDeclaration],
    (name, file): (&String, &Spanned<FieldFile>),
) -> Option<Field> {
    if !is_identifier(name) || MEMBER_NAMES.contains(&name.as_str()) {
        let message = if is_identifier(name) {
            format!("`{name}` is known of every member; no field can have the name")
        } else {
            format!(
                "expected a name of letters, digits and `_`, found {}",
                quote(name)
            )
        };
        report.add(Place::Key(file.node), Code::Name, message, None);
        return None;
    }
    let mut arguments = join.iter().flat_map(CommandDeclaration::arguments);
    let argument = arguments.find(|argument| argument.name == *name);
    let ty = field_type(report, argument, (name, file))?;
    let given = argument.and_then(|argument| argument.default.clone());
    let FieldFile::Details(details) = &file.value else {
        return Some(Field {
            name: name.clone(),
            ty,
            default: given,
            min: None,
            max: None,
        });
    };
    let min = details.min.as_ref().map(|text| bound(report, text, &ty));
    let max = details.max.as_ref().map(|text| bound(report, text, &ty));
    let default = details.default.map(|raw| default_of(report, raw, &ty));
    let field = Field {
        name: name.clone(),
        ty,
        default: default.map_or(Some(given), |value| value.map(Some))?,
        min: min.map_or(Some(None), |value| value.map(Some))?,
        max: max.map_or(Some(None), |value| value.map(Some))?,
    };
    let (min, max) = (field.min.as_ref(), field.max.as_ref());
    if let Some(reason) = field
        .default
        .as_ref()
        .and_then(|value| out_of_bounds(value, min, max))
    {
        let message = format!("the default of `{name}` is outside its bounds: {reason}");
        report.add(Place::Key(file.node), Code::Type, message, None);
        return None;
    }
    Some(field)
}

/// The type of a field: its own, which is that of the join command's argument if there is one.
fn field_type(
    report: &mut Report<'_>,
    argument: Option<&Argument>,
    (name, file): (&str, &Spanned<FieldFile>),
) -> Option<Type> {
    let written = match &file.value {
        FieldFile::Type(text) => Some(text),
        FieldFile::Details(details) => details.ty.as_ref(),
    };
    match (written, argument) {
        (Some(text), argument) => {
            let ty = report.ty(text)?;
            let Some(argument) = argument.filter(|argument| argument.ty != ty) else {
                return Some(ty);
            };
            let message = format!("`{name}` is {ty} here and {} in the join command", argument.ty);
            report.wrong(text, Code::Type, message, None);
        }
        (None, Some(argument)) => return Some(argument.ty.clone()),
        (None, None) => {
            let message = format!("field `{name}` has no `type`, and no join command gives it one");
            report.add(
                Place::Key(file.node),
                Code::MissingKey,
                message,
                Some("add `type:`".to_owned()),
            );
        }
    }
    None
}

fn bound(report: &mut Report<'_>, text: &Text, ty: &Type) -> Option<Value> {
    match ty.read_text(&text.value) {
        Ok(value) if order(&value, &value).is_some() => Some(value),
        Ok(_) => {
            report.wrong(
                text,
                Code::Type,
                format!("a field of type {ty} has no bounds"),
                None,
            );
            None
        }
        Err(reason) => {
            report.wrong(text, Code::Type, reason, None);
            None
        }
    }
}

fn default_of(report: &mut Report<'_>, raw: Raw, ty: &Type) -> Option<Value> {
    let tree = report.tree;
    let mut read = |id: NodeId, ty: &Type| {
        let Some(text) = tree.scalar(id).filter(|_| !tree.is_empty(id)) else {
            report.add(
                Place::Value(id),
                Code::Shape,
                format!("expected a value of type {ty}"),
                None,
            );
            return None;
        };
        match ty.read_text(text) {
            Ok(value) => Some(value),
            Err(reason) => {
                report.add(Place::Value(id), Code::Type, reason, None);
                None
            }
        }
    };
    match (tree.content(raw.0), ty) {
        (Content::List(items), Type::List(element)) => {
            let items: Option<Vec<Value>> = items.iter().map(|item| read(*item, element)).collect();
            items.map(Value::list)
        }
        _ => read(raw.0, ty),
    }
}
