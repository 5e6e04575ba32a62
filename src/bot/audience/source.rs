//! The items of a source, page by page.

use herald_protocol::address::Address;
use serde_json::{Map, Value as Json};

use super::{
    gather::{Ask, Error},
    row::{Filter, Row, recipient, wallet},
    stage::Stage,
};
use crate::bot::{
    expression::{Expression, Value},
    source::{Asker, Http, Pages},
};

/// A source of recipients.
#[derive(Debug, Clone)]
pub struct Source {
    /// What is asked.
    pub http: Http,
    /// The member of an item that holds the wallet; the others are variables.
    pub column: String,
    /// `where`: which items count, by `row`.
    pub condition: Option<Expression>,
}

impl Source {
    pub(super) async fn read(&self, ask: &Ask<'_>, stage: &mut Stage<'_>) -> Result<(), Error> {
        let unresolved = |reason: String| Error::Unresolved(format!("source `{}`: {reason}", self.http.name));
        let filter = Filter {
            condition: self.condition.clone(),
            scope: ask.scope.clone(),
            name: "row",
        };
        let asker = Asker {
            fetch: &ask.running.fetch,
            cache: &ask.running.answers,
            folder: ask.running.bot.folder(),
        };
        let mut pages = Pages::of(&self.http, asker, ask.scope).map_err(unresolved)?;
        let mut number = 0;
        while let Some(items) = pages.next().await.map_err(unresolved)? {
            let mut rows = Vec::with_capacity(items.len());
            for item in items.iter() {
                number += 1;
                let found = match self.recipient(item, &filter) {
                    Ok(Some(found)) => Ok(found),
                    Ok(None) => continue,
                    Err(reason) => Err(reason),
                };
                rows.push(Row { number, found });
            }
            if number > MAX_ITEMS {
                return Err(unresolved("it gives more than 1,000,000 items".to_owned()));
            }
            stage.take(rows).await?;
        }
        Ok(())
    }

    fn recipient(&self, item: &Value, filter: &Filter) -> Result<Option<(Address, Option<String>)>, String> {
        let column = &self.column;
        let Value::Record(members) = item else {
            return Err(format!("found no record, wanted an item with `{column}`"));
        };
        let address = match members.get(column) {
            Some(Value::Text(text)) => wallet(text)?,
            None | Some(Value::None) => return Err(format!("found no `{column}`")),
            Some(_) => return Err(format!("`{column}` is no text, wanted an address")),
        };
        let variables = members
            .iter()
            .filter(|(name, value)| *name != column && *name != "wallet" && **value != Value::None);
        let vars: Map<String, Json> = variables
            .map(|(name, value)| (name.clone(), value.to_json()))
            .collect();
        recipient(address, &vars, filter)
    }
}

/// The most items of one answer.
const MAX_ITEMS: u64 = 1_000_000;
