//! Writing to a wallet: drafts, the sealed bytes, publishing them.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use herald_protocol::{
    address::Address,
    ciphertext::Entropy,
    content::Compression,
    envelope, limits,
    message::{MessageId, SealedMessage},
    message_v2,
    proto::api::{Envelope, PublishRequest},
    time::TimestampNs,
    topic::{self, Topic, TopicKind},
};
use prost::Message as _;

use super::{
    Api, Client, Conversation, Disposition, Error, api,
    api::Range,
    compute,
    conversation::{Kind, Opening, State, V1},
    random,
};
use crate::content::Content;

/// A message as it goes to a node: the same bytes on every try, now or later.
#[derive(Clone, Debug)]
pub struct Sealed {
    envelopes: Vec<Envelope>,
    conversation: Conversation,
    message: MessageId,
    sent: TimestampNs,
}

impl Sealed {
    /// Invitations or intros, if any, then the message.
    pub fn envelopes(&self) -> &[Envelope] {
        &self.envelopes
    }

    /// The encoded publish request.
    pub fn request(&self) -> Vec<u8> {
        PublishRequest {
            envelopes: self.envelopes.clone(),
        }
        .encode_to_vec()
    }

    /// The digest of the message's envelope, SHA-256(topic || message), as node cursors name it.
    pub fn envelope_id(&self) -> [u8; 32] {
        let last = self.envelopes.last();
        last.map(|last| envelope::digest(&last.content_topic, &last.message))
            .unwrap_or_default()
    }

    /// The message's id, by which replies and reactions name it.
    pub fn message_id(&self) -> MessageId {
        self.message
    }

    /// The time in the message's header.
    pub fn sent(&self) -> TimestampNs {
        self.sent
    }

    /// The conversation it is for.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// Whether it opens the conversation.
    pub fn is_new(&self) -> bool {
        self.envelopes.len() > 1
    }

    /// Publishes it until a node has it on disk: tries again while the node is away for a few seconds, and waits as long as
    /// the node asks for. Publishing once more changes nothing. A peer of whom nothing was decided is allowed to write from
    /// then on.
    ///
    /// Cancel-safe: a message whose call was dropped may or may not have gone out, and can be published again.
    pub async fn publish(&self) -> Result<(), Error> {
        self.conversation.publish(&self.envelopes).await
    }
}

/// Tries of a single message before the failure is the caller's: some three seconds.
const SEND_TRIES: u32 = 6;

/// A message before it is sealed.
///
/// ```no_run
/// # async fn example(conversation: herald::client::Conversation) -> Result<(), herald::client::Error> {
/// use herald::client::Compression;
/// // Sealed now: these bytes can be stored and published later, any number of times.
/// let sealed = conversation.draft("gm").compressed(Compression::Gzip).seal().await?;
/// sealed.publish().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Draft {
    conversation: Conversation,
    content: Content,
    compression: Option<Compression>,
    ephemeral: bool,
    sent: Option<TimestampNs>,
}

impl Draft {
    pub(super) fn new(conversation: Conversation, content: Content) -> Self {
        Self {
            conversation,
            content,
            compression: None,
            ephemeral: false,
            sent: None,
        }
    }

    /// Compresses the content where that helps and xmtp-js can still read it: from 10 to 1,000 bytes.
    pub fn compressed(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// For those who listen now; nodes do not store it.
    pub fn ephemeral(mut self) -> Self {
        self.ephemeral = true;
        self
    }

    /// Dates the message; the client's clock otherwise. V1 keeps milliseconds.
    pub fn sent_at(mut self, sent: TimestampNs) -> Self {
        self.sent = Some(sent);
        self
    }

    /// Seals it. Only a V1 conversation may need the network first, to look up the peer's keys.
    pub async fn seal(self) -> Result<Sealed, Error> {
        self.conversation.make_ready().await?;
        compute(move || self.seal_now()).await?
    }

    /// Seals and publishes it; see [`Sealed::publish`].
    pub async fn send(self) -> Result<Sealed, Error> {
        let sealed = self.seal().await?;
        sealed.publish().await?;
        Ok(sealed)
    }

    fn payload(&self) -> Vec<u8> {
        match self.compression {
            None => self.content.encode(),
            Some(compression) => self.content.to_encoded().compress(compression).encode(),
        }
    }

    /// Seals without the network. CPU work of some 30 µs, more for the first message to a peer.
    pub(super) fn seal_now(&self) -> Result<Sealed, Error> {
        let client = &self.conversation.client;
        let now = client.inner.clock.now();
        let sent = self.sent.unwrap_or(now);
        let mut state = Arc::clone(&self.conversation.state);
        if state.opening.is_some() {
            // It may have been opened meanwhile.
            let known = client.inner.conversations.of_topic(state.topic());
            state = known.unwrap_or(state);
        }
        let entropy = Entropy::from_bytes(random()?);
        let sealed = match &state.kind {
            Kind::V1(v1) => self.seal_v1(v1, sent, entropy)?,
            Kind::V2(v2) => {
                let outgoing = message_v2::Outgoing {
                    created: sent,
                    now,
                    should_push: self.content.should_push(),
                };
                v2.keys.seal(&client.keys(), &self.payload(), &outgoing, entropy)
            }
        };
        if sealed.bytes.len() > limits::MESSAGE_BYTES {
            return Err(Error::TooLarge {
                bytes: sealed.bytes.len(),
            });
        }
        let (message, sent, bytes) = (sealed.id, sealed.created, bytes::Bytes::from(sealed.bytes));
        let mut envelopes = client.opening(&state, &bytes, sent)?;
        let topic = if self.ephemeral {
            state.topic().ephemeral()
        } else {
            state.topic().clone()
        };
        envelopes.push(Envelope {
            content_topic: topic.into(),
            timestamp_ns: sent.as_ns(),
            message: bytes,
        });
        Ok(Sealed {
            envelopes,
            conversation: client.handle(state),
            message,
            sent,
        })
    }

    fn seal_v1(&self, v1: &V1, sent: TimestampNs, entropy: Entropy) -> Result<SealedMessage, Error> {
        let client = &self.conversation.client;
        let peer = self.conversation.peer();
        // The keys were looked up for this handle; the conversation may have been opened since, without them.
        let looked_up = match &self.conversation.state.kind {
            Kind::V1(own) => own.contact(),
            Kind::V2(_) => None,
        };
        let contact = looked_up.or_else(|| v1.contact());
        let contact = contact.ok_or(Error::NotReady { wallet: peer })?;
        let session = v1
            .outgoing(&client.keys(), &contact)
            .map_err(|_| Error::NotLegacy { wallet: peer })?;
        Ok(v1.keys.seal(&session, &self.payload(), sent, entropy)?)
    }
}

impl Conversation {
    /// Opens the conversation ahead of its first message, so that the peer's clients list it: publishes its invitation, and
    /// allows a peer of whom nothing was decided. Nothing is left to do for one that is open, or V1, which begins with its
    /// first message.
    ///
    /// Cancel-safe: a conversation whose call was dropped may or may not be open, and can be opened again.
    pub async fn open(&self) -> Result<(), Error> {
        if self.is_open() || self.state.v2().is_none() {
            return Ok(());
        }
        let opened = self.clone();
        let invitations = compute(move || {
            let now = opened.client.inner.clock.now();
            opened.client.opening(&opened.state, &bytes::Bytes::new(), now)
        });
        let invitations = invitations.await??;
        self.publish(&invitations).await
    }

    async fn publish(&self, envelopes: &[Envelope]) -> Result<(), Error> {
        let (client, peer) = (&self.client, self.peer());
        client.publish_until_taken(envelopes).await?;
        client.acknowledged(envelopes).await?;
        if let Err(error) = client.allow_unknown([peer]).await {
            // What was published is out; the next message allows the peer.
            tracing::warn!(%error, %peer, "the peer could not be allowed");
        }
        Ok(())
    }
}

impl Client {
    /// What goes before the first message: the invitation in V2, in V1 the message itself on both intro topics.
    fn opening(
        &self,
        state: &Arc<State>,
        message: &bytes::Bytes,
        sent: TimestampNs,
    ) -> Result<Vec<Envelope>, Error> {
        let Some(opening) = &state.opening else {
            return Ok(Vec::new());
        };
        let (bytes, topics, invitation) = match opening.as_ref() {
            Opening::Intros => (message.clone(), Topic::intro as fn(Address) -> Topic, None),
            Opening::Invitation(invitation, bundle) => {
                let entropy = Entropy::from_bytes(random()?);
                let sealed = invitation.seal(&self.keys(), bundle, sent, entropy);
                (
                    sealed.into(),
                    Topic::invite as fn(Address) -> Topic,
                    Some(invitation.clone()),
                )
            }
        };
        self.inner.conversations.expect(Arc::clone(state), invitation);
        let envelope = |wallet| Envelope {
            content_topic: topics(wallet).into(),
            timestamp_ns: sent.as_ns(),
            message: bytes.clone(),
        };
        Ok(vec![envelope(state.peer), envelope(self.inner.address)])
    }

    /// Seals a message for a conversation that [`Client::reach`] gave, at once. CPU work of some 30 µs, ten times that for a
    /// new V2 conversation: call it off the async threads when there are many.
    pub fn seal(&self, conversation: &Conversation, content: &Content) -> Result<Sealed, Error> {
        conversation.draft(content.clone()).seal_now()
    }

    /// Publishes envelopes in one request. When this returns they are durable on the node; publishing the same ones again
    /// changes nothing. A token that is not accepted is renewed once.
    pub async fn publish(&self, envelopes: Vec<Envelope>) -> Result<(), Error> {
        self.note_sent(&envelopes);
        publish(&self.inner.api, envelopes, |renew| self.authorization(renew)).await
    }

    /// [`Client::publish`], again while the node is away for a few seconds, and as late as the node asks for. A renewed token
    /// that is not accepted is final.
    pub(super) async fn publish_until_taken(&self, envelopes: &[Envelope]) -> Result<(), Error> {
        self.note_sent(envelopes);
        publish_until_taken(&self.inner.api, envelopes, |renew| self.authorization(renew)).await
    }

    /// Notes messages before they come back. Entries of lists and logs are read like those of others.
    fn note_sent(&self, envelopes: &[Envelope]) {
        use TopicKind::{Conversation, ConversationEphemeral, Dm, DmEphemeral};
        let mut sent = self.inner.sent.lock().unwrap_or_else(PoisonError::into_inner);
        for envelope in envelopes {
            let kind = topic::kind(&envelope.content_topic);
            if let Conversation | ConversationEphemeral | Dm | DmEphemeral = kind {
                sent.insert(envelope::digest(&envelope.content_topic, &envelope.message));
            }
        }
    }

    /// Sends one message to a wallet: finds or opens the conversation, seals, publishes.
    pub async fn send(&self, wallet: Address, content: impl Into<Content>) -> Result<Sealed, Error> {
        self.conversation_with(wallet).await?.send(content).await
    }

    /// Which of the envelopes the node has, in their order.
    pub async fn stored(&self, envelopes: &[Envelope]) -> Result<Vec<bool>, Error> {
        let ranges = envelopes.iter().map(|envelope| {
            let time = Some(TimestampNs::from_ns(envelope.timestamp_ns));
            Range {
                topics: vec![envelope.content_topic.clone()],
                start: time,
                end: time,
                page: 100,
                ..Range::default()
            }
        });
        let answers = self.inner.api.batch(&ranges.collect::<Vec<_>>()).await?;
        let has = |(envelope, answer): (&Envelope, Vec<Envelope>)| {
            answer.iter().any(|stored| stored.message == envelope.message)
        };
        Ok(envelopes.iter().zip(answers).map(has).collect())
    }
}

/// [`Client::publish`] before there is a client: `authorization` gives the header value, a new one when it is to renew it.
async fn publish(
    api: &Api,
    envelopes: Vec<Envelope>,
    authorization: impl Fn(bool) -> Result<String, Error>,
) -> Result<(), Error> {
    match api.publish(envelopes.clone(), &authorization(false)?).await {
        Err(api::Error::Unauthenticated { .. }) => Ok(api.publish(envelopes, &authorization(true)?).await?),
        outcome => Ok(outcome?),
    }
}

/// [`Client::publish_until_taken`] before there is a client.
pub(super) async fn publish_until_taken(
    api: &Api,
    envelopes: &[Envelope],
    authorization: impl Fn(bool) -> Result<String, Error>,
) -> Result<(), Error> {
    let (mut wait, mut tries) = (Duration::from_millis(100), 1);
    loop {
        let Err(error) = publish(api, envelopes.to_vec(), &authorization).await else {
            return Ok(());
        };
        if matches!(error, Error::Api(api::Error::Unauthenticated { .. })) {
            return Err(error);
        }
        match error.disposition() {
            // The next try waits.
            Disposition::Retry(Some(_)) => {}
            Disposition::Retry(None) if tries < SEND_TRIES => {
                tracing::debug!(%error, "publishing again");
                tokio::time::sleep(api::jittered(wait)).await;
                wait *= 2;
                tries += 1;
            }
            _ => return Err(error),
        }
    }
}
