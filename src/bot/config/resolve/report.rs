//! What is found while a file is resolved, and the checks of the texts in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;

use super::exposed;
use crate::bot::config::diagnostics::{Code, Finding, quote};
use crate::bot::config::secret::SecretReference;
use crate::bot::config::shape::{MAX_FINDINGS, Place};
use crate::bot::config::spanned::Text;
use crate::bot::config::tree::{NodeId, Tree};
use crate::bot::config::{Limit, duration, is_bot_name};
use crate::bot::expression::{self, Expression, Names, Template, Type, nearest};
use crate::bot::trigger::schedule;

/// Findings so far. Each reader of a text reports what is wrong and gives `None`.
pub(super) struct Report<'t> {
    pub(super) tree: &'t Tree,
    /// Parts that the shape of the file did not take.
    pub(super) left_out: &'t BTreeSet<NodeId>,
    pub(super) found: Vec<Finding>,
    /// What the texts read so far use: `vars.place`, `lists.readers`, `sources.holders`, the names of `let`.
    pub(super) used: BTreeSet<String>,
    /// The chains that are asked, and where it is first read of each.
    pub(super) asked: BTreeMap<String, NodeId>,
}

impl Report<'_> {
    /// Whether there is more to tell than anybody reads: what is left of the file need not be looked at.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MAX_FINDINGS
    }

    /// Reports a finding, once.
    pub(super) fn add(&mut self, place: Place, code: Code, message: impl Into<String>, hint: Option<String>) {
        let finding = place.finding(self.tree, code, message, hint);
        if !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }

    /// Reports a wrong value.
    pub(super) fn wrong(
        &mut self,
        text: &Text,
        code: Code,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.add(Place::Value(text.node), code, message, hint);
    }

    /// The name that was meant, as a hint.
    pub(super) fn meant<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
        nearest(wanted, known).map(|near| format!("did you mean `{near}`?"))
    }

    /// Reports mistakes of the expression language inside a text.
    pub(super) fn language(&mut self, text: &Text, code: Code, findings: Vec<expression::Finding>) {
        for finding in findings {
            self.add(
                Place::In(text.node, finding.span.start),
                code,
                finding.message,
                finding.hint,
            );
        }
    }

    pub(super) fn expression(&mut self, text: &Text, names: &Names) -> Option<Expression> {
        if exposed::in_text(self, text.node, &text.value) {
            return None;
        }
        match Expression::parse(&text.value, names) {
            Ok(expression) => {
                self.note_chains(text.node, expression.chains());
                self.used.extend(expression.paths().iter().cloned());
                Some(expression)
            }
            Err(findings) => {
                self.language(text, Code::Expression, findings);
                None
            }
        }
    }

    pub(super) fn template(&mut self, text: &Text, names: &Names) -> Option<Template> {
        if exposed::in_text(self, text.node, &text.value) {
            return None;
        }
        match Template::parse(&text.value, names) {
            Ok(template) => {
                self.note_chains(text.node, template.chains());
                self.used.extend(template.paths().iter().cloned());
                Some(template)
            }
            Err(findings) => {
                self.language(text, Code::Expression, findings);
                None
            }
        }
    }

    /// Notes that chains are asked.
    fn note_chains(&mut self, node: NodeId, chains: &BTreeSet<String>) {
        for chain in chains {
            self.note_chain(node, chain);
        }
    }

    /// Notes that a chain is asked, for its own sake or for the wallet of a name.
    pub(super) fn note_chain(&mut self, node: NodeId, chain: &str) {
        self.asked.entry(chain.to_owned()).or_insert(node);
    }

    pub(super) fn ty(&mut self, text: &Text) -> Option<Type> {
        match Type::parse(&text.value) {
            Ok(ty) => Some(ty),
            Err(finding) => {
                self.language(text, Code::Type, vec![finding]);
                None
            }
        }
    }

    pub(super) fn duration(&mut self, text: &Text, least: Duration) -> Option<Duration> {
        match duration::parse(&text.value) {
            Ok(span) if span >= least => Some(span),
            Ok(_) => {
                let least = least.as_secs();
                let message = format!(
                    "expected a duration of at least `{least}s`, found `{}`",
                    text.value
                );
                self.wrong(text, Code::Duration, message, None);
                None
            }
            Err(duration::Error::Shape(found)) => {
                let hint = duration::spelling(&found).map(|right| format!("write `{right}`"));
                let hint =
                    hint.or_else(|| Some("a number and one of `ms`, `s`, `m`, `h`, `d`, `w`".to_owned()));
                let message = format!("expected a duration like `5m`, found {}", quote(&found));
                self.wrong(text, Code::Duration, message, hint);
                None
            }
            Err(error) => {
                self.wrong(text, Code::Duration, error.to_string(), None);
                None
            }
        }
    }

    pub(super) fn zone(&mut self, text: &Text) -> Option<Tz> {
        let zone = chrono_tz::TZ_VARIANTS
            .iter()
            .copied()
            .find(|zone| zone.name().eq_ignore_ascii_case(&text.value));
        if zone.is_none() {
            let names = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            let city = text.value.replace(' ', "_");
            let same_city = names().find(|name| {
                name.rsplit_once('/')
                    .is_some_and(|(_, place)| place.eq_ignore_ascii_case(&city))
            });
            let hint = same_city
                .or_else(|| nearest(&city, names()))
                .map(|near| format!("did you mean `{near}`?"));
            let message = format!(
                "expected a time zone like `Europe/Lisbon`, found {}",
                quote(&text.value)
            );
            self.wrong(text, Code::TimeZone, message, hint);
        }
        zone
    }

    /// Reads an instant with an offset, or a local time in the zone.
    pub(super) fn instant(&mut self, text: &Text, zone: Option<Tz>) -> Option<DateTime<Utc>> {
        if let Ok(instant) = DateTime::parse_from_rfc3339(&text.value) {
            if zone.is_some() {
                let message = format!("expected a local time beside `tz`, found {}", quote(&text.value));
                let hint = "leave out `tz` or the offset of the time";
                self.wrong(text, Code::Instant, message, Some(hint.to_owned()));
            }
            return zone.is_none().then(|| instant.to_utc());
        }
        let local = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(&text.value, format).ok());
        match (local, zone) {
            (Some(local), Some(zone)) => schedule::instant_of(zone, local),
            (Some(local), None) => {
                let message = format!(
                    "expected a time with an offset, or `tz` beside it, found `{}`",
                    text.value
                );
                let utc = local.format("%Y-%m-%dT%H:%M:%SZ");
                let hint = format!("write `{utc}` for UTC, or add `tz: Europe/Lisbon`");
                self.wrong(text, Code::Instant, message, Some(hint));
                None
            }
            (None, _) => {
                let message = format!(
                    "expected an instant like `2026-12-01T18:00:00Z`, found {}",
                    quote(&text.value)
                );
                self.wrong(text, Code::Instant, message, None);
                None
            }
        }
    }

    /// Reads `N/T`: `1/day`, `3/2h`.
    pub(super) fn limit(&mut self, text: &Text) -> Option<Limit> {
        let read = || {
            let (count, per) = text.value.split_once('/')?;
            let count = count
                .parse()
                .ok()
                .filter(|count| *count > 0 && text.value.starts_with(|c: char| c.is_ascii_digit()))?;
            let per = match per {
                "second" => "1s".to_owned(),
                "minute" => "1m".to_owned(),
                "hour" => "1h".to_owned(),
                "day" => "1d".to_owned(),
                "week" => "1w".to_owned(),
                "s" | "m" | "h" | "d" | "w" => format!("1{per}"),
                other => other.to_owned(),
            };
            let per = duration::parse(&per)
                .ok()
                .filter(|per| *per >= Duration::from_secs(1))?;
            Some(Limit { count, per })
        };
        let limit = read();
        if limit.is_none() {
            let message = format!(
                "expected a limit like `1/day` or `3/2h`, found {}",
                quote(&text.value)
            );
            self.wrong(text, Code::Limit, message, None);
        }
        limit
    }

    /// Reports a word outside a closed set.
    pub(super) fn word(&mut self, text: &Text, known: &[&str]) {
        let names: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
        let wanted = match names.as_slice() {
            [one] => one.clone(),
            several => format!("one of {}", several.join(", ")),
        };
        let message = format!("expected {wanted}, found {}", quote(&text.value));
        let hint = if known.len() > 1 {
            Self::meant(&text.value, known.iter().copied())
        } else {
            None
        };
        self.wrong(text, Code::Word, message, hint);
    }

    pub(super) fn bool(&mut self, text: &Text) -> Option<bool> {
        match text.value.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.word(text, &["true", "false"]);
                None
            }
        }
    }

    /// Checks a value that can only be `true`.
    pub(super) fn is_true(&mut self, text: &Text) -> Option<()> {
        if text.value == "true" {
            return Some(());
        }
        self.word(text, &["true"]);
        None
    }

    pub(super) fn secret(&mut self, text: &Text) -> Option<SecretReference> {
        match text.value.parse() {
            Ok(reference) => Some(reference),
            Err(error) => {
                let hint = "a secret never stands in the file itself";
                self.wrong(text, Code::Secret, error.to_string(), Some(hint.to_owned()));
                None
            }
        }
    }

    /// Whether a bot's name is spelled as one: it stands in addresses and file names.
    pub(super) fn bot_name(&mut self, place: Place, name: &str) {
        if !is_bot_name(name) {
            let found = quote(name);
            let message =
                format!("expected a name of 2 to 63 of `a-z`, `0-9` and `-`, a letter first, found {found}");
            let hint = spelling(name).map(|right| format!("write `{right}`"));
            self.add(place, Code::Name, message, hint);
        }
    }

    /// Whether the name of a rule or list is spelled as one: it stands in addresses and on command lines.
    pub(super) fn name(&mut self, place: Place, name: &str, what: &str) -> bool {
        let spelled = (1..=63).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !spelled {
            let found = quote(name);
            let message = format!(
                "expected a {what} of 1 to 63 letters, digits, `-` and `_`, a letter first, found {found}"
            );
            let hint = spelling(name).map(|right| format!("write `{right}`"));
            self.add(place, Code::Name, message, hint);
        }
        spelled
    }

    /// Whether a key of a map was left out, which is reported there.
    pub(super) fn has_left_out(&self, below: NodeId) -> bool {
        self.left_out
            .iter()
            .any(|id| self.tree.ancestry(*id).contains(&below))
    }

    /// Whether names that expressions below a node may use are missing because their part was left out.
    pub(super) fn hides_names(&self, below: NodeId) -> bool {
        let depth = self.tree.ancestry(below).len();
        self.left_out.iter().any(|id| {
            let ancestry = self.tree.ancestry(*id);
            let key = |level: usize| ancestry.get(level).and_then(|id| self.tree.key(*id));
            let top = ancestry.len() == 1 && matches!(key(0), Some("sources" | "tables"));
            let vars = key(0) == Some("vars");
            let inside = depth.checked_sub(1).and_then(|level| ancestry.get(level)) == Some(&below);
            top || vars || (inside && matches!(key(depth), Some("when" | "let")))
        })
    }
}

/// The nearest right spelling of a name.
fn spelling(name: &str) -> Option<String> {
    let right: String = name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c == '_' || c == ' ' { '-' } else { c })
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
        .collect();
    let right = right.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    (right.len() >= 2 && right.len() <= 63 && right != name).then(|| right.to_owned())
}
