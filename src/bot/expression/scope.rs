//! The names an expression may use: their types when it is checked, their values when it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Expression, Type, Value};

/// The types of the names in scope.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Names {
    types: BTreeMap<String, Type>,
    /// The names that a computed one stands on.
    origins: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    /// A scope without names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a name; a second declaration of one name replaces the first.
    pub fn insert(&mut self, name: impl Into<String>, ty: Type) {
        self.types.insert(name.into(), ty);
    }

    /// Declares a name that stands for an expression: who uses it uses the names of the expression, too.
    pub fn insert_computed(&mut self, name: impl Into<String>, expression: &Expression) {
        let name = name.into();
        self.origins.insert(name.clone(), expression.names().clone());
        self.insert(name, expression.ty().clone());
    }

    /// Takes a name away.
    pub fn remove(&mut self, name: &str) {
        self.types.remove(name);
        self.origins.remove(name);
    }

    /// The names that a name stands on; none unless it is computed.
    pub(super) fn origins(&self, name: &str) -> impl Iterator<Item = &str> {
        self.origins.get(name).into_iter().flatten().map(String::as_str)
    }

    /// The type of a name.
    pub fn get(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    /// Every name and its type, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Type)> {
        self.types.iter().map(|(name, ty)| (name.as_str(), ty))
    }
}

impl<N: Into<String>> FromIterator<(N, Type)> for Names {
    fn from_iter<I: IntoIterator<Item = (N, Type)>>(names: I) -> Self {
        Self {
            types: names.into_iter().map(|(name, ty)| (name.into(), ty)).collect(),
            origins: BTreeMap::new(),
        }
    }
}

/// The values of the names in scope. A clone shares them until one side inserts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    values: Arc<BTreeMap<String, Value>>,
}

impl Scope {
    /// A scope without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a name its value, in place of an earlier one.
    pub fn insert(&mut self, name: impl Into<String>, value: Value) {
        Arc::make_mut(&mut self.values).insert(name.into(), value);
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Every name and its value, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl<N: Into<String>> FromIterator<(N, Value)> for Scope {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(values: I) -> Self {
        Self {
            values: Arc::new(
                values
                    .into_iter()
                    .map(|(name, value)| (name.into(), value))
                    .collect(),
            ),
        }
    }
}
