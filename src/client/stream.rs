//! All messages of a wallet as they come: a live subscription, filled from the store whenever there was a gap.
//!
//! After each (re)connect the node first registers the subscription, then the store is read from an overlap before the last
//! message seen; what both give is told once. So neither a lost connection nor a new conversation makes a hole. Nothing is
//! buffered beyond one page: a reader that is slow is waited for.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, stream::SelectAll};
use herald_protocol::{
    limits,
    proto::api::{Cursor, Envelope},
    time::TimestampNs,
    topic::Topic,
};
use sha2::{Digest as _, Sha256};
use tonic::Streaming;

use super::{Client, Conversation, Disposition, Error, Message, api, api::Range, messages::PAGE};

/// The messages of all conversations of a client; see [`Client::stream_all_messages`].
pub struct MessageStream {
    client: Client,
    /// Where filling starts: an overlap before the newest message seen.
    seen_to: TimestampNs,
    live: Option<SelectAll<Streaming<Envelope>>>,
    /// How many of the client's conversations were taken up.
    known: usize,
    /// Topics that wait to be subscribed and filled.
    to_add: Vec<String>,
    /// Ranges of the store that wait to be read, and how far the first is read.
    to_fill: VecDeque<(Range, Option<Cursor>)>,
    /// Envelopes that wait to be opened. One leaves when it is dealt with, so a call that is dropped meanwhile loses none.
    arrived: VecDeque<Envelope>,
    ready: VecDeque<Message>,
    seen: Seen,
    failures: u32,
}

impl std::fmt::Debug for MessageStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageStream")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// Filling starts this long before the newest message seen: clocks of senders differ by up to an hour each way (nodes accept
/// no more of a token), and an outbox may have waited.
const OVERLAP: Duration = Duration::from_hours(24);
/// More subscriptions than this are replaced by one.
const SUBSCRIPTIONS: usize = 64;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

impl Client {
    /// Streams the messages of all conversations, those of `since` and later from the store first, then live ones, new
    /// conversations included. It goes on whatever happens to the connection. Own messages are included.
    pub fn stream_all_messages(&self, since: TimestampNs) -> MessageStream {
        MessageStream {
            client: self.clone(),
            seen_to: since,
            live: None,
            known: 0,
            to_add: Vec::new(),
            to_fill: VecDeque::new(),
            arrived: VecDeque::new(),
            ready: VecDeque::new(),
            seen: Seen::default(),
            failures: 0,
        }
    }
}

impl MessageStream {
    /// Leaves out messages that were dealt with before, by their ids, without opening them again.
    #[must_use]
    pub fn without(mut self, messages: impl IntoIterator<Item = [u8; 32]>) -> Self {
        for id in messages {
            self.seen.insert(id);
        }
        self
    }

    /// The next message; waits for it. Fails only when the node refuses for good, or the cache does.
    ///
    /// Cancel-safe: a dropped call loses nothing.
    pub async fn next(&mut self) -> Result<Message, Error> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(message);
            }
            match self.advance().await {
                Ok(()) => self.failures = 0,
                Err(error) if matches!(error.disposition(), Disposition::Retry(_)) => {
                    self.pause(&error).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether everything the store had is told and the stream is live.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
            && self.to_fill.is_empty()
            && self.to_add.is_empty()
            && self.arrived.is_empty()
            && self.ready.is_empty()
    }

    async fn pause(&mut self, error: &Error) {
        self.live = None;
        self.failures = self.failures.saturating_add(1);
        let wait = FIRST_WAIT
            .saturating_mul(1 << self.failures.min(8))
            .min(LONGEST_WAIT);
        tracing::info!(%error, ?wait, "the message stream was cut; it connects again and fills the gap");
        metrics::counter!("herald_stream_cuts_total").increment(1);
        tokio::time::sleep(api::jittered(wait)).await;
    }

    async fn advance(&mut self) -> Result<(), Error> {
        if !self.arrived.is_empty() {
            return self.take().await;
        }
        if self.live.is_none() {
            return self.connect().await;
        }
        if !self.to_add.is_empty() {
            return self.add().await;
        }
        if let Some((range, cursor)) = self.to_fill.front() {
            let page = self.client.inner.api.query(range, cursor.clone()).await?;
            self.arrived.extend(page.envelopes);
            match (page.next, self.to_fill.front_mut()) {
                (Some(next), Some((_, cursor))) => *cursor = Some(next),
                _ => drop(self.to_fill.pop_front()),
            }
            return Ok(());
        }
        let live = self.live.as_mut().ok_or(Error::Closed)?;
        let envelope = match live.next().await {
            Some(Ok(envelope)) => envelope,
            Some(Err(status)) => return Err(self.client.inner.api.failure(&status).into()),
            None => return Err(self.client.inner.api.cut().into()),
        };
        self.arrived.push_back(envelope);
        Ok(())
    }

    /// Subscribes to everything, then has the store read from before the newest message seen.
    async fn connect(&mut self) -> Result<(), Error> {
        let invites = Topic::invite(self.client.inner.address).to_string();
        let mut live = SelectAll::new();
        live.push(self.client.inner.api.subscribe(vec![invites]).await?);
        // What was invited before the subscription is in the store now, what comes later is on the stream.
        self.client.sync_conversations().await?;
        self.known = 0;
        let topics = self.new_topics();
        for part in topics.chunks(limits::SUBSCRIBE_TOPICS) {
            live.push(self.client.inner.api.subscribe(part.to_vec()).await?);
        }
        self.live = Some(live);
        self.to_add.clear();
        self.to_fill = topics
            .chunks(limits::SUBSCRIBE_TOPICS)
            .map(|part| (self.fill(part.to_vec()), None))
            .collect();
        Ok(())
    }

    /// The topics of the conversations that became known since the last call, whether by an invitation of the peer or by
    /// writing first.
    fn new_topics(&mut self) -> Vec<String> {
        let new = self.client.inner.conversations.after(self.known);
        self.known += new.len();
        new.iter()
            .map(|conversation| conversation.topic().to_string())
            .collect()
    }

    fn fill(&self, topics: Vec<String>) -> Range {
        let overlap = u64::try_from(OVERLAP.as_nanos()).unwrap_or(u64::MAX);
        let start = TimestampNs::from_ns(self.seen_to.as_ns().saturating_sub(overlap));
        Range {
            topics,
            start: Some(start),
            page: PAGE,
            ..Range::default()
        }
    }

    /// Subscribes to new conversations beside the others, then has their history read.
    async fn add(&mut self) -> Result<(), Error> {
        if self.live.as_ref().is_some_and(|live| live.len() >= SUBSCRIPTIONS) {
            return self.connect().await;
        }
        let added = self.client.inner.api.subscribe(self.to_add.clone()).await?;
        let topics = std::mem::take(&mut self.to_add);
        self.to_fill.push_back((self.fill(topics), None));
        if let Some(live) = &mut self.live {
            live.push(added);
        }
        Ok(())
    }

    /// Sorts what arrived into new conversations and messages; what was seen is left out.
    async fn take(&mut self) -> Result<(), Error> {
        let invites = Topic::invite(self.client.inner.address);
        while let Some(envelope) = self.arrived.front().cloned() {
            let id = Sha256::digest(&envelope.message).into();
            if self.seen.contains(&id) {
                self.arrived.pop_front();
                continue;
            }
            if envelope.content_topic == invites.as_str() {
                self.client.learn(vec![envelope]).await?;
                let new = self.new_topics();
                self.to_add.extend(new);
            } else if let Some(conversation) = self.conversation(&envelope.content_topic)
                && let Some(message) = self.client.open(conversation, envelope).await?
            {
                let now = (self.client.inner.clock)();
                self.seen_to = self.seen_to.max(message.sent.min(now));
                self.ready.push_back(message);
            }
            self.seen.insert(id);
            self.arrived.pop_front();
        }
        Ok(())
    }

    fn conversation(&self, topic: &str) -> Option<Arc<Conversation>> {
        let stored = topic.replacen("/xmtp/0/mE-", "/xmtp/0/m-", 1);
        self.client.inner.conversations.of_topic(&stored)
    }
}

/// The messages (by id) and invitations told lately: two generations, so that the memory is bounded and the newest are never forgotten.
#[derive(Default)]
struct Seen {
    young: HashSet<[u8; 32]>,
    old: HashSet<[u8; 32]>,
}

/// Envelopes in a generation: 4 MiB.
const GENERATION: usize = 100_000;

impl Seen {
    fn contains(&self, id: &[u8; 32]) -> bool {
        self.young.contains(id) || self.old.contains(id)
    }

    fn insert(&mut self, id: [u8; 32]) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id);
    }
}
