//! Envelopes of a growing set of topics as they come: subscriptions, filled from the store whenever there was a gap.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use herald_protocol::{
    limits,
    message::MessageId,
    proto::api::{Cursor, Envelope},
    time::TimestampNs,
};
use tokio::time::Instant;
use tokio_stream::StreamMap;
use tonic::Status;

use super::super::{
    Client, Disposition, Error, api,
    api::{Page, Range},
    messages::PAGE,
};

/// When there are more subscriptions than this, the smallest half becomes one: a topic moves a few times at the most, however
/// many are added, and only what moves is filled again.
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

/// Topics of one subscription.
struct Group {
    id: u64,
    topics: Vec<String>,
    from: From,
    /// Whether the store was read to its end since they are followed.
    filled: bool,
}

/// A subscription: envelopes, then nothing once to say that it has ended.
type Live = BoxStream<'static, Option<Result<Envelope, Status>>>;

/// A range of the store that waits to be read.
struct Fill {
    /// Whose topics these are.
    group: u64,
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
    /// The id of the next group.
    next: u64,
    /// What is older and in the store when a topic is first read is history.
    since: TimestampNs,
    /// Filling after a gap starts an overlap before this: the newest message seen when everything was read last.
    seen_to: TimestampNs,
    /// The newest message seen.
    newest: TimestampNs,
    overlap: Duration,
    /// The subscriptions of groups, by their ids.
    live: Option<StreamMap<u64, Live>>,
    /// When the subscriptions were opened.
    began: Option<Instant>,
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
            next: 0,
            since,
            seen_to: since,
            newest: since,
            overlap,
            live: None,
            began: None,
            to_fill: VecDeque::new(),
            history: Vec::new(),
            failures: 0,
        }
    }

    /// Follows the wallet's consent log.
    pub(in super::super) fn of_preferences(client: Client) -> Self {
        let (topic, now) = (client.inner.consent.topic(), client.inner.clock.now());
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
            self.next += 1;
            self.groups.push(Group {
                id: self.next,
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
        self.to_fill.is_empty() && self.live.is_some() && self.waiting().is_none()
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
            Some((_, Some(Ok(envelope)))) => Ok(vec![envelope]),
            Some((_, Some(Err(status)))) => Err(self.client.inner.api.failure(&status).into()),
            Some((_, None)) | None => Err(self.client.inner.api.cut().into()),
        }
    }

    /// Takes a page of the first range that waits, and sets history apart.
    fn filled(&mut self, page: Page) -> Vec<Envelope> {
        let Some(fill) = self.to_fill.front_mut() else {
            return page.envelopes;
        };
        let group = self.groups.iter_mut().find(|group| group.id == fill.group);
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

    /// A group that is not subscribed yet.
    fn waiting(&self) -> Option<&Group> {
        let live = self.live.as_ref()?;
        self.groups.iter().find(|group| !live.contains_key(&group.id))
    }

    /// Subscribes to what is followed and not subscribed yet.
    async fn subscribe(&mut self) -> Result<(), Error> {
        if self.live.is_none() {
            self.connect().await?;
        }
        while self.waiting().is_some() {
            if self.groups.len() > SUBSCRIPTIONS {
                self.merge_smallest().await?;
            } else {
                self.add().await?;
            }
        }
        Ok(())
    }

    /// Subscribes to everything followed, then has the store read.
    async fn connect(&mut self) -> Result<(), Error> {
        self.merge_all();
        let mut live = StreamMap::new();
        for group in &self.groups {
            live.insert(group.id, open(&self.client, group.topics.clone()).await?);
        }
        self.to_fill.clear();
        for group in &self.groups {
            self.to_fill.extend(self.fill(group)?);
        }
        self.live = Some(live);
        self.began = Some(Instant::now());
        Ok(())
    }

    /// Puts the topics that are filled alike together, as many as one subscription takes. Only while nothing is subscribed.
    fn merge_all(&mut self) {
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

    /// Subscribes to a group beside the others, then has its history read.
    async fn add(&mut self) -> Result<(), Error> {
        let Some(group) = self.waiting() else {
            return Ok(());
        };
        let (id, topics) = (group.id, group.topics.clone());
        let live = open(&self.client, topics).await?;
        let fill = self.groups.iter().find(|group| group.id == id);
        let fill = fill.map(|group| self.fill(group)).transpose()?.flatten();
        self.to_fill.extend(fill);
        if let Some(lives) = &mut self.live {
            lives.insert(id, live);
        }
        Ok(())
    }

    /// Replaces the smaller half of the groups of messages by one. What their subscriptions held unread is filled.
    async fn merge_smallest(&mut self) -> Result<(), Error> {
        let mut sizes: Vec<(usize, u64)> = self
            .groups
            .iter()
            .filter(|group| group.from == From::Seen)
            .map(|group| (group.topics.len(), group.id))
            .collect();
        sizes.sort_unstable();
        let (mut topics, mut merged, mut filled) = (Vec::new(), Vec::new(), true);
        for (size, id) in sizes.into_iter().take(SUBSCRIPTIONS / 2) {
            if topics.len() + size > limits::SUBSCRIBE_TOPICS {
                break;
            }
            if let Some(group) = self.groups.iter().find(|group| group.id == id) {
                topics.extend(group.topics.iter().cloned());
                merged.push(id);
                filled &= group.filled;
            }
        }
        let live = open(&self.client, topics.clone()).await?;
        self.next += 1;
        let group = Group {
            id: self.next,
            topics,
            from: From::Seen,
            filled,
        };
        let fill = self.fill(&group)?;
        self.groups.retain(|group| !merged.contains(&group.id));
        self.to_fill.retain(|fill| !merged.contains(&fill.group));
        self.to_fill.extend(fill);
        if let Some(lives) = &mut self.live {
            for id in &merged {
                lives.remove(id);
            }
            lives.insert(group.id, live);
        }
        self.groups.push(group);
        Ok(())
    }

    fn fill(&self, group: &Group) -> Result<Option<Fill>, Error> {
        let start = match group.from {
            From::Seen if group.filled => self.seen_to.saturating_sub(self.overlap),
            From::Seen => self.since.saturating_sub(self.overlap),
            From::Lists => self.client.lists_start()?,
            From::Preferences => self.client.preferences_start()?,
            From::Now => return Ok(None),
        };
        let range = Range {
            topics: group.topics.clone(),
            start: Some(start),
            page: PAGE,
            ..Range::default()
        };
        Ok(Some(Fill {
            group: group.id,
            range,
            cursor: None,
        }))
    }
}

/// Opens a subscription.
async fn open(client: &Client, topics: Vec<String>) -> Result<Live, Error> {
    let envelopes = client.inner.api.subscribe(topics).await?;
    let ended = stream::once(std::future::ready(None));
    Ok(envelopes.map(Some).chain(ended).boxed())
}
