//! Deleting what is older than it may be. Of several nodes one sweeps at a time.

use tokio_postgres::{Client, Error};

use super::super::retention::{Expiry, SCANNED, Swept, Victims};

pub(super) async fn step(client: &mut Client, expiry: Expiry) -> Result<Swept, Error> {
    let transaction = client.transaction().await?;
    let lock = format!("SELECT pg_try_advisory_xact_lock({SWEEP_LOCK})");
    if !transaction.query_one(&lock, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(Swept::default());
    }
    let mark = transaction
        .query_opt("SELECT sequence FROM swept WHERE kind = $1", &[&expiry.kind])
        .await?;
    let after = mark.map_or(Ok(0), |row| row.try_get(0))?;
    let found = transaction.query(SCAN, &[&after, &SCANNED]).await?;
    let rows = found
        .iter()
        .map(|row| Ok::<_, Error>((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)));
    let victims = Victims::among(rows, after, expiry)?;
    transaction
        .execute(
            "DELETE FROM envelope WHERE sequence = ANY ($1)",
            &[&victims.sequences],
        )
        .await?;
    transaction
        .execute(MARK, &[&expiry.kind, &victims.scanned_to])
        .await?;
    transaction.commit().await?;
    Ok(Swept {
        deleted: victims.sequences.len(),
        more: victims.more,
    })
}

const SCAN: &str =
    "SELECT sequence, topic, received_ns FROM envelope WHERE sequence > $1 ORDER BY sequence LIMIT $2";
const MARK: &str = "INSERT INTO swept (kind, sequence) VALUES ($1, $2)
    ON CONFLICT (kind) DO UPDATE SET sequence = excluded.sequence";
/// Any number, the same in every herald: "sweep" in ASCII.
const SWEEP_LOCK: i64 = 0x73_7765_6570;
