//! Deliveries that ended without arriving, made due again.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::{Store, millis};

/// Which of the rejected and expired deliveries.
#[derive(Clone, Debug, Default)]
pub struct Dead {
    /// Only this one.
    pub id: Option<i64>,
    /// Only of this bot.
    pub bot: Option<String>,
    /// Only of this rule.
    pub rule: Option<String>,
}

impl Store {
    /// Makes rejected and expired deliveries due again, for as long as they were worth sending at first. Gives their ids and bots.
    ///
    /// One that was sealed keeps its bytes and is looked for on its topic first, so what arrived after all is not sent twice. All
    /// others are judged anew: consent, limits and conditions are those of now. What was delivered or skipped stays as it is.
    pub async fn replay(&self, dead: Dead, now: DateTime<Utc>) -> Result<Vec<(i64, String)>, super::Error> {
        self.write(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "UPDATE delivery SET
                    state = CASE WHEN request IS NULL THEN 'planned' ELSE 'sealed' END,
                    envelope = CASE WHEN request IS NULL THEN NULL ELSE envelope END,
                    message = CASE WHEN request IS NULL THEN NULL ELSE message END,
                    sealed_ms = CASE WHEN request IS NULL THEN NULL ELSE sealed_ms END,
                    reason = NULL, settled_ms = NULL, until_ms = NULL, due_ms = ?1,
                    expires_ms = ?1 + max(expires_ms - created_ms, 1000)
                 WHERE state IN ('rejected', 'expired') AND carrier IS NULL AND (?2 IS NULL OR id = ?2)
                   AND (?3 IS NULL OR bot = ?3) AND (?4 IS NULL OR rule = ?4)
                 RETURNING id, bot",
            )?;
            let values = params![millis(now), dead.id, dead.bot, dead.rule];
            let replayed = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
            let replayed = replayed.collect::<Result<Vec<(i64, String)>, _>>()?;
            // What was part of its message is part of it again.
            let mut carried = transaction.prepare_cached(
                "UPDATE delivery SET state = 'planned', reason = NULL, settled_ms = NULL, due_ms = ?1,
                    expires_ms = ?1 + max(expires_ms - created_ms, 1000)
                 WHERE carrier = ?2 AND state IN ('rejected', 'expired')",
            )?;
            for (id, _) in &replayed {
                carried.execute(params![millis(now), id])?;
            }
            Ok(replayed)
        })
        .await
    }
}
