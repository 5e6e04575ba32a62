//! Live streams: arrivals come from the writer in commit order and leave to every stream that wants their topic.
//!
//! [`Feed`] routes by topic, so an arrival costs by its readers. Each stream has a bounded queue that is allocated as it
//! fills. A stream whose queue is full is not fed live any more: it reads on from the store, by arrival sequence, until it has
//! caught up, and returns to the live feed without gap, repetition or reordering. One that does not read at all is cut.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    envelope::Arrival,
    metrics,
    store::{self, Store},
};

mod subscriber;

use subscriber::{Next, Subscriber};

/// All live streams of a node.
#[derive(Debug)]
pub(crate) struct Feed {
    routes: RwLock<Routes>,
    store: Arc<Store>,
    next_id: AtomicU64,
    /// The newest arrival that was handed to every stream that wants it.
    fed: AtomicI64,
    /// How long data may wait for a stream that takes nothing.
    stall: Duration,
}

#[derive(Debug, Default)]
struct Routes {
    topics: HashMap<Arc<str>, HashMap<u64, Route>>,
    all: HashMap<u64, Route>,
    subscribers: HashMap<u64, Arc<Subscriber>>,
    closed: bool,
}

/// One stream's wish for one topic (or for all), valid for arrivals after `from`.
#[derive(Debug)]
struct Route {
    from: i64,
    subscriber: Arc<Subscriber>,
}

/// What a stream wants; each topic from its own place in the arrival order on.
#[derive(Clone, Debug)]
enum Interest {
    Topics(Arc<HashMap<Arc<str>, i64>>),
    All { from: i64 },
}

impl Interest {
    fn admits(&self, topic: &str, sequence: i64) -> bool {
        match self {
            Self::Topics(topics) => topics.get(topic).is_some_and(|from| sequence > *from),
            Self::All { from } => sequence > *from && is_of_all(topic),
        }
    }
}

/// Why a stream ends before its reader leaves.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The node is shutting down.
    #[error("node is shutting down")]
    Draining,
    /// The reader took nothing while data waited.
    #[error("stream was not read while envelopes waited")]
    Stalled,
    /// The store could not be read on.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Feed {
    pub(crate) fn new(store: Arc<Store>, stall: Duration) -> Self {
        Self {
            routes: RwLock::default(),
            fed: AtomicI64::new(store.head()),
            store,
            next_id: AtomicU64::new(0),
            stall,
        }
    }

    /// A stream of the arrivals on `topics` from now on.
    pub(crate) fn subscribe(self: &Arc<Self>, topics: Vec<String>) -> Result<Subscription, End> {
        self.open(|head| Interest::Topics(Arc::new(starting(topics, head))))
    }

    /// A stream of all arrivals on XMTP topics from now on.
    pub(crate) fn subscribe_all(self: &Arc<Self>) -> Result<Subscription, End> {
        self.open(|head| Interest::All { from: head })
    }

    fn open(self: &Arc<Self>, interest: impl FnOnce(i64) -> Interest) -> Result<Subscription, End> {
        let mut routes = self.write();
        if routes.closed {
            return Err(End::Draining);
        }
        // Read under the lock: what is newer than this was not routed yet, so it will find the new route.
        let head = self.store.head();
        let interest = interest(head);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let subscriber = Arc::new(Subscriber::new(interest.clone(), head));
        routes.add(id, &subscriber, &interest);
        routes.subscribers.insert(id, Arc::clone(&subscriber));
        metrics::streams(routes.subscribers.len());
        drop(routes);
        Ok(Subscription {
            id,
            subscriber,
            feed: Arc::clone(self),
            interest,
            replay: VecDeque::new(),
        })
    }

    /// Feeds arrivals to streams until the writer is gone.
    pub(crate) async fn run(self: Arc<Self>, mut arrivals: mpsc::Receiver<Vec<Arrival>>) {
        while let Some(batch) = arrivals.recv().await {
            let mut fed = 0;
            for arrival in &batch {
                fed += self.route(arrival);
                if fed >= YIELD_AFTER {
                    fed = 0;
                    tokio::task::yield_now().await;
                }
            }
            if let Some(newest) = batch.iter().rev().find_map(Arrival::sequence) {
                self.fed.store(newest, Ordering::Relaxed);
            }
        }
    }

    /// Arrivals that are committed and were not fed yet.
    pub(crate) fn lag(&self) -> u64 {
        let fed = self.fed.load(Ordering::Relaxed);
        self.store.head().saturating_sub(fed).unsigned_abs()
    }

    /// Hands one arrival to every stream that wants it; says how many that were.
    fn route(&self, arrival: &Arrival) -> usize {
        let routes = self.read();
        let listed = routes.topics.get(arrival.topic());
        let all = is_of_all(arrival.topic()).then_some(&routes.all);
        let mut shared = None;
        let mut fed = 0;
        for route in listed.into_iter().chain(all).flat_map(HashMap::values) {
            if arrival.sequence().is_some_and(|sequence| sequence <= route.from) {
                continue;
            }
            let arrival = shared.get_or_insert_with(|| Arc::new(arrival.clone()));
            route.subscriber.offer(arrival);
            fed += 1;
        }
        fed
    }

    /// Cuts streams whose reader has stopped, until `shutdown`.
    pub(crate) async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(self.stall / 8);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let Some(limit) = Instant::now().checked_sub(self.stall) else {
                continue;
            };
            let stalled: Vec<u64> = {
                let routes = self.read();
                let waiting = routes
                    .subscribers
                    .iter()
                    .filter(|(_, subscriber)| subscriber.waits_since(limit));
                waiting.map(|(id, _)| *id).collect()
            };
            for id in stalled {
                if let Some(subscriber) = self.write().remove(id) {
                    subscriber.end(End::Stalled);
                    metrics::stream_cut();
                }
            }
        }
    }

    /// Ends every stream after what its queue holds, and takes no new ones.
    pub(crate) fn close(&self) {
        let mut routes = self.write();
        routes.closed = true;
        routes.topics.clear();
        routes.all.clear();
        for subscriber in std::mem::take(&mut routes.subscribers).into_values() {
            subscriber.end(End::Draining);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Routes> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Routes> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Routes {
    fn add(&mut self, id: u64, subscriber: &Arc<Subscriber>, interest: &Interest) {
        let route = |from| Route {
            from,
            subscriber: Arc::clone(subscriber),
        };
        match interest {
            Interest::All { from } => {
                self.all.insert(id, route(*from));
            }
            Interest::Topics(topics) => {
                for (topic, from) in topics.iter() {
                    self.topics
                        .entry(Arc::clone(topic))
                        .or_default()
                        .insert(id, route(*from));
                }
            }
        }
    }

    fn remove_routes(&mut self, id: u64, interest: &Interest) {
        match interest {
            Interest::All { .. } => {
                self.all.remove(&id);
            }
            Interest::Topics(topics) => {
                for topic in topics.keys() {
                    if let Some(routes) = self.topics.get_mut(topic) {
                        routes.remove(&id);
                        if routes.is_empty() {
                            self.topics.remove(topic);
                        }
                    }
                }
            }
        }
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Subscriber>> {
        let subscriber = self.subscribers.remove(&id)?;
        self.remove_routes(id, &subscriber.interest());
        metrics::streams(self.subscribers.len());
        Some(subscriber)
    }
}

/// One reader's end of a live stream. Dropping it takes it out of the feed.
#[derive(Debug)]
pub(crate) struct Subscription {
    id: u64,
    subscriber: Arc<Subscriber>,
    feed: Arc<Feed>,
    interest: Interest,
    /// Read from the store, not yet handed out; older than everything in the queue.
    replay: VecDeque<Arc<Arrival>>,
}

impl Subscription {
    /// Waits for the next arrival. Cancel-safe: nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<Arc<Arrival>, End> {
        loop {
            if let Some(arrival) = self.replay.pop_front() {
                self.subscriber.progressed();
                return Ok(arrival);
            }
            match self.subscriber.next() {
                Next::Arrival(arrival) => return Ok(arrival),
                Next::Ended(end) => return Err(end),
                Next::Nothing => self.subscriber.arrived().await,
                Next::Behind { position } => {
                    let interest = self.interest.clone();
                    let wanted = move |topic: &str, sequence| interest.admits(topic, sequence);
                    let replay = self.feed.store.replay(position, wanted).await?;
                    metrics::replayed(replay.arrivals.len());
                    self.replay.extend(replay.arrivals.into_iter().map(Arc::new));
                    self.subscriber.replayed(replay.scanned_to);
                }
            }
        }
    }

    /// Replaces the topics. Topics that stay lose and repeat nothing; new ones begin now; what waits on dropped ones is dropped.
    pub(crate) fn replace_topics(&mut self, topics: Vec<String>) {
        let mut routes = self.feed.write();
        if !routes.subscribers.contains_key(&self.id) {
            // Ended meanwhile; the next read says why.
            return;
        }
        let mut wanted = starting(topics, self.feed.store.head());
        if let Interest::Topics(present) = &self.interest {
            for (topic, from) in present.iter() {
                if let Some(kept) = wanted.get_mut(topic) {
                    *kept = *from;
                }
            }
        }
        let interest = Interest::Topics(Arc::new(wanted));
        routes.remove_routes(self.id, &self.interest);
        routes.add(self.id, &self.subscriber, &interest);
        self.subscriber.replace_interest(interest.clone());
        drop(routes);
        if let Interest::Topics(wanted) = &interest {
            self.replay.retain(|arrival| wanted.contains_key(arrival.topic()));
        }
        self.interest = interest;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.feed.write().remove(self.id);
    }
}

fn starting(topics: Vec<String>, from: i64) -> HashMap<Arc<str>, i64> {
    topics.into_iter().map(|topic| (Arc::from(topic), from)).collect()
}

fn is_of_all(topic: &str) -> bool {
    ALL_PREFIXES.iter().any(|prefix| topic.starts_with(prefix))
}

/// `SubscribeAll` means all XMTP topics, as the V2 network had it, not what else a node may carry.
const ALL_PREFIXES: [&str; 2] = ["/xmtp/0/", "/xmtp/mls/1/"];
/// Queue pushes in one go, some 100 microseconds of work.
const YIELD_AFTER: usize = 512;
