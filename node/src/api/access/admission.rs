//! Who is let in to publish and to register: the operator's lists, as the store has them now.

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Publisher, Refusal, Wallet};
use crate::{
    access_list::{AccessList, Permission},
    config::{self, Admit},
    store::{self, Store},
};

/// The rules of the configuration and the lists they speak of.
#[derive(Debug)]
pub(super) struct Admission {
    rules: config::Access,
    lists: RwLock<Lists>,
}

#[derive(Debug)]
struct Lists {
    version: i64,
    list: Arc<AccessList>,
}

impl Admission {
    pub(super) async fn open(rules: config::Access, store: &Store) -> Result<Self, store::Error> {
        let (version, entries) = store.access(None).await?.unwrap_or_default();
        let lists = RwLock::new(Lists {
            version,
            list: Arc::new(AccessList::new(entries)),
        });
        Ok(Self { rules, lists })
    }

    /// Decided before anything else of a call is looked at.
    pub(super) fn check_address(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        match address.and_then(|address| self.list().address(address)) {
            Some(Permission::Deny) => Err(Refusal::AddressDenied),
            _ => Ok(()),
        }
    }

    /// What the wallet may, calling from there.
    pub(super) fn publisher(&self, wallet: Wallet, address: Option<IpAddr>) -> Result<Publisher, Refusal> {
        let list = self.list();
        let of_wallet = list.wallet(wallet.account);
        if of_wallet == Some(Permission::Deny) {
            return Err(Refusal::WalletDenied);
        }
        let is_allowed = of_wallet.or_else(|| list.address(address?)) == Some(Permission::Allow);
        if self.rules.publish == Admit::Allowed && !is_allowed {
            return Err(Refusal::NotAllowed);
        }
        Ok(Publisher {
            wallet,
            may_register: is_allowed || self.rules.register == Admit::Open,
        })
    }

    /// Takes up what others change in the store, until shutdown. What cannot be read is said once, and the lists stay.
    pub(super) async fn follow(&self, store: &Store, shutdown: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            match self.refresh(store).await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    let cause = std::error::Error::source(&error);
                    tracing::warn!(%error, cause, "the access lists cannot be read; the last ones stay");
                }
                Err(_) => {}
            }
        }
    }

    async fn refresh(&self, store: &Store) -> Result<(), store::Error> {
        let version = self.lists.read().unwrap_or_else(PoisonError::into_inner).version;
        let Some((version, entries)) = store.access(Some(version)).await? else {
            return Ok(());
        };
        tracing::info!(entries = entries.len(), "the access lists changed");
        let list = Arc::new(AccessList::new(entries));
        *self.lists.write().unwrap_or_else(PoisonError::into_inner) = Lists { version, list };
        Ok(())
    }

    /// The lists as they are now.
    pub(super) fn list(&self) -> Arc<AccessList> {
        Arc::clone(&self.lists.read().unwrap_or_else(PoisonError::into_inner).list)
    }
}

/// An operator who locks somebody out wants to see it happen; looking costs one row.
const LOOK: Duration = Duration::from_secs(1);
