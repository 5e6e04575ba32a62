//! Reads feeds and polls again and again, and fires their rules for what is new.
//!
//! ```text
//! source or feed ── items ──> known, new or changed ── news ──> occurrences, together with what is known from now on
//! ```
//!
//! The first reading is what news is told from; nothing of it fires unless the file says so. An item counts as read in the
//! transaction that records its occurrence, so each is news once, whatever restarts. A reading that fails changes nothing and is
//! tried again.

mod feed;
mod news;
mod poll;
mod watched;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use tokio_util::sync::CancellationToken;

pub use feed::Feed;
pub use poll::Poll;

pub(crate) use news::Item;

use super::{Past, Trigger, Watch};
use crate::{
    bot::{
        config::{Retry, Rule},
        event::Kind,
        expression::{Scope, Value},
        fire,
        outbox::retry_wait,
        running::Running,
        source::Asker,
        store::{self, ScheduleKey},
    },
    client::jittered,
};

/// The longest sleep without a look at the wall clock, which may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How often values that cannot be read are told, while some of them cannot.
const VALUES_TOLD: TimeDelta = TimeDelta::minutes(10);
/// How old an answer may be that another rule asked for: rules that read one source at the same time share its answer.
const SHARED: Duration = Duration::from_secs(1);

/// Something a rule reads again and again.
pub(crate) struct Reader<'a> {
    running: &'a Running,
    rule: &'a Rule,
    what: What<'a>,
}

/// What is read.
#[derive(Clone, Copy)]
enum What<'a> {
    Feed(&'a Feed),
    Poll(&'a Poll),
    Watch(&'a Watch),
}

/// Why a reading came to nothing.
enum Failure {
    /// What was asked did not answer as it should.
    Source(String),
    /// Values cannot be read; the others were.
    Value(String),
    Store(store::Error),
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// Reads everything that the bot's rules read, each at its times, until shutdown.
pub(crate) async fn read(running: Arc<Running>, shutdown: CancellationToken) {
    let readers = readers(&running);
    let reading = join_all(readers.iter().map(Reader::run));
    tokio::select! {
        () = shutdown.cancelled() => {}
        _ = reading => {}
    }
}

/// All that the rules of a bot read.
pub(crate) fn readers(running: &Running) -> Vec<Reader<'_>> {
    let triggers = running.bot.rules.values().flat_map(|rule| {
        let triggers = rule.triggers.iter();
        triggers.map(move |trigger| (rule, trigger))
    });
    let readers = triggers.filter_map(|(rule, trigger)| {
        let what = match trigger {
            Trigger::Feed(feed) => What::Feed(feed),
            Trigger::Poll(poll) => What::Poll(poll),
            Trigger::Watch(watch) => What::Watch(watch),
            _ => return None,
        };
        Some(Reader { running, rule, what })
    });
    readers.collect()
}

/// Reads the polls that are due and whose sources are given; the others have nothing to read. Gives when the next one is due.
pub(crate) async fn read_given(running: &Running) -> Result<Option<DateTime<Utc>>, store::Error> {
    let mut next = None;
    for reader in readers(running).into_iter().filter(Reader::is_given) {
        if reader.due().await? <= running.now() {
            match reader.read_now().await {
                Ok(()) => {}
                Err(Failure::Source(reason) | Failure::Value(reason)) => {
                    reader
                        .tell(format!("{} cannot be read: {reason}", reader.name()), None)
                        .await;
                    continue;
                }
                Err(Failure::Store(error)) => return Err(error),
            }
        }
        next = [next, Some(reader.due().await?)].into_iter().flatten().min();
    }
    Ok(next)
}

/// What a rule would be given for an entry or item that it can read now: the one of an id, else the newest entry of a feed, the first
/// item of a poll. Errors are sentences for people.
pub(super) async fn recall(running: &Running, rule: &Rule, past: &Past) -> Result<Scope, String> {
    let mut readers = readers(running).into_iter();
    let reader = readers
        .find(|reader| reader.rule.name == rule.name && !matches!(reader.what, What::Watch(_)))
        .ok_or("the rule reads no log, no feed and no poll, of which something could be there already")?;
    let items = reader.items().await?;
    let now = running.now();
    let wanted = match (past, reader.what) {
        (Past::Entry(id), _) => items.into_iter().find(|item| item.id == *id),
        // Feeds begin with their latest entry.
        (_, What::Feed(_)) => items
            .into_iter()
            .rev()
            .max_by_key(|item| item.date.unwrap_or(now).min(now)),
        _ => items.into_iter().next(),
    };
    let wanted = wanted.ok_or_else(|| match past {
        Past::Entry(id) => format!("{} has no `{id}` now", reader.name()),
        _ => format!("{} is empty", reader.name()),
    })?;
    Ok([("item", wanted.value), ("previous", Value::None)]
        .into_iter()
        .filter(|(name, _)| rule.names.get(name).is_some())
        .collect())
}

impl Reader<'_> {
    /// The rule's name.
    pub(crate) fn rule(&self) -> &str {
        &self.rule.name
    }

    /// Whether its answer is given. Feeds have none that stays.
    fn is_given(&self) -> bool {
        match self.what {
            What::Feed(_) => false,
            What::Poll(poll) => matches!(self.running.answers.given(&poll.source.name), Some(Ok(_))),
            What::Watch(watch) => {
                let names = watch.value.names().iter();
                let mut sources = names.filter(|name| self.running.bot.sources.contains_key(*name));
                sources.all(|name| matches!(self.running.answers.given_value(name), Some(Ok(_))))
            }
        }
    }

    /// Where it stands in the store: another feed, and another way to tell changes, starts anew.
    fn key(&self) -> ScheduleKey {
        let trigger = match self.what {
            What::Feed(feed) => format!("feed {}", feed.url),
            What::Poll(poll) => format!("poll {} {}", poll.source.name, poll.changed.join(" ")),
            What::Watch(watch) => format!("watch {}", watch.text),
        };
        ScheduleKey {
            bot: self.running.bot.name.clone(),
            rule: self.rule.name.clone(),
            trigger,
        }
    }

    fn every(&self) -> Duration {
        match self.what {
            What::Feed(feed) => feed.every,
            What::Poll(poll) => poll.every,
            What::Watch(watch) => watch.every,
        }
    }

    /// Reads at its times. A reading that fails is tried again sooner than the next one is due; its reason is told once.
    async fn run(&self) {
        let (mut failures, mut told, mut told_values) = (0, None, None);
        let mut due = self.due().await.unwrap_or_else(|_| self.running.now());
        loop {
            let wait = (due - self.running.now()).to_std().unwrap_or_default();
            if !wait.is_zero() {
                tokio::time::sleep(wait.min(LONGEST_SLEEP)).await;
                continue;
            }
            let reason = match self.read_now().await {
                Ok(()) => {
                    (failures, told, told_values) = (0, None, None);
                    due = self.next(self.running.now());
                    continue;
                }
                Err(Failure::Value(reason)) => {
                    // Each time others of many may fail, and each for a reason of its own.
                    let now = self.running.now();
                    if told_values.is_none_or(|told| now - told >= VALUES_TOLD) {
                        let reason = format!("{} cannot be read: {reason}", self.name());
                        self.tell(reason, None).await;
                        told_values = Some(now);
                    }
                    due = self.next(now);
                    continue;
                }
                Err(Failure::Source(reason)) => format!("{} cannot be read: {reason}", self.name()),
                Err(Failure::Store(error)) => format!("{} waits: {error}", self.name()),
            };
            failures += 1;
            let wait = retry_wait(failures, Retry::default()).min(jittered(self.every()));
            due = self.running.now() + wait;
            if told.as_ref() != Some(&reason) {
                self.tell(reason.clone(), Some(due)).await;
                told = Some(reason);
            }
        }
    }

    /// What it reads, for people.
    fn name(&self) -> String {
        match self.what {
            What::Feed(feed) => format!("feed {}", feed.place()),
            What::Poll(poll) => format!("source `{}`", poll.source.name),
            What::Watch(_) => "what is watched".to_owned(),
        }
    }

    async fn tell(&self, reason: String, until: Option<DateTime<Utc>>) {
        let mut event = self.running.event(Kind::Error);
        event.rule = Some(self.rule.name.clone());
        event.reason = Some(reason);
        event.until = until;
        self.running.tell(event).await;
    }

    /// When it is to be read next.
    async fn due(&self) -> Result<DateTime<Utc>, store::Error> {
        let last = self.running.store.last_reading(self.key()).await?;
        Ok(last.map_or_else(|| self.running.now(), |last| self.next(last)))
    }

    fn next(&self, last: DateTime<Utc>) -> DateTime<Utc> {
        TimeDelta::from_std(self.every())
            .ok()
            .and_then(|every| last.checked_add_signed(every))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    async fn read_now(&self) -> Result<(), Failure> {
        if let What::Watch(watch) = self.what {
            return self.watch(watch).await;
        }
        self.take(self.items().await.map_err(Failure::Source)?).await
    }

    /// All that can be read now. Errors are sentences for people.
    async fn items(&self) -> Result<Vec<Item>, String> {
        let asker = Asker {
            fetch: &self.running.fetch,
            answers: &self.running.answers,
            folder: self.running.bot.folder(),
            fresh: SHARED,
        };
        match self.what {
            What::Feed(feed) => feed.items(asker).await,
            What::Poll(poll) => poll.items(asker, &self.running.scope()).await,
            What::Watch(_) => Ok(Vec::new()),
        }
    }

    /// Whether it is compared with what was read before, and was never read.
    pub(crate) async fn is_new(&self) -> Result<bool, store::Error> {
        if matches!(self.what, What::Watch(_)) {
            return Ok(false);
        }
        Ok(self.running.store.last_reading(self.key()).await?.is_none())
    }

    /// Takes entries or items as what was read just now.
    pub(crate) async fn read_as(&self, items: &[Value]) -> Result<(), store::Error> {
        self.take_again(self.of_values(items)).await
    }

    /// Lets these count as read already.
    pub(crate) async fn begin(&self, items: &[Value], now: DateTime<Utc>) -> Result<(), store::Error> {
        let sorted = news::sort(self.of_values(items), &[]);
        let seen = sorted.into_iter().map(|sorted| sorted.seen).collect();
        let noted = self
            .running
            .store
            .note_reading(self.key(), now, (seen, Vec::new()));
        noted.await.map(drop)
    }

    fn of_values(&self, items: &[Value]) -> Vec<Item> {
        match self.what {
            What::Feed(feed) => items.iter().filter_map(|item| feed.item_of(item)).collect(),
            What::Poll(poll) => items.iter().map(|item| poll.item(item)).collect(),
            What::Watch(_) => Vec::new(),
        }
    }

    async fn take_again(&self, items: Vec<Item>) -> Result<(), store::Error> {
        match self.take(items).await {
            Err(Failure::Store(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Tells news from what is known, and records both.
    async fn take(&self, items: Vec<Item>) -> Result<(), Failure> {
        let (store, now) = (&self.running.store, self.running.now());
        let is_first = store.last_reading(self.key()).await?.is_none();
        let digests = items.iter().map(|item| item.digest).collect();
        let known = store.known_items(self.key(), digests).await?;
        let mut sorted = news::sort(items, &known);
        let starts_empty = match self.what {
            What::Feed(feed) => {
                sorted = feed.pick(sorted, now);
                feed.starts_with_all
            }
            What::Poll(poll) => poll.starts_with_all,
            What::Watch(_) => true,
        };
        let mut new = Vec::new();
        for sorted in sorted
            .iter()
            .filter(|sorted| sorted.is_news && (starts_empty || !is_first))
        {
            match sorted.firing(now) {
                Ok(firing) => new.push(fire::occurrence(self.running, self.rule, &firing)),
                Err(reason) => self.tell(format!("{}: {reason}", self.name()), None).await,
            }
        }
        let seen = sorted.into_iter().map(|sorted| sorted.seen).collect();
        for (new, planned) in store.note_reading(self.key(), now, (seen, new)).await? {
            fire::tell(self.running, &new, &planned).await;
        }
        Ok(())
    }
}
