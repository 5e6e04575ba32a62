//! Words on stdout and stderr. A reader that has gone away is no reason to fail.

use std::io::Write as _;

use herald_protocol::address::Address;
use serde::Serialize;

/// Data, on stdout.
pub(super) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// One JSON object, on stdout.
pub(super) fn json(value: &impl Serialize) {
    // What is printed here are structs of text and numbers, which always serialise.
    if let Ok(text) = serde_json::to_string(value) {
        line(&text);
    }
}

/// Talk, on stderr.
pub(super) fn talk(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A wallet as people recognise it: `0x12…ab`.
pub(super) fn short(wallet: Address) -> String {
    let text = wallet.to_string();
    match (text.get(..6), text.get(text.len() - 4..)) {
        (Some(head), Some(tail)) => format!("{head}…{tail}"),
        _ => text,
    }
}

/// Text from outside: control characters and directions of text are shown, not obeyed; its further lines are indented, as none of
/// ours is; what is behind the first KiB is counted only.
pub(super) fn plain(text: &str) -> String {
    escaped(text, "\n    ")
}

/// The same on one line.
pub(super) fn inline(text: &str) -> String {
    escaped(text, " ")
}

fn escaped(text: &str, line_break: &str) -> String {
    let (start, rest) = text.split_at(text.floor_char_boundary(MAX_BYTES));
    let mut shown = String::with_capacity(start.len());
    for c in start.chars() {
        match c {
            '\n' => shown.push_str(line_break),
            '\t' => shown.push(' '),
            c if c.is_control() || is_direction(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    if !rest.is_empty() {
        shown.push_str("… (");
        shown.push_str(&rest.len().to_string());
        shown.push_str(" more bytes)");
    }
    shown
}

/// Marks that turn the direction of text, and the line breaks that are no control characters.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// As much as anybody reads on a terminal; `--json` tells everything.
const MAX_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_message_are_shown_and_not_obeyed() {
        assert_eq!(plain("a\x1b[2Jb\u{202e}c\nd"), "a\\u{1b}[2Jb\\u{202e}c\n    d");
    }

    #[test]
    fn one_line_stays_one_line_and_long_text_is_cut_between_characters() {
        assert_eq!(inline("a\r\nb\u{2028}c\td"), "a\\u{d} b\\u{2028}c d");
        let long = format!("a{}", "ü".repeat(1000));
        assert_eq!(inline(&long), format!("a{}… (978 more bytes)", "ü".repeat(511)));
        assert_eq!(inline(&"x".repeat(1024)), "x".repeat(1024));
    }
}
