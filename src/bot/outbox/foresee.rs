//! What would become of rows if they were due now. Nothing is held, sealed or ended.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use herald_protocol::{consent::ConsentState, limits};

use super::{
    judge::{self, Batch, Verdict},
    render::Message,
};
use crate::{
    bot::{
        running::Running,
        store::{self, Delivery, State},
    },
    content::Content,
};

/// A row, and what would become of it.
pub(crate) struct Foreseen {
    pub(crate) row: Delivery,
    /// Its wallet is not to be written to, whatever the message.
    pub(crate) is_denied: bool,
    /// Its wallet's proof of consent is too old for an invitation.
    pub(crate) has_old_proof: bool,
    /// What is done with it once it need not wait.
    verdict: Verdict,
    /// For what it waits until then, and until when.
    waits: Option<(String, DateTime<Utc>)>,
}

/// Judges rows of a rule. What a bot denies is known where its node is reached.
pub(crate) async fn foresee(
    running: &Arc<Running>,
    rows: Vec<Delivery>,
) -> Result<Vec<Foreseen>, store::Error> {
    let (running, now) = (Arc::clone(running), running.now());
    let store = running.store.clone();
    let now_ms = running.clock.now().as_ms();
    let foresee = move |connection: &rusqlite::Connection| {
        let (mut batch, mut foreseen) = (Batch::default(), Vec::with_capacity(rows.len()));
        for row in rows {
            let mut facts = judge::facts(connection, &mut batch, &running, &row, now)?;
            let client = running.client.get();
            facts.denied = client.is_some_and(|client| client.consent_of(row.wallet) == ConsentState::Denied);
            let rule = running.bot.rules.get(&row.rule);
            let proof = facts.standing.proof.as_ref();
            let (verdict, waits) = match judge::judge(&running, &row, &facts, now) {
                Verdict::Hold { reason, until, .. } => {
                    (judge::foresee(&running, &row, &facts), Some((reason, until)))
                }
                verdict => (verdict, None),
            };
            foreseen.push(Foreseen {
                is_denied: rule.is_some_and(|rule| judge::consent(rule, &facts).is_err()),
                has_old_proof: proof.is_some_and(|proof| {
                    now_ms.saturating_sub(proof.timestamp_ms) > limits::CONSENT_PROOF_AGE_SECONDS * 1_000
                }),
                verdict,
                waits,
                row,
            });
        }
        Ok(foreseen)
    };
    store.read(foresee).await
}

impl Foreseen {
    /// `sent`, `held`, `skipped` or `rejected`; why not at once, and until when.
    pub(crate) fn outcome(&self) -> (&'static str, Option<String>, Option<DateTime<Utc>>) {
        match (&self.verdict, &self.waits) {
            (Verdict::Settle(State::Skipped, reason) | Verdict::Cancel(reason), _) => {
                ("skipped", Some(reason.clone()), None)
            }
            (Verdict::Settle(_, reason), _) => ("rejected", Some(reason.clone()), None),
            (Verdict::Hold { reason, until, .. }, _) | (_, Some((reason, until))) => {
                ("held", Some(reason.clone()), Some(*until))
            }
            (Verdict::Send(_), None) => ("sent", None, None),
        }
    }

    fn message(&self) -> Option<&judge::Send> {
        match &self.verdict {
            Verdict::Send(send) => Some(send),
            _ => None,
        }
    }

    /// The id of the conversation.
    pub(crate) fn thread(&self) -> Option<&str> {
        self.message()?.message.thread.as_deref()
    }

    /// What it says: its text, else what readers see whose client does not know its type, else its file.
    pub(crate) fn text(&self) -> Option<String> {
        match &self.message()?.message.message {
            Message::Content(Content::Text(text)) => Some(text.clone()),
            Message::Content(content) => content.fallback(),
            Message::File(file) => Some(file.file.clone()),
        }
    }

    /// The size of its content before it is sealed; that of a file is not known yet.
    pub(crate) fn bytes(&self) -> Option<usize> {
        match &self.message()?.message.message {
            Message::Content(content) => Some(content.encode().len()),
            Message::File(_) => None,
        }
    }
}
