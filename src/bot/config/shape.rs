//! From the tree to the types of [`file`](super::file), by serde, with the place of every mistake.
//!
//! The data format is ours: every scalar is text; a union of shapes is an enum whose variants are named after the kind
//! of node (`$text`, `$many`, `$map`, `$one`) or after the key that tells one map from another (`cron`, `webhook`).
//! After a mistake the part that holds it is left out and reading starts again, so one pass over a file tells them all.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Unexpected};

use super::diagnostics::{Code, Finding, quote};
use super::tree::{Content, NodeId, Tree};
use crate::bot::expression::nearest;

use reader::{NodeReader, Reader};

/// The tree as a data format of serde.
mod reader;

/// More mistakes than anybody reads at once.
pub(crate) const MAX_FINDINGS: usize = 100;

/// Reads the whole tree as one type.
///
/// What had to be left out is noted in `left_out`; the type is `None` when that is too much for it to hold together.
pub(crate) fn read<'t, T: Deserialize<'t>>(
    tree: &'t Tree,
    left_out: &mut BTreeSet<NodeId>,
    found: &mut Vec<Finding>,
) -> Option<T> {
    loop {
        let raised = RefCell::new(None);
        let reader = Reader {
            tree,
            left_out: &*left_out,
            raised: &raised,
        };
        let error = match T::deserialize(NodeReader {
            reader,
            id: Tree::ROOT,
        }) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let (place, culprit) = raised
            .into_inner()
            .unwrap_or((Place::Value(Tree::ROOT), Tree::ROOT));
        if let Some(finding) = finding(tree, left_out, place, &error) {
            found.push(finding);
        }
        if culprit == Tree::ROOT || found.len() >= MAX_FINDINGS || !left_out.insert(culprit) {
            return None;
        }
    }
}

/// Where a finding points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The key that leads to a node.
    Key(NodeId),
    /// The node.
    Value(NodeId),
    /// A byte of a scalar.
    In(NodeId, usize),
    /// A byte of the key that leads to a node.
    InKey(NodeId, usize),
}

impl Place {
    /// The place some bytes into the text of this one.
    pub(crate) fn moved(self, by: usize) -> Self {
        match self {
            Self::In(id, offset) => Self::In(id, offset + by),
            Self::InKey(id, offset) => Self::InKey(id, offset + by),
            whole => whole,
        }
    }

    fn node(self) -> NodeId {
        let (Self::Key(id) | Self::Value(id) | Self::In(id, _) | Self::InKey(id, _)) = self;
        id
    }

    /// Builds the finding at this place.
    pub(crate) fn finding(
        self,
        tree: &Tree,
        code: Code,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Finding {
        let (id, byte) = match self {
            Self::Key(id) => (id, tree.key_byte(id)),
            Self::Value(id) => (id, tree.value_byte(id)),
            Self::In(id, offset) => (id, tree.byte_in(id, offset)),
            Self::InKey(id, offset) => (id, tree.byte_in_key(id, offset)),
        };
        Finding {
            path: tree.path(id),
            ..*tree.finding(byte, code, message.into(), hint)
        }
    }
}

/// Says what is wrong; nothing when it only follows from a part that was left out.
fn finding(tree: &Tree, left_out: &BTreeSet<NodeId>, place: Place, error: &Error) -> Option<Finding> {
    let (code, message, hint) = match error {
        Error::Other(_) if is_emptied(tree, left_out, place) => return None,
        Error::Other(message) => (Code::Shape, message.clone(), None),
        Error::NotYet(what) => (Code::NotYet, format!("`{what}` is not available yet"), None),
        Error::UnknownKey { key, known, later } => {
            let path = tree.path(place.node());
            let holder = path
                .strip_suffix(key.as_str())
                .unwrap_or_default()
                .trim_end_matches('.');
            let holder = match holder {
                "" => "at the top of the file".to_owned(),
                holder => format!("in {}", quote(holder)),
            };
            let hint = nearest(key, known.iter().chain(later).copied())
                .map_or_else(|| alternatives(known), |near| format!("did you mean `{near}`?"));
            (
                Code::UnknownKey,
                format!("unknown key {} {holder}", quote(key)),
                Some(hint),
            )
        }
        Error::MissingKey(key) => {
            let id = place.node();
            if tree.entry(id, key).is_some_and(|entry| left_out.contains(&entry)) {
                return None;
            }
            let holder = match tree.path(id) {
                path if path.is_empty() => format!("the {}", tree.what()),
                path => quote(&path),
            };
            (
                Code::MissingKey,
                format!("{holder} has no `{key}`"),
                Some(format!("add `{key}:`")),
            )
        }
    };
    Some(place.finding(tree, code, message, hint))
}

/// Whether a map has entries, all of which were left out.
fn is_emptied(tree: &Tree, left_out: &BTreeSet<NodeId>, place: Place) -> bool {
    match (place, tree.content(place.node())) {
        (Place::Value(_), Content::Map(entries)) => {
            !entries.is_empty() && entries.iter().all(|(_, entry)| left_out.contains(entry))
        }
        _ => false,
    }
}

/// The keys that would be right, for a hint.
fn alternatives(known: &[&'static str]) -> String {
    let known: Vec<String> = known
        .iter()
        .filter(|key| !key.starts_with('$'))
        .map(|key| format!("`{key}`"))
        .collect();
    match known.as_slice() {
        [] => "leave it out".to_owned(),
        [one] => format!("the key here is {one}"),
        several => format!("the keys here are {}", several.join(", ")),
    }
}

/// What serde says is wrong.
#[derive(Debug)]
enum Error {
    UnknownKey {
        key: String,
        known: &'static [&'static str],
        later: Vec<&'static str>,
    },
    MissingKey(&'static str),
    NotYet(String),
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, .. } => write!(f, "unknown key `{key}`"),
            Self::MissingKey(key) => write!(f, "missing key `{key}`"),
            Self::NotYet(what) => write!(f, "`{what}` is not available yet"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Str("") => "nothing".to_owned(),
            Unexpected::Str(text) => quote(text),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a map of keys".to_owned(),
            other => other.to_string(),
        };
        // The names that serde gives to the types of its own.
        let expected = match expected.to_string().as_str() {
            "a string" => "a text".to_owned(),
            "a sequence" => "a list".to_owned(),
            ours => ours.to_owned(),
        };
        Self::Other(format!("expected {expected}, found {found}"))
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownKey {
            key: key.to_owned(),
            known,
            later: Vec::new(),
        }
    }

    fn missing_field(key: &'static str) -> Self {
        Self::MissingKey(key)
    }
}
