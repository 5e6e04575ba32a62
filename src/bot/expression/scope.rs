//! The names an expression may use: their types when it is checked, their values when it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use herald_protocol::address::Address;

use super::{Expression, Failure, Type, Value};
use crate::bot::chain::WalletName;

/// The types of the names in scope.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Names {
    types: BTreeMap<String, Type>,
    /// The names that a computed one stands on.
    origins: BTreeMap<String, BTreeSet<String>>,
    /// Computed names whose values others are asked for.
    asking: BTreeSet<String>,
    sources: Option<SourceTypes>,
    /// Whether nothing can be asked where the expression is computed.
    is_closed: bool,
    /// Whether the wallets of names that are written out are known although nothing can be asked.
    knows_wallets: bool,
    /// Whether names that are not declared may be anything.
    is_open: bool,
}

/// What a source gives, seen from a place where these names are in scope.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SourceType {
    /// The type of its value.
    pub(crate) ty: Type,
    /// The names that what is asked depends on.
    pub(crate) names: BTreeSet<String>,
}

type FindType = dyn Fn(&str, &Names) -> Option<Result<SourceType, String>> + Send + Sync;

/// The sources that an expression may use by name: what the one of a name gives, or why it cannot be asked here.
#[derive(Clone)]
pub(crate) struct SourceTypes {
    find: Arc<FindType>,
    /// The names of the chains that can be asked.
    chains: Arc<[String]>,
}

impl SourceTypes {
    pub(crate) fn new(
        chains: Arc<[String]>,
        find: impl Fn(&str, &Names) -> Option<Result<SourceType, String>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            find: Arc::new(find),
            chains,
        }
    }
}

impl fmt::Debug for SourceTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceTypes")
    }
}

impl PartialEq for SourceTypes {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.find, &other.find)
    }
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

    /// Names of which nothing is known: every one may be anything.
    pub(crate) fn open() -> Self {
        Self {
            is_open: true,
            ..Self::default()
        }
    }

    /// Lets sources be used by their names.
    pub(crate) fn set_sources(&mut self, sources: SourceTypes) {
        self.sources = Some(sources);
    }

    /// The same names for a place where nothing can be asked.
    pub(crate) fn closed(&self) -> Self {
        Self {
            is_closed: true,
            ..self.clone()
        }
    }

    /// The same names for a place where nothing can be asked, but what the occurrence asked for is known.
    pub(crate) fn planned(&self) -> Self {
        let mut names = self.closed();
        let origins = &self.origins;
        let is_of_recipient = |name: &String| origins.get(name).is_some_and(|names| names.contains("to"));
        names.asking.retain(is_of_recipient);
        names
    }

    /// The same names for a place where the wallets of names that are written out are known.
    pub(crate) fn naming(mut self) -> Self {
        self.knows_wallets = true;
        self
    }

    /// Whether the wallets of names that are written out are known although nothing can be asked.
    pub(super) fn knows_wallets(&self) -> bool {
        self.knows_wallets
    }

    /// Whether others can be asked.
    pub(super) fn can_ask(&self) -> bool {
        self.is_open || (self.sources.is_some() && !self.is_closed)
    }

    /// The names of the chains that can be asked, where they are known.
    pub(super) fn chains(&self) -> Option<&[String]> {
        self.sources.as_ref().map(|sources| sources.chains.as_ref())
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether a name stands for an expression that asks others.
    pub(super) fn is_asking(&self, name: &str) -> bool {
        self.asking.contains(name)
    }

    /// The source of a name.
    pub(super) fn source(&self, name: &str) -> Option<Result<SourceType, String>> {
        let SourceTypes { find, .. } = self.sources.as_ref()?;
        find(name, self)
    }

    /// Declares a name that stands for an expression: who uses it uses the names of the expression, too.
    pub fn insert_computed(&mut self, name: impl Into<String>, expression: &Expression) {
        let name = name.into();
        if expression.asks() {
            self.asking.insert(name.clone());
        }
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
            ..Self::default()
        }
    }
}

/// The values of the names in scope. A clone shares them until one side inserts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    values: Arc<BTreeMap<String, Value>>,
    outside: Option<Outside>,
}

/// What an expression asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question<'q> {
    /// The value of a source, by its name.
    Source(&'q str),
    /// When a block of a chain was made, or will be: a time.
    BlockTime(&'q str, u64),
    /// How a transaction of a chain stands: a record of [`tx_status_type`](super::tx_status_type).
    TxStatus(&'q str, [u8; 32]),
    /// The name that a wallet claims and owns: a text; `none` of one that has none.
    NameOf(Address),
    /// The wallet that a name stands for.
    WalletOf(&'q WalletName),
}

impl fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source(name) => name,
            Self::BlockTime(..) => super::BLOCK_TIME,
            Self::TxStatus(..) => "tx_status",
            Self::NameOf(_) => super::ENS,
            Self::WalletOf(name) => name.as_str(),
        })
    }
}

type Ask = dyn Fn(Question<'_>, &Scope) -> Option<Result<Value, Failure>> + Send + Sync;

/// Answers what no scope holds, out of what is known already. It waits for nobody: see [`Failure::Unasked`].
#[derive(Clone)]
pub(crate) struct Outside(Arc<Ask>);

impl Outside {
    pub(crate) fn new(
        ask: impl Fn(Question<'_>, &Scope) -> Option<Result<Value, Failure>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(ask))
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outside")
    }
}

impl PartialEq for Outside {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Scope {
    /// A scope without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets what is not in it be asked for.
    pub(crate) fn set_outside(&mut self, outside: Outside) {
        self.outside = Some(outside);
    }

    /// What is known of a question; none if nobody is there to ask.
    pub(crate) fn ask(&self, question: Question<'_>) -> Option<Result<Value, Failure>> {
        let Outside(ask) = self.outside.as_ref()?;
        ask(question, self)
    }

    /// Gives a name its value, in place of an earlier one.
    pub fn insert(&mut self, name: impl Into<String> + AsRef<str>, value: Value) {
        let values = Arc::make_mut(&mut self.values);
        // One scope often serves many in turn: what it has is named already.
        match values.get_mut(name.as_ref()) {
            Some(before) => *before = value,
            None => drop(values.insert(name.into(), value)),
        }
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
            outside: None,
        }
    }
}
