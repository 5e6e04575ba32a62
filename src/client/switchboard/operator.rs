//! Keeps the subscriptions to what is followed.
//!
//! What is newly followed is subscribed to at once, together with subscriptions that are no larger. After a while all of them
//! become as few as they can be. A subscription whose topics moved is read on beside the new one until it has told everything
//! that came before the new one stood: so nothing is lost, and what comes twice is known to whoever reads.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{
    FutureExt as _, StreamExt as _,
    stream::{self, BoxStream},
};
use herald_protocol::{envelope::digest, limits, proto::api::Envelope};
use tokio::time::{Instant, sleep_until};
use tokio_stream::StreamMap;
use tonic::Status;

use super::Desk;
use crate::client::{
    Disposition,
    api::{Api, Error, Range, jittered},
};

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Subscriptions are not opened again sooner than this after the last time, as the JavaScript client does.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// Between two subscriptions, so that what many readers follow at once goes into one.
const GATHER: Duration = Duration::from_millis(20);
/// Subscriptions that could be fewer become so after this, and after [`SETTLE_EACH`] for each topic: what is sent to move them
/// stays small beside the rest.
const SETTLE: Duration = Duration::from_secs(1);
const SETTLE_EACH: Duration = Duration::from_millis(1);
/// Envelopes that are taken before anything else is looked at.
const AT_ONCE: usize = 64;
/// How long a subscription is read on at least after its topics have moved.
const LINGER: Duration = Duration::from_secs(3);
/// How often it is, when it does not tell what the new one has told: nodes may drop what they do not store.
const LINGERS: u32 = 10;

/// A subscription: envelopes, then nothing once to say that it has ended.
type Live = BoxStream<'static, Option<Result<Envelope, Status>>>;

struct Trunk {
    topics: HashSet<Arc<str>>,
    /// Set when its topics have moved to others.
    leaving: Option<Leaving>,
}

/// How far a subscription has come whose topics are another's.
struct Leaving {
    /// It is looked at again.
    due: Instant,
    looks: u32,
    /// Whether it told anything since it was looked at: then the node may have more of before that waits.
    has_told: bool,
    /// Whether a call was answered since it was due: what the node had sent before has come.
    is_answered: bool,
    proof: Proof,
}

/// Both subscriptions tell what came since the new one stood, in one order.
enum Proof {
    /// The new one has told nothing of these topics.
    None,
    /// It has told this envelope, and nothing before it.
    Awaited([u8; 32]),
    /// The old one has told it, too, so it has told everything before it.
    Told,
}

pub(super) struct Operator {
    desk: Arc<Desk>,
    api: Api,
    trunks: BTreeMap<u64, Trunk>,
    live: StreamMap<u64, Live>,
    /// The id of the next trunk.
    next: u64,
    /// An envelope for which nobody has room. While there is one nothing is read.
    held: Option<Envelope>,
    /// When the subscriptions become fewer.
    settles: Option<Instant>,
    /// When the first of the subscriptions was opened.
    began: Option<Instant>,
    /// Before this none is opened for what waits.
    gathers: Instant,
    failures: u32,
}

impl Operator {
    pub(super) fn new(desk: Arc<Desk>, api: Api) -> Self {
        Self {
            desk,
            api,
            trunks: BTreeMap::new(),
            live: StreamMap::new(),
            next: 0,
            held: None,
            settles: None,
            began: None,
            gathers: Instant::now(),
            failures: 0,
        }
    }

    /// Works until it is dropped.
    pub(super) async fn run(mut self) {
        // One that ended with its runtime may have left something.
        self.hang_up(None);
        loop {
            if let Err(error) = self.step().await {
                self.pause(&error).await;
            }
        }
    }

    /// Drops all subscriptions.
    fn hang_up(&mut self, refusal: Option<&Error>) {
        self.live.clear();
        self.trunks.clear();
        self.held = None;
        self.settles = None;
        self.desk.table().cut(refusal);
    }

    async fn pause(&mut self, error: &Error) {
        let disposition = error.disposition();
        self.hang_up((disposition == Disposition::Reject).then_some(error));
        self.failures = self.failures.saturating_add(1);
        let backoff = FIRST_WAIT
            .saturating_mul(1 << self.failures.min(8))
            .min(LONGEST_WAIT);
        let asked = match disposition {
            Disposition::Retry(asked) => asked.unwrap_or_default(),
            Disposition::Reject => LONGEST_WAIT,
        };
        let lived = self.began.take().map(|began| began.elapsed());
        let least = lived.map_or(Duration::ZERO, |lived| SHORT_LIFE.saturating_sub(lived));
        // The spread never makes a wait shorter than what was asked for.
        let wait = asked.max(least) + jittered(backoff);
        tracing::info!(%error, ?wait, "a stream was cut; it connects again and fills the gap");
        metrics::counter!("herald_stream_cuts_total").increment(1);
        tokio::time::sleep(wait).await;
    }

    /// Does the next thing there is to do; waits for it.
    async fn step(&mut self) -> Result<(), Error> {
        self.open_waiting().await?;
        if let Some(envelope) = self.held.take() {
            self.held = self.desk.table().route(envelope).err();
            if self.held.is_none() {
                self.linger();
            }
        }
        let timer = self.timer();
        let desk = Arc::clone(&self.desk);
        tokio::select! {
            // In this order: when it is time to look at a subscription, nothing of it waits to be read.
            biased;
            told = self.live.next(), if self.held.is_none() && !self.live.is_empty() => self.take_all(told)?,
            () = desk.changed.notified() => {}
            () = sleep_until(timer.unwrap_or_else(Instant::now)), if timer.is_some() => self.tidy().await?,
        }
        tokio::task::consume_budget().await;
        Ok(())
    }

    /// Takes what was told, and what has come with it.
    fn take_all(&mut self, first: Option<(u64, Option<Result<Envelope, Status>>)>) -> Result<(), Error> {
        self.take(first)?;
        for _ in 1..AT_ONCE {
            if self.held.is_some() {
                break;
            }
            let Some(told) = self.live.next().now_or_never() else {
                break;
            };
            self.take(told)?;
        }
        Ok(())
    }

    fn take(&mut self, told: Option<(u64, Option<Result<Envelope, Status>>)>) -> Result<(), Error> {
        match told {
            Some((trunk, Some(Ok(envelope)))) => {
                self.prove(trunk, &envelope);
                self.held = self.desk.table().route(envelope).err();
                Ok(())
            }
            Some((_, Some(Err(status)))) => Err(self.api.failure(&status)),
            Some((_, None)) | None => Err(self.api.cut()),
        }
    }

    /// Subscribes to what waits, with the trunks that are no larger than what is opened with them.
    async fn open_waiting(&mut self) -> Result<(), Error> {
        loop {
            if self.desk.table().followed() == 0 {
                if !self.trunks.is_empty() {
                    self.hang_up(None);
                    self.began = None;
                }
                return Ok(());
            }
            if !self.desk.table().has_waiting() || Instant::now() < self.gathers {
                self.plan_settling();
                return Ok(());
            }
            let mut topics = self.desk.table().take_waiting();
            if topics.is_empty() {
                continue;
            }
            let mut sizes: Vec<(usize, u64)> = self
                .staying()
                .map(|(id, trunk)| (trunk.topics.len(), id))
                .collect();
            sizes.sort_unstable();
            let mut moved = Vec::new();
            for (size, id) in sizes {
                if size > topics.len() || size + topics.len() > limits::SUBSCRIBE_TOPICS {
                    break;
                }
                topics.extend(self.followed_of(&[id]));
                moved.push(id);
            }
            self.open(topics).await?;
            self.leave(&moved);
            self.gathers = Instant::now() + GATHER;
            self.failures = 0;
        }
    }

    async fn open(&mut self, topics: Vec<Arc<str>>) -> Result<(), Error> {
        let names = topics.iter().map(ToString::to_string).collect();
        let envelopes = self.api.subscribe(names).await?;
        self.began.get_or_insert_with(Instant::now);
        let ended = stream::once(std::future::ready(None));
        self.next += 1;
        self.live
            .insert(self.next, envelopes.map(Some).chain(ended).boxed());
        self.desk.table().heard(&topics);
        let trunk = Trunk {
            topics: topics.into_iter().collect(),
            leaving: None,
        };
        self.trunks.insert(self.next, trunk);
        Ok(())
    }

    /// Lets trunks go whose topics have moved.
    fn leave(&mut self, moved: &[u64]) {
        for id in moved {
            if let Some(trunk) = self.trunks.get_mut(id) {
                trunk.leaving = Some(Leaving {
                    due: Instant::now() + LINGER,
                    looks: 0,
                    has_told: false,
                    is_answered: false,
                    proof: Proof::None,
                });
            }
        }
    }

    /// Nothing was read for a while: what is leaving may have more to tell than it could.
    fn linger(&mut self) {
        let due = Instant::now() + LINGER;
        for leaving in self
            .trunks
            .values_mut()
            .filter_map(|trunk| trunk.leaving.as_mut())
        {
            (leaving.due, leaving.is_answered) = (due, false);
        }
    }

    fn staying(&self) -> impl Iterator<Item = (u64, &Trunk)> {
        let staying = self.trunks.iter().filter(|(_, trunk)| trunk.leaving.is_none());
        staying.map(|(id, trunk)| (*id, trunk))
    }

    /// The topics of trunks that somebody follows; the others are forgotten.
    fn followed_of(&self, trunks: &[u64]) -> Vec<Arc<str>> {
        let mut table = self.desk.table();
        let topics = trunks.iter().filter_map(|id| self.trunks.get(id));
        topics
            .flat_map(|trunk| &trunk.topics)
            .filter(|topic| table.is_followed(topic))
            .cloned()
            .collect()
    }

    /// Notes what shows that a trunk whose topics have moved has told everything.
    fn prove(&mut self, from: u64, envelope: &Envelope) {
        let leaving = self
            .trunks
            .get_mut(&from)
            .and_then(|trunk| trunk.leaving.as_mut());
        let is_leaving = leaving.map(|leaving| leaving.has_told = true).is_some();
        for (id, trunk) in &mut self.trunks {
            let Some(leaving) = &mut trunk.leaving else {
                continue;
            };
            let id_of = || digest(&envelope.content_topic, &envelope.message);
            match leaving.proof {
                Proof::None if !is_leaving && trunk.topics.contains(envelope.content_topic.as_str()) => {
                    leaving.proof = Proof::Awaited(id_of());
                }
                Proof::Awaited(awaited) if *id == from && awaited == id_of() => leaving.proof = Proof::Told,
                _ => {}
            }
        }
    }

    fn timer(&self) -> Option<Instant> {
        let leaving = self.trunks.values().filter_map(|trunk| trunk.leaving.as_ref());
        let dues = leaving.map(|leaving| leaving.due).chain(self.settles);
        let first = dues.min().filter(|_| self.held.is_none());
        let gathers = self.desk.table().has_waiting().then_some(self.gathers);
        first.into_iter().chain(gathers).min()
    }

    async fn tidy(&mut self) -> Result<(), Error> {
        if self.held.is_some() {
            return Ok(());
        }
        let now = Instant::now();
        if self.settles.is_some_and(|due| due <= now) {
            self.settle().await?;
        }
        let is_due = |trunk: &Trunk| trunk.leaving.as_ref().is_some_and(|leaving| leaving.due <= now);
        let due = self.trunks.iter().filter(|(_, trunk)| is_due(trunk));
        let due: Vec<u64> = due.map(|(id, _)| *id).collect();
        let mut asks = false;
        for id in due {
            let Some(leaving) = self.trunks.get_mut(&id).and_then(|trunk| trunk.leaving.as_mut()) else {
                continue;
            };
            let waits = match leaving.proof {
                // A node that is behind with it feeds it piece by piece, and has more while it does.
                Proof::None => std::mem::take(&mut leaving.has_told),
                Proof::Awaited(_) => leaving.looks < LINGERS,
                Proof::Told => false,
            };
            if waits {
                leaving.looks += 1;
                leaving.due = now + LINGER;
                leaving.is_answered = false;
            } else if leaving.is_answered {
                self.trunks.remove(&id);
                self.live.remove(&id);
            } else {
                leaving.is_answered = true;
                asks = true;
            }
        }
        if asks {
            // What is on its way comes before the answer, and is read before these are due again.
            let range = Range {
                topics: self
                    .staying()
                    .flat_map(|(_, trunk)| &trunk.topics)
                    .take(1)
                    .map(ToString::to_string)
                    .collect(),
                page: 1,
                ..Range::default()
            };
            self.api.query(&range, None).await?;
        }
        Ok(())
    }

    /// The trunks that could be fewer together.
    fn unsettled(&self) -> Vec<u64> {
        let (followed, left) = {
            let table = self.desk.table();
            (table.followed(), table.left())
        };
        let is_stale = left > followed;
        let trunks = self.staying();
        let moving: Vec<(u64, usize)> = trunks
            .map(|(id, trunk)| (id, trunk.topics.len()))
            .filter(|(_, size)| is_stale || *size < limits::SUBSCRIBE_TOPICS)
            .collect();
        let topics: usize = moving.iter().map(|(_, size)| size).sum();
        if is_stale || topics.div_ceil(limits::SUBSCRIBE_TOPICS) < moving.len() {
            moving.into_iter().map(|(id, _)| id).collect()
        } else {
            Vec::new()
        }
    }

    fn plan_settling(&mut self) {
        if self.settles.is_none() && !self.unsettled().is_empty() {
            let followed = u32::try_from(self.desk.table().followed()).unwrap_or(u32::MAX);
            self.settles = Some(Instant::now() + SETTLE + SETTLE_EACH.saturating_mul(followed));
        }
    }

    /// Makes the trunks as few as they can be.
    async fn settle(&mut self) -> Result<(), Error> {
        self.settles = None;
        let moving = self.unsettled();
        for part in self.followed_of(&moving).chunks(limits::SUBSCRIBE_TOPICS) {
            self.open(part.to_vec()).await?;
        }
        self.leave(&moving);
        Ok(())
    }
}
