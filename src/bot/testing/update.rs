//! Rewrites `expect` of tests in their file, and nothing else of it.

use std::{ops::Range, path::Path};

use super::outcome::{Entry, Outcome};
use crate::bot::config::{self, Finding};

/// Why a file was not rewritten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read or written.
    #[error("cannot update {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What would be written is not what is meant; it is left as it was.
    #[error("cannot update {0}: its `expect` is written in a way that cannot be kept; change it by hand")]
    Shape(String),
}

/// Where `expect` of a test stands.
#[derive(Debug)]
pub(crate) struct Place {
    /// The bytes of its value.
    pub(crate) value: Range<usize>,
    /// Whether it, or what it stands in, is written with brackets.
    pub(crate) is_flow: bool,
    /// Whether it stands on lines of its own, a dash before each entry.
    pub(crate) is_block: bool,
    /// The column of its key, from 0.
    pub(crate) indent: usize,
}

/// Writes into a bot's file what arrived in these tests, by their names. Gives the tests that were changed.
///
/// # Errors
/// The file cannot be used, or is written in a way that cannot be kept; it is then as before.
pub fn update(file: &Path, outcomes: &[(&str, &Outcome)]) -> Result<Vec<String>, Error> {
    let io = |source| Error::Io {
        path: file.display().to_string(),
        source,
    };
    let shape = |_: Vec<Finding>| Error::Shape(file.display().to_string());
    let mut text = std::fs::read_to_string(file).map_err(io)?;
    // A mark that some editors put first, which places do not count.
    let mark = if text.starts_with(MARK) {
        text.remove(0).to_string()
    } else {
        String::new()
    };
    let mut changed = Vec::new();
    for (name, outcome) in outcomes {
        let Some(entries) = outcome.update.as_ref().filter(|_| !outcome.ok) else {
            continue;
        };
        let place = config::expectation(file, &text, name).map_err(shape)?;
        let written = write(entries, &place);
        let Some(before) = text.get(..place.value.start) else {
            return Err(shape(Vec::new()));
        };
        let after = text.get(place.value.end..).unwrap_or_default();
        text = format!(
            "{}{written}{after}",
            if place.is_flow {
                before
            } else {
                before.trim_end_matches(' ')
            }
        );
        // What was written reads back as one list of as many entries, at the same place.
        let count = config::expectation_count(file, &text, name).map_err(shape)?;
        if count != entries.len() {
            return Err(shape(Vec::new()));
        }
        changed.push((*name).to_owned());
    }
    if !changed.is_empty() {
        replace(file, &format!("{mark}{text}")).map_err(io)?;
    }
    Ok(changed)
}

/// The mark of byte order.
const MARK: char = '\u{feff}';

/// A reader of the file sees the old text or the new one.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    std::fs::write(beside, text)?;
    std::fs::set_permissions(beside, std::fs::metadata(file)?.permissions())?;
    std::fs::rename(beside, file)
}

fn write(entries: &[Entry], place: &Place) -> String {
    let flow: Vec<String> = entries.iter().map(entry_text).collect();
    if entries.is_empty() || place.is_flow {
        let list = format!("[{}]", flow.join(", "));
        return if place.is_flow { list } else { format!(" {list}") };
    }
    let indent = " ".repeat(place.indent + 2);
    let mut lines: Vec<String> = flow.iter().map(|entry| format!("{indent}- {entry}")).collect();
    if place.is_block {
        // The first one stands where the old first one stood.
        lines
            .iter_mut()
            .take(1)
            .for_each(|line| *line = line.trim_start().to_owned());
        return format!("{indent}{}", lines.join("\n"));
    }
    format!("\n{}", lines.join("\n"))
}

fn entry_text(entry: &Entry) -> String {
    let keys: Vec<String> = entry
        .iter()
        .map(|(key, text)| format!("{key}: {}", scalar(text)))
        .collect();
    format!("{{ {} }}", keys.join(", "))
}

/// A scalar inside braces: as it is where it reads as itself, else in double quotes, whose escapes are those of JSON.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b" .!?$()'/_:+-".contains(&byte));
    if is_plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
