//! `defaults` and the policy keys of a rule.

use std::time::Duration;

use super::report::Report;
use super::trigger::SHORTEST;
use crate::bot::config::file::{DefaultsFile, LimitFile, RuleFile};
use crate::bot::config::spanned::{OneOrMany, Text};
use crate::bot::config::{Consent, Limit, Policy};
use crate::bot::expression::{Expression, Names};

/// How long a message is worth sending when nothing else is said.
const DEFAULT_TTL: Duration = Duration::from_hours(24);

/// `defaults`, over the defaults of the language.
pub(super) struct Defaults<'f> {
    /// Read for every rule anew, since each has names of its own.
    key: Option<&'f OneOrMany<Text>>,
    consent: Consent,
    limit: Option<Limit>,
    ttl: Duration,
}

impl<'f> Defaults<'f> {
    /// Reads the policy that rules share. A mistake is reported once, here, and the language's own default goes on.
    pub(super) fn resolve(report: &mut Report<'_>, file: &'f DefaultsFile) -> Self {
        let consent = file.consent.as_ref().and_then(|text| report.consent(text));
        let limit = file
            .limit
            .as_ref()
            .and_then(|LimitFile::Recipient(text)| report.limit(text));
        let ttl = file.ttl.as_ref().and_then(|text| report.duration(text, SHORTEST));
        Self {
            key: file.key.as_ref(),
            consent: consent.unwrap_or_default(),
            limit,
            ttl: ttl.unwrap_or(DEFAULT_TTL),
        }
    }
}

/// The policy of one rule; `None` if it has a mistake.
pub(super) fn resolve(
    report: &mut Report<'_>,
    defaults: &Defaults<'_>,
    rule: &RuleFile,
    names: &Names,
) -> Option<Policy> {
    let key: Vec<Option<Expression>> = rule
        .key
        .as_ref()
        .or(defaults.key)
        .map_or(&[][..], OneOrMany::as_slice)
        .iter()
        .map(|text| report.expression(text, names))
        .collect();
    let consent = rule
        .consent
        .as_ref()
        .map_or(Some(defaults.consent), |text| report.consent(text));
    let limit = match &rule.limit {
        Some(LimitFile::Recipient(text)) => report.limit(text).map(Some),
        None => Some(defaults.limit),
    };
    let ttl = rule
        .ttl
        .as_ref()
        .map_or(Some(defaults.ttl), |text| report.duration(text, SHORTEST));
    Some(Policy {
        key: key.into_iter().collect::<Option<_>>()?,
        consent: consent?,
        limit: limit?,
        ttl: ttl?,
    })
}
