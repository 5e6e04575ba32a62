//! Cuts the source of a template into text and tags.

use std::ops::Range;

use super::super::Finding;
use super::super::check::Checker;
use super::super::parser::Parser;
use super::super::syntax::{Identifier, Syntax};

/// A part of the source, before blocks are matched with their ends.
#[derive(Debug)]
pub(super) enum Piece {
    /// At most one line of text, with its line break.
    Text(Range<usize>),
    Output(Option<Syntax>),
    Statement(Statement, Range<usize>),
    Comment,
}

/// What a `{% %}` tag says; an expression that could not be read is left out.
#[derive(Debug)]
pub(super) enum Statement {
    If(Option<Syntax>),
    Elif(Option<Syntax>),
    Else,
    EndIf,
    For(Option<(Identifier, Syntax)>),
    EndFor,
    Unknown,
}

const KEYWORDS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];

impl Statement {
    pub(super) fn keyword(&self) -> &'static str {
        match self {
            Self::If(_) => "if",
            Self::Elif(_) => "elif",
            Self::Else => "else",
            Self::EndIf => "endif",
            Self::For(_) => "for",
            Self::EndFor => "endfor",
            Self::Unknown => "",
        }
    }
}

/// Cuts a source into tags and lines of text.
///
/// The text of a line that holds only `{% %}` and `{# #}` tags is left out.
pub(super) fn split(source: &str, checker: &mut Checker<'_>) -> Vec<Piece> {
    let mut pieces = cut(source, checker);
    drop_tag_lines(source, &mut pieces);
    pieces
}

fn cut(source: &str, checker: &mut Checker<'_>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let tag = ["{{", "{%", "{#"].into_iter().find(|tag| rest.starts_with(tag));
        let outcome = match tag {
            None => {
                let length = text_length(rest);
                pieces.push(Piece::Text(at..at + length));
                at += length;
                continue;
            }
            Some("{#") => close_of(source, at, "#}").map(|end| (Piece::Comment, end)),
            Some("{{") => output(source, at, checker),
            Some(_) => statement(source, at, checker),
        };
        match outcome {
            Ok((piece, end)) => {
                pieces.push(piece);
                at = end;
            }
            Err(finding) => {
                checker.report(finding);
                return pieces;
            }
        }
    }
    pieces
}

/// Bytes up to the next tag or to the end of the line.
fn text_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            return index + 1;
        }
        if *byte == b'{' && index > 0 && matches!(bytes.get(index + 1), Some(b'{' | b'%' | b'#')) {
            return index;
        }
    }
    rest.len()
}

/// The place behind the end of a tag that begins at `at`.
fn close_of(source: &str, at: usize, close: &str) -> Result<usize, Finding> {
    let rest = source.get(at + 2..).unwrap_or_default();
    rest.find(close)
        .map(|offset| at + 2 + offset + close.len())
        .ok_or_else(|| {
            let open = source.get(at..at + 2).unwrap_or_default();
            Finding::new(at..at + 2, format!("`{open}` is never closed"))
                .with_hint(format!("close it with `{close}`"))
        })
}

/// Reads `{{ expression }}`. A mistake inside is reported and the tag skipped.
fn output(source: &str, at: usize, checker: &mut Checker<'_>) -> Result<(Piece, usize), Finding> {
    let parsed = Parser::new(source, at + 2, Some("}}")).and_then(|mut parser| {
        let syntax = parser.whole()?;
        Ok((syntax, parser.end()?))
    });
    match parsed {
        Ok((syntax, end)) => Ok((Piece::Output(Some(syntax)), end)),
        Err(finding) => {
            let end = close_of(source, at, "}}")?;
            checker.report(finding);
            Ok((Piece::Output(None), end))
        }
    }
}

/// Reads `{% ... %}`. A mistake inside is reported, the tag keeps its part in the structure.
fn statement(source: &str, at: usize, checker: &mut Checker<'_>) -> Result<(Piece, usize), Finding> {
    let words = source.get(at + 2..).unwrap_or_default().trim_start();
    let length = words.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let keyword = words.get(..length).unwrap_or_default();
    let behind = source.len() - words.len() + length;
    let empty = |statement| (statement, None);
    let (statement, parsed) = match keyword {
        "if" | "elif" => match condition(source, behind) {
            Ok((syntax, end)) => (conditional(keyword, Some(syntax)), Some(Ok(end))),
            Err(finding) => (conditional(keyword, None), Some(Err(finding))),
        },
        "for" => match loop_head(source, behind) {
            Ok((head, end)) => (Statement::For(Some(head)), Some(Ok(end))),
            Err(finding) => (Statement::For(None), Some(Err(finding))),
        },
        "else" => empty(Statement::Else),
        "endif" => empty(Statement::EndIf),
        "endfor" => empty(Statement::EndFor),
        _ => {
            let span = behind - length..behind;
            let finding =
                Finding::new(span, format!("unknown tag `{keyword}`")).with_nearest(keyword, KEYWORDS);
            (Statement::Unknown, Some(Err(finding)))
        }
    };
    let parsed =
        parsed.unwrap_or_else(|| Parser::new(source, behind, Some("%}")).and_then(|parser| parser.end()));
    let end = match parsed {
        Ok(end) => end,
        Err(finding) => {
            let end = close_of(source, at, "%}")?;
            checker.report(finding);
            end
        }
    };
    Ok((Piece::Statement(statement, at..end), end))
}

fn conditional(keyword: &str, condition: Option<Syntax>) -> Statement {
    if keyword == "if" {
        Statement::If(condition)
    } else {
        Statement::Elif(condition)
    }
}

fn condition(source: &str, at: usize) -> Result<(Syntax, usize), Finding> {
    let mut parser = Parser::new(source, at, Some("%}"))?;
    Ok((parser.whole()?, parser.end()?))
}

fn loop_head(source: &str, at: usize) -> Result<((Identifier, Syntax), usize), Finding> {
    let mut parser = Parser::new(source, at, Some("%}"))?;
    let variable = parser
        .name()
        .map_err(|finding| finding.with_hint("write `{% for x in list %}`"))?;
    parser
        .keyword("in")
        .map_err(|finding| finding.with_hint("write `{% for x in list %}`"))?;
    Ok(((variable, parser.whole()?), parser.end()?))
}

/// Empties the text of every line that holds tags, no output and nothing but white space.
fn drop_tag_lines(source: &str, pieces: &mut [Piece]) {
    let mut line_start = 0;
    let mut index = 0;
    while index < pieces.len() {
        let ends_line = match pieces.get(index) {
            Some(Piece::Text(span)) => source.get(span.clone()).is_some_and(|text| text.ends_with('\n')),
            _ => false,
        };
        index += 1;
        if ends_line || index == pieces.len() {
            drop_if_only_tags(source, pieces.get_mut(line_start..index).unwrap_or_default());
            line_start = index;
        }
    }
}

fn drop_if_only_tags(source: &str, line: &mut [Piece]) {
    let mut tags = false;
    for piece in &*line {
        match piece {
            Piece::Output(_) => return,
            Piece::Statement(..) | Piece::Comment => tags = true,
            Piece::Text(span) => {
                if !source.get(span.clone()).unwrap_or_default().trim().is_empty() {
                    return;
                }
            }
        }
    }
    if tags {
        for piece in line {
            if let Piece::Text(span) = piece {
                span.end = span.start;
            }
        }
    }
}
