//! `rules` and `commands`: triggers, conditions, audience, content and policy, each checked against the names it may use.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::report::Report;
use super::trigger::{self, SHORTEST};
use super::{Context, ListReference, find_list, list, scope};
use crate::bot::audience::Audience;
use crate::bot::config::diagnostics::Code;
use crate::bot::config::file::{
    AudienceFile, CommandFile, ContentFile, DefaultsFile, LimitFile, PartFile, RuleFile, TextFile,
};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{OneOrMany, Spanned, Text};
use crate::bot::config::{Consent, Limit, Part, Policy, Rule};
use crate::bot::dialog::command::Command;
use crate::bot::expression::{Expression, Names, Record, Type};

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

/// Resolves one rule; `None` if it has a mistake.
pub(super) fn resolve(
    report: &mut Report<'_>,
    context: &Context,
    defaults: &Defaults<'_>,
    (name, file): (&str, &Spanned<RuleFile>),
    paths: &mut BTreeSet<String>,
) -> Option<Rule> {
    let rule = &file.value;
    let mut triggers = Some(Vec::new());
    let mut given = Vec::new();
    for file in rule.when.as_slice() {
        if report.is_full() {
            return None;
        }
        let resolved = trigger::resolve(report, context, file, paths);
        given.push(resolved.names);
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
        return None;
    }
    let mut names = scope::everywhere(&context.vars);
    scope::of_all_triggers(&given, &mut names);
    let mut given_names = Names::new();
    scope::of_all_triggers(&given, &mut given_names);
    let audience = audience(report, context, &rule.to, &names);
    let policy = policy(report, defaults, rule, &names);
    let paused = rule
        .paused
        .as_ref()
        .map_or(Some(false), |text| report.bool(text, "paused"));
    let (audience, to) = audience?;
    names.insert("to", Type::Record(to));
    let condition = condition(report, rule.condition.as_ref(), &names);
    let parts = parts(report, &rule.send, &names);
    Some(Rule {
        name: name.to_owned(),
        about: rule.about.as_ref().map(|about| about.value.clone()),
        triggers: triggers?,
        names: given_names,
        condition: condition?,
        audience,
        parts: parts?,
        policy: policy?,
        paused: paused?,
    })
}

/// Resolves one command; `None` if it has a mistake.
pub(super) fn resolve_command(
    report: &mut Report<'_>,
    context: &Context,
    (text, file): (&str, &Spanned<CommandFile>),
    taken: &mut BTreeMap<String, String>,
) -> Option<Command> {
    let place = Place::InKey(file.node, 0);
    let declaration = list::declaration(report, place, text, ("another command", taken));
    if report.hides_names(file.node) {
        return None;
    }
    let arguments = declaration.as_ref().map_or(Type::Any, |declaration| {
        Type::Record(declaration.arguments_type())
    });
    let sender = scope::sender(context.known_lists());
    let mut names = scope::everywhere(&context.vars);
    names.insert("message", scope::message());
    names.insert("args", arguments);
    names.insert("sub", Type::Record(sender.clone()).optional());
    names.insert("to", Type::Record(sender));
    let condition = condition(report, file.value.condition.as_ref(), &names);
    let reply = parts(report, &file.value.reply, &names);
    Some(Command {
        declaration: declaration?,
        about: file.value.about.as_ref().map(|about| about.value.clone()),
        condition: condition?,
        reply: reply?,
    })
}

/// The condition of something; the outer option is for a mistake.
#[expect(
    clippy::option_option,
    reason = "an absent condition and a wrong one are different things"
)]
fn condition(report: &mut Report<'_>, text: Option<&Text>, names: &Names) -> Option<Option<Expression>> {
    match text {
        Some(text) => report.expression(text, names).map(Some),
        None => Some(None),
    }
}

/// The messages of a content.
pub(super) fn parts(report: &mut Report<'_>, content: &ContentFile, names: &Names) -> Option<Vec<Part>> {
    let part = |report: &mut Report<'_>, file: &TextFile| {
        if report.is_full() {
            return None;
        }
        let condition = condition(report, file.condition.as_ref(), names);
        let template = report.template(&file.text, names);
        Some(Part {
            condition: condition?,
            template: template?,
        })
    };
    match content {
        ContentFile::Template(text) => report.template(text, names).map(|template| {
            vec![Part {
                condition: None,
                template,
            }]
        }),
        ContentFile::Text(file) => part(report, file).map(|part| vec![part]),
        ContentFile::Parts(files) => {
            let parts: Vec<Option<Part>> = files
                .iter()
                .map(|PartFile::Text(file)| part(report, file))
                .collect();
            parts.into_iter().collect()
        }
    }
}

/// The audience, and what is known of each recipient.
fn audience(
    report: &mut Report<'_>,
    context: &Context,
    file: &AudienceFile,
    names: &Names,
) -> Option<(Audience, Record)> {
    match file {
        AudienceFile::Name(text) => to_list(report, context, text),
        AudienceFile::List(file) => to_list(report, context, &file.list),
        AudienceFile::Wallet(file) => {
            let wallet = wallet(report, &file.wallet, names, false)?;
            Some((Audience::Wallet(wallet), scope::sender(context.known_lists())))
        }
        AudienceFile::Wallets(file) => {
            let wallets: Vec<Option<Expression>> = file
                .wallets
                .as_slice()
                .iter()
                .map(|text| wallet(report, text, names, true))
                .collect();
            let wallets: Option<Vec<Expression>> = wallets.into_iter().collect();
            Some((Audience::Wallets(wallets?), scope::sender(context.known_lists())))
        }
    }
}

fn to_list(report: &mut Report<'_>, context: &Context, text: &Text) -> Option<(Audience, Record)> {
    let ListReference::Valid(list) = find_list(report, context, text) else {
        return None;
    };
    Some((Audience::List(list.name.clone()), scope::member(list)))
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

fn policy(
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
