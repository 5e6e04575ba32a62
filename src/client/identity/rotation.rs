//! A new pre-key: stored before anybody is told of it.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use herald_protocol::{bundle::PrivateKeyBundle, time::Clock};

use super::{Identity, Signing, random_key, storage::Seen};
use crate::client::{self, Api, Client};

impl Client {
    /// Gives the wallet a new pre-key, which new conversations of others are sealed to. The keys are stored first and the
    /// contact is published second: whenever this ends in between, by an error, a crash, or because its future is dropped,
    /// the identity works, its published pre-key being one that is kept, and the next start publishes the new one.
    ///
    /// Older pre-keys are kept, all of them, so old messages stay readable. Other running clients of the wallet learn of the
    /// new pre-key at their next start; until then they cannot read conversations that are opened to it.
    ///
    /// The wallet signs two texts: one opens the stored keys, so that no other client's pre-key is lost, one seals the new.
    /// When another client stores keys while the wallet is asked, these are opened as well, and all are sealed anew.
    ///
    /// # Errors
    /// Whatever the wallet, the place of the keys or the node refuse; a client of exported keys has no signer; the stored keys
    /// are of another identity, which another client has made since.
    pub async fn rotate_pre_key(&self) -> Result<(), client::Error> {
        let identity = &self.inner.identity;
        let _one_at_a_time = identity.rotating.lock().await;
        let current = self.keys();
        let rotating = identity.rotate(&self.inner.api, &self.inner.clock, &current);
        let rotated = Box::pin(rotating).await?;
        *self.inner.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rotated);
        self.publish_contact().await
    }
}

impl Identity {
    /// Stores the keys with a new pre-key, and gives them.
    async fn rotate(
        &self,
        api: &Api,
        clock: &Clock,
        current: &PrivateKeyBundle,
    ) -> Result<PrivateKeyBundle, client::Error> {
        let (keys, seen, signing) = match self.find(api).await? {
            Some(stored) => (self.join(&stored.keys, current)?, stored.seen, Signing::Proven),
            None => (current.clone(), Seen::default(), Signing::Unproven),
        };
        // Newer than every other one, whatever the clock of the client that made those.
        let newest = keys.public().bundle().pre_key().created();
        let now = clock.now().max(newest.checked_add(MILLISECOND).unwrap_or(newest));
        let rotated = keys.rotated(random_key()?, now)?;
        let stored = self.store(api, clock, rotated, seen, signing).await?;
        self.kept.store(true, Ordering::Relaxed);
        Ok(stored)
    }
}

/// What two legacy keys differ in at least.
const MILLISECOND: Duration = Duration::from_millis(1);
