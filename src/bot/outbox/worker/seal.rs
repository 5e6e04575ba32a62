//! Seals rows: their bytes are fixed and stored before any of them leaves.

use chrono::TimeDelta;

use super::{Error, Loaded, Worker};
use crate::{
    bot::{
        config::Retry,
        running::to_utc,
        store::{Delivery, Sealed, State},
    },
    client::{self, Conversation, Disposition},
};

impl Worker {
    /// How a row's publish is tried again.
    pub(in crate::bot::outbox) fn retry(&self, row: &Delivery) -> Retry {
        let rule = self.running.bot.rules.get(&row.rule);
        rule.map(|rule| rule.policy.retry).unwrap_or_default()
    }

    /// Seals rows and stores their bytes before any of them leaves. One that can never be sealed ends here and keeps back no other.
    pub(super) async fn seal(&self, reached: Vec<(Loaded, Conversation)>) -> Result<Vec<Delivery>, Error> {
        if reached.is_empty() {
            return Ok(Vec::new());
        }
        let client = self.client.clone();
        let work = move || -> Result<_, client::Error> {
            let (mut rows, mut settled) = (Vec::with_capacity(reached.len()), Vec::new());
            for (loaded, peer) in reached {
                let Loaded {
                    mut row,
                    content,
                    thread,
                    ..
                } = loaded;
                match client.seal(&peer, &content) {
                    Ok(sealed) => {
                        row.sealed = Some(Sealed {
                            request: sealed.request().into(),
                            envelope: sealed.envelope_id(),
                            message: *sealed.message_id().as_bytes(),
                            sealed: to_utc(sealed.sent()),
                            thread,
                        });
                        rows.push(row);
                    }
                    Err(error) if error.disposition() == Disposition::Reject => {
                        settled.push((row, State::Rejected, Some(error.to_string())));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok((rows, settled))
        };
        let (mut rows, settled) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| client::Error::Closed)??;
        self.settle(settled).await?;
        let bytes = rows
            .iter()
            .filter_map(|row| {
                let sealed = row.sealed.clone()?;
                let within = self
                    .retry(row)
                    .within
                    .and_then(|span| TimeDelta::from_std(span).ok());
                let gives_up = within.and_then(|span| row.created.max(row.due).checked_add_signed(span));
                Some((row.id, sealed, gives_up.unwrap_or(row.expires).min(row.expires)))
            })
            .collect();
        // One that was settled or taken back meanwhile does not go.
        let sealed = self.running.store.seal(bytes).await?;
        rows.retain(|row| sealed.contains(&row.id));
        Ok(rows)
    }
}
