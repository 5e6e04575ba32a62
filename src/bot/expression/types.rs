//! Types of the language and how they are declared.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Finding;

/// The type of a value.
///
/// `Display` prints the declaration that [`Type::parse`] reads; a record prints as `record`.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// JSON of unknown shape, `none` included.
    Any,
    /// Text.
    Text,
    /// Text without white space.
    Word,
    /// A whole number of at most 256 bits, signed.
    Int,
    /// An exact decimal.
    Decimal,
    /// `true` or `false`.
    Bool,
    /// The address of a wallet.
    Wallet,
    /// 32 bytes.
    Hash,
    /// An instant.
    Time,
    /// A span of time.
    Duration,
    /// A time zone.
    Tz,
    /// Values of one type in order.
    List(Box<Type>),
    /// Values by name, each with its own type.
    Record(Record),
    /// The type or `none`. Of `Any` it is the type of the literal `none` alone.
    Optional(Box<Type>),
    /// A text of a closed set.
    Choice(Vec<String>),
}

/// The fields of a record and their types. Clones share them until one side inserts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    fields: Arc<BTreeMap<String, Type>>,
}

impl Record {
    /// A record without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a field, in place of an earlier one of that name.
    pub fn insert(&mut self, name: impl Into<String>, ty: Type) {
        Arc::make_mut(&mut self.fields).insert(name.into(), ty);
    }

    /// The type of a field.
    pub fn get(&self, name: &str) -> Option<&Type> {
        self.fields.get(name)
    }

    /// Every field and its type, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Type)> {
        self.fields.iter().map(|(name, ty)| (name.as_str(), ty))
    }
}

impl<N: Into<String>> FromIterator<(N, Type)> for Record {
    fn from_iter<I: IntoIterator<Item = (N, Type)>>(fields: I) -> Self {
        Self {
            fields: Arc::new(fields.into_iter().map(|(name, ty)| (name.into(), ty)).collect()),
        }
    }
}

/// Types that are declared by one word.
const NAMED: [(&str, Type); 11] = [
    ("text", Type::Text),
    ("word", Type::Word),
    ("int", Type::Int),
    ("decimal", Type::Decimal),
    ("bool", Type::Bool),
    ("wallet", Type::Wallet),
    ("hash", Type::Hash),
    ("time", Type::Time),
    ("duration", Type::Duration),
    ("tz", Type::Tz),
    ("any", Type::Any),
];

/// Lists of lists and their like may be this deep in a declaration.
const MAX_DECLARED_DEPTH: usize = 8;

impl Type {
    /// Reads a declaration: `text`, `optional hash`, `paid | shipped`, `list of text`, `list` (of any).
    ///
    /// # Errors
    ///
    /// A finding whose span lies in `declaration`: an unknown type with the nearest known one as hint.
    pub fn parse(declaration: &str) -> Result<Self, Finding> {
        let words = Words { source: declaration };
        Self::parse_words(words.trimmed(0..declaration.len()), &words, MAX_DECLARED_DEPTH)
    }

    fn parse_words(span: std::ops::Range<usize>, words: &Words<'_>, depth: usize) -> Result<Self, Finding> {
        let text = words.text(&span);
        let Some(deeper) = depth.checked_sub(1) else {
            return Err(Finding::new(span, "a type nests at most 8 deep"));
        };
        if text.is_empty() {
            return Err(Finding::new(span, "found nothing, wanted a type")
                .with_hint("write a type such as `text`, `int`, `optional hash` or `paid | shipped`"));
        }
        if let Some(rest) = words.after("optional", &span) {
            return Ok(Self::parse_words(rest, words, deeper)?.optional());
        }
        if text == "list" {
            return Ok(Self::List(Box::new(Self::Any)));
        }
        if let Some(rest) = words.after("list", &span) {
            let Some(element) = words.after("of", &rest) else {
                return Err(Finding::new(
                    rest.clone(),
                    format!("found `{}` after `list`", words.text(&rest)),
                )
                .with_hint("write `list of text`"));
            };
            return Ok(Self::List(Box::new(Self::parse_words(element, words, deeper)?)));
        }
        if text.contains('|') {
            return Self::parse_choice(span, words);
        }
        if let Some((_, ty)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(ty.clone());
        }
        if text == "record" {
            return Err(Finding::new(span, "a record is declared by its fields")
                .with_hint("write a map from names to types in its place"));
        }
        let known = NAMED.iter().map(|(name, _)| *name).chain(["list", "optional"]);
        Err(Finding::new(span, format!("unknown type `{text}`")).with_nearest(text, known))
    }

    fn parse_choice(span: std::ops::Range<usize>, words: &Words<'_>) -> Result<Self, Finding> {
        let mut options: Vec<String> = Vec::new();
        let mut start = span.start;
        for part in words.text(&span).split('|') {
            let option = words.trimmed(start..start + part.len());
            start += part.len() + 1;
            let text = words.text(&option).to_owned();
            if text.is_empty() || text.contains(char::is_whitespace) {
                return Err(Finding::new(
                    option,
                    format!("found `{text}`, wanted one word between each `|`"),
                ));
            }
            if options.contains(&text) {
                return Err(Finding::new(option, format!("`{text}` occurs twice")));
            }
            options.push(text);
        }
        if options
            .iter()
            .all(|option| NAMED.iter().any(|(name, _)| name == option))
        {
            return Err(Finding::new(
                span,
                "a value has one type, `|` separates the words of a closed set",
            ));
        }
        Ok(Self::Choice(options))
    }

    /// The type or `none`; what can be `none` already stays as it is.
    #[must_use]
    pub fn optional(self) -> Self {
        match self {
            Self::Any | Self::Optional(_) => self,
            ty => Self::Optional(Box::new(ty)),
        }
    }

    /// Whether values of this type can be `none`.
    pub fn is_optional(&self) -> bool {
        matches!(self, Self::Any | Self::Optional(_))
    }

    /// Whether every value of type `given` can stand where this type is wanted; `any` is judged when it runs.
    pub fn accepts(&self, given: &Self) -> bool {
        match (self, given) {
            (Self::Any, _)
            | (_, Self::Any)
            | (Self::Text, Self::Word | Self::Choice(_))
            | (Self::Word, Self::Choice(_))
            | (Self::Decimal, Self::Int) => true,
            (Self::Optional(wanted), Self::Optional(given)) => **given == Self::Any || wanted.accepts(given),
            (Self::Optional(wanted), given) => wanted.accepts(given),
            (_, Self::Optional(_)) => false,
            (Self::Choice(wanted), Self::Choice(given)) => given.iter().all(|option| wanted.contains(option)),
            (Self::List(wanted), Self::List(given)) => wanted.accepts(given),
            (Self::Record(wanted), Self::Record(given)) => wanted.iter().all(|(name, ty)| {
                given
                    .get(name)
                    .map_or(ty.is_optional(), |given| ty.accepts(given))
            }),
            _ => self == given,
        }
    }

    /// The type without `optional`; the literal `none` becomes `any`.
    pub(super) fn base(&self) -> &Self {
        match self {
            Self::Optional(ty) => ty,
            ty => ty,
        }
    }

    /// The smallest type that holds the values of both, `any` if they have nothing in common.
    pub(super) fn join(self, other: Self) -> Self {
        if self.is_none() {
            return other.optional();
        }
        if other.is_none() {
            return self.optional();
        }
        match (self, other) {
            (left, right) if left == right => left,
            (Self::Optional(left), right) | (right, Self::Optional(left)) => {
                left.join(right.base().clone()).optional()
            }
            (Self::Int | Self::Decimal, Self::Int | Self::Decimal) => Self::Decimal,
            (Self::Text | Self::Word | Self::Choice(_), Self::Text | Self::Word | Self::Choice(_)) => {
                Self::Text
            }
            (Self::List(left), Self::List(right)) => Self::List(Box::new(left.join(*right))),
            _ => Self::Any,
        }
    }

    /// Whether it is the type of the literal `none`.
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::Optional(ty) if **ty == Self::Any)
    }

    pub(super) fn none() -> Self {
        Self::Optional(Box::new(Self::Any))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Decimal)
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Word | Self::Choice(_))
    }

    /// The short name of the kind in messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Text | Self::Choice(_) => "text",
            Self::Word => "word",
            Self::Int => "int",
            Self::Decimal => "decimal",
            Self::Bool => "bool",
            Self::Wallet => "wallet",
            Self::Hash => "hash",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::Tz => "tz",
            Self::List(_) => "list",
            Self::Record(_) => "record",
            Self::Optional(ty) if **ty == Self::Any => "none",
            Self::Optional(ty) => ty.kind(),
        }
    }

    /// What a value of this type is, as the end of "wanted ...".
    pub(super) fn description(&self) -> String {
        match self {
            Self::Any => "any value".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Word => "one word".to_owned(),
            Self::Int => "an int of at most 256 bits".to_owned(),
            Self::Decimal => "a decimal".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Wallet => "a wallet address (0x and 40 hex digits)".to_owned(),
            Self::Hash => "a hash (0x and 64 hex digits)".to_owned(),
            Self::Time => "a time such as 2026-11-20T09:00:00Z".to_owned(),
            Self::Duration => "a duration such as 90s, 24h or 7d".to_owned(),
            Self::Tz => "a time zone such as Europe/Lisbon".to_owned(),
            Self::List(element) => format!("a list of {element}"),
            Self::Record(_) => "a record".to_owned(),
            Self::Optional(ty) => format!("{} or nothing", ty.description()),
            Self::Choice(options) => {
                let options: Vec<_> = options.iter().map(|option| format!("`{option}`")).collect();
                format!("one of {}", options.join(", "))
            }
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Optional(ty) if **ty == Self::Any => out.write_str("none"),
            Self::Optional(ty) => write!(out, "optional {ty}"),
            Self::List(element) if **element == Self::Any => out.write_str("list"),
            Self::List(element) => write!(out, "list of {element}"),
            Self::Choice(options) => out.write_str(&options.join(" | ")),
            ty => out.write_str(ty.kind()),
        }
    }
}

/// Spans of a declaration.
struct Words<'s> {
    source: &'s str,
}

impl<'s> Words<'s> {
    fn text(&self, span: &std::ops::Range<usize>) -> &'s str {
        self.source.get(span.clone()).unwrap_or_default()
    }

    fn trimmed(&self, span: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let text = self.text(&span);
        let start = span.start + (text.len() - text.trim_start().len());
        start..start + text.trim().len()
    }

    /// What follows the word, if the span begins with it.
    fn after(&self, word: &str, span: &std::ops::Range<usize>) -> Option<std::ops::Range<usize>> {
        let rest = self.text(span).strip_prefix(word)?;
        rest.starts_with(char::is_whitespace)
            .then(|| self.trimmed(span.start + word.len()..span.end))
    }
}
