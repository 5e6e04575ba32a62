//! Sealed keys where they are kept: found, stored, and joined with what other clients of the wallet store meanwhile.
//!
//! Any number of clients may store at once, and each waits for its wallet in between, for minutes perhaps. Nobody takes turns:
//! whoever stores looks for what the others stored since, before and after, and stores again what is then joined. Of two that
//! store at once, the later one sees the earlier.

use bytes::Bytes;
use herald_protocol::{
    bundle::PrivateKeyBundle,
    key_bundle::SealedKeyBundle,
    proto::api::Envelope,
    time::{Clock, TimestampNs},
    token,
    topic::Topic,
};

use super::{Error, Identity, KeyStorage, Signing};
use crate::client::{self, Api, api::Range, compute, outgoing, private_file, signer};

/// Keys as they were found.
pub(super) struct Stored {
    pub(super) keys: PrivateKeyBundle,
    /// Whether they are to be stored again: their form is old, or they belong into a file that is not there yet.
    pub(super) misplaced: bool,
    pub(super) seen: Seen,
}

/// What a client has seen of the sealed keys that are stored.
#[derive(Default)]
pub(super) struct Seen {
    /// Those that were opened or stored here.
    sealed: Vec<Bytes>,
    /// The time of the ones that were found on the network first; what is older was replaced by them.
    found: TimestampNs,
    /// The latest time of any on the network.
    latest: TimestampNs,
}

impl Seen {
    fn one(sealed: Bytes, time: TimestampNs) -> Self {
        Self {
            sealed: vec![sealed],
            found: time,
            latest: time,
        }
    }
}

impl Identity {
    pub(super) async fn find(&self, api: &Api) -> Result<Option<Stored>, client::Error> {
        if let KeyStorage::File(_) = &self.storage
            && let Some(sealed) = self.read_file().await?
        {
            let (keys, misplaced) = self.open(&sealed, self.place()).await?;
            let seen = Seen::one(sealed, TimestampNs::default());
            return Ok(Some(Stored {
                keys,
                misplaced,
                seen,
            }));
        }
        let envelopes = self.query(api, TimestampNs::default(), 1).await?;
        let Some(envelope) = envelopes.into_iter().next() else {
            return Ok(None);
        };
        let (keys, is_old) = self.open(&envelope.message, ON_NETWORK.to_owned()).await?;
        let time = TimestampNs::from_ns(envelope.timestamp_ns);
        Ok(Some(Stored {
            keys,
            misplaced: is_old || self.storage != KeyStorage::Network,
            seen: Seen::one(envelope.message, time),
        }))
    }

    /// Seals the keys to the wallet and keeps them, with those that other clients have stored since `seen`, and gives them all.
    /// The wallet signs once for each sealing and for each of the others' that has to be opened.
    pub(super) async fn store(
        &self,
        api: &Api,
        clock: &Clock,
        mut keys: PrivateKeyBundle,
        mut seen: Seen,
        mut signing: Signing,
    ) -> Result<PrivateKeyBundle, client::Error> {
        // Every further round adds a pre-key of another client, so this ends when they have no new ones.
        loop {
            let sealed = self.seal(&keys, signing).await?.encode();
            signing = Signing::Proven;
            if let Some(joined) = self.join_missed(api, &keys, &mut seen).await? {
                keys = joined;
                continue;
            }
            self.keep(api, clock, &keys, sealed.into(), &mut seen).await?;
            match self.join_missed(api, &keys, &mut seen).await? {
                Some(joined) => keys = joined,
                None => return Ok(keys),
            }
        }
    }

    /// The keys with those that others have stored since, if these have any more.
    async fn join_missed(
        &self,
        api: &Api,
        keys: &PrivateKeyBundle,
        seen: &mut Seen,
    ) -> Result<Option<PrivateKeyBundle>, client::Error> {
        let mut more = None;
        for sealed in self.missed(api, seen).await? {
            let (others, _) = self.open(&sealed, self.place()).await?;
            seen.sealed.push(sealed);
            let known = more.as_ref().unwrap_or(keys);
            if !known.has_all_of(&others) {
                more = Some(self.join(known, &others)?);
            }
        }
        Ok(more)
    }

    /// What lies where the keys are kept and was not seen yet.
    async fn missed(&self, api: &Api, seen: &mut Seen) -> Result<Vec<Bytes>, client::Error> {
        let mut stored = Vec::new();
        match &self.storage {
            KeyStorage::Network => {
                for envelope in self.query(api, seen.found, MISSED).await? {
                    seen.latest = seen.latest.max(TimestampNs::from_ns(envelope.timestamp_ns));
                    stored.push(envelope.message);
                }
            }
            KeyStorage::File(_) => stored.extend(self.read_file().await?),
        }
        stored.retain(|sealed| !seen.sealed.contains(sealed));
        Ok(stored)
    }

    pub(super) fn join(
        &self,
        keys: &PrivateKeyBundle,
        others: &PrivateKeyBundle,
    ) -> Result<PrivateKeyBundle, Error> {
        keys.joined(others).ok_or_else(|| Error::Replaced {
            wallet: self.address,
            place: self.place(),
        })
    }

    /// Puts sealed keys where they are kept, newer than all that were seen there.
    async fn keep(
        &self,
        api: &Api,
        clock: &Clock,
        keys: &PrivateKeyBundle,
        sealed: Bytes,
        seen: &mut Seen,
    ) -> Result<(), client::Error> {
        match &self.storage {
            KeyStorage::Network => {
                // The clock of whoever stored the last ones may be ahead of this one.
                seen.latest = clock
                    .now()
                    .max(TimestampNs::from_ns(seen.latest.as_ns().saturating_add(1)));
                let envelope = Envelope {
                    content_topic: Topic::private_store(self.address).to_string(),
                    timestamp_ns: seen.latest.as_ns(),
                    message: sealed.clone(),
                };
                let token = |_| Ok(token::bearer(keys, clock.now())?);
                outgoing::publish_until_taken(api, &[envelope], token).await?;
            }
            KeyStorage::File(path) => {
                let (path, sealed) = (path.clone(), sealed.clone());
                let written = compute(move || private_file::replace(&path, &sealed)).await?;
                written.map_err(Error::File)?;
            }
        }
        seen.sealed.push(sealed);
        Ok(())
    }

    /// The keys, and whether their form is old.
    pub(super) async fn open(&self, bytes: &[u8], place: String) -> Result<(PrivateKeyBundle, bool), Error> {
        let unreadable = |source| Error::Unreadable {
            wallet: self.address,
            place: place.clone(),
            source,
        };
        let sealed = SealedKeyBundle::decode(bytes).map_err(unreadable)?;
        let signature = signer::sign(self.signer()?, &sealed.text()).await?;
        let opened = sealed.open(&signature).map_err(unreadable)?;
        Ok((self.own(opened.bundle)?, opened.older_form))
    }

    /// What is stored on the network, newest first.
    async fn query(&self, api: &Api, since: TimestampNs, most: u32) -> Result<Vec<Envelope>, client::Error> {
        let range = Range {
            topics: vec![Topic::private_store(self.address).to_string()],
            start: Some(since),
            descending: true,
            page: most,
            ..Range::default()
        };
        Ok(api.query(&range, None).await?.envelopes)
    }

    async fn read_file(&self) -> Result<Option<Bytes>, client::Error> {
        let KeyStorage::File(path) = self.storage.clone() else {
            return Ok(None);
        };
        let read = compute(move || private_file::read(&path, LARGEST_FILE)).await?;
        let read = read.map_err(Error::File)?;
        Ok(read.map(|sealed| Bytes::copy_from_slice(&sealed)))
    }

    /// Where the keys are, as a message says it.
    fn place(&self) -> String {
        match &self.storage {
            KeyStorage::Network => ON_NETWORK.to_owned(),
            KeyStorage::File(path) => format!("in {}", path.display()),
        }
    }
}

const ON_NETWORK: &str = "on the network";
/// As much as a node takes in one envelope.
const LARGEST_FILE: u64 = 1 << 20;
/// Stored keys looked at beside the own. Ours: more than a wallet has clients that rotate at once.
const MISSED: u32 = 20;
