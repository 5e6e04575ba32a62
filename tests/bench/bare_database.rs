//! The least `PostgreSQL` can do for durable envelopes: the node's tables, one `unnest` insert a commit, on one connection with
//! everything prepared.

use std::time::{Duration, Instant};

use herald_protocol::{envelope, proto::api::Envelope};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement, types::ToSql};

use crate::{Error, bare_store::Bare, node::runtime};

pub(crate) struct BareDatabase {
    runtime: Runtime,
    client: Client,
    insert: Statement,
    sequence: i64,
}

/// Writes down which pages everybody sees, as autovacuum does.
pub(crate) fn vacuum(url: &str) -> Result<(), Error> {
    let (runtime, client) = connect(url)?;
    runtime.block_on(client.batch_execute("VACUUM (ANALYZE) envelope"))?;
    Ok(runtime.block_on(client.batch_execute("CHECKPOINT"))?)
}

fn connect(url: &str) -> Result<(Runtime, Client), Error> {
    let runtime = runtime("bare")?;
    let (client, connection) = runtime.block_on(tokio_postgres::connect(url, NoTls))?;
    runtime.spawn(connection);
    Ok((runtime, client))
}

impl BareDatabase {
    pub(crate) fn create(url: &str) -> Result<Self, Error> {
        let (runtime, client) = connect(url)?;
        let tables = include_str!("../../node/migrations/postgres/V1__envelopes.sql");
        runtime.block_on(client.batch_execute(tables))?;
        let insert = runtime.block_on(client.prepare(INSERT))?;
        Ok(Self {
            runtime,
            client,
            insert,
            sequence: 0,
        })
    }
}

impl Bare for BareDatabase {
    fn store(&mut self, envelopes: &[Envelope], rows_a_commit: usize) -> Result<Duration, Error> {
        let digests: Vec<_> = envelopes
            .iter()
            .map(|envelope| envelope::digest(&envelope.content_topic, &envelope.message))
            .collect();
        let started = Instant::now();
        for (group, digests) in envelopes.chunks(rows_a_commit).zip(digests.chunks(rows_a_commit)) {
            let mut sequences = Vec::with_capacity(group.len());
            let mut times = Vec::with_capacity(group.len());
            for envelope in group {
                self.sequence += 1;
                sequences.push(self.sequence);
                times.push(i64::try_from(envelope.timestamp_ns)?);
            }
            let topics: Vec<&str> = group.iter().map(|envelope| &*envelope.content_topic).collect();
            let digests: Vec<&[u8]> = digests.iter().map(|digest| &digest[..]).collect();
            let messages: Vec<&[u8]> = group.iter().map(|envelope| &envelope.message[..]).collect();
            let values: [&(dyn ToSql + Sync); 5] = [&sequences, &topics, &times, &digests, &messages];
            self.runtime
                .block_on(self.client.execute(&self.insert, &values))?;
        }
        Ok(started.elapsed())
    }
}

const INSERT: &str = "INSERT INTO envelope (sequence, topic, timestamp_ns, received_ns, digest, message)
    SELECT sequence, topic, timestamp_ns, timestamp_ns, digest, message
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[], $5::bytea[])
        AS row (sequence, topic, timestamp_ns, digest, message)
    ON CONFLICT (topic, timestamp_ns, digest) DO NOTHING";
