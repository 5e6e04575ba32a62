//! Delivers the rows of one bot as they are due: judge, reach, seal, publish, settle; batches go side by side.

/// The files of messages.
mod load;
/// How wallets are reached.
mod reach;
/// Seals.
mod seal;
/// What became of rows.
mod settle;

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream::FuturesUnordered};
use herald_protocol::{
    address::Address,
    consent::{ConsentProof, ConsentState},
};
use rusqlite::{Connection, Transaction};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use load::Loader;
use settle::{Hold, looked_at_again};

use super::{
    judge::{self, Batch, Verdict},
    render::Outgoing,
    retry, with_causes,
};
use crate::{
    bot::{
        config::Retry,
        event::Kind,
        outside::{Asking, CameUpon},
        running::Running,
        store::{self, Delivery, State},
    },
    client::{self, Client},
    content::Content,
};

/// Rows in one round.
const BATCH: u32 = 800;
/// Rounds side by side: one waits for the disk or the node while another has the processor.
const ROUNDS: usize = 3;
/// Rows that are judged, sealed and published together; the parts of a round go side by side.
const PART: usize = 200;

/// Why a round could not be finished; the rows stay as they are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The node took nothing of a publish and asks for time.
    #[error("{refusal}")]
    Limited {
        refusal: client::Error,
        /// Before this nothing is published again.
        until: Instant,
    },
}

/// Delivers until shutdown. What is under way then goes out first.
pub(crate) async fn deliver(running: Arc<Running>, client: Client, shutdown: CancellationToken) {
    let worker = Worker::new(running, client);
    let mut failures = 0;
    while !shutdown.is_cancelled() {
        match worker.work(&shutdown).await {
            Ok(looked) => {
                failures = 0;
                let wait = worker.until_next(looked).await;
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = worker.running.to_deliver.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
            Err(error) => {
                let wait = if let Error::Limited { until, .. } = &error {
                    until.saturating_duration_since(Instant::now())
                } else {
                    failures += 1;
                    retry::wait(failures, Retry::default()).min(LONGEST_PAUSE)
                };
                worker.tell_failure(&error, wait).await;
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }
}

/// The longest pause after a round that failed, so that a node that comes back is used soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The longest sleep without a look at the wall clock, which may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// Delivers the rows of one bot.
pub(crate) struct Worker {
    pub(super) running: Arc<Running>,
    pub(super) client: Client,
    /// Wallets whose messages are out and who are to be allowed at the end of the round, however it ends.
    pub(super) reached: Mutex<Vec<Address>>,
    /// Held while a file is looked for and uploaded, so that no two rounds upload it.
    uploading: tokio::sync::Mutex<()>,
}

/// A row with the message that is to go out.
struct Ready {
    row: Delivery,
    message: Outgoing,
    /// The wallet's signed wish to be written to, if it gave one.
    proof: Option<ConsentProof>,
}

/// A row with the content that is to go out.
struct Loaded {
    row: Delivery,
    content: Content,
    thread: Option<String>,
    /// The topic of the conversation that it must stand in.
    conversation: Option<String>,
    proof: Option<ConsentProof>,
}

impl Worker {
    pub(crate) fn new(running: Arc<Running>, client: Client) -> Self {
        Self {
            running,
            client,
            reached: Mutex::default(),
            uploading: tokio::sync::Mutex::default(),
        }
    }

    /// How long until a row is due after `looked`: when the round that found none began, so that one which became due since then
    /// is not slept over.
    async fn until_next(&self, looked: DateTime<Utc>) -> Duration {
        match self.running.store.next_due(&self.running.bot.name, looked).await {
            Ok(Some(due)) => (due - self.running.now())
                .to_std()
                .unwrap_or_default()
                .min(LONGEST_SLEEP),
            Ok(None) | Err(_) => LONGEST_SLEEP,
        }
    }

    async fn tell_failure(&self, error: &Error, wait: Duration) {
        let mut event = self.running.event(Kind::Error);
        event.reason = Some(format!("deliveries wait: {}", with_causes(error)));
        event.until = Some(event.at + wait);
        self.running.tell(event).await;
    }

    /// Delivers what is due, a few batches side by side, so that none waits for the disk and the node of another. Ends when nothing is
    /// due, and says when it looked; at shutdown and after a failure once what is under way has ended.
    async fn work(&self, shutdown: &CancellationToken) -> Result<DateTime<Utc>, Error> {
        let most = if self.is_limited() { 1 } else { ROUNDS };
        let (mut rounds, mut under_way, mut errors) = (FuturesUnordered::new(), HashMap::new(), Vec::new());
        let mut looked = self.running.now();
        loop {
            let mut ended = Vec::new();
            let has_room = rounds.len() < most && errors.is_empty() && !shutdown.is_cancelled();
            if has_room {
                looked = self.running.now();
                let mut picking = pin!(self.pick(looked, under_way.clone()));
                let picked = loop {
                    tokio::select! {
                        picked = &mut picking => break picked,
                        Some(round) = rounds.next() => ended.push(round),
                    }
                };
                match picked {
                    Ok(rows) if !rows.is_empty() => {
                        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
                        under_way.extend(rows.iter().map(|row| (row.id, row.wallet)));
                        rounds.push(async move { (ids, self.take(rows, looked).await) });
                        if ended.is_empty() {
                            continue;
                        }
                    }
                    // What ends makes others due.
                    Ok(_) if rounds.is_empty() && ended.is_empty() => return Ok(looked),
                    Ok(_) => {}
                    Err(error) => errors.push(error),
                }
            }
            if ended.is_empty() {
                tokio::select! {
                    round = rounds.next() => match round {
                        Some(round) => ended.push(round),
                        None => break,
                    },
                    () = self.running.to_deliver.notified(), if has_room => {}
                }
            }
            for (ids, outcome) in ended {
                for id in ids {
                    under_way.remove(&id);
                }
                errors.extend(outcome.err());
            }
        }
        worst(errors.into_iter())?;
        Ok(looked)
    }

    /// Whether limits look at what all recipients got: then a batch is judged once the one before has ended, so that it counts.
    fn is_limited(&self) -> bool {
        let rules = self.running.bot.rules.values();
        rules
            .map(|rule| &rule.policy.limits)
            .any(|limits| limits.rule.is_some() || limits.bot.is_some())
    }

    /// Takes one batch as far as it goes. Gives the number of rows in it.
    pub(crate) async fn round(&self) -> Result<usize, Error> {
        let now = self.running.now();
        let rows = self.pick(now, HashMap::new()).await?;
        let count = rows.len();
        self.take(rows, now).await?;
        Ok(count)
    }

    /// The next batch of rows that are due, none for a wallet to which something is under way.
    async fn pick(
        &self,
        now: DateTime<Utc>,
        under_way: HashMap<i64, Address>,
    ) -> Result<Vec<Delivery>, Error> {
        let (store, bot) = (&self.running.store, &self.running.bot.name);
        Ok(store.due(bot, now, BATCH, under_way).await?)
    }

    /// Takes rows as far as they go, and allows the wallets that are reached. After a failure what is sealed is left to the store,
    /// where it is found again.
    async fn take(&self, rows: Vec<Delivery>, now: DateTime<Utc>) -> Result<(), Error> {
        let (sealed, open): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.sealed.is_some());
        let mut files = Loader::default();
        let outcome = async {
            // What needs no node comes first: rows end in time while it is away.
            self.send(open, &mut files, now).await?;
            let again = self.look(sealed, now).await?;
            self.send(again.seal, &mut files, self.running.now()).await?;
            self.publish(again.publish).await
        };
        let outcome = outcome.await;
        let reached = std::mem::take(&mut *self.reached.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = self.client.allow_unknown(reached).await {
            // The messages are out; the next ones allow their wallets.
            tracing::warn!(%error, "wallets could not be allowed");
        }
        outcome
    }

    /// Judges, seals and publishes open rows, in parts: one is judged while others are sealed and published.
    async fn send(&self, rows: Vec<Delivery>, files: &mut Loader, now: DateTime<Utc>) -> Result<(), Error> {
        let (mut rows, mut batch) = (rows.into_iter(), Batch::default());
        let (mut parts, mut errors) = (FuturesUnordered::new(), Vec::new());
        loop {
            let part: Vec<_> = rows.by_ref().take(PART).collect();
            if part.is_empty() {
                break;
            }
            let mut loading = pin!(async {
                let (ready, batch) = self.judge(part, batch, now).await?;
                Ok::<_, Error>((self.load(ready, files, now).await?, batch))
            });
            let loaded = loop {
                tokio::select! {
                    loaded = &mut loading => break loaded,
                    Some(part) = parts.next() => errors.extend(Result::err(part)),
                }
            };
            let loaded = match loaded {
                Ok((loaded, rest)) => {
                    batch = rest;
                    loaded
                }
                Err(error) => {
                    errors.push(error);
                    break;
                }
            };
            // Once a part has failed the others are judged only: rows end in time while the node is away.
            if errors.is_empty() {
                parts.push(async move {
                    let sealed = self.seal(self.reach(loaded, now).await?).await?;
                    self.publish(sealed).await
                });
            }
        }
        while let Some(part) = parts.next().await {
            errors.extend(part.err());
        }
        worst(errors.into_iter())
    }

    /// Judges open rows of a batch; what is skipped, expired or held is noted and told.
    async fn judge(
        &self,
        rows: Vec<Delivery>,
        mut batch: Batch,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Ready>, Batch), Error> {
        let (mut asking, mut judged) = (Asking::of(&self.running), Vec::with_capacity(rows.len()));
        let mut open: Vec<(usize, Delivery)> = rows.into_iter().enumerate().collect();
        while !open.is_empty() {
            let (running, round) = (Arc::clone(asking.running()), asking.round());
            let client = self.client.clone();
            let judge = move |connection: &Connection| {
                let (mut judged, mut lacking) = (Vec::with_capacity(open.len()), Vec::new());
                for (at, row) in open {
                    round.begin();
                    let mut facts = judge::facts(connection, &mut batch, &running, &row, now)?;
                    facts.denied = client.consent_of(row.wallet) == ConsentState::Denied;
                    let mut verdict = judge::judge(&running, &row, &facts, now);
                    match (round.came_upon(), &verdict) {
                        (CameUpon::Lacking, _) => {
                            lacking.push((at, row));
                            continue;
                        }
                        (CameUpon::Failed(reason), Verdict::Settle(State::Rejected, _)) => {
                            verdict = Verdict::Again(reason);
                        }
                        _ => {}
                    }
                    let rule = running.bot.rules.get(&row.rule);
                    if let (Verdict::Send(_), Some(rule)) = (&verdict, rule) {
                        let full = batch.take(connection, &running, rule, now)?;
                        verdict = full.unwrap_or(verdict);
                    }
                    judged.push((at, verdict, row, facts.standing.proof));
                }
                Ok((judged, lacking, batch))
            };
            let (known, lacking, rest) = self.running.store.read(judge).await?;
            judged.extend(known);
            (open, batch) = (lacking, rest);
            asking.ask().await;
        }
        judged.sort_by_key(|(at, ..)| *at);
        let (mut ready, mut settled, mut held, mut ended) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut carried = Vec::new();
        for (_, verdict, row, proof) in judged {
            match verdict {
                Verdict::Send(send) => {
                    let dropped = send.dropped.into_iter();
                    ended.extend(dropped.map(|id| (id, State::Skipped, Some("`if` is false".to_owned()))));
                    if !send.merged.is_empty() {
                        carried.push((row.id, send.merged));
                    }
                    ready.push(Ready {
                        row,
                        message: send.message,
                        proof,
                    });
                }
                Verdict::Hold {
                    reason,
                    until,
                    ttl,
                    period,
                } => held.push(Hold {
                    // Its time begins when it is due.
                    expires: until.checked_add_signed(ttl).unwrap_or(row.expires),
                    row,
                    reason,
                    due: until,
                    until,
                    period,
                }),
                Verdict::Again(reason) => held.push(looked_at_again(row, reason, now)),
                Verdict::Settle(state, reason) => settled.push((row, state, Some(reason))),
                Verdict::Cancel(reason) => {
                    self.end_later_steps(row.clone(), reason.clone()).await?;
                    settled.push((row, State::Skipped, Some(reason)));
                }
            }
        }
        self.hold(held).await?;
        self.settle(settled).await?;
        self.merge(carried, ended).await?;
        Ok((ready, batch))
    }

    async fn end_later_steps(&self, row: Delivery, reason: String) -> Result<(), Error> {
        let now = self.running.now();
        let end =
            move |transaction: &Transaction<'_>| store::end_later_steps(transaction, &row, &reason, now);
        Ok(self.running.store.write(end).await?)
    }

    /// Lets the rows of digests carry the others of theirs, and ends those that are in none.
    async fn merge(
        &self,
        carried: Vec<(i64, Vec<i64>)>,
        ended: Vec<(i64, State, Option<String>)>,
    ) -> Result<(), Error> {
        if carried.is_empty() && ended.is_empty() {
            return Ok(());
        }
        let now = self.running.now();
        let merge = move |transaction: &Transaction<'_>| {
            store::merge(transaction, &carried)?;
            store::settle(transaction, &ended, now).map(drop)
        };
        Ok(self.running.store.write(merge).await?)
    }
}

/// Of several errors the longest wait that the node has named.
pub(super) fn worst(errors: impl Iterator<Item = Error>) -> Result<(), Error> {
    let worst = errors.max_by_key(|error| match error {
        Error::Limited { until, .. } => Some(*until),
        Error::Store(_) | Error::Client(_) => None,
    });
    worst.map_or(Ok(()), Err)
}

/// Sealed rows after a look at their topics.
#[derive(Default)]
pub(super) struct Again {
    /// The same bytes go out again.
    pub(super) publish: Vec<Delivery>,
    /// To be sealed anew, if they still are to go: their bytes never arrived and are too old for running clients to notice.
    pub(super) seal: Vec<Delivery>,
}
