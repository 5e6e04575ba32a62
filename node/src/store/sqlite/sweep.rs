//! Deleting what is older than it may be: found by a reader, deleted by the writer.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::super::{
    Error,
    retention::{Expiry, SCANNED, Victims},
};

pub(super) fn find(connection: &Connection, expiry: Expiry) -> Result<Victims, Error> {
    let after = connection
        .prepare_cached("SELECT sequence FROM swept WHERE kind = ?1")?
        .query_row([expiry.kind], |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let mut statement = connection.prepare_cached(SCAN)?;
    let rows = statement.query_map([after, SCANNED], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(Victims::among(rows, after, expiry)?)
}

/// Deletes envelopes, and topics that have none any more.
pub(super) fn delete(
    connection: &mut Connection,
    kind: &'static str,
    victims: &Victims,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let topics = delete_envelopes(&transaction, &victims.sequences)?;
    for topic in topics {
        transaction.prepare_cached(DELETE_TOPIC)?.execute([topic])?;
    }
    transaction
        .prepare_cached("INSERT INTO swept (kind, sequence) VALUES (?1, ?2) ON CONFLICT (kind) DO UPDATE SET sequence = ?2")?
        .execute((kind, victims.scanned_to))?;
    transaction.commit()
}

/// Gives some free pages back to the file system, where there are more than the next publishes will use. Returns whether there
/// are more. A file of a version that did not ask for this keeps them, and uses them again.
pub(super) fn compact(connection: &mut Connection) -> rusqlite::Result<bool> {
    let free = |connection: &Connection| -> rusqlite::Result<i64> {
        connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))
    };
    let before = free(connection)?;
    if before <= FREE_PAGES {
        return Ok(false);
    }
    let mut statement = connection.prepare_cached("PRAGMA incremental_vacuum(512)")?;
    let mut pages = statement.query([])?;
    // Each row is a page.
    while pages.next()?.is_some() {}
    drop(pages);
    drop(statement);
    let after = free(connection)?;
    // The file becomes shorter when the log is copied into it.
    Ok(after < before && after > FREE_PAGES)
}

/// Returns the topics they were on.
fn delete_envelopes(transaction: &Transaction<'_>, sequences: &[i64]) -> rusqlite::Result<Vec<i64>> {
    let mut statement =
        transaction.prepare_cached("DELETE FROM envelope WHERE sequence = ?1 RETURNING topic")?;
    let mut topics = Vec::new();
    for sequence in sequences {
        topics.extend(
            statement
                .query_row([sequence], |row| row.get::<_, i64>(0))
                .optional()?,
        );
    }
    topics.sort_unstable();
    topics.dedup();
    Ok(topics)
}

const SCAN: &str = "SELECT envelope.sequence, topic.name, received_ns
    FROM envelope JOIN topic ON topic.id = envelope.topic
    WHERE envelope.sequence > ?1 ORDER BY envelope.sequence LIMIT ?2";
/// 4 MiB.
const FREE_PAGES: i64 = 1_024;
const DELETE_TOPIC: &str = "DELETE FROM topic WHERE id = ?1
    AND NOT EXISTS (SELECT 1 FROM envelope WHERE topic = ?1)";
