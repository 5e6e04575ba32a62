//! `when`: triggers, and the names that each gives to the rest of its rule.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono_tz::Tz;

use super::report::Report;
use super::{Context, ListReference, find_list, note_missing, scope};
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{BodyFile, TriggerFile, VerifyFile, WebhookFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Entries, Text};
use crate::bot::expression::{Record, Type};
use crate::bot::trigger::schedule::{self, Schedule};
use crate::bot::trigger::webhook::DEFAULT_TOLERANCE;
use crate::bot::trigger::{Trigger, Webhook, Words};

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
            let body = file.body.as_ref().map(|body| body_type(report, body));
            names.push(("body", body.clone().unwrap_or(Type::Any)));
            names.push(("headers", Type::Any));
            webhook(report, context, file, body, paths).map(Trigger::Webhook)
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
        TriggerFile::Started(file) => report
            .is_true(&file.started, "started")
            .map(|()| Trigger::Started),
        TriggerFile::Manual(file) => {
            names.push(("body", Type::Any));
            report.is_true(&file.manual, "manual").map(|()| Trigger::Manual)
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

fn webhook(
    report: &mut Report<'_>,
    context: &Context,
    file: &WebhookFile,
    body: Option<Type>,
    paths: &mut BTreeSet<String>,
) -> Option<Webhook> {
    let path = webhook_path(report, &file.webhook, paths);
    let verify = &file.verify.value;
    let is_known = verify.scheme.value == "standard-webhooks";
    if !is_known {
        report.word(&verify.scheme, "scheme", &["standard-webhooks"]);
        return None;
    }
    let tolerance = match &verify.tolerance {
        Some(text) => report.duration(text, SHORTEST),
        None => Some(DEFAULT_TOLERANCE),
    };
    let secret = webhook_secret(report, context, verify, file);
    Some(Webhook {
        path: path?,
        secret: secret?,
        tolerance: tolerance?,
        body,
    })
}

fn webhook_secret(
    report: &mut Report<'_>,
    context: &Context,
    verify: &VerifyFile,
    file: &WebhookFile,
) -> Option<crate::bot::config::SecretReference> {
    let Some(text) = &verify.secret else {
        let message = format!("{} has no `secret`", quote(&report.tree.path(file.verify.node)));
        let hint = "add `secret: env:NAME`".to_owned();
        report.add(
            Place::Value(file.verify.node),
            Code::MissingKey,
            message,
            Some(hint),
        );
        return None;
    };
    let secret = report.secret(text)?;
    note_missing(report, text, &secret, &context.folder);
    Some(secret)
}

/// Reads the path of a webhook: segments of letters, digits, `-`, `_`, `.` and `~`.
fn webhook_path(report: &mut Report<'_>, text: &Text, paths: &mut BTreeSet<String>) -> Option<String> {
    let path = text.value.strip_prefix('/').unwrap_or(&text.value);
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    if path.len() > 128 || !path.split('/').all(is_segment) {
        let message = format!("expected a path like `/orders`, found {}", quote(&text.value));
        report.wrong(text, Code::WebhookPath, message, None);
        return None;
    }
    if !paths.insert(path.to_owned()) {
        let message = format!("another webhook of this bot has the path {}", quote(&text.value));
        report.wrong(text, Code::WebhookPath, message, None);
        return None;
    }
    Some(path.to_owned())
}

/// The type of a body. A field whose type has a mistake becomes `any`, so that its users are not blamed.
fn body_type(report: &mut Report<'_>, body: &Entries<BodyFile>) -> Type {
    let mut record = Record::new();
    for (name, field) in &body.0 {
        let ty = match &field.value {
            _ if report.is_full() => Type::Any,
            BodyFile::Type(text) => report.ty(text).unwrap_or(Type::Any),
            BodyFile::Record(fields) => body_type(report, fields),
        };
        record.insert(name.as_str(), ty);
    }
    Type::Record(record)
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
