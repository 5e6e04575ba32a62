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
        let (first_ns, first_digest, last_ns) = request.bounds();
        let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
        let room = i64::try_from(budget.left()).unwrap_or(i64::MAX);
        let text = match request.direction {
            Direction::Ascending => ASCENDING,
            Direction::Descending => DESCENDING,
        };
        let found = self
            .query(
                text,
                &[&request.topics, &first_ns, &first_digest, &last_ns, &limit, &room],
            )
            .await?;
        let mut rows = Vec::with_capacity(found.len());
        for columns in &found {
            let sequence = columns.try_get(3)?;
            let position = Position {
                timestamp_ns: columns.try_get(1)?,
                digest: digest(columns, 2, sequence)?,
            };
            // Ordinality begins with one.
            let number: i64 = columns.try_get(0)?;
            let topic = usize::try_from(number - 1)
                .ok()
                .and_then(|number| request.topics.get(number).cloned())
                .ok_or(Error::Corrupt { sequence })?;
            let message: Option<&[u8]> = columns.try_get(4)?;
            match message {
                Some(message) if budget.admits(rows.len(), &topic, message.len()) => {
                    let message = Bytes::copy_from_slice(message);
                    rows.push(Row::checked(sequence, topic, position, message)?);
                }
                _ => return Ok(Page { rows, more: true }),
            }
        }
        let more = rows.len() == request.limit;
        Ok(Page { rows, more })
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

/// A page in an order, from beyond a place on. Each topic is read from its own start only as far as it can contribute. Messages
/// beyond the room are not sent, only that they are there; the first always is.
macro_rules! page {
    ($order:literal, $beyond:literal, $until:literal) => {
        concat!(
            "SELECT number, timestamp_ns, digest, sequence, CASE WHEN bytes <= $6 OR place = 1 THEN message END FROM (
                SELECT key.*, message, row_number() OVER place AS place, sum(octet_length(message)) OVER place AS bytes
                FROM (
                    SELECT asked.number, found.timestamp_ns, found.digest, found.sequence
                    FROM unnest($1::text[]) WITH ORDINALITY AS asked (topic, number)
                    CROSS JOIN LATERAL (
                        SELECT timestamp_ns, digest, sequence FROM envelope
                        WHERE topic = asked.topic AND (timestamp_ns, digest) ", $beyond, " ($2, $3) AND timestamp_ns ", $until, " $4
                        ORDER BY timestamp_ns ", $order, ", digest ", $order, " LIMIT $5
                    ) AS found
                    ORDER BY found.timestamp_ns ", $order, ", found.digest ", $order, ", found.sequence LIMIT $5
                ) AS key JOIN envelope USING (sequence)
                WINDOW place AS (
                    ORDER BY key.timestamp_ns ", $order, ", key.digest ", $order, ", key.sequence ROWS UNBOUNDED PRECEDING
                )
            ) AS page ORDER BY timestamp_ns ", $order, ", digest ", $order, ", sequence"
        )
    };
}
const ASCENDING: &str = page!("ASC", ">", "<=");
const DESCENDING: &str = page!("DESC", "<", ">=");
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
