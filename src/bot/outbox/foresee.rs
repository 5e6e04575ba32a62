//! What would become of rows if they were due now. Nothing is held, sealed or ended.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, Utc};
use herald_protocol::{
    consent::ConsentState,
    limits,
    time::{Clock, TimestampNs},
};
use rusqlite::{Connection, Transaction};

use super::{
    follow_up,
    judge::{self, Batch, Facts, Verdict},
    render::Message,
};
use crate::{
    bot::{
        outside::Asking,
        running::Running,
        store::{self, Delivery, FirstMessage, State},
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
    /// How a condition of its follow-up ends it, as things stand now.
    ends: Option<Verdict>,
    /// What is done with it once it need not wait.
    verdict: Verdict,
    /// For what it waits until then, and until when.
    waits: Option<(String, DateTime<Utc>)>,
}

/// A follow-up of a message, and what would become of its rows.
pub(crate) struct Step {
    /// When it is due, or why it never is.
    pub(crate) due: Result<DateTime<Utc>, String>,
    /// Its messages, none if it is never due.
    pub(crate) messages: Vec<Foreseen>,
}

/// Judges rows of a rule. What a bot denies is known where its node is reached.
pub(crate) async fn foresee(
    running: &Arc<Running>,
    rows: Vec<Delivery>,
) -> Result<Vec<Foreseen>, store::Error> {
    let mut asking = Asking::of(running);
    loop {
        let (running, rows) = (Arc::clone(asking.running()), rows.clone());
        let foresee = move |connection: &Connection| {
            let mut batch = Batch::default();
            let rows = rows.into_iter();
            let foreseen = rows.map(|row| Foreseen::of((connection, &mut batch), &running, row));
            foreseen.collect::<Result<Vec<_>, _>>()
        };
        let foreseen = asking.running().store.read(foresee).await?;
        if !asking.ask().await {
            return Ok(foreseen);
        }
    }
}

/// Lets rows be delivered, each at its time and with the id of its conversation, and judges what follows each as if it were due:
/// with the clock of that instant, and all else as it is now. What a delivery changes is changed in the store.
pub(crate) async fn foresee_steps(
    running: &Running,
    rows: Vec<(Delivery, DateTime<Utc>, Option<String>)>,
) -> Result<Vec<Vec<Step>>, store::Error> {
    let moment = Moment::default();
    let running = Running {
        clock: moment.clock(),
        ..running.clone()
    };
    let foresee = move |transaction: &Transaction<'_>, running: &Arc<Running>| {
        let mut batch = Batch::default();
        let rows = rows.iter().map(|(row, at, thread)| {
            moment.set(*at);
            steps(
                (transaction, &mut batch),
                (running, &moment),
                row,
                (*at, thread.clone()),
            )
        });
        rows.collect()
    };
    Asking::write(&running, foresee).await
}

fn steps(
    (transaction, batch): (&Transaction<'_>, &mut Batch),
    (running, moment): (&Running, &Moment),
    row: &Delivery,
    (at, thread): (DateTime<Utc>, Option<String>),
) -> Result<Vec<Step>, rusqlite::Error> {
    let Some(rule) = running.bot.rules.get(&row.rule) else {
        return Ok(Vec::new());
    };
    let dues = follow_up::dues(transaction, running, (rule, row), at)?;
    let mut steps: Vec<Step> = dues
        .into_iter()
        .map(|due| Step {
            due,
            messages: Vec::new(),
        })
        .collect();
    follow_up::delivered(transaction, running, row, at)?;
    // Whatever its id will be.
    let first = FirstMessage {
        message: [0; 32],
        thread,
    };
    let mut cancelled = None;
    let mut rows = store::open_follow_ups(transaction, &row.bot, row.wallet)?;
    rows.retain(|following| following.occurrence == row.occurrence);
    rows.sort_by_key(|following| following.part);
    for row in rows {
        let step = usize::try_from(row.part.step())
            .ok()
            .and_then(|step| step.checked_sub(1));
        let Some(step) = step.and_then(|step| steps.get_mut(step)) else {
            continue;
        };
        // One whose time is an estimate is looked at before.
        moment.set(step.due.as_ref().map_or(row.due, |due| row.due.max(*due)));
        let mut foreseen = Foreseen::of_follow_up((transaction, &mut *batch), running, row, first.clone())?;
        if let Some(Verdict::Cancel(reason)) = &foreseen.ends {
            cancelled.get_or_insert_with(|| reason.clone());
        } else if let Some(reason) = &cancelled {
            foreseen.ends = Some(Verdict::Settle(State::Skipped, reason.clone()));
        }
        step.messages.push(foreseen);
    }
    Ok(steps)
}

/// A clock that shows what it is set to. Clones are the same clock.
#[derive(Clone, Default)]
struct Moment(Arc<AtomicU64>);

impl Moment {
    fn set(&self, time: DateTime<Utc>) {
        let time = time
            .timestamp_nanos_opt()
            .and_then(|time| u64::try_from(time).ok());
        self.0.store(time.unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let moment = self.clone();
        Clock::new(move || TimestampNs::from_ns(moment.0.load(Ordering::SeqCst)))
    }
}

impl Foreseen {
    fn of(
        known: (&Connection, &mut Batch),
        running: &Running,
        row: Delivery,
    ) -> Result<Self, rusqlite::Error> {
        let facts = facts(known, running, &row)?;
        let (verdict, waits) = match judge::judge(running, &row, &facts, running.now()) {
            Verdict::Hold { reason, until, .. } => {
                (judge::foresee(running, &row, &facts), Some((reason, until)))
            }
            verdict => (verdict, None),
        };
        let foreseen = Self::with(running, (row, &facts), verdict);
        Ok(Self { waits, ..foreseen })
    }

    fn of_follow_up(
        known: (&Connection, &mut Batch),
        running: &Running,
        row: Delivery,
        first: FirstMessage,
    ) -> Result<Self, rusqlite::Error> {
        let facts = Facts {
            first: Some(first),
            ..facts(known, running, &row)?
        };
        let (mut ends, verdict) = judge::foresee_follow_up(running, &row, &facts);
        let mut waits = None;
        match judge::judge(running, &row, &facts, running.now()) {
            Verdict::Hold { reason, until, .. } => waits = Some((reason, until)),
            late @ Verdict::Settle(State::Expired, _) => ends = Some(late),
            _ => {}
        }
        let foreseen = Self::with(running, (row, &facts), verdict);
        Ok(Self {
            ends,
            waits,
            ..foreseen
        })
    }

    fn with(running: &Running, (row, facts): (Delivery, &Facts), verdict: Verdict) -> Self {
        let rule = running.bot.rules.get(&row.rule);
        let proof = facts.standing.proof.as_ref();
        let now_ms = running.clock.now().as_ms();
        Self {
            is_denied: rule.is_some_and(|rule| judge::consent(rule, facts).is_err()),
            has_old_proof: proof.is_some_and(|proof| {
                now_ms.saturating_sub(proof.timestamp_ms) > limits::CONSENT_PROOF_AGE_SECONDS * 1_000
            }),
            ends: None,
            verdict,
            waits: None,
            row,
        }
    }

    /// `sent`, `held`, `skipped`, `rejected` or `expired`; why not at once, and until when.
    pub(crate) fn outcome(&self) -> (&'static str, Option<String>, Option<DateTime<Utc>>) {
        match (self.ends.as_ref().unwrap_or(&self.verdict), &self.waits) {
            (Verdict::Settle(state, reason), _) => (state.as_str(), Some(reason.clone()), None),
            (Verdict::Cancel(reason), _) => ("skipped", Some(reason.clone()), None),
            (Verdict::Hold { reason, until, .. }, _) | (_, Some((reason, until))) => {
                ("held", Some(reason.clone()), Some(*until))
            }
            (Verdict::Again(reason), _) => ("held", Some(reason.clone()), None),
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

/// What is known of a row, with what the bot denies where its node is reached.
fn facts(
    (connection, batch): (&Connection, &mut Batch),
    running: &Running,
    row: &Delivery,
) -> Result<Facts, rusqlite::Error> {
    let mut facts = judge::facts(connection, batch, running, row, running.now())?;
    let client = running.client.get();
    facts.denied = client.is_some_and(|client| client.consent_of(row.wallet) == ConsentState::Denied);
    Ok(facts)
}
