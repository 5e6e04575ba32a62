//! `when`: triggers, and the names that each gives to the rest of its rule.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono_tz::Tz;

use super::report::Report;
use super::{Context, ListReference, declared, find_list, log, reading, scope, watch, webhook};
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{EveryFile, SilentFile, TriggerFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::Text;
use crate::bot::config::tree::NodeId;
use crate::bot::expression::Type;
use crate::bot::source::entry_type;
use crate::bot::trigger::schedule::{self, Schedule};
use crate::bot::trigger::{Trigger, Words};

/// The shortest interval and the shortest lifetime.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);

/// A trigger, or `None` if it has a mistake, and the names it gives in either case.
pub(super) struct Resolved {
    pub(super) trigger: Option<Trigger>,
    pub(super) names: Vec<(&'static str, Type)>,
    /// Where `tz: recipient` stands: only a list's members have zones of their own.
    pub(super) of_recipient: Option<NodeId>,
}

/// Resolves one trigger of a rule. `paths` are the webhooks of the bot so far.
pub(super) fn resolve(
    report: &mut Report<'_>,
    context: &Context,
    (rule, file): (&str, &TriggerFile),
    paths: &mut BTreeSet<String>,
) -> Resolved {
    let mut names = Vec::new();
    let mut of_recipient = None;
    let trigger = match file {
        TriggerFile::Cron(file) => {
            of_recipient = file
                .tz
                .as_ref()
                .filter(|text| text.value == "recipient")
                .map(|text| text.node);
            let zone = match &file.tz {
                Some(text) if of_recipient.is_none() => report.zone(text),
                _ => Some(Tz::UTC),
            };
            let schedule = cron(report, &file.cron, zone.unwrap_or(Tz::UTC));
            let schedule = schedule.filter(|_| zone.is_some()).map(Box::new);
            schedule.map(if of_recipient.is_some() {
                Trigger::CronOfRecipient
            } else {
                Trigger::Cron
            })
        }
        TriggerFile::Every(file) => every(report, file),
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
            names.extend(scope::mine(context).map(|mine| ("mine", mine)));
            words(report, &file.message).map(Trigger::Message)
        }
        TriggerFile::Joined(file) => {
            membership(report, context, &file.joined, &mut names).map(Trigger::Joined)
        }
        TriggerFile::Left(file) => membership(report, context, &file.left, &mut names).map(Trigger::Left),
        TriggerFile::Silent(file) => silent(report, rule, file),
        TriggerFile::Started(file) => report.is_true(&file.started).map(|()| Trigger::Started),
        TriggerFile::Manual(file) => {
            names.push(("body", Type::Any));
            report.is_true(&file.manual).map(|()| Trigger::Manual)
        }
        TriggerFile::Feed(file) => {
            names.push(("item", entry_type()));
            reading::feed(report, file).map(|feed| Trigger::Feed(Box::new(feed)))
        }
        TriggerFile::Poll(file) => {
            names.push(("item", Type::Any));
            names.push(("previous", Type::Any));
            reading::poll(report, context, file).map(|poll| Trigger::Poll(Box::new(poll)))
        }
        TriggerFile::Watch(file) => {
            let (watch, given) = watch::watch(report, context, file);
            names.extend(given);
            watch.map(|watch| Trigger::Watch(Box::new(watch)))
        }
        TriggerFile::Cleared(file) => {
            let (cleared, given) = watch::cleared(report, context, (rule, file));
            names.extend(given);
            cleared.map(Trigger::Cleared)
        }
        TriggerFile::Log(file) => {
            log::resolve(report, context, file, &mut names).map(|log| Trigger::Log(Box::new(log)))
        }
    };
    Resolved {
        trigger,
        names,
        of_recipient,
    }
}

/// Reads `every`. Delays longer than the span would let a later time come first.
fn every(report: &mut Report<'_>, file: &EveryFile) -> Option<Trigger> {
    let span = report.duration(&file.every, SHORTEST);
    let Some(text) = &file.jitter else {
        return span.map(|span| Trigger::Every {
            span,
            jitter: Duration::ZERO,
        });
    };
    let (jitter, span) = (report.duration(text, Duration::ZERO)?, span?);
    if jitter > span {
        let message = format!(
            "expected a `jitter` of at most `every`, found {} beside {}",
            quote(&text.value),
            quote(&file.every.value)
        );
        report.wrong(text, Code::Duration, message, None);
        return None;
    }
    Some(Trigger::Every { span, jitter })
}

/// Reads the list of `joined` and `left`, whose member is `sub`.
fn membership(
    report: &mut Report<'_>,
    context: &Context,
    text: &Text,
    names: &mut Vec<(&'static str, Type)>,
) -> Option<String> {
    let list = find_list(report, context, text);
    let member = match list {
        ListReference::Valid(list) => Type::Record(scope::member(list)),
        ListReference::Mistaken | ListReference::Undefined => Type::Any,
    };
    names.push(("sub", member));
    names.push(("list", Type::Text));
    let is_declared = !matches!(list, ListReference::Undefined);
    is_declared.then(|| text.value.clone())
}

/// Reads `silent`.
fn silent(report: &mut Report<'_>, own: &str, file: &SilentFile) -> Option<Trigger> {
    let span = report.duration(&file.span, SHORTEST);
    let wanted = file.silent.value.as_str();
    let tree = report.tree;
    if !declared(tree, "rules").any(|name| name == wanted) {
        let hint = Report::meant(wanted, declared(tree, "rules"));
        let message = format!("there is no rule {}", quote(wanted));
        report.wrong(&file.silent, Code::Undefined, message, hint);
        return None;
    }
    if wanted == own {
        let hint = "`every` fires without a cause".to_owned();
        let message = "a rule cannot wait for its own silence";
        report.wrong(&file.silent, Code::Name, message, Some(hint));
        return None;
    }
    Some(Trigger::Silent {
        rule: wanted.to_owned(),
        span: span?,
    })
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

pub(super) fn words(report: &mut Report<'_>, text: &Text) -> Option<Words> {
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
