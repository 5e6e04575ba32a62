//! The wallets that hold a token at a block, as its logs tell.
//!
//! ```text
//! Transfer, TransferSingle, TransferBatch ── range by range ──> ledger (the store) ── page by page ──> rows with `balance`
//! ```
//!
//! Enters: a token and an occurrence. Leaves: who holds at least `min` of it, read on from where the last reading of the token stood.
//! Promised: all of them or a reason, and memory that does not grow with them. What a token does not log is not seen; a contract that
//! holds tokens is a wallet like others, and the zero address is nobody.

use herald_protocol::address::Address;
use num_bigint::{BigInt, BigUint};

use self::{ledgers::Source, reader::Reader};
use super::{
    gather::{Ask, Error},
    row::{self, Filter, Row},
    stage::Stage,
};
use crate::bot::{
    expression::{Expression, Scope, Value},
    store::{LedgerKey, Store, word},
};

/// Which ledgers there are, and who reads them.
mod ledgers;
/// Brings a ledger up to a block.
mod reader;
/// What logs say.
mod transfer;

pub use ledgers::{GivenHolder, Ledgers};

/// The holders of a token.
#[derive(Debug, Clone)]
pub struct Holders {
    /// The chain's name in the project.
    pub chain: String,
    /// The token's contract. The expression is typed `wallet`, or `any`.
    pub token: Expression,
    /// The id of an item within the token; otherwise all of them count together. An int, or `any`, like the next two.
    pub id: Option<Expression>,
    /// The least that one must hold, in the token's smallest unit; otherwise 1.
    pub min: Option<Expression>,
    /// The block whose holders are meant; otherwise the latest that is confirmed.
    pub block: Option<Expression>,
    /// `where`: which holders count, by `to`.
    pub condition: Option<Expression>,
}

/// What the expressions say of an occurrence.
struct Wanted {
    token: Address,
    item: Option<[u8; 32]>,
    min: BigUint,
    block: Option<u64>,
}

impl Holders {
    pub(super) async fn read(&self, ask: &Ask<'_>, stage: &mut Stage<'_>) -> Result<(), Error> {
        let wanted = self.wanted(ask.scope)?;
        let filter = Filter {
            condition: self.condition.clone(),
            scope: ask.scope.clone(),
            name: "to",
        };
        let ledgers = &ask.running.ledgers;
        let store = match ledgers.source(wanted.token, wanted.item) {
            Source::Chain(store) => store,
            Source::Given(given) => {
                let holders = given.map_err(Error::Unresolved)?.into_iter();
                let holders = holders.filter(|(_, balance)| *balance >= wanted.min);
                return Ok(stage.take(rows(holders, &filter, &mut 0)).await?);
            }
        };
        let running = ask.running;
        let chain = running.chains.find(&self.chain).map_err(Error::Unresolved)?;
        let number = running.project.chain(&self.chain);
        let number =
            number.ok_or_else(|| Error::Rejected(format!("the project has no chain `{}`", self.chain)))?;
        let key = LedgerKey {
            chain: number,
            token: wanted.token,
            item: wanted.item,
            ends: wanted.block,
        };
        // Nobody else moves the ledger until all of its pages are read.
        let span = ledgers.lock(key).await;
        let reader = Reader {
            name: &self.chain,
            chain: &chain,
            store,
            key,
            span: &span,
        };
        let ledger = reader.read(running.now()).await?;
        self.pages(store, (ledger, wanted.min), &filter, stage).await
    }

    async fn pages(
        &self,
        store: &Store,
        (ledger, min): (i64, BigUint),
        filter: &Filter,
        stage: &mut Stage<'_>,
    ) -> Result<(), Error> {
        let (mut after, mut number) = (None, 0);
        loop {
            let holders = store.holders(ledger, min.clone(), (after, PAGE)).await?;
            let Some((last, _)) = holders.last() else {
                return Ok(());
            };
            after = Some(*last);
            stage.take(rows(holders, filter, &mut number)).await?;
        }
    }

    fn wanted(&self, scope: &Scope) -> Result<Wanted, Error> {
        let item = number("id", self.id.as_ref(), scope)?;
        let item = item.map(|id| {
            word(&id).ok_or_else(|| {
                let reason = format!("`id`: found {id}, wanted a number of at most 256 bits");
                Error::Rejected(reason)
            })
        });
        let block = number("block", self.block.as_ref(), scope)?;
        let block = block.map(|block| {
            let reason = format!("`block`: found {block}, wanted the number of a block");
            u64::try_from(block).map_err(|_| Error::Rejected(reason))
        });
        let min = number("min", self.min.as_ref(), scope)?;
        Ok(Wanted {
            token: self.token(scope)?,
            item: item.transpose()?,
            // Who holds nothing is not known.
            min: min.unwrap_or_default().max(BigUint::from(1_u8)),
            block: block.transpose()?,
        })
    }

    fn token(&self, scope: &Scope) -> Result<Address, Error> {
        let value = self.token.evaluate(scope);
        match value.map_err(|error| Error::Rejected(format!("`token`: {error}")))? {
            Value::Wallet(token) => Ok(token),
            Value::Text(text) => {
                row::wallet(&text).map_err(|reason| Error::Rejected(format!("`token`: {reason}")))
            }
            other => {
                let reason = format!(
                    "`token`: found `{}`, wanted the address of a contract",
                    other.to_text()
                );
                Err(Error::Rejected(reason))
            }
        }
    }
}

/// The number that an expression gives.
fn number(name: &str, expression: Option<&Expression>, scope: &Scope) -> Result<Option<BigUint>, Error> {
    let Some(expression) = expression else {
        return Ok(None);
    };
    let rejected = |reason: String| Error::Rejected(format!("`{name}`: {reason}"));
    let value = expression.evaluate(scope);
    let value = value.map_err(|error| rejected(error.to_string()))?;
    let Value::Int(int) = &value else {
        return Err(rejected(format!("found `{}`, wanted an int", value.to_text())));
    };
    let number = int.to_biguint();
    let number = number.ok_or_else(|| rejected(format!("found {int}, wanted 0 or more")))?;
    Ok(Some(number))
}

/// The rows of holders. `number` counts them on.
fn rows(
    holders: impl IntoIterator<Item = (Address, BigUint)>,
    filter: &Filter,
    number: &mut u64,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (wallet, balance) in holders {
        *number += 1;
        let balance = Value::Int(BigInt::from(balance));
        let vars = serde_json::json!({ BALANCE: balance.to_json() }).to_string();
        let record = || Value::record([("wallet", Value::Wallet(wallet)), (BALANCE, balance)]);
        let found = match filter.takes(record) {
            Ok(true) => Ok((wallet, Some(vars))),
            Ok(false) => continue,
            Err(reason) => Err(format!("`{wallet}`: {reason}")),
        };
        rows.push(Row {
            number: *number,
            found,
        });
    }
    rows
}

/// The variable of what a wallet holds.
pub(crate) const BALANCE: &str = "balance";
/// Holders of one page.
const PAGE: u32 = 1_024;
