//! `rules`: triggers, conditions, audience, content and policy, each checked against the names it may use.

use std::collections::BTreeSet;

use super::content::InScope;
use super::report::Report;
use super::{Context, audience, content, digest, follow_up, lets, policy, scope, trigger, unused};
use crate::bot::audience::Audience;
use crate::bot::config::diagnostics::Code;
use crate::bot::config::file::{PolicyKeys, RuleFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Spanned, Text};
use crate::bot::config::{After, Digest, FollowUp, Policy, Rule};
use crate::bot::expression::{Expression, Names};

/// Resolves one rule; `None` if it has a mistake.
pub(super) fn resolve(
    report: &mut Report<'_>,
    context: &Context,
    defaults: PolicyKeys<'_>,
    (name, file): (&str, &Spanned<RuleFile>),
    paths: &mut BTreeSet<String>,
) -> Option<Rule> {
    let others = std::mem::take(&mut report.used);
    let rule = rule_of(report, context, defaults, (name, file), paths);
    if rule.is_some() {
        unused::report_lets(report, &file.value);
    }
    report.used.extend(others);
    rule
}

fn rule_of(
    report: &mut Report<'_>,
    context: &Context,
    defaults: PolicyKeys<'_>,
    (name, file): (&str, &Spanned<RuleFile>),
    paths: &mut BTreeSet<String>,
) -> Option<Rule> {
    let rule = &file.value;
    let mut triggers = Some(Vec::new());
    let (mut given, mut of_recipient) = (Vec::new(), Vec::new());
    for file in rule.when.as_slice() {
        if report.is_full() {
            return None;
        }
        let resolved = trigger::resolve(report, context, (name, file), paths);
        given.push(resolved.names);
        of_recipient.extend(resolved.of_recipient);
        triggers = triggers.zip(resolved.trigger).map(|(mut triggers, trigger)| {
            triggers.push(trigger);
            triggers
        });
    }
    if given.is_empty() {
        let hint = "an empty list of triggers never fires".to_owned();
        let message = format!("`rules.{name}` has no trigger");
        report.add(Place::Key(file.node), Code::MissingKey, message, Some(hint));
        return None;
    }
    if report.hides_names(file.node) {
        let _ = policy::literals(report, &context.folder, rule.policy());
        return None;
    }
    let mut names = scope::everywhere(&context.vars);
    scope::of_all_triggers(&given, &mut names);
    names.set_sources(context.source_types.clone());
    let mut given_names = Names::new();
    scope::of_all_triggers(&given, &mut given_names);
    let lets = lets::resolve(report, rule, &mut names);
    let audience = audience::resolve(report, context, &rule.to, &names.planned().naming());
    let keys = rule.policy().over(defaults);
    let policy = policy::resolve(report, &context.folder, keys, &names.closed());
    let paused = rule.paused.as_ref().map_or(Some(false), |text| report.bool(text));
    let (audience, to) = audience;
    let is_list = audience
        .as_ref()
        .is_none_or(|audience| audience.only_list().is_some());
    for node in of_recipient.iter().filter(|_| !is_list) {
        let message = "`tz: recipient` needs a list in `to`: only members have a zone of their own";
        report.add(Place::Value(*node), Code::TimeZone, message, None);
    }
    let to = to?;
    let of_all = names.clone();
    names.insert("to", to.clone());
    let lets = lets.finish(report, &mut names);
    let condition = condition(report, rule.condition.as_ref(), &names);
    let followed = followed(
        report,
        context,
        (keys, audience.as_ref()),
        (&names, &given_names, &of_all),
    );
    let (names, of_all) = match keys.digest {
        Some(_) => {
            let mut of_all = scope::everywhere(&context.vars);
            of_all.set_sources(context.source_types.clone());
            (digest::names(of_all.clone(), &to, &given_names), of_all)
        }
        None => (names, of_all),
    };
    let in_scope = InScope {
        names: &names,
        of_all: &of_all,
        follows: false,
    };
    let parts = content::parts(report, context, &rule.send, in_scope);
    let thread = match keys.thread {
        Some(text) => report.template(text, &names).map(Some),
        None => Some(None),
    };
    let (digest, then, after) = followed?;
    Some(Rule {
        name: name.to_owned(),
        about: rule.about.as_ref().map(|about| about.value.clone()),
        triggers: triggers?,
        names: given_names,
        condition: condition?,
        lets: lets?,
        audience: audience?,
        parts: parts?,
        thread: thread?,
        policy: Policy {
            digest,
            then,
            after,
            ..policy?
        },
        paused: paused?,
    })
}

/// What of a policy follows the delivery, or comes before it for several occurrences at once.
fn followed(
    report: &mut Report<'_>,
    context: &Context,
    (keys, audience): (PolicyKeys<'_>, Option<&Audience>),
    (names, given, of_all): (&Names, &Names, &Names),
) -> Option<(Option<Digest>, Vec<FollowUp>, After)> {
    let mut names = names.clone();
    if names.get("sub").is_none()
        && let Some(to) = names.get("to").cloned()
    {
        names.insert("sub", to);
    }
    let digest = keys
        .digest
        .map(|file| digest::resolve(report, file, &names, given));
    let then = follow_up::resolve(report, context, keys.then.unwrap_or_default(), (&names, of_all));
    let after = match (keys.after, audience) {
        (Some(file), Some(audience)) => {
            follow_up::after(report, context, (file, audience.only_list()), &names.planned())
        }
        _ => Some(After::default()),
    };
    let digest = digest.map_or(Some(None), |digest| digest.map(Some));
    Some((digest?, then?, after?))
}

/// The condition of something; the outer option is for a mistake.
#[expect(
    clippy::option_option,
    reason = "an absent condition and a wrong one are different things"
)]
pub(super) fn condition(
    report: &mut Report<'_>,
    text: Option<&Text>,
    names: &Names,
) -> Option<Option<Expression>> {
    match text {
        Some(text) => report.expression(text, names).map(Some),
        None => Some(None),
    }
}
