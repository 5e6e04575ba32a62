//! `to`: whom a rule writes to, and what is known of each recipient.

use std::path::PathBuf;

use super::report::Report;
use super::{Context, ListReference, find_list, log, note_missing, scope, source};
use crate::bot::audience::csv::HeaderError;
use crate::bot::audience::holders::BALANCE;
use crate::bot::audience::{Audience, Csv, Database, Holders, Source, Sql};
use crate::bot::config::List;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{AudienceFile, Part, ToCsvFile, ToHoldersFile, ToSourceFile, ToSqlFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::Text;
use crate::bot::expression::{Expression, Names, Record, Type};
use crate::bot::folder;

/// An audience, and what is known of each recipient: a record, or `any` where its names are not known before it is read.
/// Either is none when a mistake hides it.
pub(super) type Resolved = (Option<Audience>, Option<Type>);

/// The audience of a rule.
pub(super) fn resolve(report: &mut Report<'_>, context: &Context, file: &Part, names: &Names) -> Resolved {
    let (audience, to) = part(report, context, file, names);
    let branches = audience.as_ref().map_or(0, |audience| audience.branches().len());
    if branches > Audience::MAX_BRANCHES {
        let most = Audience::MAX_BRANCHES;
        let message = format!("expected an audience of at most {most} parts, found {branches}");
        report.add(Place::Value(file.node), Code::Audience, message, None);
        return (None, to);
    }
    (audience, to)
}

/// An audience or a part of one.
fn part(report: &mut Report<'_>, context: &Context, file: &Part, names: &Names) -> Resolved {
    if report.is_full() {
        return (None, None);
    }
    let ((audience, to), except, sample) = match &file.value {
        AudienceFile::Name(text) => return to_list(report, context, (text, None), names),
        AudienceFile::List(file) => {
            let list = to_list(report, context, (&file.list, file.condition.as_ref()), names);
            (list, &file.except, &file.sample)
        }
        AudienceFile::Wallet(file) => {
            let wallet = wallet(report, &file.wallet, names, false);
            let wallet = (wallet.map(Audience::Wallet), Some(person(context)));
            (wallet, &file.except, &file.sample)
        }
        AudienceFile::Wallets(file) => {
            let wallets = file.wallets.as_slice().iter();
            let wallets: Vec<Option<Expression>> =
                wallets.map(|text| wallet(report, text, names, true)).collect();
            let wallets: Option<Vec<Expression>> = wallets.into_iter().collect();
            let wallets = (wallets.map(Audience::Wallets), Some(person(context)));
            (wallets, &file.except, &file.sample)
        }
        AudienceFile::Csv(file) => (csv(report, context, file, names), &file.except, &file.sample),
        AudienceFile::Source(file) => (source(report, context, file, names), &file.except, &file.sample),
        AudienceFile::Sql(file) => (sql(report, context, file, names), &file.except, &file.sample),
        AudienceFile::Holders(file) => (holders(report, context, file, names), &file.except, &file.sample),
        AudienceFile::Any(set) => {
            let (parts, to) = parts(report, context, (file, &set.any), names);
            (
                (parts.map(Audience::Any), joined(to, either)),
                &set.except,
                &set.sample,
            )
        }
        AudienceFile::All(set) => {
            let (parts, to) = parts(report, context, (file, &set.all), names);
            (
                (parts.map(Audience::All), joined(to, both)),
                &set.except,
                &set.sample,
            )
        }
    };
    let without = except
        .as_ref()
        .map(|without| part(report, context, without, names).0);
    let count = sample.as_ref().map(|text| count(report, text));
    (limited(audience, without, count), to)
}

/// An audience without another one, and of that a sample; the inner options are for mistakes.
#[expect(
    clippy::option_option,
    reason = "an absent part and a wrong one are different things"
)]
fn limited(
    audience: Option<Audience>,
    without: Option<Option<Audience>>,
    count: Option<Option<u32>>,
) -> Option<Audience> {
    let mut audience = audience?;
    if let Some(without) = without {
        audience = Audience::Except {
            of: Box::new(audience),
            without: Box::new(without?),
        };
    }
    if let Some(count) = count {
        audience = Audience::Sample {
            of: Box::new(audience),
            count: count?,
        };
    }
    Some(audience)
}

/// The parts of a set, and what each says of its wallets.
fn parts(
    report: &mut Report<'_>,
    context: &Context,
    (set, files): (&Part, &[Part]),
    names: &Names,
) -> (Option<Vec<Audience>>, Vec<Option<Type>>) {
    if files.is_empty() {
        let message = "expected at least one audience, found none";
        report.add(Place::Value(set.node), Code::Audience, message, None);
    }
    let (audiences, types): (Vec<_>, _) = files
        .iter()
        .map(|file| part(report, context, file, names))
        .unzip();
    let audiences: Option<Vec<_>> = audiences.into_iter().collect();
    (audiences.filter(|audiences| !audiences.is_empty()), types)
}

fn count(report: &mut Report<'_>, text: &Text) -> Option<u32> {
    let count = text.value.parse().ok().filter(|count| *count > 0);
    if count.is_none() {
        let message = format!(
            "expected how many wallets, at least 1, found {}",
            quote(&text.value)
        );
        report.wrong(text, Code::Audience, message, None);
    }
    count
}

fn to_list(
    report: &mut Report<'_>,
    context: &Context,
    (text, condition): (&Text, Option<&Text>),
    names: &Names,
) -> Resolved {
    let found = match text.value.split_once('/') {
        Some((bot, list)) => of_another(report, context, text, (bot, list)),
        None => match find_list(report, context, text) {
            ListReference::Valid(list) => Some(list),
            ListReference::Mistaken | ListReference::Undefined => None,
        },
    };
    let Some(found) = found else {
        return (None, None);
    };
    let member = Type::Record(scope::member(found));
    let condition = filter(report, condition, ("sub", &member), names);
    let list = text.value.clone();
    let audience = condition.map(|condition| Audience::List { list, condition });
    (audience, Some(member))
}

/// The list of another bot that is loaded with this one.
fn of_another<'c>(
    report: &mut Report<'_>,
    context: &'c Context,
    text: &Text,
    (bot, list): (&str, &str),
) -> Option<&'c List> {
    let neighbours = &context.neighbours;
    if let Some(found) = neighbours.find(&text.value) {
        return Some(found);
    }
    let (message, hint) = if let Some(lists) = neighbours.lists(bot) {
        let hint = Report::meant(list, lists.keys().map(String::as_str));
        (format!("bot {} has no list {}", quote(bot), quote(list)), hint)
    } else {
        let hint = Report::meant(bot, neighbours.bots());
        let hint = hint.or_else(|| Some("name its file beside this one's".to_owned()));
        (format!("bot {} is not loaded with this one", quote(bot)), hint)
    };
    report.wrong(text, Code::OtherBot, message, hint);
    None
}

/// `where`, in which a row of the audience has a name; the outer option is for a mistake.
#[expect(
    clippy::option_option,
    reason = "an absent condition and a wrong one are different things"
)]
fn filter(
    report: &mut Report<'_>,
    text: Option<&Text>,
    (name, row): (&str, &Type),
    names: &Names,
) -> Option<Option<Expression>> {
    let Some(text) = text else {
        return Some(None);
    };
    let mut names = names.clone();
    names.insert(name, row.clone());
    report.expression(text, &names).map(Some)
}

/// Somebody of whom the bot knows what its lists say.
fn person(context: &Context) -> Type {
    Type::Record(scope::sender(context.known_lists()))
}

fn csv(report: &mut Report<'_>, context: &Context, file: &ToCsvFile, names: &Names) -> Resolved {
    let column = file
        .column
        .as_ref()
        .map_or("wallet", |column| column.value.trim());
    let mut csv = Csv {
        path: PathBuf::from(&file.csv.value),
        column: column.to_owned(),
        condition: None,
    };
    let (row, to) = match csv.header(&context.folder) {
        Ok(header) => {
            let (mut row, mut to) = (Record::new(), scope::sender(context.known_lists()));
            for name in header.variables() {
                row.insert(name, Type::Any);
                to.insert(name, scope::variable(name));
            }
            row.insert("wallet", Type::Wallet);
            (Type::Record(row), Type::Record(to))
        }
        Err(HeaderError::File(error @ folder::Error::Absent(_))) => {
            let hint = "its columns are not checked until it is there";
            report.wrong(
                &file.csv,
                Code::FileMissing,
                error.to_string(),
                Some(hint.to_owned()),
            );
            (Type::Any, Type::Any)
        }
        Err(HeaderError::File(error)) => {
            report.wrong(&file.csv, Code::File, error.to_string(), None);
            return (None, None);
        }
        Err(HeaderError::Header(reason)) => {
            let message = format!("{}: {reason}", quote(&file.csv.value));
            let text = file.column.as_ref().unwrap_or(&file.csv);
            report.wrong(text, Code::File, message, None);
            return (None, None);
        }
    };
    let condition = filter(report, file.condition.as_ref(), ("row", &row), names);
    let audience = condition.map(|condition| {
        csv.condition = condition;
        Audience::Csv(csv)
    });
    (audience, Some(to))
}

/// The items of a source. What members they have is not known before it is asked.
fn source(report: &mut Report<'_>, context: &Context, file: &ToSourceFile, names: &Names) -> Resolved {
    let http = source::find(report, context, &file.source, names);
    let condition = filter(report, file.condition.as_ref(), ("row", &Type::Any), names);
    let column = file
        .column
        .as_ref()
        .map_or("wallet", |column| column.value.trim());
    let audience = http.zip(condition).map(|(http, condition)| {
        Audience::Source(Box::new(Source {
            http,
            column: column.to_owned(),
            condition,
        }))
    });
    (audience, Some(Type::Any))
}

/// A query. What columns it gives is not known before it is asked.
fn sql(report: &mut Report<'_>, context: &Context, file: &ToSqlFile, names: &Names) -> Resolved {
    if file.sql.value.trim().is_empty() {
        let message = "expected a query, found nothing";
        report.wrong(&file.sql, Code::Shape, message, None);
        return (None, Some(Type::Any));
    }
    let database = match file.url.value.strip_prefix("sqlite:") {
        Some(path) => sqlite(report, context, &file.url, path),
        None => report.secret(&file.url).map(|secret| {
            note_missing(report, file.url.node, &secret, &context.folder);
            Database::Secret(secret)
        }),
    };
    let condition = filter(report, file.condition.as_ref(), ("row", &Type::Any), names);
    let audience = database.zip(condition).map(|(database, condition)| {
        Audience::Sql(Sql {
            query: file.sql.value.clone(),
            database,
            condition,
        })
    });
    (audience, Some(Type::Any))
}

fn sqlite(report: &mut Report<'_>, context: &Context, text: &Text, path: &str) -> Option<Database> {
    let path = PathBuf::from(path);
    match folder::locate(&context.folder, None, &path) {
        Ok(_) => {}
        Err(error @ folder::Error::Absent(_)) => {
            report.wrong(text, Code::FileMissing, error.to_string(), None);
        }
        Err(error) => {
            let hint = "another file may be named by a secret: `env:NAME` with `sqlite:/…`";
            report.wrong(text, Code::File, error.to_string(), Some(hint.to_owned()));
            return None;
        }
    }
    Some(Database::File(path))
}

/// The holders of a token.
fn holders(report: &mut Report<'_>, context: &Context, file: &ToHoldersFile, names: &Names) -> Resolved {
    let (condition, file) = (&file.condition, &file.holders);
    let chain = log::chain(report, context, &file.chain);
    let token = expression(
        report,
        &file.token,
        names,
        (&Type::Wallet, "the address of a contract"),
    );
    let [id, min, block] = [&file.id, &file.min, &file.block].map(|text| {
        let int = (&Type::Int, "an int");
        text.as_ref()
            .map_or(Some(None), |text| expression(report, text, names, int).map(Some))
    });
    let holder = [("wallet", Type::Wallet), (BALANCE, Type::Int)];
    let holder = Type::Record(holder.into_iter().collect());
    let condition = filter(report, condition.as_ref(), ("to", &holder), names);
    let mut to = scope::sender(context.known_lists());
    to.insert(BALANCE, Type::Int);
    let audience = || {
        Some(Audience::Holders(Box::new(Holders {
            chain: chain?,
            token: token?,
            id: id?,
            min: min?,
            block: block?,
            condition: condition?,
        })))
    };
    (audience(), Some(Type::Record(to)))
}

/// An expression of a type.
fn expression(
    report: &mut Report<'_>,
    text: &Text,
    names: &Names,
    (wanted, called): (&Type, &str),
) -> Option<Expression> {
    let expression = report.expression(text, names)?;
    if !wanted.accepts(expression.ty()) {
        let message = format!("expected {called}, found {}", expression.ty());
        report.wrong(text, Code::Expression, message, None);
        return None;
    }
    Some(expression)
}

/// An expression that gives a wallet, or where `several` are allowed a list of them.
fn wallet(report: &mut Report<'_>, text: &Text, names: &Names, several: bool) -> Option<Expression> {
    let expression = report.expression(text, names)?;
    let ty = expression.ty();
    let one = Type::Wallet.optional();
    let fits = one.accepts(ty) || (several && Type::List(Box::new(one)).accepts(ty));
    if !fits {
        let message = format!("expected a wallet, found {ty}");
        let hint = matches!(ty, Type::Text | Type::Word)
            .then(|| "declare it as `wallet` where it comes from".to_owned());
        report.wrong(text, Code::Expression, message, hint);
    }
    fits.then_some(expression)
}

/// What is known of a recipient of several audiences, from what each says.
fn joined(types: Vec<Option<Type>>, join: fn(Option<&Type>, Option<&Type>) -> Type) -> Option<Type> {
    let types: Option<Vec<Type>> = types.into_iter().collect();
    types?.into_iter().reduce(|left, right| {
        let (Type::Record(left), Type::Record(right)) = (&left, &right) else {
            return Type::Any;
        };
        let names = left.iter().chain(right.iter()).map(|(name, _)| name);
        let fields = names.map(|name| (name, join(left.get(name), right.get(name))));
        Type::Record(fields.collect())
    })
}

/// Of wallets that one of two audiences named.
fn either(left: Option<&Type>, right: Option<&Type>) -> Type {
    match (left, right) {
        (Some(left), Some(right)) if left == right => left.clone(),
        (Some(left), Some(right)) if left.clone().optional() == right.clone().optional() => {
            left.clone().optional()
        }
        (Some(one), None) | (None, Some(one)) => one.clone().optional(),
        _ => Type::Any,
    }
}

/// Of wallets that two audiences named.
fn both(left: Option<&Type>, right: Option<&Type>) -> Type {
    match (left, right) {
        (Some(left), Some(right)) if left == right => left.clone(),
        (Some(left), Some(right)) if left.clone().optional() == *right => left.clone(),
        (Some(left), Some(right)) if right.clone().optional() == *left => right.clone(),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        _ => Type::Any,
    }
}
