//! Brings a ledger up to a block, from where it stands: range by range, each with the block that it ends with in one transaction.
//!
//! Ranges far behind the confirmed height are final. Those near it keep what was before, and go back when their block leaves the chain.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{super::gather::Error, transfer::Topics};
use crate::bot::{
    chain::{self, Chain, MOST_LOGS, RpcError, Search, Span},
    store::{KEPT_BLOCKS, Ledger, LedgerBlock, LedgerEntry, LedgerKey, Store},
};

/// How long a ledger is kept that nobody reads. Ours: rules that fire each quarter find theirs.
const UNUSED: TimeDelta = TimeDelta::days(100);
/// How often in a row a node may ask for a pause, not answer, or change its blocks meanwhile, before the whole is tried again later.
const MOST_PAUSES: u32 = 5;
/// The shortest and the longest pause.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Reads one ledger, which nobody else moves meanwhile.
pub(super) struct Reader<'a> {
    /// The chain's name in the project.
    pub(super) name: &'a str,
    pub(super) chain: &'a Chain,
    pub(super) store: &'a Store,
    pub(super) key: LedgerKey,
    pub(super) span: &'a Span,
}

/// How far to read.
#[derive(Clone, Copy)]
struct Target {
    /// The last block.
    block: u64,
    /// The last one that is confirmed.
    confirmed: u64,
}

/// Why a range was not read.
enum Failure {
    Chain(chain::Error),
    /// It is worth no other try, or the store fails.
    Whole(Error),
}

impl From<chain::Error> for Failure {
    fn from(error: chain::Error) -> Self {
        Self::Chain(error)
    }
}

impl From<crate::bot::store::Error> for Failure {
    fn from(error: crate::bot::store::Error) -> Self {
        Self::Whole(error.into())
    }
}

impl Reader<'_> {
    /// Reads up to the block that is wanted and gives the row of the ledger.
    pub(super) async fn read(&self, now: DateTime<Utc>) -> Result<i64, Error> {
        let since = now.checked_sub_signed(UNUSED).unwrap_or(now);
        while self.store.tidy_ledgers(since).await? {}
        let mut pauses = 0;
        loop {
            let failed = match self.advance(now, &mut pauses).await {
                Ok(ledger) => return Ok(ledger),
                Err(Failure::Whole(error)) => return Err(error),
                Err(Failure::Chain(error)) => error,
            };
            let pause = match &failed {
                chain::Error::Node(RpcError::Limited { after, .. }) => after.unwrap_or(PAUSE),
                // The chain has changed while it was read, or the range took too long.
                chain::Error::Absent(_) | chain::Error::Node(RpcError::Unreachable { .. }) => PAUSE,
                _ => return Err(self.unresolved(&failed)),
            };
            pauses += 1;
            if pauses > MOST_PAUSES {
                return Err(self.unresolved(&failed));
            }
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        }
    }

    fn unresolved(&self, error: &chain::Error) -> Error {
        Error::Unresolved(format!("chain `{}`: {error}", self.name))
    }

    async fn advance(&self, now: DateTime<Utc>, pauses: &mut u32) -> Result<i64, Failure> {
        let mut ledger = self.standing(now).await?;
        let last = ledger.blocks.first().map(|block| block.number);
        if last.is_some() && last == self.key.ends {
            return Ok(ledger.row);
        }
        let target = self.target().await?;
        let topics = Topics::default();
        loop {
            let last = ledger.blocks.first().copied();
            let from = last.map_or(0, |last| last.number + 1);
            if from > target.block {
                return Ok(ledger.row);
            }
            let far = target.confirmed.checked_sub(KEPT_BLOCKS);
            let far = far.map(|far| far.min(target.block)).filter(|far| from <= *far);
            let range = (from, self.span.end(from, far.unwrap_or(target.block)));
            match self.range(&ledger, &topics, range, far.is_none()).await {
                Ok(Some(entry)) => {
                    self.span.grow();
                    ledger.standard = entry.standard;
                    ledger.blocks.insert(0, entry.block);
                    ledger.blocks.truncate(1);
                    self.enter(&ledger, entry).await?;
                    *pauses = 0;
                }
                Ok(None) => self.span.shrink(range),
                Err(Failure::Chain(error)) if self.span.shrink_after(range, &error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn target(&self) -> Result<Target, Failure> {
        let head = self.chain.height().await?.number;
        let confirmed = head.checked_sub(self.chain.confirmations());
        let confirmed = confirmed.filter(|confirmed| self.key.ends.is_none_or(|ends| ends <= *confirmed));
        let Some(confirmed) = confirmed else {
            let block = self.key.ends.unwrap_or_default();
            let reason = format!(
                "block {block} of chain `{}` is not confirmed yet: the chain is at {head}",
                self.name
            );
            return Err(Failure::Whole(Error::Unresolved(reason)));
        };
        let block = self.key.ends.unwrap_or(confirmed);
        Ok(Target { block, confirmed })
    }

    /// The ledger, back at the last block that is still on the chain, or begun anew when none is.
    async fn standing(&self, now: DateTime<Utc>) -> Result<Ledger, Failure> {
        let mut ledger = self.store.ledger(self.key, now).await?;
        let mut is_first = true;
        for block in ledger.blocks.clone() {
            if self.chain.agreed(block.number).await?.block.hash == block.hash {
                if !is_first {
                    self.store.rewind_ledger(ledger.row, block.number).await?;
                    ledger.blocks.retain(|kept| kept.number <= block.number);
                }
                return Ok(ledger);
            }
            is_first = false;
        }
        if is_first {
            return Ok(ledger);
        }
        self.store.retire_ledger(ledger.row).await?;
        Ok(self.store.ledger(self.key, now).await?)
    }

    /// What a range changes; nothing when it holds too much at once.
    async fn range(
        &self,
        ledger: &Ledger,
        topics: &Topics,
        (from, end): (u64, u64),
        may_go: bool,
    ) -> Result<Option<LedgerEntry>, Failure> {
        let agreed = self.chain.agreed(end).await?;
        let search = Search {
            from,
            contracts: &[self.key.token],
            topics: &topics.0,
        };
        let logs = self.chain.logs(&agreed, &search).await?;
        if logs.len() > MOST_LOGS && end > from {
            return Ok(None);
        }
        // The range follows what was read before it.
        if let Some(last) = ledger.blocks.first().filter(|_| may_go)
            && self.chain.agreed(last.number).await?.block.hash != last.hash
        {
            return Err(chain::Error::Absent(last.number).into());
        }
        let sum = topics.sum(&logs, self.key.item, ledger.standard);
        let sum = sum.map_err(|reason| Failure::Whole(Error::Rejected(self.of_token(&reason))))?;
        Ok(Some(LedgerEntry {
            block: LedgerBlock {
                number: end,
                hash: agreed.block.hash,
            },
            standard: sum.standard,
            changes: sum.changes,
            may_go,
        }))
    }

    async fn enter(&self, ledger: &Ledger, entry: LedgerEntry) -> Result<(), Failure> {
        let block = entry.block.number;
        let Err(out) = self.store.enter(ledger.row, entry).await? else {
            return Ok(());
        };
        // Logs may have been left out anywhere before.
        self.store.retire_ledger(ledger.row).await?;
        let than = if out.is_negative {
            "less than nothing"
        } else {
            "more than 256 bits"
        };
        let reason = format!(
            "by its logs up to block {block} {} has {than}; a token that does not log every transfer has no holders that can be told",
            out.wallet
        );
        Err(Failure::Whole(Error::Rejected(self.of_token(&reason))))
    }

    fn of_token(&self, reason: &str) -> String {
        format!("token {} on chain `{}`: {reason}", self.key.token, self.name)
    }
}
