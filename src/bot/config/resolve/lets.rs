//! `let`: names for values of a rule, each checked against those before it.
//!
//! One that names `to`, or another that does, is a recipient's; all others are the occurrence's, so that `to`, `key` and `if`
//! may use them.

use super::report::Report;
use crate::bot::config::Let;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::RuleFile;
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::Text;
use crate::bot::dialog::command::is_identifier;
use crate::bot::expression::{Names, Type};

/// The `let` of one rule while its recipients are not known.
pub(super) struct Pending<'f> {
    lets: Vec<Resolved<'f>>,
}

enum Resolved<'f> {
    Once(Let),
    /// Checked again when the type of `to` is known.
    PerRecipient(&'f str, &'f Text),
    Mistaken,
}

/// Resolves the `let` of a rule and declares in `names` those that are the occurrence's.
pub(super) fn resolve<'f>(report: &mut Report<'_>, rule: &'f RuleFile, names: &mut Names) -> Pending<'f> {
    // Of any type, so that only the mistakes of the expression itself are found now.
    let mut with_recipient = names.clone();
    with_recipient.insert("to", Type::Any);
    let mut lets = Vec::new();
    for (name, text) in &rule.lets.0 {
        if report.is_full() {
            break;
        }
        let is_named = check_name(report, name, text, &with_recipient);
        let Some(expression) = report.expression(text, &with_recipient).filter(|_| is_named) else {
            // Its users are not blamed.
            if with_recipient.get(name).is_none() {
                with_recipient.insert(name, Type::Any);
                names.insert(name, Type::Any);
            }
            lets.push(Resolved::Mistaken);
            continue;
        };
        with_recipient.insert_computed(name, &expression);
        let resolved = Let {
            name: name.clone(),
            expression,
        };
        lets.push(if resolved.is_per_recipient() {
            Resolved::PerRecipient(name, text)
        } else {
            names.insert_computed(name, &resolved.expression);
            Resolved::Once(resolved)
        });
    }
    Pending { lets }
}

impl Pending<'_> {
    /// Resolves the rest, once `names` have `to`, and declares it; `None` if one has a mistake.
    pub(super) fn finish(self, report: &mut Report<'_>, names: &mut Names) -> Option<Vec<Let>> {
        let mut lets = Some(Vec::new());
        for resolved in self.lets {
            let resolved = match resolved {
                Resolved::Once(once) => Some(once),
                Resolved::Mistaken => None,
                Resolved::PerRecipient(name, text) => {
                    let expression = report.expression(text, names);
                    match &expression {
                        Some(expression) => names.insert_computed(name, expression),
                        None => names.insert(name, Type::Any),
                    }
                    expression.map(|expression| Let {
                        name: name.to_owned(),
                        expression,
                    })
                }
            };
            lets = lets.zip(resolved).map(|(mut lets, resolved)| {
                lets.push(resolved);
                lets
            });
        }
        lets
    }
}

fn check_name(report: &mut Report<'_>, name: &str, text: &Text, taken: &Names) -> bool {
    let message = if !is_identifier(name) {
        format!(
            "expected a name of letters, digits and `_`, found {}",
            quote(name)
        )
    } else if taken.get(name).is_some() {
        format!("`{name}` is in scope already; a `let` gives a name of its own")
    } else {
        return true;
    };
    report.add(Place::Key(text.node), Code::Name, message, None);
    false
}
