//! Outcomes in words and as JSON.

use std::fmt::Write as _;

use serde_json::json;

use super::{Options, Ran};
use crate::{bot::testing::Line, cli::print};

/// The width of what was expected, beside what arrived.
const COLUMN: usize = 48;

/// Tells one test.
pub(super) fn tell(ran: &Ran, options: &Options) {
    if options.json {
        return print::json(&json!({
            "bot": ran.bot,
            "test": ran.test,
            "file": ran.file.to_string_lossy(),
            "line": ran.line,
            "ok": ran.outcome.ok,
            "updated": ran.updated,
            "messages": ran.outcome.messages,
            "ms": u64::try_from(ran.took.as_millis()).unwrap_or(u64::MAX),
            "problems": ran.outcome.problems,
            "lines": ran.outcome.lines,
            "undelivered": ran.outcome.undelivered,
            "callbacks": ran.outcome.callbacks,
        }));
    }
    let word = match (ran.outcome.ok, ran.updated) {
        (true, _) => "ok",
        (false, true) => "updated",
        (false, false) => "FAILED",
    };
    let messages = ran.outcome.messages;
    let plural = if messages == 1 { "" } else { "s" };
    print::line(&format!(
        "{word} {}: {} ({messages} message{plural}, {} ms)",
        ran.bot,
        print::inline(&ran.test),
        ran.took.as_millis()
    ));
    if !ran.outcome.ok && !ran.updated {
        print::line(&details(ran));
    }
}

/// Why a test failed: its place, steps that went wrong, and what was expected beside what arrived.
pub(super) fn details(ran: &Ran) -> String {
    let mut lines = vec![format!("  {}:{}", ran.file.display(), ran.line)];
    lines.extend(
        ran.outcome
            .problems
            .iter()
            .map(|problem| format!("  {}", print::plain(problem))),
    );
    if !ran.outcome.lines.is_empty() {
        lines.push(format!("      {} received", padded("expected")));
        lines.extend(ran.outcome.lines.iter().map(side_by_side));
    }
    let undelivered = ran.outcome.undelivered.iter();
    lines.extend(undelivered.map(|row| format!("  not delivered: {}", print::inline(row))));
    let callbacks = ran.outcome.callbacks.iter();
    lines.extend(callbacks.map(|told| format!("  callback: {}", print::inline(&told.to_string()))));
    lines.join("\n")
}

fn side_by_side(line: &Line) -> String {
    let mark = match (&line.expected, &line.received) {
        (Some(_), None) => '-',
        (None, _) => '+',
        (Some(_), Some(_)) if line.ok() => '=',
        (Some(_), Some(_)) => '!',
    };
    let side = |text: &Option<String>| text.as_deref().map(print::inline).unwrap_or_default();
    let (expected, received) = (side(&line.expected), side(&line.received));
    let mut shown = format!("    {mark} {} {received}", padded(&expected))
        .trim_end()
        .to_owned();
    if let Some(differs) = &line.differs {
        let _ = write!(shown, "\n      ^ {}", print::inline(differs));
    }
    shown
}

/// A text in its column; a longer one pushes the next to the right.
fn padded(text: &str) -> String {
    let missing = COLUMN.saturating_sub(text.chars().count());
    format!("{text}{}", " ".repeat(missing))
}

/// How many there were and how many failed.
pub(super) fn summary(ran: &[Ran], options: &Options) {
    let count = |fits: fn(&Ran) -> bool| ran.iter().filter(|ran| fits(ran)).count();
    let failed = count(|ran| !ran.outcome.ok && !ran.updated);
    let updated = count(|ran| ran.updated);
    let plural = if ran.len() == 1 { "" } else { "s" };
    let mut words = format!("{} test{plural}, {failed} failed", ran.len());
    if updated > 0 {
        let _ = write!(words, ", {updated} updated");
    }
    if options.json {
        print::talk(&words);
    } else {
        print::line(&words);
    }
}
