//! Envelopes of a growing set of topics as they come: subscriptions, filled from the store whenever there was a gap.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use herald_protocol::{
    limits,
    message::MessageId,
    proto::api::{Cursor, Envelope},
    time::TimestampNs,
};

use super::super::{
    Client, Disposition, Error,
    api::{self, Page, Range},
    messages::PAGE,
    switchboard::{Arrived, Reader},
};

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

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

/// Topics that are filled together.
struct Group {
    id: u64,
    topics: Vec<String>,
    from: From,
    /// Whether the node was asked to tell them.
    followed: bool,
    /// The connection under which the store was last to be read.
    asked: Option<u64>,
    /// Whether the store was read to its end since they are followed.
    filled: bool,
}

/// A range of the store that waits to be read.
struct Fill {
    /// Whose topics these are; none of what was missed.
    group: Option<u64>,
    range: Range,
    /// How far it is read.
    cursor: Option<Cursor>,
}

/// A reader of topics that goes on whatever happens to the connection. What the store and the subscription both give comes
/// twice: whoever reads knows what it has.
///
/// After each (re)connect the node first registers the subscriptions, then the store is read from an overlap before what was
/// seen. What is buffered is one page and a small mailbox: of a reader that is slower than others the rest is read from the store.
pub(in super::super) struct Feed {
    pub(in super::super) client: Client,
    reader: Reader,
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
    /// The connection since whose begin there was no gap.
    connection: Option<u64>,
    to_fill: VecDeque<Fill>,
    /// Messages that were in the store from before `since`.
    history: Vec<MessageId>,
    failures: u32,
}

impl Feed {
    pub(super) fn new(client: Client, since: TimestampNs, overlap: Duration) -> Self {
        Self {
            reader: client.inner.line.reader(),
            client,
            groups: Vec::new(),
            next: 0,
            since,
            seen_to: since,
            newest: since,
            overlap,
            connection: None,
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
        self.group(topics, (from, false, false));
    }

    /// Leaves out what this client sent lately, before it is taken in.
    pub(super) fn leave_out_own(&self) {
        self.reader.leave_out(Arc::clone(&self.client.inner.sent));
    }

    fn group(&mut self, topics: Vec<String>, (from, followed, filled): (From, bool, bool)) {
        let mut topics = topics.into_iter().peekable();
        while topics.peek().is_some() {
            self.next += 1;
            self.groups.push(Group {
                id: self.next,
                topics: topics.by_ref().take(limits::SUBSCRIBE_TOPICS).collect(),
                from,
                followed,
                asked: None,
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
        let is_asked = |group: &Group| group.asked.is_some() && group.asked == self.connection;
        self.to_fill.is_empty()
            && self.groups.iter().all(is_asked)
            && self.reader.connection() == self.connection
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
        self.failures = self.failures.saturating_add(1);
        let backoff = FIRST_WAIT
            .saturating_mul(1 << self.failures.min(8))
            .min(LONGEST_WAIT);
        // The spread never makes a wait shorter than what was asked for.
        let wait = asked.unwrap_or_default() + api::jittered(backoff);
        tracing::info!(%error, ?wait, "a stream could not be filled yet");
        tokio::time::sleep(wait).await;
    }

    async fn advance(&mut self) -> Result<Vec<Envelope>, Error> {
        let connection = self.subscribe().await?;
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
        match self.reader.next(connection).await {
            Arrived::Envelopes(envelopes) => Ok(envelopes),
            Arrived::Missed { topics, since } => {
                self.to_fill.push_back(Fill::new(None, topics, since));
                Ok(Vec::new())
            }
            Arrived::Cut => Ok(Vec::new()),
        }
    }

    /// Takes a page of the first range that waits, and sets history apart.
    fn filled(&mut self, page: Page) -> Vec<Envelope> {
        let Some(fill) = self.to_fill.front_mut() else {
            return page.envelopes;
        };
        let group = self.groups.iter_mut().find(|group| Some(group.id) == fill.group);
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

    /// Follows what is not followed yet, and has the store read of it, or of everything when there was a gap. Gives the connection.
    async fn subscribe(&mut self) -> Result<u64, Error> {
        for group in self.groups.iter_mut().filter(|group| !group.followed) {
            self.reader.follow(&group.topics);
            group.followed = true;
        }
        let connection = self.reader.standing().await?;
        if self.connection.replace(connection) != Some(connection) {
            self.to_fill.clear();
            self.merge();
        }
        for at in 0..self.groups.len() {
            if self.groups[at].asked != Some(connection) {
                let fill = self.fill(&self.groups[at])?;
                self.to_fill.extend(fill);
                self.groups[at].asked = Some(connection);
            }
        }
        Ok(connection)
    }

    /// Puts the topics that are filled alike together, as many as one query takes.
    fn merge(&mut self) {
        let groups = std::mem::take(&mut self.groups);
        let mut alike: BTreeMap<(From, bool), Vec<String>> = BTreeMap::new();
        for group in groups {
            let topics = alike.entry((group.from, group.filled)).or_default();
            topics.extend(group.topics);
        }
        for ((from, filled), topics) in alike {
            self.group(topics, (from, true, filled));
        }
    }

    fn fill(&self, group: &Group) -> Result<Option<Fill>, Error> {
        let start = match group.from {
            From::Seen if group.filled => self.seen_to.saturating_sub(self.overlap),
            From::Seen => self.since.saturating_sub(self.overlap),
            From::Lists => self.client.lists_start()?,
            From::Preferences => self.client.preferences_start()?,
            From::Now => return Ok(None),
        };
        Ok(Some(Fill::new(Some(group.id), group.topics.clone(), start)))
    }
}

impl Fill {
    fn new(group: Option<u64>, topics: Vec<String>, start: TimestampNs) -> Self {
        let range = Range {
            topics,
            start: Some(start),
            page: PAGE,
            ..Range::default()
        };
        Self {
            group,
            range,
            cursor: None,
        }
    }
}
