//! The items of a source, page by page.

use std::time::Duration;

use super::{
    gather::{Ask, Error},
    named,
    row::{self, Filter},
    stage::Stage,
};
use crate::bot::{
    expression::Expression,
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
            answers: &ask.running.answers,
            folder: ask.running.bot.folder(),
            fresh: Duration::ZERO,
        };
        let mut pages = Pages::of(&self.http, asker, ask.scope).map_err(unresolved)?;
        let mut number = 0;
        while let Some(items) = pages.next().await.map_err(unresolved)? {
            let rows = row::of_items(&items, &self.column, &filter, &mut number);
            if number > MAX_ITEMS {
                return Err(unresolved("it gives more than 1,000,000 items".to_owned()));
            }
            let rows = named::resolve(ask, &filter, rows).await?;
            stage.take(rows).await?;
        }
        Ok(())
    }
}

/// The most items of one answer.
const MAX_ITEMS: u64 = 1_000_000;
