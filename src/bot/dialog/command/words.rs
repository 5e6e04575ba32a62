//! The words of a line: separated by white space, those in quotes with the spaces in them.

/// What is left of a line.
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        Self { rest: line.trim() }
    }

    /// Everything that is left, as it stands; quotes around all of it are taken off.
    pub(super) fn take_rest(&mut self) -> Option<&'a str> {
        let rest = std::mem::take(&mut self.rest);
        let text = match quoted(rest) {
            Some((text, "")) => text,
            _ => rest,
        };
        (!rest.is_empty()).then_some(text)
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (word, rest) = quoted(self.rest).unwrap_or_else(|| {
            let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
            self.rest.split_at(end)
        });
        self.rest = rest.trim_start();
        Some(word)
    }
}

/// Splits a quoted beginning off, if the quote is closed before a space or the end. Phones turn quotes into curly ones.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let mut pairs = [('"', '"'), ('“', '”'), ('„', '“')].into_iter();
    let (body, close) = pairs.find_map(|(open, close)| Some((text.strip_prefix(open)?, close)))?;
    let (word, rest) = body.split_once(close)?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some((word, rest))
}

#[cfg(test)]
mod tests {
    use super::Words;

    fn words(line: &str) -> Vec<String> {
        Words::of(line).map(str::to_owned).collect()
    }

    #[test]
    fn quotes_hold_words_together_and_lone_ones_stand_for_themselves() {
        assert_eq!(words(" a  b\tc\n"), ["a", "b", "c"]);
        assert_eq!(words("\"a b\" “c d” e"), ["a b", "c d", "e"]);
        assert_eq!(words("5\" \"a b"), ["5\"", "\"a", "b"]);
        assert_eq!(words("\"a\"b c"), ["\"a\"b", "c"]);
        assert_eq!(words("\"\""), [""]);
        assert!(words("  ").is_empty());
    }

    #[test]
    fn the_rest_stands_as_written() {
        let mut line = Words::of("one  two   \"three\" four ");
        assert_eq!(line.next(), Some("one"));
        assert_eq!(line.take_rest(), Some("two   \"three\" four"));
        assert_eq!(line.take_rest(), None);
        assert_eq!(Words::of("\"all of it\"").take_rest(), Some("all of it"));
    }
}
