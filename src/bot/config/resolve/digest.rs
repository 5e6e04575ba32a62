//! `digest`: when it is due, what it sorts by, and the names that its message may use.

use super::report::Report;
use super::trigger::SHORTEST;
use crate::bot::config::diagnostics::Code;
use crate::bot::config::file::DigestFile;
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::Text;
use crate::bot::config::{Digest, Period};
use crate::bot::expression::{Expression, Names, Record, Type};
use crate::bot::trigger::schedule::Schedule;
use chrono_tz::Tz;

/// The most items of one message, whatever the file says.
const MOST: usize = 1_000;

/// Resolves a digest. `names` are those of a single message, with `to`; `given` are those of the triggers alone.
pub(super) fn resolve(
    report: &mut Report<'_>,
    file: &DigestFile,
    names: &Names,
    given: &Names,
) -> Option<Digest> {
    let zone = match &file.tz {
        Some(text) if text.value == "recipient" => Some(None),
        Some(text) => report.zone(text).map(Some),
        None => Some(Some(Tz::UTC)),
    };
    let period = match (&file.every, &file.hour, &file.cron) {
        (Some(every), None, None) => report.duration(every, SHORTEST).map(Period::Every),
        (None, Some(hour), None) => {
            let hour = int(report, hour, names);
            hour.zip(zone).map(|(hour, zone)| Period::Hour { hour, zone })
        }
        (None, None, Some(line)) => {
            let line = cron(report, line);
            line.zip(zone).map(|(line, zone)| Period::Cron { line, zone })
        }
        (every, hour, cron) => {
            let written: Vec<&Text> = [every, hour, cron].into_iter().flatten().collect();
            let message = "expected one of `every`, `hour`, `cron` in `digest`";
            match written.as_slice() {
                [_, second, ..] => report.add(Place::Key(second.node), Code::Shape, message, None),
                _ => missing(report, file, message),
            }
            None
        }
    };
    let max = match &file.max {
        Some(text) => max(report, text),
        None => Some(MOST),
    };
    let order = match &file.order {
        Some(text) => {
            let mut names = names.clone();
            names.insert("item", item(given));
            report.expression(text, &names).map(Some)
        }
        None => Some(None),
    };
    Some(Digest {
        period: period?,
        max: max?,
        order: order?,
    })
}

/// A digest without any key that says when.
fn missing(report: &mut Report<'_>, file: &DigestFile, message: &str) {
    let any = [&file.tz, &file.max, &file.order].into_iter().flatten().next();
    if let Some(text) = any {
        report.add(Place::Key(text.node), Code::MissingKey, message, None);
    }
}

/// The names of a digest's message in place of those of the triggers.
pub(super) fn names(everywhere: Names, to: &Type, given: &Names) -> Names {
    let mut names = everywhere;
    names.insert("to", to.clone());
    names.insert("items", Type::List(Box::new(item(given))));
    names.insert("items_left", Type::Int);
    names
}

/// What one item is: the `item` of a trigger that gives one, else the record of what the triggers give.
fn item(given: &Names) -> Type {
    if let Some(item) = given.get("item") {
        return item.clone();
    }
    let record: Record = given
        .iter()
        .map(|(name, ty)| (name.to_owned(), ty.clone()))
        .collect();
    Type::Record(record)
}

fn cron(report: &mut Report<'_>, line: &Text) -> Option<String> {
    match Schedule::parse(&line.value, Tz::UTC) {
        Ok(_) => Some(line.value.clone()),
        Err(error) => {
            let place = Place::In(line.node, error.offset(&line.value));
            report.add(place, Code::Cron, error.to_string(), None);
            None
        }
    }
}

fn int(report: &mut Report<'_>, text: &Text, names: &Names) -> Option<Expression> {
    let expression = report.expression(text, names)?;
    let ty = expression.ty().clone();
    if !Type::Int.optional().accepts(&ty) {
        let message = format!("expected an hour from 0 to 23, found {ty}");
        report.wrong(text, Code::Expression, message, None);
        return None;
    }
    Some(expression)
}

fn max(report: &mut Report<'_>, text: &Text) -> Option<usize> {
    let max = text.value.parse().ok().filter(|max| (1..=MOST).contains(max));
    if max.is_none() {
        let message = format!("expected a number from 1 to {MOST}, found `{}`", text.value);
        report.wrong(text, Code::Type, message, None);
    }
    max
}
