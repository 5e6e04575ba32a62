//! The conversations a client knows, found by topic and by peer, and kept in the cache.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use herald_protocol::{
    address::Address,
    bundle::PrivateKeyBundle,
    ciphertext::{Ciphertext, Entropy},
    invitation::Invitation,
    time::TimestampNs,
    topic::Topic,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{
    Cache, Error,
    cache::{Account, EnvelopeId, Row},
    conversation::{Kind, State},
    random,
    seen::Seen,
};

/// V2 conversations with this peer and this id are one.
type Place = (Address, Option<String>);

#[derive(Default)]
struct Known {
    by_topic: HashMap<Topic, Arc<State>>,
    /// The envelopes of the own invite and intro topics that made them known.
    read: HashSet<EnvelopeId>,
    /// Envelopes that open no conversation. Anybody can write these, so only the last ones are remembered.
    junk: Seen,
    /// All of them: those of the cache oldest first, then others in the order in which they became known.
    in_order: Vec<Arc<State>>,
    /// How many of these were looked at for proofs of consent.
    proved: usize,
    /// The oldest V2 conversation of each place.
    by_place: HashMap<Place, Arc<State>>,
    /// Sealed, but their invitation is not acknowledged yet.
    pending: HashMap<Topic, (Arc<State>, Option<Invitation>)>,
}

impl Known {
    fn insert(&mut self, state: Arc<State>, id: EnvelopeId) {
        self.read.insert(id);
        self.pending.remove(state.topic());
        if self.by_topic.contains_key(state.topic()) {
            return;
        }
        self.by_topic.insert(state.topic().clone(), Arc::clone(&state));
        self.in_order.push(Arc::clone(&state));
        if matches!(state.kind, Kind::V2(_)) {
            let place = (state.peer, state.conversation_id().map(ToOwned::to_owned));
            let oldest = self.by_place.entry(place).or_insert_with(|| Arc::clone(&state));
            if state.created < oldest.created {
                *oldest = state;
            }
        }
    }
}

/// Conversations whose first message is on its way. Of one that is forgotten the invitation is opened once it is acknowledged.
const PENDING: usize = 50_000;
/// Rows of the cache in a page: some 300 KiB, and enough to keep all cores busy.
const CACHED_PAGE: u32 = 1_000;

/// The conversations a client knows.
pub(super) struct Conversations {
    pub(super) cache: Cache,
    pub(super) account: Account,
    /// Seals cache rows; derived from the identity key, so it need not be stored.
    cache_key: Zeroizing<Vec<u8>>,
    known: RwLock<Known>,
}

impl Conversations {
    pub(super) fn new(cache: Cache, account: Account, keys: &PrivateKeyBundle) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"herald conversation cache 2");
        hash.update(keys.identity_key().to_bytes().as_slice());
        Self {
            cache,
            account,
            cache_key: Zeroizing::new(hash.finalize().to_vec()),
            known: RwLock::default(),
        }
    }

    /// A page of the cache, still sealed; see [`Cache::conversations`].
    pub(super) fn cached(&self, after: &str) -> Result<Vec<Row>, Error> {
        Ok(self.cache.conversations(&self.account, after, CACHED_PAGE)?)
    }

    /// Opens a row of the cache.
    pub(super) fn open(&self, row: &Row) -> Result<(Arc<State>, EnvelopeId), herald_protocol::Error> {
        Ok((Arc::new(self.unseal(row)?), row.envelope))
    }

    /// Forgets everything, in the cache, too: the network has it all.
    pub(super) fn forget(&self) -> Result<(), Error> {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known::default();
        Ok(self.cache.forget(&self.account)?)
    }

    /// A row's plain text is the peer's 20 bytes, in V2 followed by the encoded invitation.
    fn unseal(&self, row: &Row) -> Result<State, herald_protocol::Error> {
        let plain = Ciphertext::decode(&row.sealed)?.open(&self.cache_key, row.topic.as_bytes())?;
        let plain = Zeroizing::new(plain);
        let (peer, invitation) = plain.split_at_checked(20).unwrap_or((&plain, &[]));
        let peer = Address::from_bytes(peer.try_into().unwrap_or_default());
        let own = self.account.wallet;
        if invitation.is_empty() {
            return Ok(State::v1(own, peer, row.created, None));
        }
        let invitation = Invitation::decode(invitation)?;
        Ok(State::invited(own, peer, &invitation, row.created))
    }

    /// The row of a conversation, which the envelope `id` made known.
    pub(super) fn seal(
        &self,
        state: &State,
        invitation: Option<&Invitation>,
        id: EnvelopeId,
    ) -> Result<Row, Error> {
        let mut plain = Zeroizing::new(state.peer.as_bytes().to_vec());
        if let Some(invitation) = invitation {
            plain.extend_from_slice(&Zeroizing::new(invitation.encode()));
        }
        let topic = state.topic().to_string();
        let entropy = Entropy::from_bytes(random()?);
        let sealed = Ciphertext::seal(&plain, &self.cache_key, topic.as_bytes(), entropy).encode();
        Ok(Row {
            topic,
            created: state.created,
            envelope: id,
            sealed,
        })
    }

    /// Takes up a conversation and the envelope that made it known. Of several for one topic the first counts.
    pub(super) fn insert(&self, state: Arc<State>, id: EnvelopeId) {
        self.insert_all(vec![(state, id)]);
    }

    /// [`Conversations::insert`] of many.
    pub(super) fn insert_all(&self, found: Vec<(Arc<State>, EnvelopeId)>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (state, id) in found {
            known.insert(state, id);
        }
    }

    /// Notes that an envelope needs no second look, though it made no conversation known.
    pub(super) fn note_junk(&self, id: EnvelopeId) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.junk.insert(id);
    }

    /// Puts the conversations in the order of their age. Only before streams count them.
    pub(super) fn sort(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.in_order.sort_by_key(|state| state.created);
    }

    /// How many conversations were looked at for proofs of consent.
    pub(super) fn proved(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).proved
    }

    pub(super) fn note_proved(&self, count: usize) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.proved = known.proved.max(count);
    }

    pub(super) fn has_read(&self, id: &EnvelopeId) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.read.contains(id) || known.junk.contains(id)
    }

    pub(super) fn of_topic(&self, topic: &Topic) -> Option<Arc<State>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.by_topic.get(topic).cloned()
    }

    /// The V2 conversation with a peer and of an id.
    pub(super) fn of_place(&self, peer: Address, conversation_id: Option<&str>) -> Option<Arc<State>> {
        let place = (peer, conversation_id.map(ToOwned::to_owned));
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.by_place.get(&place).cloned()
    }

    /// Notes a conversation whose first message is on its way.
    pub(super) fn expect(&self, state: Arc<State>, invitation: Option<Invitation>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.pending.len() >= PENDING {
            known.pending.clear();
        }
        known.pending.insert(state.topic().clone(), (state, invitation));
    }

    pub(super) fn expected(&self, topic: &Topic) -> Option<(Arc<State>, Option<Invitation>)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.pending.get(topic).cloned()
    }

    /// The conversations that became known after the first `count`, however they did.
    pub(super) fn after(&self, count: usize) -> Vec<Arc<State>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.in_order.get(count..).unwrap_or_default().to_vec()
    }

    /// All conversations, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<State>> {
        let mut all = self.after(0);
        all.sort_by_key(|state| state.created);
        all
    }

    /// How many are known.
    pub(super) fn count(&self) -> usize {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.in_order.len()
    }

    /// How far the own invite and intro topics were read.
    pub(super) fn lists_read(&self) -> Result<TimestampNs, Error> {
        Ok(self.cache.lists_read(&self.account)?)
    }
}
