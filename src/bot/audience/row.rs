//! Rows of a branch, and the way from a reader on a thread of its own to the stage.

use std::str::FromStr as _;

use herald_protocol::address::{Address, ParseAddressError};
use serde_json::{Map, Value as Json};
use tokio::sync::mpsc;

use super::{
    gather::{Ask, Error},
    named::{self, Found, NamedRow},
    stage::Stage,
};
use crate::bot::{
    chain::WalletName,
    config::diagnostics::quote,
    expression::{Expression, Scope, Type, Value},
};

/// One row as its reader found it.
#[derive(Debug)]
pub(super) struct Row {
    /// The line of a file (its header is line 1), or the number of the row or item, from 1.
    pub(super) number: u64,
    /// The wallet and its variables, a JSON record; or what is wrong with the row.
    pub(super) found: Result<(Address, Option<String>), String>,
}

/// The longest variables of one row, JSON.
pub(super) const MAX_VARS: usize = 16 * 1024;

/// `where`: which rows count.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) condition: Option<Expression>,
    /// The names of the occurrence.
    pub(super) scope: Scope,
    /// The name of the row in the condition.
    pub(super) name: &'static str,
}

impl Filter {
    /// Whether the row that `record` makes counts; the reason when that cannot be told.
    pub(super) fn takes(&self, record: impl FnOnce() -> Value) -> Result<bool, String> {
        let Some(condition) = &self.condition else {
            return Ok(true);
        };
        let mut scope = self.scope.clone();
        scope.insert(self.name, record());
        let value = condition
            .evaluate(&scope)
            .map_err(|error| format!("`where`: {error}"))?;
        Ok(value.is_truthy())
    }
}

/// Who a text says that a row is for.
#[derive(Debug)]
pub(super) enum Who {
    Wallet(Address),
    Named(WalletName),
}

/// Reads the text of a wallet or of its name; the reason names it as it may be shown.
pub(super) fn who(text: &str) -> Result<Who, String> {
    let text = text.trim();
    if WalletName::is_meant(text) {
        return WalletName::read(text).map(Who::Named);
    }
    wallet(text).map(Who::Wallet)
}

/// Reads the text of a wallet; the reason names it as it may be shown.
pub(super) fn wallet(text: &str) -> Result<Address, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("found no wallet".to_owned());
    }
    Address::from_str(text).map_err(|error| match error {
        ParseAddressError::Checksum { .. } => error.to_string(),
        _ => format!("found {}, wanted an address: `0x` and 40 hex digits", quote(text)),
    })
}

/// The row that a reader found, of a wallet or of a name; none when the condition leaves it out.
pub(super) fn found(
    number: u64,
    read: Result<(Who, Map<String, Json>), String>,
    filter: &Filter,
) -> Option<Found> {
    let found = match read {
        Ok((Who::Named(name), vars)) => return Some(NamedRow { number, name, vars }.into()),
        Ok((Who::Wallet(wallet), vars)) => recipient(wallet, &vars, filter).transpose()?,
        Err(reason) => Err(reason),
    };
    Some(Row { number, found }.into())
}

/// Bytes of a database as text: `0x` and hex digits, which for 20 bytes is an address.
pub(super) fn bytes_text(bytes: &[u8]) -> String {
    const_hex::encode_prefixed(bytes)
}

/// The recipient of a row with variables of any type; none when the condition leaves it out.
pub(super) fn recipient(
    wallet: Address,
    vars: &Map<String, Json>,
    filter: &Filter,
) -> Result<Option<(Address, Option<String>)>, String> {
    if let Some(zone) = vars.get("tz") {
        let read = Type::Tz.read_json(zone);
        read.map_err(|mismatch| format!("`tz`: found {}, wanted {}", mismatch.found, mismatch.wanted))?;
    }
    let text = (!vars.is_empty()).then(|| serde_json::to_string(vars).unwrap_or_default());
    if text.as_ref().is_some_and(|text| text.len() > MAX_VARS) {
        return Err("has more than 16 KiB of variables".to_owned());
    }
    if filter.condition.is_some() {
        let mut fields = Vec::with_capacity(vars.len() + 1);
        for (name, json) in vars {
            let value = Type::Any.read_json(json);
            let value = value.map_err(|mismatch| format!("`{name}`: found {}", mismatch.found))?;
            fields.push((name.as_str(), value));
        }
        fields.push(("wallet", Value::Wallet(wallet)));
        if !filter.takes(|| Value::record(fields))? {
            return Ok(None);
        }
    }
    Ok(Some((wallet, text)))
}

/// The rows of items, whose member `column` is the wallet and the others are variables. `number` counts the items on.
pub(super) fn of_items(items: &[Value], column: &str, filter: &Filter, number: &mut u64) -> Vec<Found> {
    let rows = items.iter().filter_map(|item| {
        *number += 1;
        found(*number, of_item(item, column), filter)
    });
    rows.collect()
}

fn of_item(item: &Value, column: &str) -> Result<(Who, Map<String, Json>), String> {
    let Value::Record(members) = item else {
        return Err(format!("found no record, wanted an item with `{column}`"));
    };
    let wallet = match members.get(column) {
        Some(Value::Text(text)) => who(text)?,
        None | Some(Value::None) => return Err(format!("found no `{column}`")),
        Some(_) => return Err(format!("`{column}` is no text, wanted an address")),
    };
    let variables = members
        .iter()
        .filter(|(name, value)| *name != column && *name != "wallet" && **value != Value::None);
    let vars = variables.map(|(name, value)| ((*name).to_owned(), value.to_json()));
    Ok((wallet, vars.collect()))
}

/// Where a reader on a thread of its own puts its rows. It waits while the stage is busy.
pub(super) struct Rows {
    sender: mpsc::Sender<Vec<Found>>,
    batch: Vec<Found>,
}

impl Rows {
    /// Hands a row on.
    ///
    /// # Errors
    /// Nobody wants rows any more.
    pub(super) fn push(&mut self, row: impl Into<Found>) -> Result<(), Error> {
        self.batch.push(row.into());
        if self.batch.len() < BATCH {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Error> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.sender
            .blocking_send(batch)
            .map_err(|_| Error::Unresolved("nobody waits for its rows any more".to_owned()))
    }
}

/// Runs a reader that blocks on a thread of its own, and stages its rows as they come.
pub(super) async fn pump(
    (ask, filter): (&Ask<'_>, &Filter),
    stage: &mut Stage<'_>,
    read: impl FnOnce(&mut Rows) -> Result<(), Error> + Send + 'static,
) -> Result<(), Error> {
    // Batches that wait to be staged: one is filled while another is taken.
    let (sender, mut batches) = mpsc::channel(2);
    let reading = tokio::task::spawn_blocking(move || {
        let mut rows = Rows {
            sender,
            batch: Vec::with_capacity(BATCH),
        };
        read(&mut rows)?;
        rows.flush()
    });
    while let Some(batch) = batches.recv().await {
        let rows = named::resolve(ask, filter, batch).await?;
        stage.take(rows).await?;
    }
    reading
        .await
        .unwrap_or_else(|_| Err(Error::Unresolved("its reader was cut off".to_owned())))
}

/// Rows that are handed on together.
const BATCH: usize = 1_024;
