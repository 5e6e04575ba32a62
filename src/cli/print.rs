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

/// Text from outside on one line of a terminal: control characters are shown, not obeyed.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\n    "),
            '\t' => shown.push(' '),
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                shown.extend(c.escape_unicode());
            }
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_message_are_shown_and_not_obeyed() {
        assert_eq!(plain("a\x1b[2Jb\u{202e}c\nd"), "a\\u{1b}[2Jb\\u{202e}c\n    d");
    }
}
