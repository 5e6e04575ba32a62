//! Who may write to this wallet, by the wallet's own word: the log of private preferences, which every client of the wallet
//! reads and writes. Only the wallet's clients can read it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use herald_protocol::{
    address::Address,
    bundle::PrivateKeyBundle,
    ciphertext::Entropy,
    consent::{ConsentList, ConsentProof, ConsentState, Permission, Preferences, PreferencesAction, Subject},
    limits,
    message::MessageId,
    proto::api::Envelope,
    time::TimestampNs,
};

use super::{
    Client, DroppedKind, Error, api::Range, compute_each, conversation::State, random, stream::Feed,
};

/// The log is read again from this long before the newest entry read: clocks of a wallet's devices differ.
const OVERLAP: Duration = Duration::from_hours(2);
/// The same for looks between writes, so that a broadcast to strangers does not read its own entries again and again.
const RECENT: Duration = Duration::from_secs(1);
/// Wallets in one action: some 45 KiB.
const WALLETS: usize = 1_000;

/// An envelope of the log, and what it says.
pub(super) struct Entry {
    envelope: Envelope,
    actions: Vec<PreferencesAction>,
}

impl Entry {
    fn at(&self) -> TimestampNs {
        TimestampNs::from_ns(self.envelope.timestamp_ns)
    }
}

/// A decision that became known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentChange {
    /// What kind of name it is about.
    pub subject: Subject,
    /// The name; of a wallet its EIP-55 address.
    pub name: String,
    /// What is known of it now.
    pub state: ConsentState,
}

/// What a client knows of its wallet's preferences.
pub(super) struct Consent {
    preferences: Preferences,
    list: RwLock<ConsentList>,
    /// The time of the last own entry: no two may have the same.
    written: Mutex<TimestampNs>,
}

impl Consent {
    pub(super) fn new(keys: &PrivateKeyBundle) -> Self {
        Self {
            preferences: Preferences::of(keys.identity_key()),
            list: RwLock::default(),
            written: Mutex::default(),
        }
    }

    pub(super) fn topic(&self) -> String {
        self.preferences.topic().to_string()
    }

    fn apply(&self, at: TimestampNs, actions: &[PreferencesAction]) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        for action in actions {
            list.apply(at, action);
        }
    }

    /// A time for an entry, later than that of the last one.
    fn next_time(&self, now: TimestampNs) -> TimestampNs {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        *written = now.max(TimestampNs::from_ns(written.as_ns().saturating_add(1)));
        *written
    }
}

impl Client {
    /// What this wallet has decided about another, as far as it is known: at connect, and from streams and
    /// [`Client::sync_consent`] since.
    pub fn consent_of(&self, wallet: Address) -> ConsentState {
        self.consent_to(Subject::Address, &wallet.to_string())
    }

    /// What this wallet has decided about a group or inbox id.
    pub fn consent_to(&self, subject: Subject, name: &str) -> ConsentState {
        let list = self.inner.consent.list.read();
        list.unwrap_or_else(PoisonError::into_inner).state(subject, name)
    }

    /// Everything this wallet has decided, as far as it is known.
    pub fn consent_list(&self) -> ConsentList {
        let list = self.inner.consent.list.read();
        list.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Allows wallets to write to this one, for all clients of this wallet.
    pub async fn allow(&self, wallets: &[Address]) -> Result<(), Error> {
        self.decide_on(Permission::Allow, wallets).await
    }

    /// Denies wallets to write to this one, for all clients of this wallet. Their messages still arrive; it is for
    /// applications not to show them.
    pub async fn deny(&self, wallets: &[Address]) -> Result<(), Error> {
        self.decide_on(Permission::Deny, wallets).await
    }

    async fn decide_on(&self, permission: Permission, wallets: &[Address]) -> Result<(), Error> {
        for part in wallets.chunks(WALLETS) {
            let action = PreferencesAction::addresses(permission, part.iter().copied());
            self.decide(&action).await?;
        }
        Ok(())
    }

    /// Writes one decision to the log. An action without names is not written.
    pub async fn decide(&self, action: &PreferencesAction) -> Result<(), Error> {
        if action.names.is_empty() {
            return Ok(());
        }
        let consent = &self.inner.consent;
        let at = consent.next_time(self.inner.clock.now());
        let payload = consent.preferences.seal(action, Entropy::from_bytes(random()?));
        let envelope = Envelope {
            content_topic: consent.topic(),
            timestamp_ns: at.as_ns(),
            message: payload.into(),
        };
        self.publish_until_taken(std::slice::from_ref(&envelope)).await?;
        consent.apply(at, std::slice::from_ref(action));
        let cache = &self.inner.conversations;
        Ok(cache.cache.add_preferences(&cache.account, &[envelope], None)?)
    }

    /// Allows those of the wallets of which nothing was decided, as writing to somebody means. The log is looked at first, so
    /// that a denial made elsewhere a moment ago stays.
    pub async fn allow_unknown(&self, wallets: impl IntoIterator<Item = Address>) -> Result<(), Error> {
        let unknown = |wallet: &Address| self.consent_of(*wallet) == ConsentState::Unknown;
        let mut wallets: Vec<Address> = wallets.into_iter().filter(unknown).collect();
        wallets.sort_unstable();
        wallets.dedup();
        if wallets.is_empty() {
            return Ok(());
        }
        self.read_preferences(RECENT).await?;
        wallets.retain(unknown);
        self.allow(&wallets).await
    }

    /// Where reading the log again starts.
    pub(super) fn preferences_start(&self) -> Result<TimestampNs, Error> {
        Ok(self.preferences_read()?.saturating_sub(OVERLAP))
    }

    fn preferences_read(&self) -> Result<TimestampNs, Error> {
        let cache = &self.inner.conversations;
        Ok(cache.cache.preferences_read(&cache.account)?)
    }

    /// Reads the log from the cache, then what came since, and takes up the proofs of consent that invitations brought.
    pub(super) async fn load_consent(&self) -> Result<(), Error> {
        let cache = &self.inner.conversations;
        let entries = cache.cache.preferences(&cache.account)?;
        self.apply_entries(entries).await?;
        self.sync_consent().await?;
        self.take_proofs().await
    }

    /// Reads new entries of the log from the network.
    pub async fn sync_consent(&self) -> Result<(), Error> {
        self.read_preferences(OVERLAP).await
    }

    async fn read_preferences(&self, overlap: Duration) -> Result<(), Error> {
        let range = Range {
            topics: vec![self.inner.consent.topic()],
            start: Some(self.preferences_read()?.saturating_sub(overlap)),
            page: PAGE,
            ..Range::default()
        };
        let mut cursor = None;
        loop {
            let page = self.inner.api.query(&range, cursor).await?;
            self.learn_preferences(page.envelopes).await?;
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes up envelopes of the own log, and keeps them. Gives what they say, with their times.
    pub(super) async fn learn_preferences(&self, envelopes: Vec<Envelope>) -> Result<Vec<Entry>, Error> {
        let Some(read) = envelopes.iter().map(|envelope| envelope.timestamp_ns).max() else {
            return Ok(Vec::new());
        };
        let entries = self.apply_entries(envelopes).await?;
        let read = TimestampNs::from_ns(read).min(self.inner.clock.now());
        let cache = &self.inner.conversations;
        // Anybody can write to the topic who has seen it: only what opens is kept.
        let opened: Vec<Envelope> = entries.iter().map(|entry| entry.envelope.clone()).collect();
        cache.cache.add_preferences(&cache.account, &opened, Some(read))?;
        Ok(entries)
    }

    async fn apply_entries(&self, envelopes: Vec<Envelope>) -> Result<Vec<Entry>, Error> {
        let client = self.clone();
        let opened = compute_each(envelopes, move |envelope| {
            let actions = client.inner.consent.preferences.open(&envelope.message);
            (envelope, actions)
        });
        let mut entries = Vec::new();
        for (envelope, opened) in opened.await? {
            match opened {
                Ok(actions) => {
                    let entry = Entry { envelope, actions };
                    self.inner.consent.apply(entry.at(), &entry.actions);
                    entries.push(entry);
                }
                Err(error) => {
                    let (topic, id) = (self.inner.consent.topic(), MessageId::of(&envelope.message));
                    self.drop_bad(DroppedKind::Preference, &topic, Some(id), &error);
                }
            }
        }
        Ok(entries)
    }

    /// Allows the peers of whom nothing was decided and whose invitations brought a valid proof of this wallet's consent. Each
    /// conversation is looked at once.
    pub(super) async fn take_proofs(&self) -> Result<(), Error> {
        let conversations = &self.inner.conversations;
        let looked_at = conversations.proved();
        let new = conversations.after(looked_at);
        let count = looked_at + new.len();
        let with_proof = new.into_iter().filter(|state| {
            state.v2().is_some_and(|v2| v2.consent_proof.is_some())
                && self.consent_of(state.peer) == ConsentState::Unknown
        });
        let client = self.clone();
        let proven = compute_each(with_proof.collect(), move |state: Arc<State>| {
            client.proves_consent(&state).then_some(state.peer)
        });
        self.allow_unknown(proven.await?.into_iter().flatten()).await?;
        conversations.note_proved(count);
        Ok(())
    }

    fn proves_consent(&self, state: &State) -> bool {
        let Some(proof) = state.v2().and_then(|v2| v2.consent_proof.as_deref()) else {
            return false;
        };
        match proof.verify(state.peer, self.inner.address, self.inner.clock.now()) {
            Ok(()) => true,
            Err(error) => {
                self.drop_bad(DroppedKind::ConsentProof, state.topic().as_str(), None, &error);
                false
            }
        }
    }

    /// A proof that this wallet wants messages of `sender`, to be handed to it; it goes with the sender's invitation and is
    /// good for 30 days. The wallet has to sign.
    pub async fn prove_consent(&self, sender: Address) -> Result<ConsentProof, Error> {
        let at = self.inner.clock.now();
        let text = herald_protocol::consent::consent_proof_text(sender, at);
        let signature = self.inner.identity.sign(&text).await?;
        Ok(ConsentProof::new(&signature, at))
    }

    /// Streams the wallet's decisions from now on, its own and those of other clients of the wallet.
    pub fn stream_consent(&self) -> ConsentStream {
        ConsentStream {
            feed: Feed::of_preferences(self.clone()),
            list: self.consent_list(),
            arrived: Vec::new(),
            ready: VecDeque::new(),
        }
    }
}

/// What nodes give at once of a consent log.
const PAGE: u32 = {
    assert!(limits::PREFERENCES_PAGE_ENVELOPES == 500, "a page of the node");
    500
};

/// Decisions as they become known; see [`Client::stream_consent`].
pub struct ConsentStream {
    feed: Feed,
    /// What was told so far.
    list: ConsentList,
    /// Envelopes that are not taken up yet.
    arrived: Vec<Envelope>,
    ready: VecDeque<ConsentChange>,
}

impl std::fmt::Debug for ConsentStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsentStream")
            .field("client", &self.feed.client)
            .finish_non_exhaustive()
    }
}

impl ConsentStream {
    /// Waits until the node has confirmed that it tells what is published from now on; see
    /// [`MessageStream::connect`](super::MessageStream::connect).
    ///
    /// Cancel-safe: a dropped call loses nothing.
    pub async fn connect(&mut self) -> Result<(), Error> {
        self.feed.connected().await
    }

    /// The next decision that changes something; waits for it. Fails only when the node refuses for good, or the cache does.
    ///
    /// Cancel-safe: a dropped call loses nothing.
    pub async fn next(&mut self) -> Result<ConsentChange, Error> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            if self.arrived.is_empty() {
                self.arrived = self.feed.next().await?;
            }
            let client = self.feed.client.clone();
            let entries = client.learn_preferences(self.arrived.clone()).await?;
            self.arrived.clear();
            for entry in &entries {
                for action in &entry.actions {
                    self.tell(entry.at(), action);
                }
            }
        }
    }

    fn tell(&mut self, at: TimestampNs, action: &PreferencesAction) {
        let subject = action.subject;
        for name in &action.names {
            let before = self.list.state(subject, name);
            let one = PreferencesAction {
                names: vec![name.clone()],
                ..*action
            };
            self.list.apply(at, &one);
            let state = self.list.state(subject, name);
            if state != before {
                let name = name.clone();
                self.ready.push_back(ConsentChange { subject, name, state });
            }
        }
    }
}
