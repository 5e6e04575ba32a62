//! The ledgers of a process: each is moved by one at a time, whichever bots read it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use herald_protocol::address::Address;
use num_bigint::BigUint;
use tokio::sync::OwnedMutexGuard;

use crate::bot::{
    chain::Span,
    store::{LedgerKey, Store},
};

/// Who holds which tokens; clones share it.
#[derive(Clone, Debug)]
pub struct Ledgers(Arc<Place>);

#[derive(Debug)]
enum Place {
    /// What chains tell, in a store.
    Chains {
        store: Store,
        /// Who moves a ledger has its lock; inside is how many blocks it reads at once.
        busy: Mutex<BTreeMap<LedgerKey, Arc<tokio::sync::Mutex<Span>>>>,
    },
    /// What a test gives: by token, or for all tokens. No chain is asked.
    Given(BTreeMap<Option<Address>, Vec<GivenHolder>>),
}

/// A holder that a test gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenHolder {
    /// The wallet.
    pub wallet: Address,
    /// The id within the token that is held; none for whichever is asked for.
    pub item: Option<[u8; 32]>,
    /// How much of it.
    pub balance: BigUint,
}

/// Where the holders of a token are to be had.
pub(super) enum Source<'l> {
    /// From a chain, by a ledger in this store.
    Chain(&'l Store),
    /// They are given, or it is said why not.
    Given(Result<BTreeMap<Address, BigUint>, String>),
}

impl Ledgers {
    /// Ledgers that are kept in a store.
    pub fn of(store: Store) -> Self {
        let busy = Mutex::default();
        Self(Arc::new(Place::Chains { store, busy }))
    }

    /// The holders of a test.
    pub(crate) fn given_by(holders: BTreeMap<Option<Address>, Vec<GivenHolder>>) -> Self {
        Self(Arc::new(Place::Given(holders)))
    }

    /// Where the holders of a token, or of one item of it, are to be had.
    pub(super) fn source(&self, token: Address, item: Option<[u8; 32]>) -> Source<'_> {
        let given = match &*self.0 {
            Place::Chains { store, .. } => return Source::Chain(store),
            Place::Given(given) => given,
        };
        let found = given.get(&Some(token)).or_else(|| given.get(&None));
        let Some(found) = found else {
            let reason = format!(
                "the holders of {token} are not given; put `holders: [{{ wallet: alice, balance: 1 }}]` into `given`"
            );
            return Source::Given(Err(reason));
        };
        let is_meant = |holder: &&GivenHolder| item.is_none() || holder.item.is_none() || holder.item == item;
        let mut holders = BTreeMap::new();
        for holder in found.iter().filter(is_meant) {
            *holders.entry(holder.wallet).or_default() += &holder.balance;
        }
        Source::Given(Ok(holders))
    }

    /// Waits until nobody else has this ledger.
    pub(super) async fn lock(&self, key: LedgerKey) -> OwnedMutexGuard<Span> {
        let free = || Arc::new(tokio::sync::Mutex::new(Span::of_history()));
        let lock = match &*self.0 {
            Place::Chains { busy, .. } => {
                let mut busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
                busy.retain(|_, lock| Arc::strong_count(lock) > 1);
                Arc::clone(busy.entry(key).or_insert_with(free))
            }
            Place::Given(_) => free(),
        };
        lock.lock_owned().await
    }
}
