//! The policy of a rule: its own keys over those of `defaults`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::report::Report;
use super::trigger::SHORTEST;
use super::{note_missing, scope};
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{CallbackFile, CanaryFile, LimitFile, PolicyKeys, RetryFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{OneOrMany, Spanned, Text};
use crate::bot::config::{
    After, Callback, CallbackEvent, Canary, Consent, Limits, Policy, Priority, Retry, Unreached,
};
use crate::bot::expression::{Expression, Names};
use crate::bot::policy::window::Window;
use crate::fetch;

/// How long a message is worth sending when nothing else is said.
const DEFAULT_TTL: Duration = Duration::from_hours(24);

/// The policy of one rule; `None` if it has a mistake. One in `defaults` is reported once, whatever rules there are.
pub(super) fn resolve(
    report: &mut Report<'_>,
    folder: &Path,
    keys: PolicyKeys<'_>,
    names: &Names,
) -> Option<Policy> {
    let key: Vec<Option<Expression>> = keys
        .key
        .map_or(&[][..], OneOrMany::as_slice)
        .iter()
        .map(|text| report.expression(text, names))
        .collect();
    let policy = literals(report, folder, keys);
    let counts = scope::counts(names);
    let stop_if = read(keys.stop_if, |text| report.expression(text, &counts));
    let canary = read(keys.canary, |file| canary(report, &file.value, &counts));
    Some(Policy {
        key: key.into_iter().collect::<Option<_>>()?,
        stop_if: stop_if?,
        canary: canary?,
        ..policy?
    })
}

/// What of a policy can be read without the names of a rule.
pub(super) fn literals(report: &mut Report<'_>, folder: &Path, keys: PolicyKeys<'_>) -> Option<Policy> {
    let consent = read(keys.consent, |text| consent(report, text));
    let limits = read(keys.limit, |file| limits(report, file));
    let ttl = read(keys.ttl, |text| report.duration(text, SHORTEST));
    let quiet = read(keys.quiet, |text| window(report, text));
    let hours = read(keys.hours, |text| window(report, text));
    let priority = read(keys.priority, |text| priority(report, text));
    let unreached = read(keys.unreached, |text| unreached(report, text));
    let retry = read(keys.retry, |file| retry(report, file));
    let approve = read(keys.approve, |text| report.bool(text));
    let callback = read(keys.callback, |file| callback(report, folder, file));
    Some(Policy {
        key: Vec::new(),
        consent: consent?.unwrap_or_default(),
        limits: limits?.unwrap_or_default(),
        ttl: ttl?.unwrap_or(DEFAULT_TTL),
        quiet: quiet?,
        hours: hours?,
        priority: priority?.unwrap_or_default(),
        unreached: unreached?.unwrap_or_default(),
        retry: retry?.unwrap_or_default(),
        // Read by the rule, which knows the names they use.
        digest: None,
        approve: approve?.unwrap_or_default(),
        canary: None,
        stop_if: None,
        then: Vec::new(),
        after: After::default(),
        callback: callback?,
    })
}

/// A key that may be absent; the outer option is for a mistake.
#[expect(
    clippy::option_option,
    reason = "an absent key and a wrong one are different things"
)]
fn read<F, T>(key: Option<F>, read: impl FnOnce(F) -> Option<T>) -> Option<Option<T>> {
    match key {
        Some(key) => read(key).map(Some),
        None => Some(None),
    }
}

fn consent(report: &mut Report<'_>, text: &Text) -> Option<Consent> {
    Some(match text.value.as_str() {
        "opted_in" => Consent::OptedIn,
        "allowed" => Consent::Allowed,
        "not_denied" => Consent::NotDenied,
        "transactional" => Consent::Transactional,
        "any" => {
            let hint = "`opted_in` writes to members only";
            let message = "`consent: any` writes to people who did not ask for it";
            report.wrong(text, Code::NoConsent, message, Some(hint.to_owned()));
            Consent::Any
        }
        _ => {
            let known = ["opted_in", "allowed", "not_denied", "transactional", "any"];
            report.word(text, &known);
            return None;
        }
    })
}

fn priority(report: &mut Report<'_>, text: &Text) -> Option<Priority> {
    Some(match text.value.as_str() {
        "urgent" => Priority::Urgent,
        "normal" => Priority::Normal,
        "bulk" => Priority::Bulk,
        _ => {
            report.word(text, &["urgent", "normal", "bulk"]);
            return None;
        }
    })
}

fn unreached(report: &mut Report<'_>, text: &Text) -> Option<Unreached> {
    Some(match text.value.as_str() {
        "hold" => Unreached::Hold,
        "skip" => Unreached::Skip,
        _ => {
            report.word(text, &["hold", "skip"]);
            return None;
        }
    })
}

fn limits(report: &mut Report<'_>, file: &LimitFile) -> Option<Limits> {
    match file {
        LimitFile::Recipient(text) => Some(Limits {
            recipient: Some(report.limit(text)?),
            ..Limits::default()
        }),
        LimitFile::Each(file) => {
            let mut each = |text: Option<&Text>| read(text, |text| report.limit(text));
            let (recipient, rule, bot) = (
                each(file.recipient.as_ref()),
                each(file.rule.as_ref()),
                each(file.bot.as_ref()),
            );
            Some(Limits {
                recipient: recipient?,
                rule: rule?,
                bot: bot?,
            })
        }
    }
}

fn canary(report: &mut Report<'_>, file: &CanaryFile, counts: &Names) -> Option<Canary> {
    let first = file.first.value.parse().ok().filter(|first| *first > 0);
    if first.is_none() {
        let message = format!(
            "expected a number of recipients, at least 1, found {}",
            quote(&file.first.value)
        );
        report.wrong(&file.first, Code::Type, message, None);
    }
    let wait = report.duration(&file.wait, SHORTEST);
    let stop_if = read(file.stop_if.as_ref(), |text| report.expression(text, counts));
    Some(Canary {
        first: first?,
        wait: wait?,
        stop_if: stop_if?,
    })
}

fn callback(report: &mut Report<'_>, folder: &Path, file: &CallbackFile) -> Option<Callback> {
    let url = fetch::check(&file.url.value);
    if let Err(error) = &url {
        report.wrong(&file.url, Code::Url, error.to_string(), None);
    }
    let events = match &file.events {
        None => Some(CallbackEvent::ALL.into()),
        Some(words) => events(report, words),
    };
    let sign = report.secret(&file.sign);
    if let Some(sign) = &sign {
        note_missing(report, file.sign.node, sign, folder);
    }
    Some(Callback {
        url: url.ok().map(|()| file.url.value.clone())?,
        events: events?,
        sign: sign?,
    })
}

fn events(report: &mut Report<'_>, words: &Spanned<OneOrMany<Text>>) -> Option<BTreeSet<CallbackEvent>> {
    let texts = words.value.as_slice();
    if texts.is_empty() {
        let hint = "leave `events` out to be told all of them".to_owned();
        let message = "expected at least one event, found an empty list";
        report.add(Place::Value(words.node), Code::Word, message, Some(hint));
        return None;
    }
    let mut events = BTreeSet::new();
    let mut is_known = true;
    for text in texts {
        let named = CallbackEvent::named(&text.value);
        if named.is_empty() {
            report.word(text, &CallbackEvent::ALL.map(CallbackEvent::as_str));
            is_known = false;
        }
        events.extend(named);
    }
    is_known.then_some(events)
}

pub(super) fn window(report: &mut Report<'_>, text: &Text) -> Option<Window> {
    match Window::parse(&text.value) {
        Ok(window) => Some(window),
        Err(error) => {
            report.wrong(text, Code::Window, error.to_string(), None);
            None
        }
    }
}

fn retry(report: &mut Report<'_>, file: &RetryFile) -> Option<Retry> {
    let mut span = |text: Option<&Text>| read(text, |text| report.duration(text, SHORTEST));
    let (within, from, to) = (
        span(file.within.as_ref()),
        span(file.from.as_ref()),
        span(file.to.as_ref()),
    );
    let usual = Retry::default();
    let from = from?.unwrap_or(usual.from);
    let retry = Retry {
        within: within?,
        from,
        to: to?.unwrap_or(usual.to.max(from)),
    };
    if retry.to < retry.from
        && let Some(text) = &file.to
    {
        let message = format!(
            "the longest wait is shorter than the first, `{}s`",
            retry.from.as_secs()
        );
        report.add(Place::Value(text.node), Code::Duration, message, None);
        return None;
    }
    Some(retry)
}
