//! What expressions ask others for: the values of sources, by name, and what chains know.
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
use herald_protocol::address::Address;
use rusqlite::Transaction;
use sha2::{Digest as _, Sha256};

use super::{
    chain::{self, NameError, TxState, TxStatus, WalletName},
    expression::{ENS, Failure, Outside, Question, Scope, Value},
    running::Running,
    source::{Asker, ContractCall, Http, Prepared, Source},
    store,
};

/// One piece of work: what is asked for it is asked once.
#[derive(Debug, Default)]
pub(crate) struct Round(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Answers, or why there is none, by the digests of what was asked.
    known: BTreeMap<[u8; 32], Result<Value, Failure>>,
    lacking: BTreeMap<[u8; 32], Wanted>,
    /// Whether the part of the work that goes on lacks something.
    lacks: bool,
    /// Why something that it came upon is not to be had.
    failed: Option<String>,
}

/// What is to be asked.
#[derive(Debug, Clone)]
enum Wanted {
    /// A source on the web, with the names that what is asked depends on.
    Http(Arc<Http>, Scope),
    /// A source that calls a contract.
    Call(Arc<ContractCall>, Prepared),
    /// When a block of a chain is.
    BlockTime(String, u64),
    /// How a transaction of a chain stands.
    TxStatus(String, [u8; 32]),
    /// The name of a wallet.
    NameOf(Address),
    /// The wallet of a name.
    WalletOf(WalletName),
}

/// Answers, or why there is none, by the digests of what was asked.
type Known = Vec<([u8; 32], Result<Value, Failure>)>;

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
        running.outside = Some((outside(&running, Arc::clone(&round)), Arc::clone(&round)));
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
        let answers = if self.passes > MAX_PASSES {
            let endless = || Failure::Unanswered("sources ask for one another without end".to_owned());
            let endless = |(key, _)| (key, Err(endless()));
            lacking.into_iter().map(endless).collect()
        } else {
            answers(&self.running, lacking).await
        };
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
            let written = asking.try_write(&change).await;
            if !asking.ask().await {
                return written;
            }
        }
    }

    /// Changes the store in one transaction whose expressions ask nothing. Where something lacks nothing is changed, and none is given.
    pub(crate) async fn write_known<T: Send + 'static>(
        running: &Running,
        change: impl Fn(&Transaction<'_>, &Arc<Running>) -> Result<T, rusqlite::Error> + Send + Sync + 'static,
    ) -> Result<Option<T>, store::Error> {
        let asking = Self::of(running);
        let written = asking.try_write(&Arc::new(change)).await;
        if asking.round.lacks() {
            return Ok(None);
        }
        written.map(Some)
    }

    /// Changes the store, if nothing lacks.
    async fn try_write<T: Send + 'static>(
        &self,
        change: &Arc<
            impl Fn(&Transaction<'_>, &Arc<Running>) -> Result<T, rusqlite::Error> + Send + Sync + 'static,
        >,
    ) -> Result<T, store::Error> {
        let (running, round, change) = (Arc::clone(&self.running), self.round(), Arc::clone(change));
        let written = self.running.store.write(move |transaction| {
            round.begin();
            let value = change(transaction, &running)?;
            if round.lacks() {
                // Whatever undoes it.
                return Err(rusqlite::Error::StatementChangedRows(0));
            }
            Ok(value)
        });
        written.await
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

    /// The answer to what is asked, as far as it is known.
    fn look(&self, name: &str, key: [u8; 32], wanted: impl FnOnce() -> Wanted) -> Result<Value, Failure> {
        let mut state = self.lock();
        match state.known.get(&key) {
            Some(Ok(value)) => Ok(value.clone()),
            Some(Err(failure)) => {
                let failure = failure.clone();
                state.failed.get_or_insert_with(|| failure.to_string());
                Err(failure)
            }
            None => {
                state.lacks = true;
                state.lacking.entry(key).or_insert_with(wanted);
                Err(Failure::Unasked(name.to_owned()))
            }
        }
    }

    /// The value of a source, as far as it is known.
    fn look_at(&self, (name, source): (&str, &Source), scope: &Scope) -> Result<Value, Failure> {
        let blame = |failure| match failure {
            waits @ (Failure::Unasked(_) | Failure::Unanswered(_) | Failure::Nobodys(_)) => waits,
            other => Failure::Unanswered(format!("source `{name}`: {other}")),
        };
        match source {
            Source::Http(http) => {
                let key = http.digest(scope).map_err(|error| blame(error.failure))?;
                self.look(name, key, || Wanted::Http(Arc::clone(http), scope.clone()))
            }
            Source::Call(source) => {
                let call = source.prepare(scope).map_err(blame)?;
                self.look(name, source.digest(&call), || {
                    Wanted::Call(Arc::clone(source), call)
                })
            }
        }
    }

    /// Notes why something is not to be had.
    fn fail(&self, reason: String) -> Failure {
        self.lock().failed.get_or_insert_with(|| reason.clone());
        Failure::Unanswered(reason)
    }
}

/// What answers the expressions of a bot in a round.
fn outside(running: &Running, round: Arc<Round>) -> Outside {
    let (bot, answers) = (Arc::clone(&running.bot), Arc::clone(&running.answers));
    let has_names = running.chains.has_names();
    Outside::new(move |question, scope| {
        let given = |question: Question<'_>, argument| {
            let given = answers.given_to(&question.to_string(), &[argument])?;
            Some(given.map_err(|reason| round.fail(format!("`{question}`: {reason}"))))
        };
        let wanted = match question {
            Question::Source(name) => {
                let source = bot.sources.get(name)?;
                let given = source.given(name, &answers, scope);
                let given = given
                    .map(|given| given.map_err(|reason| round.fail(format!("source `{name}`: {reason}"))));
                return Some(given.unwrap_or_else(|| round.look_at((name, source), scope)));
            }
            Question::BlockTime(chain, block) => {
                if let Some(given) = given(question, Value::Int(block.into())) {
                    return Some(given);
                }
                Wanted::BlockTime(chain.to_owned(), block)
            }
            Question::TxStatus(chain, hash) => {
                if let Some(given) = given(question, Value::Hash(hash)) {
                    return Some(given);
                }
                Wanted::TxStatus(chain.to_owned(), hash)
            }
            Question::NameOf(wallet) => {
                if let Some(given) = answers.given_name(wallet) {
                    return Some(Ok(given));
                }
                // What a wallet is called holds up no message where it cannot be asked.
                if !has_names {
                    return Some(Ok(Value::None));
                }
                Wanted::NameOf(wallet)
            }
            Question::WalletOf(name) => {
                if let Some(given) = answers.given_wallet(name) {
                    return Some(Ok(Value::Wallet(given)));
                }
                Wanted::WalletOf(name.clone())
            }
        };
        let key = Sha256::digest(format!("{question:?}"));
        Some(round.look(&question.to_string(), key.into(), || wanted))
    })
}

/// Asks, side by side; what contracts are asked of one chain at one block goes there together.
async fn answers(running: &Running, lacking: BTreeMap<[u8; 32], Wanted>) -> Known {
    let mut calls = BTreeMap::<_, Vec<_>>::new();
    let mut single = Vec::new();
    let (mut wallets, mut names) = (Vec::new(), Vec::new());
    for (key, wanted) in lacking {
        match wanted {
            Wanted::NameOf(wallet) => wallets.push((key, wallet)),
            Wanted::WalletOf(name) => names.push((key, name)),
            Wanted::Call(source, call) => {
                let place = (Arc::clone(&source.chain), call.block);
                calls.entry(place).or_default().push((key, source, call));
            }
            other => single.push((key, other)),
        }
    }
    let single = stream::iter(single).map(async |(key, wanted)| {
        let answer = answer(running, wanted).await;
        (key, answer.map_err(Failure::Unanswered))
    });
    let single = single.buffer_unordered(AT_ONCE).collect::<Known>();
    let together = calls
        .into_iter()
        .map(|(place, calls)| read(running, place, calls));
    let together = futures::future::join_all(together);
    let people = futures::future::join(names_of(running, wallets), wallets_of(running, names));
    let (mut known, together, people) = futures::future::join3(single, together, people).await;
    known.extend(together.into_iter().flatten());
    known.extend(people.0);
    known.extend(people.1);
    known
}

async fn names_of(running: &Running, asked: Vec<([u8; 32], Address)>) -> Known {
    let (keys, wallets): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let names = running.chains.names_of(&running.fetch, &wallets).await;
    let names = names.into_iter().map(|name| match name {
        Ok(name) => Ok(name.map_or(Value::None, Value::text)),
        Err(error) => Err(Failure::Unanswered(format!("`{ENS}`: {error}"))),
    });
    keys.into_iter().zip(names).collect()
}

async fn wallets_of(running: &Running, asked: Vec<([u8; 32], WalletName)>) -> Known {
    let (keys, names): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let wallets = running.chains.wallets(&running.fetch, &names).await;
    let wallets = wallets.into_iter().map(|wallet| match wallet {
        Ok(wallet) => Ok(Value::Wallet(wallet)),
        Err(NameError::Unknown(reason)) => Err(Failure::Nobodys(reason)),
        Err(NameError::Away(reason)) => Err(Failure::Unanswered(reason)),
    });
    keys.into_iter().zip(wallets).collect()
}

async fn answer(running: &Running, wanted: Wanted) -> Result<Value, String> {
    let of_chain = |chain: &str, error: chain::Error| format!("chain `{chain}`: {error}");
    match wanted {
        Wanted::Http(http, scope) => {
            let asker = Asker {
                fetch: &running.fetch,
                answers: &running.answers,
                folder: running.bot.folder(),
                fresh: Duration::ZERO,
            };
            let value = http.value(asker, &scope).await;
            value.map_err(|reason| format!("source `{}`: {reason}", http.name))
        }
        // These are asked together.
        Wanted::Call(..) | Wanted::NameOf(_) | Wanted::WalletOf(_) => Err("it was not asked".to_owned()),
        Wanted::BlockTime(chain, block) => {
            let time = running.chains.find(&chain)?.block_time(block).await;
            time.map(|(time, _)| Value::Time(time))
                .map_err(|error| of_chain(&chain, error))
        }
        Wanted::TxStatus(chain, hash) => {
            let status = running.chains.find(&chain)?.tx_status(hash).await;
            status.map(status_record).map_err(|error| of_chain(&chain, error))
        }
    }
}

/// Calls contracts of one chain as of one block.
async fn read(
    running: &Running,
    (chain, block): (Arc<str>, Option<u64>),
    calls: Vec<([u8; 32], Arc<ContractCall>, Prepared)>,
) -> Known {
    let answers = &running.answers;
    let mut lacking = Vec::with_capacity(calls.len());
    let calls: Vec<_> = calls
        .into_iter()
        .map(|(key, source, call)| {
            let kept = source.kept(answers, &key);
            if kept.is_none() {
                lacking.push((call.at, call.data));
            }
            (key, source, call.at, kept)
        })
        .collect();
    let called = match running.chains.find(&chain) {
        Ok(found) => {
            let called = found.calls(block, lacking).await;
            called.map_err(|error| format!("chain `{chain}`: {error}"))
        }
        Err(reason) => Err(reason),
    };
    let mut called = called.map(Vec::into_iter);
    let known = calls.into_iter().map(|(key, source, at, kept)| {
        let answer = match (kept, &mut called) {
            (Some(kept), _) => Ok(kept),
            (None, Ok(called)) => {
                let answer = called
                    .next()
                    .unwrap_or_else(|| Err("it was not asked".to_owned()));
                if let Ok(bytes) = &answer {
                    source.keep(answers, key, bytes);
                }
                answer
            }
            (None, Err(reason)) => Err(reason.clone()),
        };
        let value = source.read(at, answer);
        let value =
            value.map_err(|reason| Failure::Unanswered(format!("source `{}`: {reason}", source.name)));
        (key, value)
    });
    known.collect()
}

/// What `tx_status` gives.
fn status_record(status: Option<TxStatus>) -> Value {
    let state = status.map(|status| match status.state {
        TxState::Pending => "pending",
        TxState::Success => "success",
        TxState::Failed => "failed",
    });
    let block = status.and_then(|status| status.block);
    Value::record([
        ("found", Value::Bool(status.is_some())),
        ("status", state.map_or(Value::None, Value::text)),
        ("time", block.map_or(Value::None, |(_, time)| Value::Time(time))),
        (
            "block",
            block.map_or(Value::None, |(number, _)| Value::Int(number.into())),
        ),
    ])
}

/// How often work may come upon something new: sources that depend on others nest no deeper.
const MAX_PASSES: usize = 16;
/// Questions that are on their way side by side.
const AT_ONCE: usize = 16;
