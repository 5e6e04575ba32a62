//! What is wrong with a setting, and where it was written.

use std::{fmt, path::Path, sync::Arc};

use serde::de;

/// Who wrote a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Defaults,
    File(Arc<Path>),
    /// An environment variable, by its name.
    Variable(Arc<str>),
    /// A flag of the command line, with its dashes.
    Flag(&'static str),
}

/// A setting's place: its origin and, in a file, line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) origin: Origin,
    pub(super) at: Option<(u32, u32)>,
}

/// One thing that is wrong in a configuration: `FILE:LINE:COLUMN: key.path: what was found, what was wanted`, or with the
/// name of an environment variable or flag instead of the file, and a hint where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    place: Option<Place>,
    /// The keys that lead there, joined by dots; empty for the whole file.
    key: String,
    message: String,
    hint: Option<Hint>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hint {
    Text(String),
    /// The key that was probably meant, below the same parent.
    Key(String),
}

impl Origin {
    pub(super) fn at(&self, line: usize, column: usize) -> Place {
        let at = matches!(self, Self::File(_))
            .then(|| Some((u32::try_from(line).ok()?, u32::try_from(column).ok()?)))
            .flatten();
        Place {
            origin: self.clone(),
            at,
        }
    }
}

impl Place {
    pub(super) const DEFAULTS: Self = Self {
        origin: Origin::Defaults,
        at: None,
    };
}

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            place: None,
            key: String::new(),
            message: message.into(),
            hint: None,
        }
    }

    /// Says where, unless that is known more closely already.
    pub(super) fn located(self, place: &Place, key: &str) -> Self {
        if self.place.is_some() {
            return self;
        }
        Self {
            place: Some(place.clone()),
            key: key.to_owned(),
            ..self
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(formatter, "{place}: ")?;
        }
        if !self.key.is_empty() {
            write!(formatter, "{}: ", printable(&self.key))?;
        }
        formatter.write_str(&self.message)?;
        match &self.hint {
            None => Ok(()),
            Some(Hint::Text(text)) => write!(formatter, "\nhint: {text}"),
            Some(Hint::Key(meant)) => {
                let meant = match self.key.rsplit_once('.') {
                    Some((parent, _)) => format!("{parent}.{meant}"),
                    None => meant.clone(),
                };
                let variable =
                    matches!(&self.place, Some(place) if matches!(place.origin, Origin::Variable(_)));
                let meant = if variable {
                    super::overrides::variable_name(&meant)
                } else {
                    meant
                };
                write!(formatter, "\nhint: did you mean `{}`?", printable(&meant))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Defaults => formatter.write_str("defaults")?,
            Origin::File(path) => write!(formatter, "{}", path.display())?,
            Origin::Variable(name) => formatter.write_str(&printable(name))?,
            Origin::Flag(flag) => formatter.write_str(flag)?,
        }
        match self.at {
            Some((line, column)) => write!(formatter, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// The words of serde's derived code, in ours.
impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::new(format!("found {found}, wanted {wanted}"))
    }

    fn invalid_value(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(format!("found {}, wanted one of {}", quote(found), list(known)))
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        let hint = match nearest(found, known) {
            Some(meant) => Hint::Key(meant),
            None => Hint::Text(format!("known keys here are {}", list(known))),
        };
        Self {
            hint: Some(hint),
            ..Self::new(format!("unknown key {}", quote(found)))
        }
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(format!("the key `{key}` is missing"))
    }
}

/// The known key that differs by a few letters, or that was joined to one of its own keys by the wrong sign: `auth_max_age`
/// for `auth.max_age`.
fn nearest(found: &str, known: &[&str]) -> Option<String> {
    let joined = known.iter().find_map(|key| {
        let rest = found.strip_prefix(key)?.strip_prefix(['_', '-'])?;
        (!rest.is_empty()).then(|| format!("{key}.{rest}"))
    });
    if joined.is_some() {
        return joined;
    }
    let found: String = found.chars().take(QUOTED).collect();
    let (distance, key) = known
        .iter()
        .map(|key| (strsim::osa_distance(&found, key), *key))
        .min()?;
    (distance <= 1 + key.len() / 4).then(|| key.to_owned())
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// A text of the operator's as a message repeats it.
pub(super) fn quote(text: &str) -> String {
    format!("`{}`", printable(text))
}

fn printable(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED).is_some() {
        shown.push('…');
    }
    shown
}

/// How much of a text a message repeats, in characters.
const QUOTED: usize = 100;
