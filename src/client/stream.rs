//! Messages and conversations as they come: live, and filled from the store whenever there was a gap.
//!
//! **Slow readers** lose nothing: a stream holds little in memory, and while nobody reads, the node feeds it from its store.
//! A reader that a node cuts for not reading is connected again and goes on where it was. What was told is remembered (the
//! last 100,000 at least), so that overlapping reads tell nothing twice.

mod feed;

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

pub(super) use feed::Feed;
use feed::From;
use herald_protocol::{
    message::MessageId,
    proto::api::Envelope,
    time::TimestampNs,
    topic::{self, Topic},
};

use super::{Client, Conversation, Error, Message, conversation::State, messages::Wanted, seen::Seen};

/// After a gap the store is read from this long before the newest message seen: clocks of senders differ by up to an hour each
/// way (nodes accept no more of a token), and an outbox may have waited. Whoever goes on after a restart should ask for as much,
/// and name what is known in [`MessageStream::without`].
pub const OVERLAP: Duration = Duration::from_hours(24);

/// Which messages a stream tells.
enum Scope {
    /// Of all conversations, and of those that are opened meanwhile.
    All {
        /// How many of the client's conversations were taken up.
        known: usize,
    },
    One(Arc<State>),
}

/// The messages of conversations as they come; see [`Client::stream_all_messages`] and [`Conversation::stream`].
pub struct MessageStream {
    feed: Feed,
    scope: Scope,
    /// Envelopes that wait to be opened. They leave when they are dealt with, so a call that is dropped meanwhile loses none.
    arrived: VecDeque<Envelope>,
    ready: VecDeque<Message>,
    seen: Seen,
    wanted: Wanted,
}

impl std::fmt::Debug for MessageStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageStream")
            .field("client", &self.feed.client)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Streams the messages of all conversations, those of `since` and later from the store first, then live ones, new
    /// conversations included. It goes on whatever happens to the connection. Own messages are included. What the wallet decides
    /// meanwhile on who may write is followed, too: see [`Client::consent_of`].
    ///
    /// ```no_run
    /// # async fn example(client: herald::client::Client) -> Result<(), herald::client::Error> {
    /// let mut stream = client.stream_all_messages(herald::clock::now());
    /// loop {
    ///     let message = stream.next().await?;
    ///     if !message.is_own() {
    ///         message.conversation.send("thank you").await?;
    ///     }
    /// }
    /// # }
    /// ```
    pub fn stream_all_messages(&self, since: TimestampNs) -> MessageStream {
        let mut feed = Feed::new(self.clone(), since, OVERLAP);
        feed.follow(self.list_topics().map(String::from).to_vec(), From::Lists);
        feed.follow(vec![self.inner.consent.topic()], From::Preferences);
        MessageStream::new(feed, Scope::All { known: 0 })
    }

    /// Streams conversations: those that are known, oldest first, then new ones as they are opened by either side.
    pub fn stream_conversations(&self) -> ConversationStream {
        let mut feed = Feed::new(self.clone(), self.inner.clock.now(), OVERLAP);
        feed.follow(self.list_topics().map(String::from).to_vec(), From::Lists);
        ConversationStream {
            feed,
            known: 0,
            arrived: Vec::new(),
            ready: VecDeque::new(),
        }
    }
}

impl MessageStream {
    fn new(feed: Feed, scope: Scope) -> Self {
        Self {
            feed,
            scope,
            arrived: VecDeque::new(),
            ready: VecDeque::new(),
            seen: Seen::default(),
            wanted: Wanted::All,
        }
    }

    pub(super) fn of_one(conversation: Conversation, since: TimestampNs) -> Self {
        let mut feed = Feed::new(conversation.client, since, OVERLAP);
        feed.follow(vec![conversation.state.topic().to_string()], From::Seen);
        Self::new(feed, Scope::One(conversation.state))
    }

    pub(super) fn of_ephemeral(conversation: Conversation) -> Self {
        let now = conversation.client.inner.clock.now();
        let mut feed = Feed::new(conversation.client, now, OVERLAP);
        feed.follow(vec![conversation.state.topic().ephemeral().into()], From::Now);
        Self::new(feed, Scope::One(conversation.state))
    }

    /// Leaves out messages that were dealt with before, by their ids, without opening them again.
    #[must_use]
    pub fn without(mut self, messages: impl IntoIterator<Item = [u8; 32]>) -> Self {
        for id in messages {
            self.seen.insert(id);
        }
        self
    }

    /// Leaves out what the client's wallet wrote, wherever. It costs the stream a fraction of what others wrote, so that a
    /// broadcast does not keep its own sender busy.
    #[must_use]
    pub fn of_others(mut self) -> Self {
        self.wanted = Wanted::OfOthers;
        self.feed.leave_out_own();
        self
    }

    /// Waits until the node has confirmed that it tells what is published from now on, as whoever asks others to write wants to
    /// know. Nothing has to call this: [`MessageStream::next`] connects by itself. Fails as that does.
    ///
    /// Cancel-safe: a dropped call loses nothing.
    pub async fn connect(&mut self) -> Result<(), Error> {
        self.follow_new();
        self.feed.connected().await
    }

    /// The next message; waits for it. Fails only when the node refuses for good, or the cache does.
    ///
    /// Cancel-safe: a dropped call loses nothing.
    pub async fn next(&mut self) -> Result<Message, Error> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(message);
            }
            if self.arrived.is_empty() {
                self.follow_new();
                let envelopes = self.feed.next().await?;
                self.arrived.extend(envelopes);
                for id in self.feed.take_history() {
                    self.seen.insert(*id.as_bytes());
                }
            }
            self.take().await?;
        }
    }

    /// Whether everything the store had is told and the stream is live.
    pub fn is_live(&self) -> bool {
        self.feed.is_live() && self.arrived.is_empty() && self.ready.is_empty()
    }

    /// Takes up the conversations that became known, whether by an invitation of the peer or by writing first.
    fn follow_new(&mut self) {
        if let Scope::All { known } = &mut self.scope {
            let new = self.feed.client.inner.conversations.after(*known);
            *known += new.len();
            let topics = new.iter().map(|state| state.topic().to_string());
            self.feed.follow(topics.collect(), From::Seen);
        }
    }

    /// Deals with all that arrived: list entries make conversations known, messages are opened; what was seen is left out.
    async fn take(&mut self) -> Result<(), Error> {
        let client = self.feed.client.clone();
        let (mut entries, mut preferences) = (Vec::new(), Vec::new());
        let (mut items, mut ids) = (Vec::new(), HashSet::new());
        for envelope in &self.arrived {
            let id = *MessageId::of(&envelope.message).as_bytes();
            if is_list(&envelope.content_topic) {
                entries.push(envelope.clone());
            } else if is_preferences(&envelope.content_topic) {
                preferences.push(envelope.clone());
            } else if !self.seen.contains(&id)
                && ids.insert(id)
                && let Some(state) = self.state(&envelope.content_topic)
            {
                items.push((state, envelope.clone()));
            }
        }
        client.learn_preferences(preferences).await?;
        client.learn_and_prove(entries).await?;
        let opened = client.open_all(items, self.wanted).await?;
        let now = client.inner.clock.now();
        for message in opened.into_iter().flatten() {
            self.feed.saw(message.sent.min(now));
            self.ready.push_back(message);
        }
        for id in ids {
            self.seen.insert(id);
        }
        self.arrived.clear();
        Ok(())
    }

    fn state(&self, topic: &str) -> Option<Arc<State>> {
        match &self.scope {
            Scope::One(state) => Some(Arc::clone(state)),
            Scope::All { .. } => {
                let topic: Topic = topic.parse().ok()?;
                self.feed.client.inner.conversations.of_topic(&topic)
            }
        }
    }
}

/// Whether envelopes of this topic open conversations. One may be of another wallet's list: then it does not open.
pub(super) fn is_list(name: &str) -> bool {
    matches!(
        topic::kind(name),
        topic::TopicKind::Invite(_) | topic::TopicKind::Intro(_)
    )
}

fn is_preferences(name: &str) -> bool {
    topic::kind(name) == topic::TopicKind::UserPreferences
}

/// Conversations as they become known; see [`Client::stream_conversations`].
pub struct ConversationStream {
    feed: Feed,
    known: usize,
    /// Envelopes whose conversations are not known yet.
    arrived: Vec<Envelope>,
    ready: VecDeque<Arc<State>>,
}

impl std::fmt::Debug for ConversationStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConversationStream")
            .field("client", &self.feed.client)
            .finish_non_exhaustive()
    }
}

impl ConversationStream {
    /// Waits until the node has confirmed that it tells what is published from now on; see [`MessageStream::connect`].
    ///
    /// Cancel-safe: a dropped call loses nothing.
    pub async fn connect(&mut self) -> Result<(), Error> {
        self.feed.connected().await
    }

    /// The next conversation; waits for it. Fails only when the node refuses for good, or the cache does.
    ///
    /// Cancel-safe: a dropped call loses nothing.
    pub async fn next(&mut self) -> Result<Conversation, Error> {
        loop {
            let new = self.feed.client.inner.conversations.after(self.known);
            self.known += new.len();
            self.ready.extend(new);
            if let Some(state) = self.ready.pop_front() {
                return Ok(self.feed.client.handle(state));
            }
            if self.arrived.is_empty() {
                self.arrived = self.feed.next().await?;
            }
            self.feed.client.learn_and_prove(self.arrived.clone()).await?;
            self.arrived.clear();
        }
    }
}
