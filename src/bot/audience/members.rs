//! The members of a list, a page at a time.

use super::{
    gather::{Ask, Error},
    row::{Filter, Row},
    stage::Stage,
};
use crate::bot::{expression::Expression, store::Member};

/// Whom to read.
pub(super) struct Members<'a> {
    /// The list's name; `BOT/LIST` is another bot's.
    pub(super) list: &'a str,
    /// `where`, by `sub`.
    pub(super) condition: Option<&'a Expression>,
    /// Whether the members' fields are wanted as variables: where several lists can name one wallet.
    pub(super) with_fields: bool,
}

impl Members<'_> {
    pub(super) async fn read(&self, ask: &Ask<'_>, stage: &mut Stage<'_>) -> Result<(), Error> {
        let store = &ask.running.store;
        let own = (ask.running.bot.name.as_str(), self.list);
        let (bot, list) = self.list.split_once('/').unwrap_or(own);
        let filter = Filter {
            condition: self.condition.cloned(),
            scope: ask.scope.clone(),
            name: "sub",
        };
        let record = ask.running.member_records(self.list);
        let (mut after, mut number) = (String::new(), 0);
        loop {
            let zone = ask.zone.map(ToOwned::to_owned);
            let members = store.members_in(zone, bot, list, (after, PAGE)).await?;
            let Some(newest) = members.last() else {
                return Ok(());
            };
            after = newest.wallet.to_string();
            let mut rows = Vec::with_capacity(members.len());
            for member in &members {
                number += 1;
                let found = match filter.takes(|| record(member)) {
                    Ok(true) => Ok((member.wallet, self.fields(member))),
                    Ok(false) => continue,
                    Err(reason) => Err(format!("`{}`: {reason}", member.wallet)),
                };
                rows.push(Row { number, found });
            }
            stage.take(rows).await?;
        }
    }

    fn fields(&self, member: &Member) -> Option<String> {
        (self.with_fields && !member.fields.is_empty())
            .then(|| serde_json::Value::Object(member.fields.clone()).to_string())
    }
}

/// Members of one page.
const PAGE: u32 = 1_024;
