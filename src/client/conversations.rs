//! The conversations of a wallet: read from invitations, kept in the cache, found by peer and conversation id.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use herald_protocol::{
    address::Address,
    bundle::VerifiedBundle,
    ciphertext::{Ciphertext, Entropy},
    invitation::{self, Invitation},
    message_v2,
    proto::api::Envelope,
    time::TimestampNs,
    topic::Topic,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{
    Cache, Client, Error, PrivateKeyBundle,
    api::Range,
    cache::{Account, InvitationId, Row},
    compute,
    messages::PAGE,
    random,
};

/// A V2 conversation of two wallets.
pub struct Conversation {
    /// The other wallet.
    pub peer: Address,
    /// Which of the conversations with this peer, when it has an id.
    pub conversation_id: Option<String>,
    /// When the invitation was made.
    pub created: TimestampNs,
    keys: message_v2::Conversation,
    /// The peer's bundle once a message of it was verified, so that the next one costs one verification.
    peer_bundle: Mutex<Option<VerifiedBundle>>,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation")
            .field("topic", self.topic())
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Conversation {
    pub(super) fn new(own: Address, peer: Address, invitation: &Invitation, created: TimestampNs) -> Self {
        let id = invitation
            .context
            .as_ref()
            .map(|context| context.conversation_id.clone());
        Self {
            peer,
            conversation_id: id.filter(|id| !id.is_empty()),
            created,
            keys: message_v2::Conversation::new(
                invitation.topic.clone(),
                invitation.key_material.clone(),
                [own, peer],
            ),
            peer_bundle: Mutex::new(None),
        }
    }

    /// The topic its messages are on.
    pub fn topic(&self) -> &Topic {
        self.keys.topic()
    }

    pub(super) fn keys(&self) -> &message_v2::Conversation {
        &self.keys
    }

    pub(super) fn peer_bundle(&self) -> Option<VerifiedBundle> {
        self.peer_bundle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn keep_peer_bundle(&self, bundle: VerifiedBundle) {
        *self.peer_bundle.lock().unwrap_or_else(PoisonError::into_inner) = Some(bundle);
    }
}

/// Conversations with this peer and this id are one.
type Place = (Address, Option<String>);

#[derive(Default)]
struct Known {
    by_topic: HashMap<Topic, Arc<Conversation>>,
    /// Invitations that were opened.
    invitations: HashSet<InvitationId>,
    /// All of them in the order in which they became known.
    in_order: Vec<Arc<Conversation>>,
    /// The oldest conversation of each place.
    by_place: HashMap<Place, Arc<Conversation>>,
    /// Sealed, but their invitation is not acknowledged yet.
    pending: HashMap<Topic, (Arc<Conversation>, Invitation)>,
}

/// The conversations a client knows.
pub(super) struct Conversations {
    cache: Cache,
    account: Account,
    /// Seals cache rows; derived from the identity key, so it need not be stored.
    cache_key: Zeroizing<Vec<u8>>,
    known: RwLock<Known>,
}

impl Conversations {
    pub(super) fn new(cache: Cache, account: Account, keys: &PrivateKeyBundle) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"herald conversation cache 1");
        hash.update(keys.identity_key().to_bytes().as_slice());
        Self {
            cache,
            account,
            cache_key: Zeroizing::new(hash.finalize().to_vec()),
            known: RwLock::default(),
        }
    }

    /// How far the invite topic was read.
    fn invites_read(&self) -> Result<TimestampNs, Error> {
        Ok(self.cache.invites_read(&self.account)?)
    }

    /// Reads the cache. Rows that do not open are skipped: the network has them all.
    fn load(&self) -> Result<(), Error> {
        for row in self.cache.conversations(&self.account)? {
            match self.unseal(&row) {
                Ok(conversation) => self.insert(Arc::new(conversation), row.invitation),
                Err(error) => tracing::warn!(%error, topic = row.topic, "dropped a cached conversation"),
            }
        }
        Ok(())
    }

    fn unseal(&self, row: &Row) -> Result<Conversation, herald_protocol::Error> {
        let plain = Ciphertext::decode(&row.sealed)?.open(&self.cache_key, row.topic.as_bytes())?;
        let plain = Zeroizing::new(plain);
        let (peer, invitation) = plain.split_at_checked(20).unwrap_or((&plain, &[]));
        let peer = Address::from_bytes(peer.try_into().unwrap_or_default());
        Ok(Conversation::new(
            self.account.wallet,
            peer,
            &Invitation::decode(invitation)?,
            row.created,
        ))
    }

    fn seal(
        &self,
        conversation: &Conversation,
        invitation: &Invitation,
        id: InvitationId,
    ) -> Result<Row, Error> {
        let mut plain = Zeroizing::new(conversation.peer.as_bytes().to_vec());
        plain.extend_from_slice(&Zeroizing::new(invitation.encode()));
        let topic = conversation.topic().to_string();
        let entropy = Entropy::from_bytes(random()?);
        let sealed = Ciphertext::seal(&plain, &self.cache_key, topic.as_bytes(), entropy).encode();
        Ok(Row {
            topic,
            created: conversation.created,
            invitation: id,
            sealed,
        })
    }

    fn insert(&self, conversation: Arc<Conversation>, invitation: InvitationId) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.invitations.insert(invitation);
        known.pending.remove(conversation.topic());
        // Of several invitations for one topic the first counts.
        if known.by_topic.contains_key(conversation.topic()) {
            return;
        }
        known
            .by_topic
            .insert(conversation.topic().clone(), Arc::clone(&conversation));
        known.in_order.push(Arc::clone(&conversation));
        let place = (conversation.peer, conversation.conversation_id.clone());
        known.by_place.entry(place).or_insert(conversation);
    }

    fn has_opened(&self, invitation: &InvitationId) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.invitations.contains(invitation)
    }

    pub(super) fn of_topic(&self, topic: &str) -> Option<Arc<Conversation>> {
        let topic: Topic = topic.parse().ok()?;
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_topic
            .get(&topic)
            .cloned()
    }

    pub(super) fn of_place(&self, peer: Address, conversation_id: Option<&str>) -> Option<Arc<Conversation>> {
        let place = (peer, conversation_id.map(ToOwned::to_owned));
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_place
            .get(&place)
            .cloned()
    }

    /// Notes a conversation whose invitation is on its way.
    pub(super) fn expect(&self, conversation: Arc<Conversation>, invitation: Invitation) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known
            .pending
            .insert(conversation.topic().clone(), (conversation, invitation));
    }

    fn expected(&self, topic: &str) -> Option<(Arc<Conversation>, Invitation)> {
        let topic: Topic = topic.parse().ok()?;
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .pending
            .get(&topic)
            .cloned()
    }

    /// The conversations that became known after the first `count`, however they did.
    pub(super) fn after(&self, count: usize) -> Vec<Arc<Conversation>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.in_order.get(count..).unwrap_or_default().to_vec()
    }

    fn all(&self) -> Vec<Arc<Conversation>> {
        let mut all = self.after(0);
        all.sort_by_key(|conversation| conversation.created);
        all
    }
}

/// Invitations are read again from this long before the last read: clocks differ by up to an hour each way, which is what
/// nodes accept of tokens.
const OVERLAP: Duration = Duration::from_hours(2);

impl Client {
    /// The conversations of this wallet, oldest first, as far as they are known: at connect, and from streams since.
    pub fn conversations(&self) -> Vec<Arc<Conversation>> {
        self.inner.conversations.all()
    }

    /// The known conversation of a topic.
    pub fn conversation(&self, topic: &str) -> Option<Arc<Conversation>> {
        self.inner.conversations.of_topic(topic)
    }

    /// Reads the cache, then the invitations that came since.
    pub(super) async fn load_conversations(&self) -> Result<(), Error> {
        let client = self.clone();
        compute(move || client.inner.conversations.load()).await??;
        self.sync_conversations().await
    }

    /// Reads new invitations from the network.
    pub async fn sync_conversations(&self) -> Result<(), Error> {
        let read = self.inner.conversations.invites_read()?;
        let start = TimestampNs::from_ns(
            read.as_ns()
                .saturating_sub(u64::try_from(OVERLAP.as_nanos()).unwrap_or(0)),
        );
        let topics = vec![Topic::invite(self.inner.address).to_string()];
        let range = Range {
            topics,
            start: Some(start),
            page: PAGE,
            ..Range::default()
        };
        let mut cursor = None;
        loop {
            let page = self.inner.api.query(&range, cursor).await?;
            self.learn(page.envelopes).await?;
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Opens envelopes of the own invite topic and keeps what is new.
    pub(super) async fn learn(&self, envelopes: Vec<Envelope>) -> Result<(), Error> {
        if envelopes.is_empty() {
            return Ok(());
        }
        let client = self.clone();
        compute(move || {
            let conversations = &client.inner.conversations;
            let mut rows = Vec::new();
            let read = envelopes
                .iter()
                .map(|envelope| TimestampNs::from_ns(envelope.timestamp_ns))
                .max();
            for envelope in envelopes {
                let id = Sha256::digest(&envelope.message).into();
                if conversations.has_opened(&id) {
                    continue;
                }
                let Some((conversation, invitation)) = client.open_invitation(&envelope) else {
                    continue;
                };
                if conversations.of_topic(conversation.topic().as_str()).is_none() {
                    rows.push(conversations.seal(&conversation, &invitation, id)?);
                }
                conversations.insert(Arc::new(conversation), id);
            }
            let read = read.map(|read| read.min((client.inner.clock)()));
            Ok(conversations.cache.add(&conversations.account, &rows, read)?)
        })
        .await?
    }

    fn open_invitation(&self, envelope: &Envelope) -> Option<(Conversation, Invitation)> {
        let sent = TimestampNs::from_ns(envelope.timestamp_ns);
        match invitation::open(sent, &envelope.message, &self.inner.keys) {
            Ok(opened) => {
                metrics::counter!("herald_invitations_opened_total").increment(1);
                let invitation = opened.invitation().clone();
                Some((
                    Conversation::new(self.inner.address, opened.peer(), &invitation, sent),
                    invitation,
                ))
            }
            Err(error) => {
                metrics::counter!("herald_invitations_dropped_total", "reason" => error.label()).increment(1);
                tracing::warn!(%error, "dropped an invitation that does not open");
                None
            }
        }
    }

    /// Takes note that a node has these envelopes: a conversation they open is known from now on.
    pub async fn acknowledged(&self, envelopes: &[Envelope]) -> Result<(), Error> {
        let own = Topic::invite(self.inner.address);
        let Some(invite) = envelopes
            .iter()
            .find(|envelope| envelope.content_topic == own.as_str())
        else {
            return Ok(());
        };
        let topic = envelopes
            .last()
            .map(|envelope| envelope.content_topic.as_str())
            .unwrap_or_default();
        match self.inner.conversations.expected(topic) {
            Some((conversation, invitation)) => {
                let (client, id) = (self.clone(), Sha256::digest(&invite.message).into());
                compute(move || {
                    let conversations = &client.inner.conversations;
                    let row = conversations.seal(&conversation, &invitation, id)?;
                    conversations.cache.add(&conversations.account, &[row], None)?;
                    conversations.insert(conversation, id);
                    Ok(())
                })
                .await?
            }
            // Sealed before a restart.
            None => self.learn(vec![invite.clone()]).await,
        }
    }
}
