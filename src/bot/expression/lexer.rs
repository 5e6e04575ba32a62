//! Splits the source of an expression into tokens.

use std::ops::Range;
use std::str::FromStr;

use herald_protocol::address::{Address, ParseAddressError};

use super::number::parse_number;
use super::read::{parse_duration, parse_hash};
use super::{Finding, Type, Value};
use crate::bot::chain::WalletName;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Literal(Value),
    Name(String),
    /// The name of a wallet that no other tokens spell.
    WalletName(String),
    Symbol(&'static str),
    /// The end of the source, or the `}}` or `%}` that ends the tag.
    End,
}

/// A token with its place in the source.
#[derive(Debug, Clone)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) span: Range<usize>,
}

/// Longer symbols stand before those they begin with.
const SYMBOLS: [&str; 20] = [
    "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "|", ".", ",", "(", ")", "[", "]", "=", "!",
];

/// What people write for straight quotes.
const QUOTES: [char; 4] = ['“', '”', '‘', '’'];

/// Bytes of a name of a wallet; what is longer is none.
const MAX_WALLET_NAME: usize = 1024;

#[derive(Debug)]
pub(super) struct Lexer<'s> {
    source: &'s str,
    at: usize,
    /// What ends a tag of a template; a bare expression ends with its source.
    close: Option<&'static str>,
}

impl<'s> Lexer<'s> {
    pub(super) fn new(source: &'s str, at: usize, close: Option<&'static str>) -> Self {
        Self { source, at, close }
    }

    pub(super) fn next(&mut self) -> Result<Spanned, Finding> {
        let blank = self.rest().len() - self.rest().trim_start().len();
        self.at += blank;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return match self.close {
                Some(close) => Err(Finding::new(
                    self.at..self.at,
                    format!("found the end, wanted `{close}`"),
                )),
                None => Ok(self.take(0, Token::End)),
            };
        };
        if let Some(close) = self.close.filter(|close| rest.starts_with(close)) {
            return Ok(self.take(close.len(), Token::End));
        }
        if rest.starts_with("{{") || rest.starts_with("{%") {
            return Err(self.brace_finding());
        }
        if let Some(name) = self.wallet_name() {
            let name = name.to_owned();
            return Ok(self.take(name.len(), Token::WalletName(name)));
        }
        match first {
            '"' | '\'' => self.quoted(first),
            '0'..='9' => self.number(),
            'a'..='z' | 'A'..='Z' | '_' => {
                let name = rest
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect::<String>();
                Ok(self.take(name.len(), Token::Name(name)))
            }
            _ => self.symbol(first),
        }
    }

    /// The source of a token.
    pub(super) fn text(&self, span: &Range<usize>) -> &'s str {
        self.source.get(span.clone()).unwrap_or_default()
    }

    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, length: usize, token: Token) -> Spanned {
        let span = self.at..self.at + length;
        self.at = span.end;
        Spanned { token, span }
    }

    fn brace_finding(&self) -> Finding {
        let braces = self.at..self.at + 2;
        if self.close.is_some() {
            return Finding::new(braces, "a tag begins inside another one")
                .with_hint("end the first one with `}}` or `%}`");
        }
        let inner = self
            .rest()
            .strip_prefix("{{")
            .and_then(|rest| rest.split_once("}}"))
            .map(|(inner, _)| inner.trim());
        let hint = match inner {
            Some(inner) if !inner.is_empty() && inner.len() <= 80 => format!("write `{inner}`"),
            _ => "write it without the braces".to_owned(),
        };
        Finding::new(braces, "this field is an expression, it takes no braces").with_hint(hint)
    }

    fn symbol(&mut self, first: char) -> Result<Spanned, Finding> {
        let span = self.at..self.at + first.len_utf8();
        let symbol = SYMBOLS.into_iter().find(|symbol| self.rest().starts_with(symbol));
        let hint = match (symbol, first) {
            (Some("="), _) => "compare with `==`",
            (Some("!"), _) => "write `not`",
            (Some(symbol), _) => return Ok(self.take(symbol.len(), Token::Symbol(symbol))),
            (None, '&') => "write `and`",
            (None, '“' | '”' | '‘' | '’') => "a text stands in straight quotes, `\"` or `'`",
            (None, _) => {
                return Err(Finding::new(
                    span,
                    format!("unexpected `{}`", first.escape_debug()),
                ));
            }
        };
        Err(Finding::new(span, format!("unexpected `{first}`")).with_hint(hint))
    }

    /// A text in single or double quotes with the escapes `\n`, `\t`, `\r`, `\\`, `\"`, `\'`.
    fn quoted(&mut self, quote: char) -> Result<Spanned, Finding> {
        let start = self.at;
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((offset, character)) = characters.next() {
            if character == quote {
                return Ok(self.take(offset + 1, Token::Literal(Value::text(text))));
            }
            if character != '\\' {
                text.push(character);
                continue;
            }
            match characters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, escaped @ ('\\' | '"' | '\''))) => text.push(escaped),
                Some((_, other)) => {
                    let span = start + offset..start + offset + 1 + other.len_utf8();
                    return Err(
                        Finding::new(span, format!("unknown escape `\\{}`", other.escape_debug()))
                            .with_hint("a backslash itself is written `\\\\`"),
                    );
                }
                None => break,
            }
        }
        Err(Finding::new(start..start + 1, "this text never ends")
            .with_hint(format!("close it with {quote}")))
    }

    /// The name of a wallet that begins here and has a part that is no name of this language: `1inch.eth`, `日本.eth`.
    fn wallet_name(&self) -> Option<&'s str> {
        let rest = self.rest();
        let is_of_name = |c: char| {
            c.is_ascii_alphanumeric()
                || matches!(c, '-' | '_' | '.')
                || !(c.is_ascii() || c.is_whitespace() || QUOTES.contains(&c))
        };
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        let name = rest.get(..end)?;
        let is_plain = |part: &str| part.is_ascii() && !part.starts_with(|c: char| c.is_ascii_digit());
        let is_meant = end <= MAX_WALLET_NAME && WalletName::is_meant(name);
        (is_meant && !name.split(['.', '-']).all(is_plain)).then_some(name)
    }

    /// Everything that begins with a digit: a number, a duration, an address, a hash or a time.
    fn number(&mut self) -> Result<Spanned, Finding> {
        if let Some(length) = time_length(self.rest()) {
            return self.time(length);
        }
        let length = self.number_length();
        let span = self.at..self.at + length;
        let text = self.text(&span);
        if text.starts_with("0x") || text.starts_with("0X") {
            return self.hexadecimal(text);
        }
        let all_digits = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_'));
        let value = if all_digits {
            parse_number(text, false)
        } else {
            parse_duration(text).map(Value::Duration)
        };
        match value {
            Some(value) => Ok(self.take(length, Token::Literal(value))),
            None if all_digits => Err(Finding::new(span, "the number is too large").with_hint("an int has at most 256 bits")),
            None => Err(Finding::new(span, format!("cannot read `{text}` as a number or a duration"))
                .with_hint("a number is `42` or `1.10`, a duration `90s`, `24h` or `7d`, a name begins with a letter")),
        }
    }

    /// Digits, letters and `_`, with one point if a digit follows it.
    fn number_length(&self) -> usize {
        let bytes = self.rest().as_bytes();
        let mut length = 0;
        let mut pointed = false;
        while let Some(byte) = bytes.get(length) {
            let point = *byte == b'.' && !pointed && bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
            pointed |= point;
            if !(byte.is_ascii_alphanumeric() || *byte == b'_' || point) {
                break;
            }
            length += 1;
        }
        length
    }

    fn time(&mut self, length: usize) -> Result<Spanned, Finding> {
        let span = self.at..self.at + length;
        let text = self.text(&span);
        match Type::Time.scalar(text) {
            Some(time) => Ok(self.take(length, Token::Literal(time))),
            None => Err(Finding::new(span, format!("`{text}` is not a time"))
                .with_hint("write a date, a time and a zone: 2026-11-20T09:00:00Z")),
        }
    }

    fn hexadecimal(&mut self, text: &str) -> Result<Spanned, Finding> {
        let span = self.at..self.at + text.len();
        let digits = text.len() - 2;
        let value = match digits {
            40 => Address::from_str(text).map(Value::Wallet).map_err(|error| {
                let finding = Finding::new(span.clone(), error.to_string());
                match error {
                    ParseAddressError::Checksum { wanted, .. } => {
                        finding.with_hint(format!("if the digits are right, write `{wanted}`"))
                    }
                    _ => finding,
                }
            }),
            64 => parse_hash(text)
                .map(Value::Hash)
                .ok_or_else(|| Finding::new(span.clone(), format!("`{text}` is not hexadecimal"))),
            _ => {
                return Err(Finding::new(span, format!("found 0x and {digits} digits"))
                    .with_hint("an address has 40 hex digits, a hash has 64"));
            }
        };
        value.map(|value| self.take(text.len(), Token::Literal(value)))
    }
}

/// The length of what begins like `2026-11-20T`: at most a date, a time with a fraction, and an offset.
fn time_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits_at = |from: usize| {
        bytes
            .iter()
            .skip(from)
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let is = |at: usize, wanted: u8| bytes.get(at) == Some(&wanted);
    if !(digits_at(0) == 4
        && is(4, b'-')
        && digits_at(5) == 2
        && is(7, b'-')
        && digits_at(8) == 2
        && is(10, b'T'))
    {
        return None;
    }
    let clock = |byte: &&u8| byte.is_ascii_digit() || matches!(**byte, b':' | b'.');
    let mut end = 11 + bytes.iter().skip(11).take_while(clock).count();
    if is(end, b'Z') {
        end += 1;
    } else if (is(end, b'+') || is(end, b'-')) && digits_at(end + 1) == 2 && is(end + 3, b':') {
        end += 4 + digits_at(end + 4);
    }
    Some(end)
}
