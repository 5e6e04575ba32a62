//! What expressions ask others for: the values of sources, by name.
//!
//! An evaluation waits for nobody. Where a value is not known it stops, and what it came upon is noted; whoever evaluates asks for
//! all that a piece of work came upon at once, and begins anew with the answers.
//!
//! ```text
//! work ── evaluates ──> known?  yes: goes on     no: noted, and the work stops
//!   ^                                                   │
//!   └───────────── again, until nothing lacks ── asked, side by side
//! ```

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use rusqlite::Transaction;

use super::{
    expression::{Failure, Outside, Question, Scope, Value},
    running::Running,
    source::{Asker, Source},
    store,
};

/// One piece of work: what is asked for it is asked once.
#[derive(Debug, Default)]
pub(crate) struct Round(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Answers, or why there is none, by the digests of what was asked.
    known: BTreeMap<[u8; 32], Result<Value, String>>,
    lacking: BTreeMap<[u8; 32], Wanted>,
    /// Whether the part of the work that goes on lacks something.
    lacks: bool,
    /// Why something that it came upon is not to be had.
    failed: Option<String>,
}

/// A source that is to be asked, with the names that what is asked depends on.
#[derive(Debug, Clone)]
struct Wanted {
    source: String,
    scope: Scope,
}

/// A bot whose expressions may ask, for one piece of work.
pub(crate) struct Asking {
    running: Arc<Running>,
    round: Arc<Round>,
    passes: usize,
}

/// What a part of the work came upon.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CameUpon {
    /// All that it asked for was known, or it asked for nothing.
    Nothing,
    /// Something is to be asked: its outcome does not count.
    Lacking,
    /// Something is not to be had, for this reason: where its outcome is a failure, this is why.
    Failed(String),
}

impl Asking {
    /// Lets the expressions of a bot ask, if it has anything to ask.
    pub(crate) fn of(running: &Running) -> Self {
        let round = Arc::<Round>::default();
        let mut running = running.clone();
        if !running.bot.sources.is_empty() {
            running.outside = Some((outside(&running, Arc::clone(&round)), Arc::clone(&round)));
        }
        Self {
            running: Arc::new(running),
            round,
            passes: 0,
        }
    }

    /// The bot, to evaluate with.
    pub(crate) fn running(&self) -> &Arc<Running> {
        &self.running
    }

    /// Begins a part of the work.
    pub(crate) fn begin(&self) {
        self.round.begin();
    }

    /// What the part came upon since it began.
    pub(crate) fn came_upon(&self) -> CameUpon {
        self.round.came_upon()
    }

    /// Notes parts of a round that others evaluate.
    pub(crate) fn round(&self) -> Arc<Round> {
        Arc::clone(&self.round)
    }

    /// Asks for all that lacks. Says whether anything did: then what lacked it is to be done again.
    pub(crate) async fn ask(&mut self) -> bool {
        let lacking = std::mem::take(&mut self.round.lock().lacking);
        if lacking.is_empty() {
            return false;
        }
        self.passes += 1;
        let running = &self.running;
        let too_deep = self.passes > MAX_PASSES;
        let answers = stream::iter(lacking).map(|(key, wanted)| async move {
            let answer = if too_deep {
                Err("sources ask for one another without end".to_owned())
            } else {
                answer(running, &wanted).await
            };
            (
                key,
                answer.map_err(|reason| format!("source `{}`: {reason}", wanted.source)),
            )
        });
        let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
        self.round.lock().known.extend(answers);
        true
    }

    /// Does work until it lacks nothing. Gives its outcome, or why something it needs is not to be had.
    pub(crate) async fn work<T>(running: &Running, work: impl Fn(&Running) -> T) -> (T, Option<String>) {
        let mut asking = Self::of(running);
        loop {
            asking.begin();
            let outcome = work(asking.running());
            let failed = match asking.came_upon() {
                CameUpon::Failed(reason) => Some(reason),
                CameUpon::Nothing | CameUpon::Lacking => None,
            };
            if !asking.ask().await {
                return (outcome, failed);
            }
        }
    }
}

impl Asking {
    /// Changes the store in one transaction whose expressions may ask. While something lacks it is undone, and done again once that is
    /// known.
    pub(crate) async fn write<T: Send + 'static>(
        running: &Running,
        change: impl Fn(&Transaction<'_>, &Arc<Running>) -> Result<T, rusqlite::Error> + Send + Sync + 'static,
    ) -> Result<T, store::Error> {
        let (mut asking, change) = (Self::of(running), Arc::new(change));
        loop {
            let (running, round) = (Arc::clone(asking.running()), asking.round());
            let change = Arc::clone(&change);
            let store = running.store.clone();
            let written = store.write(move |transaction| {
                round.begin();
                let value = change(transaction, &running)?;
                if round.lacks() {
                    // Whatever undoes it.
                    return Err(rusqlite::Error::StatementChangedRows(0));
                }
                Ok(value)
            });
            let written = written.await;
            if !asking.ask().await {
                return written;
            }
        }
    }
}

impl Round {
    /// Whether it came upon something that is to be asked.
    fn lacks(&self) -> bool {
        !self.lock().lacking.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a part of the work.
    pub(crate) fn begin(&self) {
        let mut state = self.lock();
        (state.lacks, state.failed) = (false, None);
    }

    /// What the part came upon since it began.
    pub(crate) fn came_upon(&self) -> CameUpon {
        let state = self.lock();
        if state.lacks {
            return CameUpon::Lacking;
        }
        match &state.failed {
            Some(reason) => CameUpon::Failed(reason.clone()),
            None => CameUpon::Nothing,
        }
    }

    /// The answer to what a source is asked, as far as it is known.
    fn look(&self, (name, source): (&str, &Source), scope: &Scope) -> Result<Value, Failure> {
        let key = match source.digest(scope) {
            Ok(key) => key,
            Err(error) => {
                return Err(match error.failure {
                    waits @ (Failure::Unasked(_) | Failure::Unanswered(_)) => waits,
                    other => Failure::Unanswered(format!("source `{name}`: {other}")),
                });
            }
        };
        let mut state = self.lock();
        match state.known.get(&key) {
            Some(Ok(value)) => Ok(value.clone()),
            Some(Err(reason)) => {
                let reason = reason.clone();
                state.failed.get_or_insert_with(|| reason.clone());
                Err(Failure::Unanswered(reason))
            }
            None => {
                state.lacks = true;
                let wanted = || Wanted {
                    source: name.to_owned(),
                    scope: scope.clone(),
                };
                state.lacking.entry(key).or_insert_with(wanted);
                Err(Failure::Unasked(name.to_owned()))
            }
        }
    }
}

/// What answers the expressions of a bot in a round.
fn outside(running: &Running, round: Arc<Round>) -> Outside {
    let (bot, answers) = (Arc::clone(&running.bot), Arc::clone(&running.answers));
    Outside::new(move |Question::Source(name), scope| {
        let source = bot.sources.get(name)?;
        if let Some(given) = source.given(name, &answers, scope) {
            return Some(given.map_err(|reason| {
                let reason = format!("source `{name}`: {reason}");
                round.lock().failed.get_or_insert_with(|| reason.clone());
                Failure::Unanswered(reason)
            }));
        }
        Some(round.look((name, source), scope))
    })
}

async fn answer(running: &Running, wanted: &Wanted) -> Result<Value, String> {
    let gone = || "it is not in the file any more".to_owned();
    let source = running.bot.sources.get(&wanted.source).ok_or_else(gone)?;
    let asker = Asker {
        fetch: &running.fetch,
        answers: &running.answers,
        folder: running.bot.folder(),
        fresh: Duration::ZERO,
    };
    source.ask(asker, &wanted.scope).await
}

/// How often work may come upon something new: sources that depend on others nest no deeper.
const MAX_PASSES: usize = 16;
/// Questions that are on their way side by side.
const AT_ONCE: usize = 16;
