//! Pages and replays, on a small pool of connections.

use std::time::Duration;

use bytes::Bytes;
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use herald_protocol::envelope;
use tokio_postgres::{Row as Columns, types::ToSql};

use super::{
    super::{
        Budget, Direction, Error, PIECE_BYTES, PIECE_ROWS, Page, PageRequest, Position, Replay, SCANNED_ROWS,
        Size, page::Row,
    },
    connect::{Connector, Failed, SETTINGS, is_passing},
};
use crate::envelope::{Arrival, Digest};

#[derive(Debug)]
pub(super) struct Readers {
    pool: Pool,
}

/// A row of the index that belongs to a page.
struct Key {
    topic: usize,
    position: Position,
    sequence: i64,
    message_bytes: usize,
}

impl Readers {
    pub(super) fn new(connector: &Connector) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(connector.config.clone(), connector.tls.clone(), recycling);
        let settle = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(async move { client.batch_execute(SETTINGS).await.map_err(HookError::Backend) })
        });
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .post_create(settle)
            .build()?;
        Ok(Self { pool })
    }

    /// One of the connections, for something else.
    pub(super) async fn connection(&self) -> Result<Object, Error> {
        Ok(self.pool.get().await?)
    }

    pub(super) async fn page(&self, request: &PageRequest, budget: &Budget) -> Result<Page, Error> {
        loop {
            // An empty page would end the reader's paging, so one whose rows are all gone is read anew.
            if let Some(page) = self.page_of_now(request, budget).await? {
                return Ok(page);
            }
        }
    }

    /// Nothing when all rows were deleted between the look at the index and that at the messages.
    async fn page_of_now(&self, request: &PageRequest, budget: &Budget) -> Result<Option<Page>, Error> {
        let (first_ns, first_digest, last_ns) = request.bounds();
        let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
        let text = match request.direction {
            Direction::Ascending => ASCENDING,
            Direction::Descending => DESCENDING,
        };
        let found = self
            .query(
                text,
                &[&request.topics, &first_ns, &first_digest, &last_ns, &limit],
            )
            .await?;
        let keys = found.iter().map(key).collect::<Result<Vec<_>, Error>>()?;
        let topic_of = |key: &Key| request.topics.get(key.topic).cloned().unwrap_or_default();
        let fitting = keys
            .iter()
            .enumerate()
            .take_while(|(number, key)| budget.admits(*number, &topic_of(key), key.message_bytes))
            .count();
        let sequences: Vec<i64> = keys.iter().take(fitting).map(|key| key.sequence).collect();
        let mut messages = self.messages(&sequences).await?.into_iter().peekable();
        let more = fitting < keys.len() || keys.len() == request.limit;
        let mut rows = Vec::with_capacity(fitting);
        for key in keys.into_iter().take(fitting) {
            // A row that was deleted since its key was read is left out.
            if let Some((_, message)) = messages.next_if(|(sequence, _)| *sequence == key.sequence) {
                rows.push(Row::checked(key.sequence, topic_of(&key), key.position, message)?);
            }
        }
        Ok((fitting == 0 || !rows.is_empty()).then_some(Page { rows, more }))
    }

    pub(super) async fn replay(
        &self,
        after: i64,
        head: i64,
        wanted: impl Fn(&str, i64) -> bool,
    ) -> Result<Replay, Error> {
        let last = head.min(after + SCANNED_ROWS);
        let scanned = self.query(SCAN, &[&after, &last]).await?;
        let mut replay = Replay {
            arrivals: Vec::new(),
            scanned_to: last.max(after),
        };
        let (mut bytes, mut chosen) = (0, Vec::new());
        for row in &scanned {
            let (sequence, topic): (i64, &str) = (row.try_get(0)?, row.try_get(1)?);
            if !wanted(topic, sequence) {
                continue;
            }
            bytes += usize::try_from(row.try_get::<_, i32>(2)?).unwrap_or(usize::MAX);
            chosen.push((sequence, topic));
            if bytes >= PIECE_BYTES || chosen.len() >= PIECE_ROWS {
                replay.scanned_to = sequence;
                break;
            }
        }
        let sequences: Vec<i64> = chosen.iter().map(|(sequence, _)| *sequence).collect();
        let found = self.query(ARRIVALS, &[&sequences]).await?;
        let mut topics = chosen.into_iter();
        for row in found {
            let sequence: i64 = row.try_get(0)?;
            let Some((_, topic)) = topics.find(|(chosen, _)| *chosen == sequence) else {
                continue;
            };
            let message = Bytes::copy_from_slice(row.try_get(3)?);
            let digest = digest(&row, 2, sequence)?;
            checked(sequence, topic, &digest, &message)?;
            replay
                .arrivals
                .push(Arrival::read(sequence, topic, row.try_get(1)?, message));
        }
        Ok(replay)
    }

    /// Reads the newest place.
    pub(super) async fn probe(&self) -> Result<(), Error> {
        self.query(NEWEST, &[]).await.map(|_| ())
    }

    /// Of tables and indexes; the disk of another machine cannot be seen.
    pub(super) async fn size(&self) -> Result<Size, Error> {
        let found = self.query(SIZE, &[]).await?;
        let bytes: i64 = found.first().map_or(Ok(0), |row| row.try_get(0))?;
        Ok(Size {
            bytes: bytes.unsigned_abs(),
            free_bytes: None,
        })
    }

    /// Connections in use.
    pub(super) fn busy(&self) -> usize {
        let status = self.pool.status();
        status.size.saturating_sub(status.available)
    }

    /// The messages of these rows, in this order.
    async fn messages(&self, sequences: &[i64]) -> Result<Vec<(i64, Bytes)>, Error> {
        if sequences.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.query(MESSAGES, &[&sequences]).await?;
        let message = |row: &Columns| Ok((row.try_get(0)?, Bytes::copy_from_slice(row.try_get(1)?)));
        found.iter().map(message).collect()
    }

    /// Once more where a connection turns out to be dead: reading twice changes nothing.
    pub(super) async fn query(
        &self,
        text: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Columns>, Error> {
        for _ in 0..=CONNECTIONS {
            let client = self.pool.get().await?;
            match run(&client, text, values).await {
                Err(_) if client.is_closed() => {}
                answer => return Ok(answer?),
            }
        }
        let client = self.pool.get().await?;
        Ok(run(&client, text, values).await?)
    }
}

async fn run(
    client: &Object,
    text: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Columns>, tokio_postgres::Error> {
    let statement = client.prepare_cached(text).await?;
    client.query(&statement, values).await
}

fn key(row: &Columns) -> Result<Key, Error> {
    let sequence = row.try_get(3)?;
    let topic: i64 = row.try_get(0)?;
    Ok(Key {
        // Ordinality begins with one.
        topic: usize::try_from(topic - 1).map_err(|_| Error::Corrupt { sequence })?,
        position: Position {
            timestamp_ns: row.try_get(1)?,
            digest: digest(row, 2, sequence)?,
        },
        sequence,
        message_bytes: usize::try_from(row.try_get::<_, i32>(4)?).unwrap_or(usize::MAX),
    })
}

fn digest(row: &Columns, column: usize, sequence: i64) -> Result<Digest, Error> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| Error::Corrupt { sequence })
}

/// A row that is read must be the one that was stored.
pub(super) fn checked(sequence: i64, topic: &str, digest: &Digest, message: &[u8]) -> Result<(), Error> {
    if envelope::digest(topic, message) == *digest {
        Ok(())
    } else {
        Err(Error::Corrupt { sequence })
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        if is_passing(&error) {
            Self::Unreachable(error.into())
        } else {
            Self::Unreadable(error.into())
        }
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Database(error) => error.into(),
            Failed::Silent => Self::Unreachable(failed.into()),
        }
    }
}

impl From<deadpool_postgres::PoolError> for Error {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => error.into(),
            // Too many readers at once.
            error => Self::Unreachable(error.into()),
        }
    }
}

/// Each topic is read from its own start only as far as it can contribute; sizes are looked up for the page's rows only.
const ASCENDING: &str = "
    SELECT key.*, octet_length(envelope.message) FROM (
        SELECT asked.number, found.timestamp_ns, found.digest, found.sequence
        FROM unnest($1::text[]) WITH ORDINALITY AS asked (topic, number)
        CROSS JOIN LATERAL (
            SELECT timestamp_ns, digest, sequence FROM envelope
            WHERE topic = asked.topic AND (timestamp_ns, digest) > ($2, $3) AND timestamp_ns <= $4
            ORDER BY timestamp_ns, digest LIMIT $5
        ) AS found
        ORDER BY found.timestamp_ns, found.digest, found.sequence LIMIT $5
    ) AS key JOIN envelope USING (sequence)
    ORDER BY key.timestamp_ns, key.digest, key.sequence";
const DESCENDING: &str = "
    SELECT key.*, octet_length(envelope.message) FROM (
        SELECT asked.number, found.timestamp_ns, found.digest, found.sequence
        FROM unnest($1::text[]) WITH ORDINALITY AS asked (topic, number)
        CROSS JOIN LATERAL (
            SELECT timestamp_ns, digest, sequence FROM envelope
            WHERE topic = asked.topic AND (timestamp_ns, digest) < ($2, $3) AND timestamp_ns >= $4
            ORDER BY timestamp_ns DESC, digest DESC LIMIT $5
        ) AS found
        ORDER BY found.timestamp_ns DESC, found.digest DESC, found.sequence LIMIT $5
    ) AS key JOIN envelope USING (sequence)
    ORDER BY key.timestamp_ns DESC, key.digest DESC, key.sequence";
const MESSAGES: &str = "
    SELECT sequence, message FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (sequence, number)
    JOIN envelope USING (sequence) ORDER BY number";
const SCAN: &str = "
    SELECT sequence, topic, octet_length(message) FROM envelope
    WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence";
const ARRIVALS: &str = "
    SELECT sequence, timestamp_ns, digest, message FROM envelope
    WHERE sequence = ANY ($1) ORDER BY sequence";
const NEWEST: &str = "SELECT sequence, digest FROM envelope ORDER BY sequence DESC LIMIT 1";
const SIZE: &str = "SELECT pg_total_relation_size('envelope')";
/// Beyond this, reads wait in line.
const CONNECTIONS: usize = 8;
const WAIT: Duration = Duration::from_secs(5);
