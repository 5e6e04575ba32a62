//! Functions of text.

use std::fmt::Write;

use super::super::plain::plain;
use super::super::{MAX_TEXT, print};
use super::{Accepts, Argument, Call, Function, Gives, Needs};
use crate::bot::expression::{Failure, Type, Value};

/// A function of one text, or of a text and others.
const fn function(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    accepts: &'static [Accepts],
    gives: Gives,
    run: fn(&mut Call<'_>) -> Result<Value, Failure>,
) -> Function {
    Function {
        name,
        usage,
        about,
        accepts,
        required: accepts.len(),
        needs: Needs::Nothing,
        gives,
        run,
    }
}

const ONE: &[Accepts] = &[Accepts::Text];
const TWO: &[Accepts] = &[Accepts::Text, Accepts::Text];

pub(super) static FUNCTIONS: [Function; 14] = [
    function(
        "upper",
        "x | upper",
        "in capitals",
        ONE,
        Gives::Always(Type::Text),
        upper,
    ),
    function(
        "lower",
        "x | lower",
        "in small letters",
        ONE,
        Gives::Always(Type::Text),
        lower,
    ),
    function(
        "trim",
        "x | trim",
        "without space at both ends",
        ONE,
        Gives::Always(Type::Text),
        trim,
    ),
    function(
        "truncate",
        "x | truncate(characters)",
        "at most so many characters, with … where something was cut",
        &[Accepts::Text, Accepts::Int],
        Gives::Always(Type::Text),
        truncate,
    ),
    function(
        "first_line",
        "x | first_line",
        "the first line",
        ONE,
        Gives::Always(Type::Text),
        first_line,
    ),
    function(
        "plain",
        "x | plain",
        "HTML or markdown as plain text",
        ONE,
        Gives::Always(Type::Text),
        to_plain,
    ),
    function(
        "replace",
        "x | replace(old, new)",
        "every `old` replaced by `new`",
        &[Accepts::Text, Accepts::Text, Accepts::Text],
        Gives::Always(Type::Text),
        replace,
    ),
    function(
        "split",
        "x | split(separator)",
        "the list of texts between separators",
        TWO,
        Gives::From(texts),
        split,
    ),
    function(
        "starts_with",
        "x | starts_with(start)",
        "whether it begins so",
        TWO,
        Gives::Always(Type::Bool),
        starts_with,
    ),
    function(
        "ends_with",
        "x | ends_with(end)",
        "whether it ends so",
        TWO,
        Gives::Always(Type::Bool),
        ends_with,
    ),
    function(
        "contains",
        "x | contains(part)",
        "whether it holds the part",
        TWO,
        Gives::Always(Type::Bool),
        contains,
    ),
    function(
        "matches",
        "x | matches(pattern)",
        "whether the regular expression, written out, matches somewhere in it",
        &[Accepts::Text, Accepts::Pattern],
        Gives::Always(Type::Bool),
        unmatched,
    ),
    function(
        "urlencode",
        "x | urlencode",
        "escaped for a URL",
        &[Accepts::Scalar],
        Gives::Always(Type::Text),
        urlencode,
    ),
    function(
        "json",
        "x | json",
        "as JSON",
        &[Accepts::Anything],
        Gives::Always(Type::Text),
        json,
    ),
];

fn texts(_: &[Argument<'_>]) -> Type {
    Type::List(Box::new(Type::Text))
}

fn upper(call: &mut Call<'_>) -> Result<Value, Failure> {
    let text = call.text(0)?;
    call.meter.charge_bytes(text.len())?;
    call.made(text.to_uppercase())
}

fn lower(call: &mut Call<'_>) -> Result<Value, Failure> {
    let text = call.text(0)?;
    call.meter.charge_bytes(text.len())?;
    call.made(text.to_lowercase())
}

fn trim(call: &mut Call<'_>) -> Result<Value, Failure> {
    let text = call.text(0)?;
    call.made(text.trim())
}

/// At most so many characters, the last of them `…` if any were left out. An emoji is not cut in two.
fn truncate(call: &mut Call<'_>) -> Result<Value, Failure> {
    let most = call.count(1, 0, MAX_TEXT)?;
    let text = call.text(0)?;
    if text.chars().nth(most).is_none() {
        return call.made(text);
    }
    if most == 0 {
        return call.made("");
    }
    let mut kept: Vec<char> = text.chars().take(most).collect();
    while let Some(next) = kept.pop() {
        let joined = kept.last() == Some(&ZERO_WIDTH_JOINER) || extends_previous(next);
        if !joined {
            break;
        }
    }
    let kept: String = kept.into_iter().collect();
    call.made(format!("{}…", kept.trim_end()))
}

const ZERO_WIDTH_JOINER: char = '\u{200D}';

/// Whether a character only changes the look of the one before: accents, variants, skin tones, joiners.
fn extends_previous(character: char) -> bool {
    matches!(character, '\u{0300}'..='\u{036F}' | '\u{20D0}'..='\u{20FF}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{1F3FB}'..='\u{1F3FF}' | ZERO_WIDTH_JOINER)
}

/// The first line with anything on it.
fn first_line(call: &mut Call<'_>) -> Result<Value, Failure> {
    let text = call.text(0)?;
    call.made(
        text.lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or_default(),
    )
}

fn to_plain(call: &mut Call<'_>) -> Result<Value, Failure> {
    let text = call.text(0)?;
    // It passes over the text a few times: tags, entities, marks, lines.
    call.meter.charge_bytes(text.len().saturating_mul(4))?;
    call.made(plain(&text))
}

fn replace(call: &mut Call<'_>) -> Result<Value, Failure> {
    let (text, old, new) = (call.text(0)?, call.text(1)?, call.text(2)?);
    if old.is_empty() {
        return Ok(Value::Text(text));
    }
    // The length is known before anything is made.
    let count = text.matches(&*old).count();
    let length = (text.len() - count * old.len()).saturating_add(count.saturating_mul(new.len()));
    call.meter.charge_text(length)?;
    Ok(Value::text(text.replace(&*old, &new)))
}

fn split(call: &mut Call<'_>) -> Result<Value, Failure> {
    let (text, separator) = (call.text(0)?, call.text(1)?);
    if separator.is_empty() {
        return Ok(Value::list([Value::Text(text)]));
    }
    let mut parts = Vec::new();
    for part in text.split(&*separator) {
        parts.push(call.made(part)?);
    }
    Ok(Value::list(parts))
}

fn starts_with(call: &mut Call<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(call.text(0)?.starts_with(&*call.text(1)?)))
}

fn ends_with(call: &mut Call<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(call.text(0)?.ends_with(&*call.text(1)?)))
}

fn contains(call: &mut Call<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(call.text(0)?.contains(&*call.text(1)?)))
}

/// `matches` is compiled when the source is checked and evaluated as an operation of its own.
fn unmatched(_: &mut Call<'_>) -> Result<Value, Failure> {
    Err(Failure::NoValue("matches".to_owned()))
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn urlencode(call: &mut Call<'_>) -> Result<Value, Failure> {
    let text = call.text(0)?;
    call.meter.charge_text(
        text.bytes()
            .map(|byte| if is_unreserved(byte) { 1 } else { 3 })
            .sum(),
    )?;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if is_unreserved(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Ok(Value::text(encoded))
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn json(call: &mut Call<'_>) -> Result<Value, Failure> {
    let value = call.value(0);
    call.write(|out| print::write_json(value, out))
}
