//! What a file defines and never uses: most often a name that was meant and misspelled elsewhere, or what is left of an edit.

use std::collections::BTreeMap;

use super::report::Report;
use crate::bot::audience::{Audience, Branch};
use crate::bot::config::diagnostics::{Code, Finding, Severity};
use crate::bot::config::file::{BotFile, RuleFile};
use crate::bot::config::shape::Place;
use crate::bot::config::tree::NodeId;
use crate::bot::config::{Consent, Rule};

/// Reports constants and sources that nothing uses, and lists that nobody can be on to any purpose.
///
/// Nothing is reported of a file with errors: what could not be read may use them.
pub(super) fn report(report: &mut Report<'_>, file: &BotFile, rules: Option<&BTreeMap<String, Rule>>) {
    let is_error = |finding: &Finding| finding.severity == Severity::Error && finding.code != Code::Unused;
    let is_wrong = report.found.iter().any(is_error);
    let Some(rules) = rules.filter(|_| !is_wrong && report.left_out.is_empty()) else {
        return;
    };
    if !report.used.contains("vars") {
        for (name, value) in file.vars.iter().flat_map(|vars| &vars.0) {
            unless_used(report, &format!("vars.{name}"), value.node);
        }
    }
    for (name, source) in &file.sources.0 {
        unless_used(report, &format!("sources.{name}"), source.node);
    }
    // A rule that writes to single wallets asks whether they are on any list.
    let asks_all = rules.values().any(|rule| {
        let is_list = |branch: &Branch<'_>| matches!(branch.audience, Audience::List { .. });
        matches!(rule.policy.consent, Consent::OptedIn | Consent::Allowed)
            && !rule.audience.branches().iter().all(is_list)
    });
    for (name, list) in &file.lists.0 {
        if list.value.join.is_none()
            && list.value.confirm.is_none()
            && !asks_all
            && !report.used.contains(&format!("lists.{name}"))
        {
            let message = format!("nobody can join `lists.{name}`, and nothing uses it");
            let hint = format!("give it `join: /{name}`, use it in a rule, or leave it out");
            report.add(Place::Key(list.node), Code::Unused, message, Some(hint));
        }
    }
}

/// Reports the `let` of a valid rule that nothing in the rule uses.
pub(super) fn report_lets(report: &mut Report<'_>, file: &RuleFile) {
    for (name, text) in &file.lets.0 {
        unless_used(report, name, text.node);
    }
}

fn unless_used(report: &mut Report<'_>, path: &str, node: NodeId) {
    let is_member = |used: &String| used.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    if report.used.contains(path) || report.used.iter().any(is_member) {
        return;
    }
    let message = format!("`{path}` is defined and never used");
    let hint = "use it, or leave it out".to_owned();
    report.add(Place::Key(node), Code::Unused, message, Some(hint));
}
