//! What became of rows: held for a reason, or ended, and what follows from that.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::Transaction;

use super::{Error, Worker};
use crate::bot::{
    event::{Event, Kind},
    outbox::{callback, follow_up, retry},
    store::{self, Delivery, State, Wait},
};

/// A row that waits.
pub(super) struct Hold {
    pub(super) row: Delivery,
    pub(super) reason: String,
    /// Looked at again.
    pub(super) due: DateTime<Utc>,
    /// How long it waits at the most.
    pub(super) until: DateTime<Utc>,
    pub(super) expires: DateTime<Utc>,
    /// When the digest is due that it belongs to.
    pub(super) period: Option<DateTime<Utc>>,
}

impl Worker {
    /// Holds rows and tells those that were not held for this reason before.
    pub(super) async fn hold(&self, held: Vec<Hold>) -> Result<(), Error> {
        if held.is_empty() {
            return Ok(());
        }
        let waits = held.iter().map(|hold| Wait {
            row: hold.row.id,
            reason: hold.reason.clone(),
            due: hold.due,
            until: hold.until,
            expires: hold.expires,
            period: hold.period,
        });
        let news = self.running.store.hold(waits.collect()).await?;
        for hold in held {
            if news.contains(&hold.row.id) {
                let mut event = self.delivery_event(Kind::Held, &hold.row);
                event.reason = Some(hold.reason);
                event.until = Some(hold.until);
                self.running.tell(event).await;
            }
        }
        Ok(())
    }

    /// Ends rows and tells it.
    pub(in crate::bot::outbox) async fn settle(
        &self,
        settled: Vec<(Delivery, State, Option<String>)>,
    ) -> Result<(), Error> {
        if settled.is_empty() {
            return Ok(());
        }
        let rows = settled
            .iter()
            .map(|(row, state, reason)| (row.id, *state, reason.clone()))
            .collect();
        let failures = self.settle_rows(rows, &settled).await?;
        self.running.to_call_back.notify_one();
        for (rule, reason) in failures {
            let mut event = self.running.event(Kind::Error);
            event.rule = Some(rule);
            event.reason = Some(reason);
            self.running.tell(event).await;
        }
        for (row, state, reason) in settled {
            let kind = match state {
                State::Delivered => Kind::Delivered,
                State::Expired => Kind::Expired,
                State::Skipped => Kind::Skipped,
                _ => Kind::Rejected,
            };
            metrics::counter!("herald_deliveries_total", "state" => state.as_str()).increment(1);
            let mut event = self.delivery_event(kind, &row);
            event.reason = reason;
            self.running.tell(event).await;
        }
        Ok(())
    }

    /// Settles rows, and does what follows the delivery of some of them in the same transaction. Gives what of that failed.
    async fn settle_rows(
        &self,
        rows: Vec<(i64, State, Option<String>)>,
        settled: &[(Delivery, State, Option<String>)],
    ) -> Result<Vec<(String, String)>, Error> {
        let now = self.running.now();
        let delivered = settled.iter().filter(|(_, state, _)| *state == State::Delivered);
        let delivered: Vec<Delivery> = delivered
            .filter(|(row, ..)| follow_up::followed(&self.running, row).is_some())
            .map(|(row, ..)| row.clone())
            .collect();
        let running = Arc::clone(&self.running);
        let places = callback::places(&running, settled);
        let settle = move |transaction: &Transaction<'_>| {
            let ended = store::settle(transaction, &rows, now)?;
            callback::settled(transaction, &running, (&ended, &places), now)?;
            let mut failures = Vec::new();
            for row in delivered {
                let failed = follow_up::delivered(transaction, &running, &row, now)?;
                failures.extend(failed.into_iter().map(|reason| (row.rule.clone(), reason)));
            }
            Ok(failures)
        };
        Ok(self.running.store.write(settle).await?)
    }

    fn delivery_event(&self, kind: Kind, row: &Delivery) -> Event {
        let mut event = self.running.event(kind);
        event.rule = Some(row.rule.clone());
        event.key = Some(row.key.clone());
        event.wallet = Some(row.wallet);
        event.delivery = Some(row.id);
        if kind == Kind::Delivered {
            event.envelope = row
                .sealed
                .as_ref()
                .map(|sealed| const_hex::encode(sealed.envelope));
            event.message = row
                .sealed
                .as_ref()
                .map(|sealed| const_hex::encode(sealed.message));
        }
        event
    }
}

/// A row that waits for its wallet's contact or for a file as long as it is worth anything.
pub(super) fn looked_at_again(row: Delivery, reason: String, now: DateTime<Utc>) -> Hold {
    let waited = (now - row.created).to_std().unwrap_or_default();
    let expires = row.expires;
    Hold {
        row,
        reason,
        due: (now + retry::look_again(waited)).min(expires),
        until: expires,
        expires,
        period: None,
    }
}
