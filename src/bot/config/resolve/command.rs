//! `commands`: who may use them, what they do, and what they answer.

use std::collections::BTreeMap;

use super::content::InScope;
use super::report::Report;
use super::rule::condition;
use super::{Context, content, declared, list, scope, table};
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{BotFile, CommandFile, TriggerFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{OneOrMany, Spanned, Text};
use crate::bot::config::{Field, List, Table};
use crate::bot::dialog::command::{Admin, Command, CommandDeclaration, Doing};
use crate::bot::expression::{Names, Type};

/// Resolves one command; `None` if it has a mistake.
pub(super) fn resolve(
    report: &mut Report<'_>,
    context: &Context,
    file: &BotFile,
    (text, command): (&str, &Spanned<CommandFile>),
    taken: &mut BTreeMap<String, String>,
) -> Option<Command> {
    let place = Place::InKey(command.node, 0);
    let declaration = list::declaration(report, place, text, ("another command", taken));
    if report.hides_names(command.node) {
        return None;
    }
    let mut names = scope::of_message(context);
    let arguments = declaration.as_ref().map_or(Type::Any, |declaration| {
        Type::Record(declaration.arguments_type())
    });
    names.insert("args", arguments);
    let admins = admins(report, context, command.value.admins.as_ref());
    let condition = condition(report, command.value.condition.as_ref(), &names);
    let doing = doing(report, context, file, (command, declaration.as_ref()), &names);
    if let Some(Some(Doing::Add(table) | Doing::Remove { table, .. })) = &doing
        && let Some(Some(table)) = context.tables.get(table)
    {
        names.insert("row", table.row_type());
    } else if doing.is_none() {
        // Its users are not blamed.
        names.insert("row", Type::Any);
    }
    let reply = match &command.value.reply {
        Some(reply) => content::parts(report, context, reply, InScope::of_one(&names)),
        None => Some(Vec::new()),
    };
    if command.value.reply.is_none() && matches!(doing, Some(None)) {
        let message = format!("`{text}` does nothing");
        let hint = "add `reply`, or one of `add`, `remove`, `set`, `run`".to_owned();
        report.add(Place::Key(command.node), Code::MissingKey, message, Some(hint));
        return None;
    }
    Some(Command {
        declaration: declaration?,
        about: command.value.about.as_ref().map(|about| about.value.clone()),
        admins: admins?,
        condition: condition?,
        doing: doing?,
        reply: reply?,
    })
}

/// Who alone may use a command: members of lists, and wallets; the outer option is for a mistake.
#[expect(
    clippy::option_option,
    reason = "a command for everybody and a wrong one are different things"
)]
fn admins(
    report: &mut Report<'_>,
    context: &Context,
    file: Option<&OneOrMany<Text>>,
) -> Option<Option<Vec<Admin>>> {
    let Some(file) = file else {
        return Some(None);
    };
    let names: Names = [("vars", context.vars.clone())].into_iter().collect();
    let names = names.naming();
    let mut admins = Some(Vec::new());
    for text in file.as_slice() {
        let admin = if declared(report.tree, "lists").any(|name| name == text.value) {
            report.used.insert(format!("lists.{}", text.value));
            Some(Admin::List(text.value.clone()))
        } else {
            wallets(report, text, &names)
        };
        admins = admins.zip(admin).map(|(mut admins, admin)| {
            admins.push(admin);
            admins
        });
    }
    admins.map(Some)
}

fn wallets(report: &mut Report<'_>, text: &Text, names: &Names) -> Option<Admin> {
    let is_name = text
        .value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if is_name && !text.value.starts_with("0x") {
        let hint = Report::meant(&text.value, declared(report.tree, "lists"));
        let message = format!("expected a list or a wallet, found {}", quote(&text.value));
        report.wrong(text, Code::Undefined, message, hint);
        return None;
    }
    let expression = report.expression(text, names)?;
    let list = Type::List(Box::new(Type::Wallet));
    if Type::Wallet.accepts(expression.ty()) || list.accepts(expression.ty()) {
        return Some(Admin::Wallets(expression));
    }
    let message = format!("expected wallets, found {}", expression.ty());
    report.wrong(text, Code::Expression, message, None);
    None
}

/// What a command does beside its answer; the outer option is for a mistake.
#[expect(
    clippy::option_option,
    reason = "a command that does nothing and a wrong one are different things"
)]
fn doing(
    report: &mut Report<'_>,
    context: &Context,
    file: &BotFile,
    (command, declaration): (&Spanned<CommandFile>, Option<&CommandDeclaration>),
    names: &Names,
) -> Option<Option<Doing>> {
    let keys = &command.value;
    let told = [
        keys.add.is_some(),
        keys.remove.is_some(),
        keys.set.is_some(),
        keys.run.is_some(),
    ];
    if told.into_iter().filter(|told| *told).count() > 1 {
        let message = "expected one of `add`, `remove`, `set` and `run`, found several";
        report.add(Place::Key(command.node), Code::Shape, message, None);
        return None;
    }
    let doing = if let Some(text) = &keys.add {
        let table = table::find(report, context, text)?;
        fills(report, text, table, declaration?)?;
        Doing::Add(table.name.clone())
    } else if let Some(remove) = &keys.remove {
        let table = table::find(report, context, &remove.from);
        let id = report.expression(&remove.id, names)?;
        if !Type::Int.accepts(id.ty()) {
            let message = format!("expected the `id` of a row, an int, found {}", id.ty());
            report.wrong(&remove.id, Code::Expression, message, None);
            return None;
        }
        let table = table?.name.clone();
        Doing::Remove { table, id }
    } else if let Some(fields) = &keys.set {
        set(report, context, &fields.0, names)?
    } else if let Some(text) = &keys.run {
        run(report, file, text)?;
        Doing::Run(text.value.clone())
    } else {
        return Some(None);
    };
    Some(Some(doing))
}

/// Whether the arguments of a command fill the columns of a table.
fn fills(
    report: &mut Report<'_>,
    text: &Text,
    table: &Table,
    declaration: &CommandDeclaration,
) -> Option<()> {
    let mut is_right = true;
    for (column, ty) in &table.columns {
        let mut arguments = declaration.arguments().iter();
        let argument = arguments.find(|argument| argument.name == *column);
        let message = match argument {
            None if ty.is_optional() => continue,
            None => format!("no argument fills the column `{column}` of `{}`", table.name),
            Some(argument) if ty.accepts(&argument.ty) => continue,
            Some(argument) => format!(
                "the column `{column}` of `{}` is {ty}, the argument is {}",
                table.name, argument.ty
            ),
        };
        let hint = argument
            .is_none()
            .then(|| format!("add `<{column}:{ty}>`, or make the column `optional {ty}`"));
        report.wrong(text, Code::Type, message, hint);
        is_right = false;
    }
    is_right.then_some(())
}

fn set(
    report: &mut Report<'_>,
    context: &Context,
    fields: &[(String, Text)],
    names: &Names,
) -> Option<Doing> {
    let mut values = Vec::new();
    for (name, text) in fields {
        let mut of_lists: Vec<&Field> = Vec::new();
        for list in context.known_lists() {
            of_lists.extend(list.fields.iter().filter(|field| field.name == *name));
        }
        let own = match name.as_str() {
            "name" | "lang" => Some(Type::Text),
            "tz" => Some(Type::Tz),
            _ => None,
        };
        if of_lists.is_empty() && own.is_none() {
            if context.lists.values().any(Option::is_none) {
                return None;
            }
            let known = context.known_lists().flat_map(|list| &list.fields);
            let hint = Report::meant(name, known.map(|field| field.name.as_str()));
            let message = format!("no list has a field {}", quote(name));
            report.add(Place::Key(text.node), Code::Undefined, message, hint);
            return None;
        }
        let value = report.expression(text, names)?;
        let types = of_lists.iter().map(|field| field.ty.clone());
        for ty in types.chain(own.filter(|_| of_lists.is_empty())) {
            if !ty.clone().optional().accepts(value.ty()) {
                let message = format!("`{name}` is {ty}, found {}", value.ty());
                report.wrong(text, Code::Expression, message, None);
                return None;
            }
        }
        values.push((name.clone(), value));
    }
    let has_all = |list: &&List| {
        let mut names = values.iter().map(|(name, _)| name.as_str());
        names.all(|name| list.keeps(name))
    };
    let lists: Vec<String> = context
        .known_lists()
        .filter(has_all)
        .map(|list| list.name.clone())
        .collect();
    if lists.is_empty() || values.is_empty() {
        let (_, first) = fields.first()?;
        let message = "no list has all of these fields";
        report.add(Place::Key(first.node), Code::Undefined, message, None);
        return None;
    }
    report
        .used
        .extend(lists.iter().map(|list| format!("lists.{list}")));
    Some(Doing::Set { lists, values })
}

/// Whether a text names a rule that can be fired by hand.
fn run(report: &mut Report<'_>, file: &BotFile, text: &Text) -> Option<()> {
    let tree = report.tree;
    let rule = file.rules.0.iter().find(|(name, _)| *name == text.value);
    let Some((_, rule)) = rule else {
        if declared(tree, "rules").all(|name| name != text.value) {
            let hint = Report::meant(&text.value, declared(tree, "rules"));
            let message = format!("there is no rule {}", quote(&text.value));
            report.wrong(text, Code::Undefined, message, hint);
        }
        return None;
    };
    let mut triggers = rule.value.when.as_slice().iter();
    if triggers.any(|trigger| matches!(trigger, TriggerFile::Manual(_))) {
        return Some(());
    }
    let message = format!("rule `{}` cannot be fired by hand", text.value);
    let hint = "give it `manual: true` among its triggers".to_owned();
    report.wrong(text, Code::Undefined, message, Some(hint));
    None
}
