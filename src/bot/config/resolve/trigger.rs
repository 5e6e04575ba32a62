//! `when`: triggers, and the names that each gives to the rest of its rule.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono_tz::Tz;

use super::report::Report;
use super::{Context, ListReference, find_list, scope, webhook};
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::TriggerFile;
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::Text;
use crate::bot::expression::Type;
use crate::bot::trigger::schedule::{self, Schedule};
use crate::bot::trigger::{Trigger, Words};

/// The shortest interval and the shortest lifetime.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);

/// A trigger, or `None` if it has a mistake, and the names it gives in either case.
pub(super) struct Resolved {
    pub(super) trigger: Option<Trigger>,
    pub(super) names: Vec<(&'static str, Type)>,
}

/// Resolves one trigger. `paths` are the webhooks of the bot so far.
pub(super) fn resolve(
    report: &mut Report<'_>,
    context: &Context,
    file: &TriggerFile,
    paths: &mut BTreeSet<String>,
) -> Resolved {
    let mut names = Vec::new();
    let trigger = match file {
        TriggerFile::Cron(file) => {
            let zone = file.tz.as_ref().map_or(Some(Tz::UTC), |text| report.zone(text));
            let schedule = cron(report, &file.cron, zone.unwrap_or(Tz::UTC));
            schedule
                .filter(|_| zone.is_some())
                .map(|schedule| Trigger::Cron(Box::new(schedule)))
        }
        TriggerFile::Every(file) => report.duration(&file.every, SHORTEST).map(Trigger::Every),
        TriggerFile::At(file) => {
            let zone = file.tz.as_ref().map(|text| report.zone(text));
            match zone {
                Some(None) => None,
                zone => report.instant(&file.at, zone.flatten()).map(Trigger::At),
            }
        }
        TriggerFile::Webhook(file) => {
            let body = file.body.as_ref().map(|body| webhook::body_type(report, body));
            names.push(("body", body.clone().unwrap_or(Type::Any)));
            names.push(("headers", Type::Any));
            let webhook = webhook::resolve(report, context, file, (body, &names), paths);
            webhook.map(|webhook| Trigger::Webhook(Box::new(webhook)))
        }
        TriggerFile::Message(file) => {
            let sender = scope::sender(context.known_lists());
            names.push(("message", scope::message()));
            names.push(("sub", Type::Record(sender).optional()));
            words(report, &file.message).map(Trigger::Message)
        }
        TriggerFile::Joined(file) => {
            let list = find_list(report, context, &file.joined);
            let member = match list {
                ListReference::Valid(list) => Type::Record(scope::member(list)),
                ListReference::Mistaken | ListReference::Undefined => Type::Any,
            };
            names.push(("sub", member));
            names.push(("list", Type::Text));
            let is_declared = !matches!(list, ListReference::Undefined);
            is_declared.then(|| Trigger::Joined(file.joined.value.clone()))
        }
        TriggerFile::Started(file) => report.is_true(&file.started).map(|()| Trigger::Started),
        TriggerFile::Manual(file) => {
            names.push(("body", Type::Any));
            report.is_true(&file.manual).map(|()| Trigger::Manual)
        }
    };
    Resolved { trigger, names }
}

fn cron(report: &mut Report<'_>, text: &Text, zone: Tz) -> Option<Schedule> {
    match Schedule::parse(&text.value, zone) {
        Ok(schedule) => Some(schedule),
        Err(error) => {
            let hint = match (&error, text.value.as_str()) {
                (schedule::Error::Fields(6), _) => Some("leave out the seconds".to_owned()),
                (_, "@hourly") => Some("write `0 * * * *`".to_owned()),
                (_, "@daily" | "@midnight") => Some("write `0 0 * * *`".to_owned()),
                (_, "@weekly") => Some("write `0 0 * * sun`".to_owned()),
                (_, "@monthly") => Some("write `0 0 1 * *`".to_owned()),
                (schedule::Error::Fields(_), _) => {
                    Some("every weekday at nine is `0 9 * * mon-fri`".to_owned())
                }
                _ => Some("the fields are minute, hour, day of month, month, day of week".to_owned()),
            };
            let place = Place::In(text.node, error.offset(&text.value));
            report.add(place, Code::Cron, error.to_string(), hint);
            None
        }
    }
}

fn words(report: &mut Report<'_>, text: &Text) -> Option<Words> {
    if text.value.trim() == "any" {
        return Some(Words::Any);
    }
    let words: Vec<String> = text
        .value
        .split('|')
        .map(|word| {
            word.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .to_lowercase()
        })
        .collect();
    if words.iter().any(String::is_empty) {
        let message = format!(
            "expected `any`, or words like `price | prices`, found {}",
            quote(&text.value)
        );
        report.wrong(text, Code::Word, message, None);
        return None;
    }
    Some(Words::Of(words))
}
