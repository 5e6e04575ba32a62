//! Places: from bytes of a file to lines and columns, and from bytes of a scalar's value back to bytes of the file.

use std::ops::Range;

use saphyr_parser::{Marker, ScalarStyle};

/// The text of a file with the places of its lines and characters.
#[derive(Debug)]
pub(crate) struct Source {
    text: String,
    /// The byte at which each character starts, and the length of the text.
    characters: Vec<u32>,
}

impl Source {
    /// Takes the text of a file, without the mark of byte order that some editors put first.
    pub(crate) fn new(mut text: String) -> Self {
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let starts = text.char_indices().map(|(byte, _)| byte).chain([text.len()]);
        let characters = starts.filter_map(|byte| u32::try_from(byte).ok()).collect();
        Self { text, characters }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The bytes between two marks of the YAML parser, which counts characters.
    pub(crate) fn range(&self, start: Marker, end: Marker) -> Range<usize> {
        let start = self.byte(start.index());
        start..self.byte(end.index()).max(start)
    }

    /// The byte of a character.
    pub(crate) fn byte(&self, character: usize) -> usize {
        self.characters
            .get(character)
            .map_or(self.text.len(), |byte| *byte as usize)
    }

    /// Line and column (from 1, in characters) of a byte, and the line's text.
    pub(crate) fn place(&self, byte: usize) -> (usize, usize, &str) {
        let byte = self.text.floor_char_boundary(byte);
        let (before, after) = self.text.split_at(byte);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let end = after.find('\n').map_or(self.text.len(), |newline| byte + newline);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        (
            line,
            column,
            self.text
                .get(start..end)
                .unwrap_or_default()
                .trim_end_matches('\r'),
        )
    }

    /// The byte of the file that a byte of a scalar's value was read from.
    ///
    /// Where the value was written with escapes there is no telling, and the start of the scalar is the answer.
    pub(crate) fn byte_in_scalar(
        &self,
        range: &Range<usize>,
        style: ScalarStyle,
        value: &str,
        offset: usize,
    ) -> usize {
        let written = self.text.get(range.clone()).unwrap_or_default();
        let skipped = match style {
            // The parser's range of a block starts behind its header.
            ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => Some(0),
            ScalarStyle::SingleQuoted => Some(1),
            ScalarStyle::DoubleQuoted => (!written.contains('\\')).then_some(1),
        };
        let aligned = skipped.and_then(|skipped| {
            let body = written.get(skipped..)?;
            align(body, value, offset, style == ScalarStyle::SingleQuoted).map(|byte| skipped + byte)
        });
        range.start + aligned.unwrap_or(0)
    }
}

/// Walks along a scalar as written and as read, which differ in white space only, up to `offset` of the latter.
fn align(written: &str, read: &str, offset: usize, doubled_quotes: bool) -> Option<usize> {
    let mut written = written.char_indices().peekable();
    for (index, c) in read.char_indices() {
        if !c.is_whitespace() {
            while written.next_if(|(_, w)| w.is_whitespace()).is_some() {}
        }
        if index >= offset {
            break;
        }
        if c.is_whitespace() {
            written.next_if(|(_, w)| w.is_whitespace());
            continue;
        }
        written.next_if(|(_, w)| *w == c)?;
        if doubled_quotes && c == '\'' {
            written.next_if(|(_, w)| *w == '\'')?;
        }
    }
    written.peek().map(|(byte, _)| *byte)
}

#[cfg(test)]
mod tests {
    use super::Source;
    use crate::bot::config::tree::Tree;

    /// Where `needle` of the scalar under `key` stands in the file, as line and column.
    fn place_of(yaml: &str, needle: &str) -> (usize, usize) {
        let tree = Tree::parse("t.yaml".as_ref(), yaml.to_owned(), "bot").unwrap();
        let node = tree.entry(Tree::ROOT, "key").unwrap();
        let offset = tree.scalar(node).unwrap().find(needle).unwrap();
        let (line, column, _) = tree.source().place(tree.byte_in(node, offset));
        (line, column)
    }

    #[test]
    fn every_style_of_scalar_leads_back_to_its_place() {
        for (yaml, place) in [
            ("key: a WORD", (1, 8)),
            ("é: 1\nkey: é WORD", (2, 8)),
            ("key: 'it''s a WORD'", (1, 15)),
            ("key: \"a WORD\"", (1, 9)),
            ("key: a\n  plain WORD over lines", (2, 9)),
            ("key: |\n  one\n\n    two WORD\n", (4, 9)),
            ("key: |2-\n   one WORD\n", (2, 8)),
            ("key: >\n  one\n  two\n\n  é WORD\n", (5, 5)),
            ("key: | # said\n  WORD\n", (2, 3)),
            ("key: 'a\n  b\n\n  WORD'", (4, 3)),
            ("a: 1\r\nkey: |\r\n  one\r\n  WORD\r\n", (4, 3)),
            ("\u{feff}key: a WORD", (1, 8)),
            ("? key\n: WORD", (2, 3)),
            ("{ key: WORD, b: 2 }", (1, 8)),
        ] {
            assert_eq!(place_of(yaml, "WORD"), place, "{yaml:?}");
        }
    }

    #[test]
    fn a_scalar_with_escapes_leads_to_its_start() {
        assert_eq!(place_of("key: \"a\\tWORD\"", "WORD"), (1, 6));
    }

    #[test]
    fn a_place_never_lies_beyond_the_text() {
        let source = Source::new("é\nb".to_owned());
        assert_eq!(source.place(1), (1, 1, "é"));
        assert_eq!(source.place(99), (2, 2, "b"));
        assert_eq!(Source::new(String::new()).place(0), (1, 1, ""));
    }
}
