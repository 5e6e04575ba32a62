//! Messages as their readers see them, and the history of conversations.

use std::sync::Arc;

use herald_protocol::{
    address::Address,
    bundle::PrivateKeyBundle,
    limits,
    message::MessageId,
    proto::api::{Cursor, Envelope},
    time::TimestampNs,
};

use super::{
    Client, Conversation, DroppedKind, Error,
    api::Range,
    compute_each,
    conversation::{Kind, State},
};
use crate::content::Content;

/// A decrypted message whose sender is verified to be one of the two members.
#[derive(Clone, Debug)]
pub struct Message {
    /// SHA-256 of the message's bytes; the id that other clients show, too, and that replies and reactions name.
    pub id: MessageId,
    /// The conversation it is in.
    pub conversation: Conversation,
    /// Who wrote it.
    pub sender: Address,
    /// When, by the sender's clock.
    pub sent: TimestampNs,
    /// What it says.
    pub content: Content,
}

impl Message {
    /// Whether this client's wallet wrote it.
    pub fn is_own(&self) -> bool {
        self.sender == self.conversation.client.address()
    }
}

/// Which messages a reader is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    /// Not the wallet's own. Those that say so are not verified, which is most of the cost of opening one.
    OfOthers,
}

/// What a node is asked for at once.
pub(super) const PAGE: u32 = {
    assert!(limits::PAGE_ENVELOPES == 100, "a page of the node");
    100
};

/// The stored messages of a conversation, read a page at a time in either direction; see [`Conversation::history`].
#[derive(Clone, Debug)]
#[must_use]
pub struct History {
    conversation: Conversation,
    range: Range,
    cursor: Option<Cursor>,
    ended: bool,
}

impl History {
    pub(super) fn new(conversation: Conversation) -> Self {
        let range = Range {
            topics: vec![conversation.topic().to_string()],
            page: PAGE,
            ..Range::default()
        };
        Self {
            conversation,
            range,
            cursor: None,
            ended: false,
        }
    }

    /// From the newest message back; otherwise the oldest comes first.
    pub fn newest_first(mut self) -> Self {
        self.range.descending = true;
        self
    }

    /// Only messages of this time and later.
    pub fn since(mut self, oldest: TimestampNs) -> Self {
        self.range.start = Some(oldest);
        self
    }

    /// Only messages of this time and earlier.
    pub fn until(mut self, newest: TimestampNs) -> Self {
        self.range.end = Some(newest);
        self
    }

    /// Messages in a page: 1 to 100, which is what nodes give and the default.
    pub fn page_size(mut self, messages: u32) -> Self {
        self.range.page = messages.clamp(1, PAGE);
        self
    }

    /// The next page; none after the last. What does not decrypt or verify is left out and counted, so a page may be shorter
    /// than asked for, but it is never empty.
    ///
    /// Cancel-safe: a dropped call reads the same page again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Message>>, Error> {
        while !self.ended {
            let client = &self.conversation.client;
            let page = client.inner.api.query(&self.range, self.cursor.clone()).await?;
            let envelopes = page.envelopes.into_iter();
            let items = envelopes.map(|envelope| (Arc::clone(&self.conversation.state), envelope));
            let opened = client.open_all(items.collect(), Wanted::All).await?;
            self.ended = page.next.is_none();
            self.cursor = page.next;
            let messages: Vec<Message> = opened.into_iter().flatten().collect();
            if !messages.is_empty() {
                return Ok(Some(messages));
            }
        }
        Ok(None)
    }
}

impl Client {
    /// The first page of each history, in their order, asked in the batches that nodes take: what a list of conversations
    /// shows. Any number of histories; each starts from its beginning.
    pub async fn first_pages(&self, histories: &[History]) -> Result<Vec<Vec<Message>>, Error> {
        let ranges: Vec<Range> = histories.iter().map(|history| history.range.clone()).collect();
        let answers = self.inner.api.batch(&ranges).await?;
        let (mut items, mut owners) = (Vec::new(), Vec::new());
        for (at, (history, envelopes)) in histories.iter().zip(answers).enumerate() {
            owners.extend(std::iter::repeat_n(at, envelopes.len()));
            let state = &history.conversation.state;
            items.extend(
                envelopes
                    .into_iter()
                    .map(|envelope| (Arc::clone(state), envelope)),
            );
        }
        let mut pages: Vec<Vec<Message>> = histories.iter().map(|_| Vec::new()).collect();
        for (at, opened) in owners.into_iter().zip(self.open_all(items, Wanted::All).await?) {
            if let Some(page) = pages.get_mut(at) {
                page.extend(opened);
            }
        }
        Ok(pages)
    }

    /// Opens envelopes of conversations on all cores, in their order. One that does not decrypt or verify is dropped, counted
    /// and said.
    pub(super) async fn open_all(
        &self,
        items: Vec<(Arc<State>, Envelope)>,
        wanted: Wanted,
    ) -> Result<Vec<Option<Message>>, Error> {
        let (client, own) = (self.clone(), self.keys());
        compute_each(items, move |(state, envelope)| {
            match open(&client, &own, (&state, &envelope), wanted) {
                Ok(message) => {
                    if message.is_some() {
                        metrics::counter!("herald_messages_opened_total").increment(1);
                    }
                    message
                }
                Err(error) => {
                    let id = Some(MessageId::of(&envelope.message));
                    client.drop_bad(DroppedKind::Message, &envelope.content_topic, id, &error);
                    None
                }
            }
        })
        .await
    }
}

/// The message of an envelope; none when it is not wanted.
fn open(
    client: &Client,
    own: &PrivateKeyBundle,
    (state, envelope): (&Arc<State>, &Envelope),
    wanted: Wanted,
) -> Result<Option<Message>, herald_protocol::Error> {
    let (topic, bytes) = (envelope.content_topic.as_str(), &envelope.message);
    let (id, sender, sent, content) = match &state.kind {
        Kind::V1(v1) => {
            let sessions = v1.sessions();
            let known: Vec<_> = sessions.iter().map(Arc::as_ref).collect();
            let opened = v1.keys.open(own, topic, bytes, &known)?;
            let (id, sender, sent) = (opened.id(), opened.sender(), opened.sent());
            if let Some(session) = opened.new_keys() {
                v1.keep_session(session.clone());
            }
            (id, sender, sent, opened.into_content())
        }
        Kind::V2(v2) => {
            let decrypted = v2.keys.decrypt(topic, bytes)?;
            if wanted == Wanted::OfOthers && decrypted.says_from(own.public()) {
                return Ok(None);
            }
            let peer = v2.peer_bundle();
            let known: Vec<_> = [Some(own.public()), peer.as_deref()]
                .into_iter()
                .flatten()
                .collect();
            let opened = decrypted.verify(&known)?;
            if let Some(bundle) = opened.new_keys().filter(|bundle| bundle.address() == state.peer) {
                v2.keep_peer_bundle(bundle);
            }
            (opened.id(), opened.sender(), opened.sent(), opened.into_content())
        }
    };
    if wanted == Wanted::OfOthers && sender == client.address() {
        return Ok(None);
    }
    Ok(Some(Message {
        id,
        conversation: client.handle(Arc::clone(state)),
        sender,
        sent,
        content: Content::decode(content)?,
    }))
}
