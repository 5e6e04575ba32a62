//! Settings beside the file: environment variables, and the flags of a command above them.

use std::{ffi::OsString, sync::Arc};

use super::{
    Error,
    problem::{Origin, Problem},
    tree::Node,
};

/// What overrides the file, the strongest last.
///
/// `HERALD_NODE_HTTP` sets `http`, `HERALD_NODE_AUTH__MAX_AGE` sets `max_age` of `auth`. A text stands as it is, without
/// quotes; where a key takes a list or a map, the variable is YAML: `[one, two]`.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<Override>);

#[derive(Clone, Debug)]
struct Override {
    origin: Origin,
    keys: Vec<String>,
    text: String,
}

impl Overrides {
    /// The variables of this process: the one place of the node that reads them.
    ///
    /// # Errors
    /// When a variable of ours is no text.
    #[expect(
        clippy::disallowed_methods,
        reason = "everything else is handed what is read here"
    )]
    pub fn of_process() -> Result<Self, Error> {
        Self::from_variables(std::env::vars_os())
    }

    /// The variables among these whose names begin with `HERALD_NODE_`.
    ///
    /// # Errors
    /// When one of those is no text.
    pub fn from_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, Error> {
        let mut overrides = Vec::new();
        for (name, value) in variables {
            let Some(keys) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
                continue;
            };
            let origin = Origin::Variable(Arc::from(name.to_string_lossy()));
            let keys = keys.split("__").map(str::to_ascii_lowercase).collect();
            let text = value.into_string().map_err(|_| {
                Problem::new("found bytes that are no text, wanted UTF-8").located(&origin.at(1, 1), "")
            })?;
            overrides.push(Override { origin, keys, text });
        }
        // A whole map comes before one of its keys, and the order of the environment decides nothing.
        overrides.sort_by(|one, other| one.keys.cmp(&other.keys));
        Ok(Self(overrides))
    }

    /// Adds a flag like `--http` that was given for a key; it is stronger than what is there.
    #[must_use]
    pub fn flag(mut self, flag: &'static str, key: &str, value: Option<String>) -> Self {
        self.0.extend(value.map(|text| Override {
            origin: Origin::Flag(flag),
            keys: key.split('.').map(str::to_owned).collect(),
            text,
        }));
        self
    }

    pub(super) fn apply(&self, tree: &mut Node) -> Result<(), Problem> {
        self.0
            .iter()
            .try_for_each(|set| tree.set(&set.keys, Node::raw(&set.text, &set.origin)))
    }
}

/// The variable that sets a key.
pub(super) fn variable_name(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

const PREFIX: &str = "HERALD_NODE_";
