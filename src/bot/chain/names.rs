//! Names of wallets: of ENS, asked on `ethereum`, and handles of Lens, asked on `polygon`.
//!
//! ```text
//! alice.eth ── one spelling ──> resolver of the name or of the nearest above it ── address ───────────────> wallet
//!                                  └─ "look there" ──> gateway on the web ── answer, proved to the resolver ─┘
//! wallet ──── its reverse name ──> the name it claims ── resolved ──> the same wallet?  yes: the name   no: none
//! ```
//!
//! Enters: names and wallets, many at once. Leaves: wallets and names, or why there are none, both kept for five minutes. What contracts
//! and gateways say is bounded and never trusted: a name that somebody else owns is nobody's.

mod ens;
mod gateway;
mod lens;
mod name;

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use herald_protocol::address::Address;
use tokio::time::Instant;

use super::{
    abi::Function,
    nodes::{Chains, Error},
};
use crate::{bot::expression::Value, fetch::Fetch};

pub(super) use gateway::is_lookup;
pub use name::WalletName;

/// Where names of ENS are asked.
pub(crate) const ETHEREUM: &str = "ethereum";
/// Where handles of Lens are asked.
const POLYGON: &str = "polygon";
/// How long what is known of a name stands. Ours.
const FRESH: Duration = Duration::from_mins(5);
/// Names, and wallets, that are kept. Ours: some megabytes.
const KEPT: usize = 20_000;
/// Names that are asked together.
const TOGETHER: usize = 256;

/// Why a name gives no wallet, or a wallet no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Who could tell does not answer; another try may help.
    #[error("{0}")]
    Away(String),
    /// There is none.
    #[error("{0}")]
    Unknown(String),
}

/// What a name stands for.
type Found = Result<Address, NameError>;

/// What is known of names for a while, for all bots.
#[derive(Debug, Default)]
pub(super) struct KnownNames {
    wallets: Kept<WalletName, Found>,
    names: Kept<Address, Option<Arc<str>>>,
}

/// Answers that stand for five minutes.
#[derive(Debug)]
struct Kept<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, value) = kept.get(key)?;
        (since.elapsed() < FRESH).then(|| value.clone())
    }

    fn put(&self, key: K, value: V) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.retain(|_, (since, _)| since.elapsed() < FRESH);
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, (Instant::now(), value));
    }
}

impl Chains {
    /// Whether the names of wallets can be asked for at all.
    pub(crate) fn has_names(&self) -> bool {
        self.find(ETHEREUM).is_ok()
    }

    /// The wallets that names stand for, in the order of the names, asked beside one another.
    pub(crate) async fn wallets(&self, fetch: &Fetch, names: &[WalletName]) -> Vec<Found> {
        let (mut lacking_ens, mut handles) = (Vec::new(), Vec::new());
        let mut known: HashMap<WalletName, Found> = HashMap::new();
        for name in names {
            if known.contains_key(name) {
                continue;
            }
            let (found, lacking) = match self.names.wallets.get(name) {
                Some(found) => (found, None),
                None if name.handle().is_some() => (Err(not_asked()), Some(&mut handles)),
                None => (Err(not_asked()), Some(&mut lacking_ens)),
            };
            if let Some(lacking) = lacking {
                lacking.push(name.clone());
            }
            known.insert(name.clone(), found);
        }
        let asking = (self.of_ens(fetch, &lacking_ens), self.of_lens(&handles));
        let (owners, holders) = futures::future::join(asking.0, asking.1).await;
        let asked = lacking_ens.iter().zip(owners);
        let asked = asked.chain(handles.iter().zip(holders));
        for (name, found) in asked {
            if !matches!(found, Err(NameError::Away(_))) {
                self.names.wallets.put(name.clone(), found.clone());
            }
            known.insert(name.clone(), found);
        }
        let found = |name| known.get(name).cloned().unwrap_or_else(|| Err(not_asked()));
        names.iter().map(found).collect()
    }

    /// The names that wallets claim and own, in the order of the wallets; none of one that has none.
    pub(crate) async fn names_of(
        &self,
        fetch: &Fetch,
        wallets: &[Address],
    ) -> Vec<Result<Option<Arc<str>>, NameError>> {
        let mut known: HashMap<Address, Result<Option<Arc<str>>, NameError>> = HashMap::new();
        let mut lacking = Vec::new();
        for wallet in wallets {
            if known.contains_key(wallet) {
                continue;
            }
            let kept = self.names.names.get(wallet);
            if kept.is_none() {
                lacking.push(*wallet);
            }
            known.insert(*wallet, kept.map_or_else(|| Err(not_asked()), Ok));
        }
        for wallets in lacking.chunks(TOGETHER) {
            let found = match self.find(ETHEREUM) {
                Ok(chain) => ens::names(&chain, fetch, wallets)
                    .await
                    .map_err(|error| away(ETHEREUM, &error)),
                Err(reason) => Err(NameError::Away(reason)),
            };
            for (wallet, found) in wallets.iter().zip(each(found, wallets.len())) {
                if let Ok(name) = &found {
                    self.names.names.put(*wallet, name.clone());
                }
                known.insert(*wallet, found);
            }
        }
        let found = |wallet| known.get(wallet).cloned().unwrap_or_else(|| Err(not_asked()));
        wallets.iter().map(found).collect()
    }

    async fn of_ens(&self, fetch: &Fetch, names: &[WalletName]) -> Vec<Found> {
        let mut all = Vec::with_capacity(names.len());
        for names in names.chunks(TOGETHER) {
            let found = match self.find(ETHEREUM) {
                Ok(chain) => ens::wallets(&chain, fetch, names)
                    .await
                    .map_err(|error| away(ETHEREUM, &error)),
                Err(reason) => Err(NameError::Away(reason)),
            };
            all.extend(each(found, names.len()));
        }
        all
    }

    async fn of_lens(&self, names: &[WalletName]) -> Vec<Found> {
        let mut all = Vec::with_capacity(names.len());
        for names in names.chunks(TOGETHER) {
            let found = match self.find(POLYGON) {
                Ok(chain) => lens::wallets(&chain, names)
                    .await
                    .map_err(|error| away(POLYGON, &error)),
                Err(reason) => Err(NameError::Away(reason)),
            };
            all.extend(each(found, names.len()));
        }
        all
    }
}

/// Several answers; where there are none, for each question why.
fn each<A: Clone>(
    answers: Result<Vec<Result<A, NameError>>, NameError>,
    count: usize,
) -> Vec<Result<A, NameError>> {
    answers.unwrap_or_else(|error| vec![Err(error); count])
}

fn away(chain: &str, error: &Error) -> NameError {
    NameError::Away(format!("chain `{chain}`: {error}"))
}

fn not_asked() -> NameError {
    NameError::Away("it was not asked".to_owned())
}

/// Bytes, as they are given to a contract.
fn bytes(bytes: &[u8]) -> Value {
    Value::text(const_hex::encode_prefixed(bytes))
}

/// Bytes, as a contract gave them.
fn to_bytes(value: Option<&Value>) -> Option<Vec<u8>> {
    match value {
        Some(Value::Text(text)) => const_hex::decode(text.as_ref()).ok(),
        _ => None,
    }
}

/// The bytes of a call. The lines are ours, and so are the kinds of their values.
fn call(line: &str, values: &[Value]) -> Vec<u8> {
    let function = Function::parse(line).ok();
    let call = function.and_then(|function| function.encode(values).ok());
    call.unwrap_or_default()
}

/// The first value that a call gave; none where it gave something else.
fn first(line: &str, answer: &[u8]) -> Option<Value> {
    let function = Function::parse(line).ok()?;
    let Ok(Value::Record(record)) = function.decode(answer) else {
        return None;
    };
    record.get(&function.outputs.first()?.name).cloned()
}

#[cfg(test)]
mod tests;
