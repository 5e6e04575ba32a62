//! A new pre-key: stored before anybody is told of it.

use std::sync::{Arc, PoisonError};

use herald_protocol::{bundle::PrivateKeyBundle, time::TimestampNs};

use super::{Error, Identity, Signing, random_key};
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
    ///
    /// # Errors
    /// Whatever the wallet, the place of the keys or the node refuse; a client of exported keys has no signer; the stored keys
    /// are of another identity, which another client has made since.
    pub async fn rotate_pre_key(&self) -> Result<(), client::Error> {
        let identity = &self.inner.identity;
        let _one_at_a_time = identity.rotating.lock().await;
        let now = (self.inner.clock)();
        let rotated = identity.rotate(&self.inner.api, &self.keys(), now).await?;
        *self.inner.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rotated);
        self.publish_contact().await
    }
}

impl Identity {
    /// Stores the keys with a new pre-key, and gives them.
    async fn rotate(
        &self,
        api: &Api,
        current: &PrivateKeyBundle,
        now: TimestampNs,
    ) -> Result<PrivateKeyBundle, client::Error> {
        let (keys, signing) = match self.find(api).await? {
            Some(stored) => {
                let replaced = || Error::Replaced {
                    wallet: self.address,
                    place: self.place(),
                };
                (stored.keys.joined(current).ok_or_else(replaced)?, Signing::Proven)
            }
            None => (current.clone(), Signing::Unproven),
        };
        let rotated = keys.rotated(random_key()?, now)?;
        self.store(api, &rotated, now, signing).await?;
        Ok(rotated)
    }
}
