//! Broadcasts: one occurrence and its audience, behind a gate that people and policy open and close.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::{MessageNumber, Store, millis, time};

/// Whether the rows of an occurrence may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// They go.
    Open,
    /// None goes before somebody approves it.
    Approval,
    /// The first of them go, and are looked at.
    Canary,
    /// They are let out.
    Opening,
    /// None goes until it is resumed.
    Paused,
    /// None goes any more.
    Cancelled,
}

impl Gate {
    /// The word in the store and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approval => "approval",
            Self::Canary => "canary",
            Self::Opening => "opening",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Open,
            Self::Approval,
            Self::Canary,
            Self::Opening,
            Self::Paused,
            Self::Cancelled,
        ];
        all.into_iter().find(|gate| gate.as_str() == word)
    }
}

/// An occurrence as a broadcast.
#[derive(Clone, Debug)]
pub struct Broadcast {
    /// The occurrence's row.
    pub row: i64,
    /// The rule's name.
    pub rule: String,
    /// The trigger's own id.
    pub id: String,
    /// Whether its rows may go.
    pub gate: Gate,
    /// Why it was closed.
    pub reason: Option<String>,
    /// Whether its audience is planned to the end.
    pub is_planned: bool,
    /// It ended before it was planned: `rejected` or `skipped`, for `reason`.
    pub ended: Option<String>,
    /// When its canary was let out.
    pub canary_since: Option<DateTime<Utc>>,
    /// The last row of the canary.
    pub canary_to: Option<i64>,
}

/// How far a broadcast is: messages by where they stand. They add up to `planned`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// All of them.
    pub planned: u32,
    /// A node acknowledged these.
    pub delivered: u32,
    /// These cannot be sent.
    pub rejected: u32,
    /// These were not sent in time.
    pub expired: u32,
    /// These are not to be sent.
    pub skipped: u32,
    /// These wait for a reason of their own, or behind the gate.
    pub held: u32,
    /// These are on their way.
    pub left: u32,
}

/// Whether messages of an occurrence `o` are not settled.
const UNSETTLED: &str =
    "EXISTS (SELECT 1 FROM delivery WHERE delivery.occurrence = o.id AND delivery.settled_ms IS NULL)";

const COLUMNS: &str =
    "id, rule, occurrence, gate, coalesce(reason, gate_reason), state = 'planned', canary_ms, canary_to,
                       iif(state IN ('rejected', 'skipped'), state, NULL)";

fn broadcast(row: &Row<'_>) -> Result<Broadcast, rusqlite::Error> {
    let odd = || {
        let error = "odd gate of an occurrence".into();
        rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, error)
    };
    Ok(Broadcast {
        row: row.get(0)?,
        rule: row.get(1)?,
        id: row.get(2)?,
        gate: Gate::parse(row.get_ref(3)?.as_str()?).ok_or_else(odd)?,
        reason: row.get(4)?,
        is_planned: row.get(5)?,
        canary_since: row.get::<_, Option<i64>>(6)?.map(time),
        canary_to: row.get(7)?,
        ended: row.get(8)?,
    })
}

impl Store {
    /// The broadcasts of a bot whose gate moves: all that are not open and not waiting for somebody.
    pub async fn moving(&self, bot: &str) -> Result<Vec<Broadcast>, super::Error> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            let query = format!(
                "SELECT {COLUMNS} FROM occurrence AS o
                 WHERE bot = ?1 AND gate != 'open' AND gate != 'approval'
                   AND (state = 'planning' OR (state = 'planned' AND (gate IN ('canary', 'opening') OR {UNSETTLED})))
                 ORDER BY id"
            );
            let mut statement = connection.prepare_cached(&query)?;
            statement.query_map([bot], broadcast)?.collect()
        })
        .await
    }

    /// The open broadcasts of a rule that have messages on their way.
    pub async fn under_way(&self, bot: &str, rule: &str) -> Result<Vec<Broadcast>, super::Error> {
        let (bot, rule) = (bot.to_owned(), rule.to_owned());
        self.read(move |connection| {
            let query = format!(
                "SELECT {COLUMNS} FROM occurrence AS o
                 WHERE bot = ?1 AND rule = ?2 AND gate = 'open' AND state IN ('planning', 'planned')
                   AND id >= (SELECT min(occurrence) FROM delivery WHERE settled_ms IS NULL AND occurrence IS NOT NULL)
                   AND {UNSETTLED} ORDER BY id"
            );
            let mut statement = connection.prepare_cached(&query)?;
            statement.query_map([bot, rule], broadcast)?.collect()
        })
        .await
    }

    /// The newest broadcasts of a rule, newest first.
    pub async fn broadcasts(
        &self,
        bot: &str,
        rule: &str,
        limit: u32,
    ) -> Result<Vec<(Broadcast, Progress)>, super::Error> {
        let (bot, rule) = (bot.to_owned(), rule.to_owned());
        self.read(move |connection| {
            let query = format!(
                "SELECT {COLUMNS} FROM occurrence
                 WHERE bot = ?1 AND rule = ?2 ORDER BY id DESC LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&query)?;
            let rows = statement.query_map(params![bot, rule, limit], broadcast)?;
            let mut broadcasts = Vec::new();
            for row in rows {
                let row = row?;
                let progress = progress(connection, row.row, None)?;
                broadcasts.push((row, progress));
            }
            Ok(broadcasts)
        })
        .await
    }

    /// How far a broadcast is, or its canary with this last row. It costs the same for any number of rows.
    pub async fn progress(&self, occurrence: i64, canary_to: Option<i64>) -> Result<Progress, super::Error> {
        self.read(move |connection| progress(connection, occurrence, canary_to))
            .await
    }

    /// Moves the gates of broadcasts of a rule that stand at one of `from`. Gives the ids of those that moved.
    pub async fn move_gates(
        &self,
        (bot, rule): (&str, &str),
        (from, to): (&'static [Gate], Gate),
        reason: Option<String>,
    ) -> Result<Vec<String>, super::Error> {
        let (bot, rule) = (bot.to_owned(), rule.to_owned());
        self.write(move |transaction| {
            let mut moved = Vec::new();
            for from in from {
                let mut statement = transaction.prepare_cached(
                    "UPDATE occurrence SET gate = ?4, gate_reason = ?5
                     WHERE bot = ?1 AND rule = ?2 AND gate = ?3 AND state IN ('planning', 'planned')
                       AND (gate != 'open'
                            OR state = 'planning'
                            OR EXISTS (SELECT 1 FROM delivery
                                       WHERE delivery.occurrence = occurrence.id AND settled_ms IS NULL))
                     RETURNING occurrence",
                )?;
                let ids = statement
                    .query_map(params![bot, rule, from.as_str(), to.as_str(), reason], |row| {
                        row.get::<_, String>(0)
                    })?;
                for id in ids {
                    moved.push(id?);
                }
            }
            Ok(moved)
        })
        .await
    }

    /// Moves the gate of one broadcast from where it is known to stand. Says whether it did.
    pub async fn move_gate(
        &self,
        known: &Broadcast,
        to: Gate,
        reason: Option<String>,
    ) -> Result<bool, super::Error> {
        let (row, from) = (known.row, known.gate);
        self.write(move |transaction| {
            let moved = transaction.execute(
                "UPDATE occurrence SET gate = ?3, gate_reason = ?4 WHERE id = ?1 AND gate = ?2",
                params![row, from.as_str(), to.as_str(), reason],
            )?;
            Ok(moved == 1)
        })
        .await
    }

    /// Lets the rows of the first `first` recipients out, at once: the canary.
    pub async fn let_canary_out(
        &self,
        occurrence: i64,
        first: u32,
        now: DateTime<Utc>,
    ) -> Result<(), super::Error> {
        self.write(move |transaction| {
            let last = canary_end(transaction, (occurrence, true), first)?;
            tally_to(transaction, occurrence, last)?;
            open_rows(transaction, (occurrence, last), u32::MAX, now)?;
            transaction.execute(
                "UPDATE occurrence SET canary_ms = ?2, canary_to = ?3 WHERE id = ?1",
                params![occurrence, millis(now), last],
            )?;
            Ok(())
        })
        .await
    }

    /// The last row of the first `first` recipients.
    pub(crate) async fn canary_end(&self, occurrence: i64, first: u32) -> Result<i64, super::Error> {
        self.read(move |connection| canary_end(connection, (occurrence, false), first))
            .await
    }

    /// Lets the next rows out. Says how many.
    pub async fn let_out(
        &self,
        occurrence: i64,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<usize, super::Error> {
        self.write(move |transaction| open_rows(transaction, (occurrence, i64::MAX), limit, now))
            .await
    }

    /// Takes rows back that are not sealed. Says how many.
    pub async fn take_back(&self, occurrence: i64, limit: u32) -> Result<usize, super::Error> {
        self.write(move |transaction| {
            transaction
                .prepare_cached(
                    "UPDATE delivery SET parked = 1, due_ms = expires_ms WHERE id IN
                         (SELECT id FROM delivery WHERE occurrence = ?1 AND parked = 0 AND settled_ms IS NULL
                            AND state != 'sealed' AND part < ?3 LIMIT ?2)",
                )?
                .execute(params![occurrence, limit, MessageNumber::PER_STEP])
        })
        .await
    }

    /// Ends rows that are not sealed. Says how many.
    pub async fn cancel(
        &self,
        occurrence: i64,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<usize, super::Error> {
        self.write(move |transaction| {
            transaction
                .prepare_cached(
                    "UPDATE delivery SET state = 'skipped', reason = 'the broadcast was cancelled', settled_ms = ?3,
                            until_ms = NULL, parked = 0
                     WHERE id IN (SELECT id FROM delivery WHERE occurrence = ?1 AND settled_ms IS NULL
                                    AND state != 'sealed' LIMIT ?2)",
                )?
                .execute(params![occurrence, limit, millis(now)])
        })
        .await
    }
}

fn open_rows(
    transaction: &Transaction<'_>,
    (occurrence, up_to): (i64, i64),
    limit: u32,
    now: DateTime<Utc>,
) -> Result<usize, rusqlite::Error> {
    transaction
        .prepare_cached(
            "UPDATE delivery SET parked = 0, due_ms = max(?4, coalesce(until_ms, 0)) WHERE id IN
                 (SELECT id FROM delivery WHERE occurrence = ?1 AND parked = 1 AND id <= ?2 ORDER BY id LIMIT ?3)",
        )?
        .execute(params![occurrence, up_to, limit, millis(now)])
}

/// The last row of an occurrence's first recipients, of the rows that wait behind its gate or of those that do not. The rows of one
/// wallet were planned together.
fn canary_end(
    connection: &Connection,
    (occurrence, parked): (i64, bool),
    first: u32,
) -> Result<i64, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT id, wallet FROM delivery WHERE occurrence = ?1 AND parked = ?2 AND part < ?3 ORDER BY id",
    )?;
    let mut rows = statement.query(params![occurrence, parked, MessageNumber::PER_STEP])?;
    let (mut last, mut recipients, mut recipient) = (0, 0, String::new());
    while let Some(row) = rows.next()? {
        let wallet = row.get_ref(1)?.as_str()?;
        if wallet != recipient {
            if recipients == first {
                break;
            }
            recipients += 1;
            wallet.clone_into(&mut recipient);
        }
        last = row.get(0)?;
    }
    Ok(last)
}

/// Counts so many of an occurrence's own messages that were just planned, inside their transaction.
pub(super) fn count_planned(
    transaction: &Transaction<'_>,
    occurrence: i64,
    added: u32,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "INSERT INTO tally (occurrence, last, held, under_way)
             SELECT id, ?2, iif(gate IN ('open', 'opening'), 0, ?3), iif(gate IN ('open', 'opening'), ?3, 0)
             FROM occurrence WHERE id = ?1
             ON CONFLICT DO UPDATE SET held = held + excluded.held, under_way = under_way + excluded.under_way",
        )?
        .execute(params![occurrence, ALL, added])?;
    Ok(())
}

/// Begins to count the rows up to one apart from the others.
fn tally_to(transaction: &Transaction<'_>, occurrence: i64, last: i64) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO tally
             SELECT ?1, ?2, coalesce(sum(standing = 'delivered'), 0), coalesce(sum(standing = 'rejected'), 0),
                    coalesce(sum(standing = 'expired'), 0), coalesce(sum(standing = 'skipped'), 0),
                    coalesce(sum(standing = 'held'), 0), coalesce(sum(standing = 'left'), 0)
             FROM delivery WHERE occurrence = ?1 AND part < ?3 AND id <= ?2",
        )?
        .execute(params![occurrence, last, MessageNumber::PER_STEP])?;
    Ok(())
}

fn progress(
    connection: &Connection,
    occurrence: i64,
    canary_to: Option<i64>,
) -> Result<Progress, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT delivered, rejected, expired, skipped, held, under_way FROM tally WHERE occurrence = ?1 AND last = ?2",
    )?;
    let counted = statement.query_row(params![occurrence, canary_to.unwrap_or(ALL)], |row| {
        let mut progress = Progress {
            planned: 0,
            delivered: row.get(0)?,
            rejected: row.get(1)?,
            expired: row.get(2)?,
            skipped: row.get(3)?,
            held: row.get(4)?,
            left: row.get(5)?,
        };
        let settled = progress.delivered + progress.rejected + progress.expired + progress.skipped;
        progress.planned = settled + progress.held + progress.left;
        Ok(progress)
    });
    // Nothing of it is planned.
    Ok(counted.optional()?.unwrap_or_default())
}

/// The `last` of a tally that counts every row.
const ALL: i64 = i64::MAX;
