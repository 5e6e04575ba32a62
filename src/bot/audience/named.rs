//! Rows whose wallets have names: these are asked for as many at once as were read.

use herald_protocol::address::Address;
use serde_json::{Map, Value as Json};

use super::{
    gather::{Ask, Error},
    row::{Filter, Row, recipient},
};
use crate::bot::chain::{NameError, WalletName};

/// A row whose wallet has a name.
#[derive(Debug)]
pub(super) struct NamedRow {
    /// As of a [`Row`].
    pub(super) number: u64,
    pub(super) name: WalletName,
    /// The variables.
    pub(super) vars: Map<String, Json>,
}

/// A row as its reader found it, or one of which more is to be found out.
#[derive(Debug)]
pub(super) enum Found {
    Row(Row),
    Named(NamedRow),
}

impl From<Row> for Found {
    fn from(row: Row) -> Self {
        Self::Row(row)
    }
}

impl From<NamedRow> for Found {
    fn from(row: NamedRow) -> Self {
        Self::Named(row)
    }
}

/// The rows with the wallets of their names, in their order; without those that the condition leaves out. A name without a wallet is a
/// row that cannot be read; while somebody who knows names is away nothing is.
pub(super) async fn resolve(ask: &Ask<'_>, filter: &Filter, found: Vec<Found>) -> Result<Vec<Row>, Error> {
    let named = found.iter().filter_map(|found| match found {
        Found::Named(row) => Some(row.name.clone()),
        Found::Row(_) => None,
    });
    let named: Vec<WalletName> = named.collect();
    let mut wallets = wallets(ask, &named).await?.into_iter();
    let mut rows = Vec::with_capacity(found.len());
    for found in found {
        let NamedRow { number, vars, .. } = match found {
            Found::Row(row) => {
                rows.push(row);
                continue;
            }
            Found::Named(row) => row,
        };
        let wallet = wallets
            .next()
            .unwrap_or_else(|| Err("its name was not asked".to_owned()));
        match wallet.and_then(|wallet| recipient(wallet, &vars, filter)) {
            Ok(Some(found)) => rows.push(Row {
                number,
                found: Ok(found),
            }),
            Ok(None) => {}
            Err(reason) => rows.push(Row {
                number,
                found: Err(reason),
            }),
        }
    }
    Ok(rows)
}

/// The wallets of names, or why one has none.
pub(super) async fn wallets(
    ask: &Ask<'_>,
    names: &[WalletName],
) -> Result<Vec<Result<Address, String>>, Error> {
    let found = ask.running.wallets(names).await.into_iter();
    let found = found.map(|found| match found {
        Ok(wallet) => Ok(Ok(wallet)),
        Err(NameError::Unknown(reason)) => Ok(Err(reason)),
        Err(NameError::Away(reason)) => Err(Error::Unresolved(reason)),
    });
    found.collect()
}
