//! What wallets hold of tokens: balances that go on with a chain, and back where blocks leave it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;
use num_bigint::{BigInt, BigUint};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{Store, millis};

/// Which balances a ledger holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerKey {
    /// The chain's number (EIP-155).
    pub chain: u64,
    /// The token's contract.
    pub token: Address,
    /// The id within the token; none for all of it.
    pub item: Option<[u8; 32]>,
    /// The block that it ends with; none for one that goes on with the chain.
    pub ends: Option<u64>,
}

/// A ledger as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Its row.
    pub row: i64,
    /// What the token is by its logs, once there is one: 20, 721 or 1155.
    pub standard: Option<u16>,
    /// Blocks that were read up to, the latest first; none before the first.
    pub blocks: Vec<LedgerBlock>,
}

/// A block that was read up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerBlock {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// What the logs of a range of blocks change.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// The last block of the range.
    pub block: LedgerBlock,
    /// What the token is by its logs, where there are any.
    pub standard: Option<u16>,
    /// What wallets gain, or lose.
    pub changes: BTreeMap<Address, BigInt>,
    /// Whether the block may leave the chain still, so that what was before is kept.
    pub may_go: bool,
}

/// A wallet whose balance would be less than nothing, or more than 256 bits hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds {
    /// The wallet.
    pub wallet: Address,
    /// Whether it would be less than nothing.
    pub is_negative: bool,
}

/// Blocks behind the last one within which those are kept that were read up to. Ours: more than any chain takes back.
pub(crate) const KEPT_BLOCKS: u64 = 256;
/// Balances that one change removes.
const AT_ONCE: u32 = 8_192;

impl Store {
    /// A ledger as it stands, made if need be; its use is noted.
    pub async fn ledger(&self, key: LedgerKey, now: DateTime<Utc>) -> Result<Ledger, super::Error> {
        self.write(move |transaction| find(transaction, &key, now)).await
    }

    /// Adds an entry, unless a balance would be out of bounds. Whoever calls it has the ledger alone.
    pub async fn enter(
        &self,
        ledger: i64,
        entry: LedgerEntry,
    ) -> Result<Result<(), OutOfBounds>, super::Error> {
        self.write(move |transaction| enter(transaction, ledger, &entry))
            .await
    }

    /// Takes a ledger back to a block that was read up to.
    pub async fn rewind_ledger(&self, ledger: i64, to: u64) -> Result<(), super::Error> {
        self.write(move |transaction| rewind(transaction, ledger, stored(to)))
            .await
    }

    /// Gives a ledger up. The next one with its key begins anew.
    pub async fn retire_ledger(&self, ledger: i64) -> Result<(), super::Error> {
        self.write(move |transaction| {
            transaction
                .prepare_cached("UPDATE ledger SET used_ms = NULL WHERE id = ?1")?
                .execute([ledger])
                .map(drop)
        })
        .await
    }

    /// Gives up ledgers that were not used since an instant, and removes a part of one that was given up. Says whether there is more.
    pub async fn tidy_ledgers(&self, since: DateTime<Utc>) -> Result<bool, super::Error> {
        self.write(move |transaction| {
            transaction
                .prepare_cached("UPDATE ledger SET used_ms = NULL WHERE used_ms < ?1")?
                .execute([millis(since)])?;
            let retired = transaction
                .prepare_cached("SELECT id FROM ledger WHERE used_ms IS NULL LIMIT 1")?
                .query_row([], |row| row.get(0))
                .optional()?;
            let Some(ledger): Option<i64> = retired else {
                return Ok(false);
            };
            let removed = transaction
                .prepare_cached(
                    "DELETE FROM ledger_balance WHERE ledger = ?1 AND wallet IN (
                         SELECT wallet FROM ledger_balance WHERE ledger = ?1 LIMIT ?2
                     )",
                )?
                .execute(params![ledger, AT_ONCE])?;
            if removed == 0 {
                transaction
                    .prepare_cached("DELETE FROM ledger WHERE id = ?1")?
                    .execute([ledger])?;
            }
            Ok(true)
        })
        .await
    }

    /// Wallets that hold at least `min`, with what they hold, in the order of their bytes after one of them.
    pub async fn holders(
        &self,
        ledger: i64,
        min: BigUint,
        (after, limit): (Option<Address>, u32),
    ) -> Result<Vec<(Address, BigUint)>, super::Error> {
        // More than 256 bits is more than anybody holds.
        let Some(min) = word(&min) else {
            return Ok(Vec::new());
        };
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT wallet, balance FROM ledger_balance
                 WHERE ledger = ?1 AND wallet > ?2 AND balance >= ?3 ORDER BY wallet LIMIT ?4",
            )?;
            let after = after.map_or_else(Vec::new, |after| after.as_bytes().to_vec());
            let rows = statement.query_map(params![ledger, after, min, limit], |row| {
                let balance: [u8; 32] = row.get(1)?;
                Ok((Address::from_bytes(row.get(0)?), BigUint::from_bytes_be(&balance)))
            })?;
            rows.collect()
        })
        .await
    }
}

fn find(
    transaction: &Transaction<'_>,
    key: &LedgerKey,
    now: DateTime<Utc>,
) -> Result<Ledger, rusqlite::Error> {
    let item = key.item.as_ref().map_or(&[][..], |item| &item[..]);
    let ends = key.ends.map_or(-1, stored);
    let (row, standard) = transaction
        .prepare_cached(
            "INSERT INTO ledger (chain, token, item, ends, used_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (chain, token, item, ends) WHERE used_ms IS NOT NULL
             DO UPDATE SET used_ms = excluded.used_ms RETURNING id, standard",
        )?
        .query_row(
            params![stored(key.chain), key.token.as_bytes(), item, ends, millis(now)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
    let mut statement = transaction
        .prepare_cached("SELECT number, hash FROM ledger_block WHERE ledger = ?1 ORDER BY number DESC")?;
    let blocks = statement.query_map([row], |row| {
        Ok(LedgerBlock {
            number: row.get::<_, i64>(0)?.unsigned_abs(),
            hash: row.get(1)?,
        })
    })?;
    Ok(Ledger {
        row,
        standard,
        blocks: blocks.collect::<Result<_, _>>()?,
    })
}

fn enter(
    transaction: &Transaction<'_>,
    ledger: i64,
    entry: &LedgerEntry,
) -> Result<Result<(), OutOfBounds>, rusqlite::Error> {
    let mut new = Vec::with_capacity(entry.changes.len());
    for (wallet, change) in &entry.changes {
        let before = balance(transaction, ledger, *wallet)?;
        let sum = BigInt::from(BigUint::from_bytes_be(&before.unwrap_or_default())) + change;
        let after = sum.to_biguint();
        let is_negative = after.is_none();
        match after.as_ref().and_then(word) {
            Some(after) => new.push((*wallet, before, after)),
            None => {
                return Ok(Err(OutOfBounds {
                    wallet: *wallet,
                    is_negative,
                }));
            }
        }
    }
    let number = stored(entry.block.number);
    for (wallet, before, after) in new {
        if entry.may_go {
            transaction
                .prepare_cached(
                    "INSERT INTO ledger_undo (ledger, number, wallet, balance) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![ledger, number, wallet.as_bytes(), before])?;
        }
        keep(
            transaction,
            ledger,
            wallet.as_bytes(),
            Some(after).filter(|after| *after != [0; 32]),
        )?;
    }
    if let Some(standard) = entry.standard {
        transaction
            .prepare_cached("UPDATE ledger SET standard = ?2 WHERE id = ?1")?
            .execute(params![ledger, standard])?;
    }
    transaction
        .prepare_cached("INSERT INTO ledger_block (ledger, number, hash) VALUES (?1, ?2, ?3)")?
        .execute(params![ledger, number, entry.block.hash])?;
    forget(transaction, ledger, entry)?;
    Ok(Ok(()))
}

/// Forgets what is far behind: the last block there is the farthest that one may go back to.
fn forget(transaction: &Transaction<'_>, ledger: i64, entry: &LedgerEntry) -> Result<(), rusqlite::Error> {
    let far = if entry.may_go {
        entry.block.number.saturating_sub(KEPT_BLOCKS)
    } else {
        entry.block.number
    };
    let oldest: Option<i64> = transaction
        .prepare_cached("SELECT max(number) FROM ledger_block WHERE ledger = ?1 AND number <= ?2")?
        .query_row(params![ledger, stored(far)], |row| row.get(0))?;
    if let Some(oldest) = oldest {
        transaction
            .prepare_cached("DELETE FROM ledger_block WHERE ledger = ?1 AND number < ?2")?
            .execute(params![ledger, oldest])?;
        transaction
            .prepare_cached("DELETE FROM ledger_undo WHERE ledger = ?1 AND number <= ?2")?
            .execute(params![ledger, oldest])?;
    }
    Ok(())
}

fn rewind(transaction: &Transaction<'_>, ledger: i64, to: i64) -> Result<(), rusqlite::Error> {
    // Of several balances of a wallet the one before the first of these blocks comes last.
    let mut statement = transaction.prepare_cached(
        "SELECT wallet, balance FROM ledger_undo WHERE ledger = ?1 AND number > ?2 ORDER BY number DESC",
    )?;
    let mut rows = statement.query(params![ledger, to])?;
    while let Some(row) = rows.next()? {
        let wallet: [u8; 20] = row.get(0)?;
        keep(transaction, ledger, &wallet, row.get(1)?)?;
    }
    for table in ["ledger_undo", "ledger_block"] {
        transaction
            .prepare_cached(&format!("DELETE FROM {table} WHERE ledger = ?1 AND number > ?2"))?
            .execute(params![ledger, to])?;
    }
    Ok(())
}

fn balance(
    connection: &Connection,
    ledger: i64,
    wallet: Address,
) -> Result<Option<[u8; 32]>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT balance FROM ledger_balance WHERE ledger = ?1 AND wallet = ?2")?
        .query_row(params![ledger, wallet.as_bytes()], |row| row.get(0))
        .optional()
}

fn keep(
    transaction: &Transaction<'_>,
    ledger: i64,
    wallet: &[u8; 20],
    balance: Option<[u8; 32]>,
) -> Result<(), rusqlite::Error> {
    match balance {
        Some(balance) => transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO ledger_balance (ledger, wallet, balance) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![ledger, wallet, balance]),
        None => transaction
            .prepare_cached("DELETE FROM ledger_balance WHERE ledger = ?1 AND wallet = ?2")?
            .execute(params![ledger, wallet]),
    }
    .map(drop)
}

/// A number of at most 256 bits as 32 bytes.
pub(crate) fn word(number: &BigUint) -> Option<[u8; 32]> {
    let bytes = number.to_bytes_be();
    let mut word = [0; 32];
    word.get_mut(32_usize.checked_sub(bytes.len())?..)?
        .copy_from_slice(&bytes);
    Some(word)
}

/// SQLite's ints have a sign; no chain has so many blocks.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
