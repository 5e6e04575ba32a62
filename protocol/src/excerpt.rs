//! Foreign text in messages of errors: cut and escaped, so that no log line grows or moves a cursor at a peer's will.

use std::fmt;

/// Text from outside as an error shows it: its first 100 characters, those that do not print escaped as `\u{1b}`, and `…`
/// where it was cut. Equal excerpts may be of different texts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    /// The excerpt of a text of any length.
    pub fn of(text: &str) -> Self {
        Self(shown(text, MAX_CHARS).into())
    }

    /// What is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.0)
    }
}

impl From<&str> for Excerpt {
    fn from(text: &str) -> Self {
        Self::of(text)
    }
}

/// Characters of an excerpt, before any is escaped. Ours: a topic has 79.
const MAX_CHARS: usize = 100;

/// The first characters of a text, those that do not print escaped. What is shown already is shown the same again.
pub(crate) fn shown(text: &str, max_chars: usize) -> String {
    let mut chars = text.chars();
    let mut shown = String::new();
    for character in chars.by_ref().take(max_chars) {
        match character {
            // They print; escaped they would only be harder to read.
            '\'' | '"' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_of_100_characters_is_shown_whole_and_of_101_cut() {
        let whole = "é".repeat(MAX_CHARS);
        assert_eq!(Excerpt::of(&whole).as_str(), whole);
        assert_eq!(Excerpt::of(&format!("{whole}é")).to_string(), format!("{whole}…"));
        assert_eq!(format!("{:?}", Excerpt::of("a\"b")), "`a\"b`");
    }

    #[test]
    fn what_moves_a_cursor_or_turns_text_around_is_escaped() {
        let found = Excerpt::of("a\x1b[2Jb\nc\0d\u{9b}e\u{202e}f\u{2066}g\u{2028}h\u{200b}i");
        let wanted = r"a\u{1b}[2Jb\nc\0d\u{9b}e\u{202e}f\u{2066}g\u{2028}h\u{200b}i";
        assert_eq!(found.as_str(), wanted);
    }

    proptest! {
        #[test]
        fn no_control_character_and_no_length_gets_through(text in any::<String>(), more in 0..400usize) {
            let text = format!("{text}{}", "\u{202e}".repeat(more));
            let excerpt = Excerpt::of(&text);
            prop_assert!(!excerpt.as_str().chars().any(char::is_control));
            // `\u{10ffff}` is the longest escape.
            prop_assert!(excerpt.as_str().chars().count() <= MAX_CHARS * 10 + 1);
        }
    }
}
