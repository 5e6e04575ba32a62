//! Publishes sealed rows, and finds out what became of those whose outcome is not known.

use std::sync::PoisonError;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use herald_protocol::proto::api::{Envelope, PublishRequest};
use prost::Message as _;
use tokio::time::Instant;

use super::{
    retry,
    worker::{Again, Error, Worker, worst},
};
use crate::{
    bot::store::{Delivery, Sealed, State},
    client::{CALL_TIMEOUT, Disposition},
};

/// Envelopes in one request, a fifth of what nodes take.
const ENVELOPES: usize = 200;
/// Bytes in one request, half of what nodes take.
const BYTES: usize = 4 * 1024 * 1024;
/// Bytes older than this are sealed again when they never arrived: running clients look back 10 s only.
const FRESH: TimeDelta = TimeDelta::seconds(8);

/// Rows that go out in one request.
pub(super) struct Chunk {
    rows: Vec<(Delivery, Vec<Envelope>)>,
}

/// Splits rows into requests; each row's envelopes stay together.
pub(super) fn chunks(rows: Vec<Delivery>) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    for row in rows {
        let envelopes = row.sealed.as_ref().map(envelopes).unwrap_or_default();
        let size = row.sealed.as_ref().map_or(0, |sealed| sealed.request.len());
        count += envelopes.len();
        bytes += size;
        match chunks.last_mut() {
            Some(chunk) if count <= ENVELOPES && bytes <= BYTES => chunk.rows.push((row, envelopes)),
            _ => {
                (count, bytes) = (envelopes.len(), size);
                chunks.push(Chunk {
                    rows: vec![(row, envelopes)],
                });
            }
        }
    }
    chunks
}

/// The envelopes of a sealed row; the last one is the message, invitations come before it.
fn envelopes(sealed: &Sealed) -> Vec<Envelope> {
    envelopes_of(sealed.request.clone())
}

fn envelopes_of(request: Bytes) -> Vec<Envelope> {
    PublishRequest::decode(request)
        .map(|request| request.envelopes)
        .unwrap_or_default()
}

/// The conversation that an encoded publish request's message is in.
pub(super) fn topic_of(request: Bytes) -> Option<String> {
    envelopes_of(request).pop().map(|envelope| envelope.content_topic)
}

/// What became of the rows of a request.
#[derive(Default)]
struct Outcome {
    delivered: Vec<(Delivery, Vec<Envelope>)>,
    rejected: Vec<(Delivery, State, Option<String>)>,
}

impl Worker {
    /// Publishes rows, a few requests at once, and settles those that the node has answered for.
    pub(super) async fn publish(&self, rows: Vec<Delivery>) -> Result<(), Error> {
        let chunks = chunks(rows).into_iter().map(|chunk| self.publish_chunk(chunk));
        let (mut delivered, mut rejected, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (outcome, result) in futures::future::join_all(chunks).await {
            delivered.extend(outcome.delivered);
            rejected.extend(outcome.rejected);
            errors.extend(result.err());
        }
        self.delivered(delivered, rejected).await?;
        worst(errors.into_iter())
    }

    /// Publishes a chunk. A refusal of several is narrowed down to the row that earned it.
    async fn publish_chunk(&self, chunk: Chunk) -> (Outcome, Result<(), Error>) {
        let mut outcome = Outcome::default();
        let result = self.try_chunk(chunk, &mut outcome).await;
        (outcome, result)
    }

    async fn try_chunk(&self, chunk: Chunk, outcome: &mut Outcome) -> Result<(), Error> {
        let all: Vec<Envelope> = chunk
            .rows
            .iter()
            .flat_map(|(_, envelopes)| envelopes.iter().cloned())
            .collect();
        match self.client.publish(all).await {
            Ok(()) => {
                outcome.delivered.extend(chunk.rows);
                Ok(())
            }
            Err(error) if error.disposition() == Disposition::Reject && chunk.rows.len() > 1 => {
                for row in chunk.rows {
                    Box::pin(self.try_chunk(Chunk { rows: vec![row] }, outcome)).await?;
                }
                Ok(())
            }
            Err(error) => match error.disposition() {
                Disposition::Reject => {
                    let reason = Some(error.to_string());
                    let rows = chunk.rows.into_iter();
                    let rejected = rows.map(|(row, _)| (row, State::Rejected, reason.clone()));
                    outcome.rejected.extend(rejected);
                    Ok(())
                }
                // These rows did not go out. They stay as they are, and no others follow them into the same refusal.
                Disposition::Retry(Some(wait)) => Err(Error::Limited {
                    refusal: error,
                    until: Instant::now() + wait,
                }),
                Disposition::Retry(None) => self.not_known(chunk.rows, &error.to_string()).await,
            },
        }
    }

    /// Settles rows whose messages are out, with `others`; the round allows their wallets.
    async fn delivered(
        &self,
        rows: Vec<(Delivery, Vec<Envelope>)>,
        others: Vec<(Delivery, State, Option<String>)>,
    ) -> Result<(), Error> {
        let wallets = rows.iter().map(|(row, _)| row.wallet);
        self.reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(wallets);
        for (_, envelopes) in &rows {
            self.client.acknowledged(envelopes).await?;
        }
        let settled = rows.into_iter().map(|(row, _)| (row, State::Delivered, None));
        self.settle(settled.chain(others).collect()).await
    }

    async fn not_known(&self, rows: Vec<(Delivery, Vec<Envelope>)>, reason: &str) -> Result<(), Error> {
        let now = self.running.now();
        let due = |row: &Delivery| (row.id, now + retry::wait(row.tries + 1, self.retry(row)));
        let rows = rows.iter().map(|(row, _)| due(row)).collect();
        tracing::warn!(
            reason,
            "a publish has no answer; its rows are looked for and tried again"
        );
        self.running.store.tried(rows, now, reason.to_owned()).await?;
        Ok(())
    }

    /// Looks for sealed rows on their topics: what is there is delivered, the rest goes out again.
    pub(super) async fn look(&self, rows: Vec<Delivery>, now: DateTime<Utc>) -> Result<Again, Error> {
        let mut again = Again::default();
        if rows.is_empty() {
            return Ok(again);
        }
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| {
                let envelopes = row.sealed.as_ref().map(envelopes).unwrap_or_default();
                (row, envelopes)
            })
            .collect();
        let messages: Vec<_> = rows
            .iter()
            .filter_map(|(_, envelopes)| envelopes.last().cloned())
            .collect();
        let mut there = self.client.stored(&messages).await?.into_iter();
        let (mut arrived, mut over) = (Vec::new(), Vec::new());
        for (row, envelopes) in rows {
            if envelopes.is_empty() {
                again.seal.push(row);
            } else if there.next().unwrap_or(false) {
                arrived.push((row, envelopes));
            } else if is_stale(&row, now) {
                again.seal.push(row);
            } else if row.expires <= now {
                over.push((row.id, stale_from(&row)));
            } else {
                again.publish.push(row);
            }
        }
        self.running.store.look_again(over).await?;
        self.delivered(arrived, Vec::new()).await?;
        Ok(again)
    }
}

/// Whether bytes that never arrived may be replaced, or given up.
fn is_stale(row: &Delivery, now: DateTime<Utc>) -> bool {
    now >= stale_from(row)
}

/// When no try can still be under way, and clients would not notice the bytes any more.
fn stale_from(row: &Delivery) -> DateTime<Utc> {
    let sealed = row.sealed.as_ref().map_or(row.created, |sealed| sealed.sealed);
    let last = row.tried.unwrap_or(sealed).max(sealed);
    (last + CALL_TIMEOUT).max(sealed + FRESH)
}
