//! Envelopes of a growing set of topics as they come: subscriptions, filled from the store whenever there was a gap.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use futures::{StreamExt as _, stream::SelectAll};
use herald_protocol::{
    limits,
    message::MessageId,
    proto::api::{Cursor, Envelope},
    time::TimestampNs,
};
use tokio::time::Instant;
use tonic::Streaming;

use super::super::{
    Client, Disposition, Error, api,
    api::{Page, Range},
    messages::PAGE,
};

/// More subscriptions than this are replaced by one for each 10,000 topics.
const SUBSCRIPTIONS: usize = 64;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Subscriptions are not opened again sooner than this after the last time, as the JavaScript client does.
const SHORT_LIFE: Duration = Duration::from_secs(1);

/// Where filling a topic starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum From {
    /// An overlap before the newest message seen.
    Seen,
    /// An overlap before the newest list entry read.
    Lists,
    /// An overlap before the newest entry of the consent log read.
    Preferences,
    /// Not at all: nodes do not store it.
    Now,
}

/// Topics that are followed alike.
struct Group {
    topics: Vec<String>,
    from: From,
    /// Whether the store was read to its end since they are followed.
    filled: bool,
}

/// A range of the store that waits to be read.
struct Fill {
    /// Whose topics these are.
    group: usize,
    range: Range,
    /// How far it is read.
    cursor: Option<Cursor>,
}

/// A reader of topics that goes on whatever happens to the connection. What the store and the subscription both give comes
/// twice: whoever reads knows what it has.
///
/// After each (re)connect the node first registers the subscriptions, then the store is read from an overlap before what was
/// seen. Nothing is buffered beyond one page: a reader that is slow is waited for, and the node feeds it from its store.
pub(in super::super) struct Feed {
    pub(in super::super) client: Client,
    groups: Vec<Group>,
    /// What is older and in the store when a topic is first read is history.
    since: TimestampNs,
    /// Filling after a gap starts an overlap before this: the newest message seen when everything was read last.
    seen_to: TimestampNs,
    /// The newest message seen.
    newest: TimestampNs,
    overlap: Duration,
    live: Option<SelectAll<Streaming<Envelope>>>,
    /// When the subscriptions were opened.
    began: Option<Instant>,
    /// Groups, from this one on, that wait to be subscribed and filled.
    added: usize,
    to_fill: VecDeque<Fill>,
    /// Messages that were in the store from before `since`.
    history: Vec<MessageId>,
    failures: u32,
}

impl Feed {
    pub(super) fn new(client: Client, since: TimestampNs, overlap: Duration) -> Self {
        Self {
            client,
            groups: Vec::new(),
            since,
            seen_to: since,
            newest: since,
            overlap,
            live: None,
            began: None,
            added: 0,
            to_fill: VecDeque::new(),
            history: Vec::new(),
            failures: 0,
        }
    }

    /// Follows the wallet's consent log.
    pub(in super::super) fn of_preferences(client: Client) -> Self {
        let (topic, now) = (client.inner.consent.topic(), (client.inner.clock)());
        let mut feed = Self::new(client, now, Duration::ZERO);
        feed.follow(vec![topic], From::Preferences);
        feed
    }

    /// Follows these topics, too.
    pub(super) fn follow(&mut self, topics: Vec<String>, from: From) {
        self.group(topics, from, false);
    }

    fn group(&mut self, topics: Vec<String>, from: From, filled: bool) {
        let mut topics = topics.into_iter().peekable();
        while topics.peek().is_some() {
            self.groups.push(Group {
                topics: topics.by_ref().take(limits::SUBSCRIBE_TOPICS).collect(),
                from,
                filled,
            });
        }
    }

    /// The messages that were in the store from before the time asked for when their topics were first read: after a gap they
    /// are found again, and are not news.
    pub(super) fn take_history(&mut self) -> Vec<MessageId> {
        std::mem::take(&mut self.history)
    }

    /// Notes a message that was told, so that filling after a gap starts later.
    pub(super) fn saw(&mut self, sent: TimestampNs) {
        self.newest = self.newest.max(sent);
    }

    /// Whether the subscriptions stand and everything the store had is told.
    pub(super) fn is_live(&self) -> bool {
        self.live.is_some() && self.to_fill.is_empty() && self.added == self.groups.len()
    }

    /// Waits until the node has confirmed the subscriptions to everything followed. Fails only when the node refuses for good,
    /// or the cache does.
    ///
    /// Cancel-safe.
    pub(in super::super) async fn connected(&mut self) -> Result<(), Error> {
        while let Err(error) = self.subscribe().await {
            self.failed(error).await?;
        }
        Ok(())
    }

    /// The next envelopes; waits for them, or for history. Fails only when the node refuses for good, or the cache does.
    ///
    /// Cancel-safe.
    pub(in super::super) async fn next(&mut self) -> Result<Vec<Envelope>, Error> {
        loop {
            match self.advance().await {
                Ok(envelopes) => {
                    self.failures = 0;
                    if !envelopes.is_empty() || !self.history.is_empty() {
                        return Ok(envelopes);
                    }
                }
                Err(error) => self.failed(error).await?,
            }
        }
    }

    /// Waits before another try; gives the error back when none can help.
    async fn failed(&mut self, error: Error) -> Result<(), Error> {
        match error.disposition() {
            Disposition::Retry(asked) => self.pause(&error, asked).await,
            Disposition::Reject => return Err(error),
        }
        Ok(())
    }

    async fn pause(&mut self, error: &Error, asked: Option<Duration>) {
        self.live = None;
        self.failures = self.failures.saturating_add(1);
        let backoff = FIRST_WAIT
            .saturating_mul(1 << self.failures.min(8))
            .min(LONGEST_WAIT);
        let lived = self.began.take().map(|began| began.elapsed());
        let least = lived.map_or(Duration::ZERO, |lived| SHORT_LIFE.saturating_sub(lived));
        // The spread never makes a wait shorter than what was asked for.
        let wait = asked.unwrap_or_default().max(least) + api::jittered(backoff);
        tracing::info!(%error, ?wait, "a stream was cut; it connects again and fills the gap");
        metrics::counter!("herald_stream_cuts_total").increment(1);
        tokio::time::sleep(wait).await;
    }

    async fn advance(&mut self) -> Result<Vec<Envelope>, Error> {
        self.subscribe().await?;
        if let Some(fill) = self.to_fill.front() {
            let page = self
                .client
                .inner
                .api
                .query(&fill.range, fill.cursor.clone())
                .await?;
            return Ok(self.filled(page));
        }
        self.seen_to = self.newest;
        let live = self.live.as_mut().ok_or(Error::Closed)?;
        match live.next().await {
            Some(Ok(envelope)) => Ok(vec![envelope]),
            Some(Err(status)) => Err(self.client.inner.api.failure(&status).into()),
            None => Err(self.client.inner.api.cut().into()),
        }
    }

    /// Takes a page of the first range that waits, and sets history apart.
    fn filled(&mut self, page: Page) -> Vec<Envelope> {
        let Some(fill) = self.to_fill.front_mut() else {
            return page.envelopes;
        };
        let group = self.groups.get_mut(fill.group);
        let is_first = group
            .as_ref()
            .is_some_and(|group| group.from == From::Seen && !group.filled);
        match (page.next, group) {
            (Some(next), _) => fill.cursor = Some(next),
            (None, group) => {
                if let Some(group) = group {
                    group.filled = true;
                }
                self.to_fill.pop_front();
            }
        }
        let since = self.since.as_ns();
        let (old, new): (Vec<_>, Vec<_>) = page
            .envelopes
            .into_iter()
            .partition(|envelope| is_first && envelope.timestamp_ns < since);
        self.history
            .extend(old.iter().map(|envelope| MessageId::of(&envelope.message)));
        new
    }

    /// Subscribes to what is followed and not subscribed yet.
    async fn subscribe(&mut self) -> Result<(), Error> {
        if self.live.is_none() {
            self.connect().await?;
        }
        if self.added < self.groups.len() {
            self.add().await?;
        }
        Ok(())
    }

    /// Subscribes to everything followed, then has the store read.
    async fn connect(&mut self) -> Result<(), Error> {
        self.merge_groups();
        let mut live = SelectAll::new();
        for group in &self.groups {
            live.push(self.client.inner.api.subscribe(group.topics.clone()).await?);
        }
        let mut to_fill = VecDeque::new();
        for at in 0..self.groups.len() {
            to_fill.extend(self.fill(at)?);
        }
        (self.live, self.to_fill, self.added) = (Some(live), to_fill, self.groups.len());
        self.began = Some(Instant::now());
        Ok(())
    }

    /// Puts the topics that are filled alike together, as many as one subscription takes.
    fn merge_groups(&mut self) {
        let groups = std::mem::take(&mut self.groups);
        let mut alike: BTreeMap<(From, bool), Vec<String>> = BTreeMap::new();
        for group in groups {
            let topics = alike.entry((group.from, group.filled)).or_default();
            topics.extend(group.topics);
        }
        for ((from, filled), topics) in alike {
            self.group(topics, from, filled);
        }
    }

    /// Subscribes to what was added beside the others, then has its history read.
    async fn add(&mut self) -> Result<(), Error> {
        let new = self.groups.len() - self.added;
        if self
            .live
            .as_ref()
            .is_some_and(|live| live.len() + new > SUBSCRIPTIONS)
        {
            // A call that is dropped meanwhile starts over.
            self.live = None;
            return self.connect().await;
        }
        while let Some(group) = self.groups.get(self.added) {
            let added = self.client.inner.api.subscribe(group.topics.clone()).await?;
            self.to_fill.extend(self.fill(self.added)?);
            if let Some(live) = &mut self.live {
                live.push(added);
            }
            self.added += 1;
        }
        Ok(())
    }

    fn fill(&self, group: usize) -> Result<Option<Fill>, Error> {
        let Some(Group { topics, from, filled }) = self.groups.get(group) else {
            return Ok(None);
        };
        let start = match from {
            From::Seen if *filled => self.seen_to.saturating_sub(self.overlap),
            From::Seen => self.since.saturating_sub(self.overlap),
            From::Lists => self.client.lists_start()?,
            From::Preferences => self.client.preferences_start()?,
            From::Now => return Ok(None),
        };
        let range = Range {
            topics: topics.clone(),
            start: Some(start),
            page: PAGE,
            ..Range::default()
        };
        Ok(Some(Fill {
            group,
            range,
            cursor: None,
        }))
    }
}
