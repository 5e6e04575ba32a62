//! Which conversations there are: read from the own invite and intro topics, opened on all cores, kept in the cache.

use std::{sync::Arc, time::Duration};

use herald_protocol::{
    address::Address,
    envelope, hmac_keys,
    invitation::{self, Invitation},
    message::MessageId,
    message_v1,
    proto::api::Envelope,
    time::TimestampNs,
    topic::Topic,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{
    Client, Conversation, DroppedKind, Error,
    api::{Page, Range},
    cache::{EnvelopeId, Row},
    compute, compute_each,
    conversation::{Kind, State},
    messages::PAGE,
    stream::is_list,
};

/// Lists are read again from this long before the newest entry read: clocks differ by up to an hour each way, which is what
/// nodes accept of tokens.
const OVERLAP: Duration = Duration::from_hours(2);

/// What an envelope of a list made known.
struct Found {
    id: EnvelopeId,
    state: Arc<State>,
    invitation: Option<Invitation>,
}

/// What envelopes of the lists made known, and how far they were read with them.
#[derive(Default)]
struct Opened {
    found: Vec<Found>,
    read: Option<TimestampNs>,
}

impl Client {
    /// The conversations of this wallet, oldest first, as far as they are known: at connect, and from streams and
    /// [`Client::sync_conversations`] since.
    pub fn conversations(&self) -> Vec<Conversation> {
        let all = self.inner.conversations.all();
        all.into_iter().map(|state| self.handle(state)).collect()
    }

    /// How many conversations are known.
    pub fn conversation_count(&self) -> usize {
        self.inner.conversations.count()
    }

    /// The known conversation of a topic.
    pub fn conversation(&self, topic: &str) -> Option<Conversation> {
        let topic = topic.parse().ok()?;
        let state = self.inner.conversations.of_topic(&topic)?;
        Some(self.handle(state))
    }

    /// The keys by which a push server recognises this wallet's own messages in any of its V2 conversations, as
    /// `xmtp.keystore_api.v1.GetConversationHmacKeysResponse`, which is what other SDKs export. They are secret.
    pub fn export_hmac_keys(&self) -> Zeroizing<Vec<u8>> {
        let all = self.inner.conversations.all();
        let keys = all.iter().filter_map(|state| Some(&state.v2()?.keys));
        hmac_keys::export(keys, self.inner.clock.now(), self.inner.address)
    }

    pub(super) fn handle(&self, state: Arc<State>) -> Conversation {
        Conversation {
            client: self.clone(),
            state,
        }
    }

    /// The topics on which other wallets open conversations with this one: V2 invitations, V1 intros.
    pub(super) fn list_topics(&self) -> [Topic; 2] {
        [
            Topic::invite(self.inner.address),
            Topic::intro(self.inner.address),
        ]
    }

    /// Where reading the lists again starts.
    pub(super) fn lists_start(&self) -> Result<TimestampNs, Error> {
        Ok(self.inner.conversations.lists_read()?.saturating_sub(OVERLAP))
    }

    /// Reads the cache, then what came since.
    pub(super) async fn load_conversations(&self) -> Result<(), Error> {
        self.load_cached().await?;
        let pre_key = Sha256::digest(self.keys().pre_key().public_key().as_bytes()).into();
        let conversations = &self.inner.conversations;
        conversations
            .cache
            .note_pre_key(&conversations.account, pre_key)?;
        self.read_lists(OVERLAP).await
    }

    /// One page is read while the last one is opened. When a row does not open, what is cached is not all there was: it is
    /// forgotten, and the network is read from the beginning.
    async fn load_cached(&self) -> Result<(), Error> {
        let mut page = self.cached_after(String::new()).await?;
        while let Some(last) = page.last().map(|row| row.topic.clone()) {
            let client = self.clone();
            let opened = compute_each(page, move |row| client.inner.conversations.open(&row));
            let (opened, next) = tokio::try_join!(opened, self.cached_after(last))?;
            let conversations = &self.inner.conversations;
            match opened.into_iter().collect::<Result<_, _>>() {
                Ok(opened) => conversations.insert_all(opened),
                Err(error) => {
                    tracing::warn!(%error, "the cached conversations are damaged and are read from the network again");
                    return conversations.forget();
                }
            }
            page = next;
        }
        self.inner.conversations.sort();
        Ok(())
    }

    async fn cached_after(&self, topic: String) -> Result<Vec<Row>, Error> {
        let client = self.clone();
        compute(move || client.inner.conversations.cached(&topic)).await?
    }

    /// Reads new invitations and intros from the network, and takes up the proofs of consent that came with them.
    pub async fn sync_conversations(&self) -> Result<(), Error> {
        self.read_lists(OVERLAP).await?;
        self.prove().await;
        Ok(())
    }

    /// Reads the lists from an overlap before the newest entry read. One page is kept and one
    /// fetched while another is opened.
    pub(super) async fn read_lists(&self, overlap: Duration) -> Result<(), Error> {
        let range = Range {
            topics: self.list_topics().map(String::from).to_vec(),
            start: Some(self.inner.conversations.lists_read()?.saturating_sub(overlap)),
            page: PAGE,
            ..Range::default()
        };
        let mut page = Some(self.inner.api.query(&range, None).await?);
        let mut opened = Opened::default();
        while let Some(Page { envelopes, next }) = page {
            let fetched = async {
                match next {
                    Some(cursor) => self.inner.api.query(&range, Some(cursor)).await.map(Some),
                    None => Ok(None),
                }
            };
            let (fetched, found, kept) =
                tokio::join!(fetched, self.open_entries(envelopes), self.keep(opened));
            kept?;
            (page, opened) = (fetched?, found?);
        }
        self.keep(opened).await
    }

    /// Takes up envelopes of the own invite and intro topics, which are read up to the newest of them.
    pub(super) async fn learn(&self, envelopes: Vec<Envelope>) -> Result<(), Error> {
        let opened = self.open_entries(envelopes).await?;
        self.keep(opened).await
    }

    /// Opens envelopes of the own lists.
    async fn open_entries(&self, envelopes: Vec<Envelope>) -> Result<Opened, Error> {
        let read = envelopes.iter().map(|envelope| envelope.timestamp_ns).max();
        let read = read.map(|read| TimestampNs::from_ns(read).min(self.inner.clock.now()));
        let client = self.clone();
        let found = compute_each(envelopes, move |envelope| client.read_list_entry(&envelope)).await?;
        let found = found.into_iter().flatten().collect();
        Ok(Opened { found, read })
    }

    /// Keeps what is new: first in the cache, so that what a crash takes from memory is read again.
    async fn keep(&self, opened: Opened) -> Result<(), Error> {
        if opened.found.is_empty() && opened.read.is_none() {
            return Ok(());
        }
        let client = self.clone();
        compute(move || {
            let conversations = &client.inner.conversations;
            let mut rows = Vec::new();
            for found in &opened.found {
                if conversations.of_topic(found.state.topic()).is_none() {
                    rows.push(conversations.seal(&found.state, found.invitation.as_ref(), found.id)?);
                }
            }
            conversations
                .cache
                .add(&conversations.account, &rows, opened.read)?;
            for found in opened.found {
                conversations.insert(found.state, found.id);
            }
            Ok(())
        })
        .await?
    }

    /// [`Client::learn`], then takes up the proofs of consent that came with it. When that fails the next start does it.
    pub(super) async fn learn_and_prove(&self, envelopes: Vec<Envelope>) -> Result<(), Error> {
        self.learn(envelopes).await?;
        self.prove().await;
        Ok(())
    }

    async fn prove(&self) {
        if let Err(error) = self.take_proofs().await {
            tracing::warn!(%error, "a proof of consent could not be taken up");
        }
    }

    /// The conversation that an envelope of a list opens; none when it was read before, or does not open.
    fn read_list_entry(&self, envelope: &Envelope) -> Option<Found> {
        let id = envelope::digest(&envelope.content_topic, &envelope.message);
        if self.inner.conversations.has_read(&id) {
            return None;
        }
        let [invite, intro] = self.list_topics();
        let opened = match envelope.content_topic.as_str() {
            topic if topic == invite.as_str() => self.open_invitation(envelope),
            topic if topic == intro.as_str() => self.open_intro(envelope),
            _ => return None,
        };
        match opened {
            Ok((state, invitation)) => {
                metrics::counter!("herald_invitations_opened_total").increment(1);
                let state = Arc::new(state);
                Some(Found {
                    id,
                    state,
                    invitation,
                })
            }
            Err(error) => {
                let message = Some(MessageId::of(&envelope.message));
                self.drop_bad(DroppedKind::Invitation, &envelope.content_topic, message, &error);
                self.inner.conversations.note_junk(id);
                None
            }
        }
    }

    fn open_invitation(
        &self,
        envelope: &Envelope,
    ) -> Result<(State, Option<Invitation>), herald_protocol::Error> {
        let sent = TimestampNs::from_ns(envelope.timestamp_ns);
        let opened = invitation::open(sent, &envelope.message, &self.keys())?;
        let invitation = opened.invitation().clone();
        let state = State::invited(self.inner.address, opened.peer(), &invitation, sent);
        Ok((state, Some(invitation)))
    }

    fn open_intro(&self, envelope: &Envelope) -> Result<(State, Option<Invitation>), herald_protocol::Error> {
        let introduction = message_v1::introduction(&self.keys(), &envelope.message, &[])?;
        let state = State::v1(
            self.inner.address,
            introduction.peer(),
            TimestampNs::from_ns(envelope.timestamp_ns),
            None,
        );
        if let (Kind::V1(v1), Some(session)) = (&state.kind, introduction.new_session()) {
            v1.keep_session(session.clone());
        }
        Ok((state, None))
    }

    /// Takes note that a node has these envelopes: a conversation they open is known from now on.
    pub async fn acknowledged(&self, envelopes: &[Envelope]) -> Result<(), Error> {
        let is_list = |envelope: &&Envelope| {
            let name = envelope.content_topic.as_str();
            is_list(name) && self.list_topics().iter().any(|topic| topic.as_str() == name)
        };
        let Some(entry) = envelopes.iter().find(is_list) else {
            return Ok(());
        };
        let topic = envelopes
            .last()
            .and_then(|envelope| envelope.content_topic.parse().ok());
        let expected = topic.and_then(|topic: Topic| self.inner.conversations.expected(&topic));
        let Some((state, invitation)) = expected else {
            // Sealed before a restart, or known already. It says nothing of how far the lists were read.
            let mut opened = self.open_entries(vec![entry.clone()]).await?;
            opened.read = None;
            return self.keep(opened).await;
        };
        let own = self.inner.address;
        let created = TimestampNs::from_ns(entry.timestamp_ns);
        let state = match &invitation {
            Some(invitation) => State::invited(own, state.peer, invitation, created),
            None => State::v1(own, state.peer, created, None),
        };
        let id = envelope::digest(&entry.content_topic, &entry.message);
        let client = self.clone();
        compute(move || {
            let conversations = &client.inner.conversations;
            let row = conversations.seal(&state, invitation.as_ref(), id)?;
            conversations.cache.add(&conversations.account, &[row], None)?;
            conversations.insert(Arc::new(state), id);
            Ok(())
        })
        .await?
    }

    /// The V1 conversation with a peer.
    pub(super) fn known_v1(&self, peer: Address) -> Option<Arc<State>> {
        let topic = Topic::dm(self.inner.address, peer);
        self.inner.conversations.of_topic(&topic)
    }
}
