//! What is asked of a chain beside its logs: times of blocks, states of transactions, calls of contracts. Where several nodes answer,
//! two of them must say the same.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use herald_protocol::address::Address;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use multicall::MULTICALL;

use super::{
    abi::Function,
    names,
    nodes::{Agreed, Chain, Error},
    rpc::{self, Rpc},
    wire::{Data, bytes, number, quantity},
};
use crate::bot::expression::Value;

/// Calls by one contract.
mod multicall;

/// What a contract says when it refuses; it comes in place of an answer.
const REVERT: &str = "Error(string reason) returns (string reason)";
/// Calls that are made at once.
const CALLS: usize = 200;
/// Blocks before the latest that the time of a block to come is reckoned by.
const LOOK_BACK: u64 = 1000;
/// How long a height is taken for the chain's.
const FRESH: Duration = Duration::from_secs(2);
/// Nodes may differ for a moment in their latest block: so many are tried.
const TIP: u64 = 3;
/// Answers of calls that are kept while their block is the latest, and times of blocks. Ours: some megabytes.
const KEPT: usize = 20_000;
/// The most bytes of these calls and answers: bots may say, and contracts tell, much more than an address or a number.
const MOST_KEPT: usize = 16 * 1024 * 1024;

/// What came of a call: its bytes, or why the contract gave none.
pub type Called = Result<Bytes, String>;

/// What came of a call, with the bytes that a contract refuses with.
pub(super) type Answered = Result<Bytes, Refusal>;

/// How a contract refuses a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Why, for people.
    pub(super) reason: String,
    /// Its own bytes; none where nodes do not tell.
    pub(super) data: Vec<u8>,
}

/// A contract, and what it is called with.
pub type Call = (Address, Vec<u8>);

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxState {
    /// It waits.
    Pending,
    /// It did what it says.
    Success,
    /// It was undone.
    Failed,
}

/// A transaction that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxStatus {
    /// How it ended.
    pub state: TxState,
    /// The number of the block it is in, and when that was made.
    pub block: Option<(u64, DateTime<Utc>)>,
}

/// What is known of a chain for a while, for all bots.
#[derive(Default)]
pub(super) struct Known {
    /// When the latest block was found, at which height of the chain, and the block.
    latest: tokio::sync::Mutex<Option<(Instant, u64, Arc<Agreed>)>>,
    answers: Mutex<Answers>,
    times: Mutex<BTreeMap<u64, DateTime<Utc>>>,
}

/// Answers of contracts at one block.
#[derive(Default)]
struct Answers {
    block: [u8; 32],
    known: HashMap<Call, Called>,
    /// Bytes of the calls and their answers.
    size: usize,
}

impl Answers {
    /// Keeps an answer at a block. Those of another block go before it, and all of them where there are too many.
    fn keep(&mut self, block: [u8; 32], call: Call, found: Called) {
        let size = call.1.len() + found.as_ref().map_or_else(String::len, Bytes::len);
        if self.block != block || self.known.len() >= KEPT || self.size + size > MOST_KEPT {
            *self = Self {
                block,
                ..Self::default()
            };
        }
        self.size += size;
        self.known.insert(call, found);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    status: Option<String>,
    block_number: Option<String>,
    block_hash: Option<String>,
}

/// What one node says of a transaction, from what is least to what is most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Nowhere,
    Waiting,
    Done {
        number: u64,
        hash: [u8; 32],
        is_success: bool,
    },
}

impl Chain {
    /// The latest block that is believed, a moment ago at the most, and no older than a height that rules were told of.
    async fn latest(&self) -> Result<Arc<Agreed>, Error> {
        let mut latest = self.known.latest.lock().await;
        let told = self.told_height();
        if let Some((found, height, block)) = latest.as_ref()
            && found.elapsed() < FRESH
            && told.is_none_or(|told| told <= *height)
        {
            return Ok(Arc::clone(block));
        }
        let height = self.height().await?.number;
        let mut tried = self.agreed(height).await;
        for before in 1..TIP {
            if !matches!(tried, Err(Error::Differ { .. } | Error::Absent(_))) || before > height {
                break;
            }
            tried = self.agreed(height - before).await;
        }
        let block = Arc::new(tried?);
        *latest = Some((Instant::now(), height, Arc::clone(&block)));
        Ok(block)
    }

    /// When a block was made; of one to come, when it is likely to be, and then also `true`.
    ///
    /// # Errors
    /// No node answers, or they differ.
    pub async fn block_time(&self, block: u64) -> Result<(DateTime<Utc>, bool), Error> {
        if let Some(time) = lock(&self.known.times).get(&block) {
            return Ok((*time, false));
        }
        let latest = self.latest().await?.block;
        if block <= latest.number {
            let time = self.agreed(block).await?.block.time;
            if block + self.confirmations() <= latest.number {
                let mut times = lock(&self.known.times);
                times.insert(block, time);
                if times.len() > KEPT {
                    times.pop_first();
                }
            }
            return Ok((time, false));
        }
        let before = latest.number.saturating_sub(LOOK_BACK);
        let earlier = self.agreed(before).await?.block;
        let blocks = i128::from(latest.number - before).max(1);
        let span = i128::from((latest.time - earlier.time).num_milliseconds());
        let ahead = span * i128::from(block - latest.number) / blocks;
        let ahead = i64::try_from(ahead).ok().and_then(TimeDelta::try_milliseconds);
        let time = ahead.and_then(|ahead| latest.time.checked_add_signed(ahead));
        Ok((time.unwrap_or(DateTime::<Utc>::MAX_UTC), true))
    }

    /// How a transaction stands; none that is known nowhere. Of nodes that see it differently the one that is behind is believed.
    ///
    /// # Errors
    /// No node answers, or they differ in what came of it.
    pub async fn tx_status(&self, hash: [u8; 32]) -> Result<Option<TxStatus>, Error> {
        let params = json!([const_hex::encode_prefixed(hash)]);
        let asked = self.ask_all(|node| seen(node, &params)).await;
        let (found, failed) = self.answered(asked);
        let mut found: Vec<(Seen, &str)> = found
            .into_iter()
            .map(|(place, seen)| (seen, self.place(place)))
            .collect();
        found.sort_by_key(|(seen, _)| std::cmp::Reverse(*seen));
        let least = match found.as_slice() {
            [] => return Err(failed.map_or(Error::Absent(0), Error::Node)),
            [(only, _)] => *only,
            [
                (Seen::Done { number, .. }, first),
                (second @ Seen::Done { .. }, other),
                ..,
            ] if found.iter().filter(|(seen, _)| seen == second).count() < 2 => {
                return Err(Error::contradiction(
                    format!("a transaction of block {number}"),
                    (first, other),
                ));
            }
            [_, (second, _), ..] => *second,
        };
        let (number, hash, is_success) = match least {
            Seen::Nowhere => return Ok(None),
            Seen::Waiting => {
                let (state, block) = (TxState::Pending, None);
                return Ok(Some(TxStatus { state, block }));
            }
            Seen::Done {
                number,
                hash,
                is_success,
            } => (number, hash, is_success),
        };
        let block = self.agreed(number).await?.block;
        if block.hash != hash {
            // The block has left the chain since.
            return Err(Error::Absent(number));
        }
        let state = if is_success {
            TxState::Success
        } else {
            TxState::Failed
        };
        let block = Some((number, block.time));
        Ok(Some(TxStatus { state, block }))
    }

    /// Calls contracts as they stood at a block, or as they stand; the answers are in the order of the calls. They are made by one contract
    /// where the chain has it, otherwise together in one request. What was asked at the latest block is not asked again.
    ///
    /// # Errors
    /// No node answers, or they differ. A call that fails is an answer.
    pub async fn calls(&self, block: Option<u64>, calls: Vec<Call>) -> Result<Vec<Called>, Error> {
        let Some(block) = block else {
            let latest = self.latest().await?;
            return self.calls_of_latest(&latest, calls).await;
        };
        let block = self.agreed(block).await?;
        let mut called = Vec::with_capacity(calls.len());
        for calls in calls.chunks(CALLS) {
            called.extend(self.compared(&block, calls).await?.into_iter().map(without_data));
        }
        Ok(called)
    }

    /// Calls contracts as they stand. Whoever asks keeps the answers.
    pub(super) async fn ask_contracts(&self, calls: &[Call]) -> Result<Vec<Answered>, Error> {
        let latest = self.latest().await?;
        let mut answered = Vec::with_capacity(calls.len());
        for calls in calls.chunks(CALLS) {
            answered.extend(self.compared(&latest, calls).await?);
        }
        Ok(answered)
    }

    async fn calls_of_latest(&self, latest: &Agreed, calls: Vec<Call>) -> Result<Vec<Called>, Error> {
        let known: Vec<Option<Called>> = {
            let answers = lock(&self.known.answers);
            let is_of_latest = answers.block == latest.block.hash;
            let known = |call: &Call| is_of_latest.then(|| answers.known.get(call).cloned()).flatten();
            calls.iter().map(known).collect()
        };
        let lacking = calls.into_iter().zip(&known);
        let mut lacking: Vec<Call> = lacking
            .filter(|(_, known)| known.is_none())
            .map(|(call, _)| call)
            .collect();
        let mut asked = Vec::with_capacity(lacking.len());
        while !lacking.is_empty() {
            let later = lacking.split_off(lacking.len().min(CALLS));
            let found = self.compared(latest, &lacking).await?;
            let mut answers = lock(&self.known.answers);
            for (call, found) in lacking.into_iter().zip(found) {
                let found = without_data(found);
                asked.push(found.clone());
                answers.keep(latest.block.hash, call, found);
            }
            lacking = later;
        }
        let mut asked = asked.into_iter();
        let absent = || Err("it was not asked".to_owned());
        Ok(known
            .into_iter()
            .map(|known| known.or_else(|| asked.next()).unwrap_or_else(absent))
            .collect())
    }

    /// Asks two of the nodes that have a block, or the only one; more where these fail or differ.
    async fn compared(&self, block: &Agreed, calls: &[Call]) -> Result<Vec<Answered>, Error> {
        let mut nodes = self.nodes_of(block);
        let (mut given, mut failed): (Vec<(&Rpc, Vec<Answered>)>, _) = (Vec::new(), None);
        loop {
            let wanted = 2_usize.saturating_sub(given.len()).max(1);
            let next: Vec<&Rpc> = nodes.by_ref().take(wanted).collect();
            if next.is_empty() {
                break;
            }
            let asking = next
                .into_iter()
                .map(async |node| (node, calls_of(node, block, calls).await));
            for (node, answer) in join_all(asking).await {
                match answer {
                    Ok(called) if given.iter().any(|(_, other)| is_same(&called, other)) => {
                        return Ok(called);
                    }
                    Ok(called) => given.push((node, called)),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
        }
        match (given.as_slice(), failed) {
            ([(first, _), (second, _), ..], _) => Err(Error::contradiction(
                format!("what contracts answer at block {}", block.block.number),
                (first.place(), second.place()),
            )),
            ([], Some(error)) => Err(Error::Node(error)),
            ([], None) => Err(Error::Absent(block.block.number)),
            ([_], _) => Ok(given.pop().map(|(_, called)| called).unwrap_or_default()),
        }
    }
}

fn lock<T>(known: &Mutex<T>) -> MutexGuard<'_, T> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn without_data(answered: Answered) -> Called {
    answered.map_err(|refusal| refusal.reason)
}

/// Whether nodes say the same. Each has its own words for a call that fails, but where a contract sends whoever asks elsewhere they must
/// name the same place.
fn is_same(one: &[Answered], other: &[Answered]) -> bool {
    let same = |(one, other): (&Answered, &Answered)| match (one, other) {
        (Ok(one), Ok(other)) => one == other,
        (Err(one), Err(other)) if names::is_lookup(&one.data) || names::is_lookup(&other.data) => {
            one.data == other.data
        }
        (one, other) => one.is_err() == other.is_err(),
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

async fn seen(node: &Rpc, params: &Json) -> Result<Seen, rpc::Error> {
    let receipt: Option<Receipt> = node.ask("eth_getTransactionReceipt", params.clone()).await?;
    let Some(receipt) = receipt else {
        let found: Option<Json> = node.ask("eth_getTransactionByHash", params.clone()).await?;
        return Ok(if found.is_some() {
            Seen::Waiting
        } else {
            Seen::Nowhere
        });
    };
    let done = || {
        Some(Seen::Done {
            number: number(receipt.block_number.as_deref()?)?,
            hash: bytes(receipt.block_hash.as_deref()?)?,
            is_success: receipt.status.as_deref().and_then(number) != Some(0),
        })
    };
    done().ok_or_else(|| node.malformed("a receipt without a block", "its number and hash"))
}

/// Calls as one node answers them at a block.
async fn calls_of(node: &Rpc, block: &Agreed, calls: &[Call]) -> Result<Vec<Answered>, rpc::Error> {
    let tag = quantity(block.block.number);
    let look = async || {
        let code: Option<String> = node
            .ask("eth_getCode", json!([MULTICALL.to_string(), "latest"]))
            .await?;
        Ok::<_, rpc::Error>(code.is_some_and(|code| code.len() > 2))
    };
    let has_contract = calls.len() > 1 && *node.has_multicall.get_or_try_init(look).await?;
    if has_contract && let Some(mut answers) = aggregate(node, &tag, calls).await? {
        // One that fails without a word may only lack the gas that others took.
        let is_silent = |answer: &Answered| matches!(answer, Err(refusal) if refusal.data.is_empty());
        let pairs = calls.iter().zip(&answers);
        let silent: Vec<Call> = pairs
            .filter(|(_, answer)| is_silent(answer))
            .map(|(call, _)| call.clone())
            .collect();
        let alone = each(node, &tag, &silent).await?;
        let silent = answers.iter_mut().filter(|answer| is_silent(answer));
        for (answer, alone) in silent.zip(alone) {
            *answer = alone;
        }
        return Ok(answers);
    }
    each(node, &tag, calls).await
}

/// Calls one by one, in as few requests as the node takes.
async fn each(node: &Rpc, tag: &str, calls: &[Call]) -> Result<Vec<Answered>, rpc::Error> {
    let questions = calls
        .iter()
        .map(|(at, data)| Question::new(*at, data, tag))
        .collect();
    let answers = node.batch::<Data>("eth_call", questions).await?;
    answers.into_iter().map(called).collect()
}

/// Calls by Multicall3; none where it does not answer as such.
async fn aggregate(node: &Rpc, tag: &str, calls: &[Call]) -> Result<Option<Vec<Answered>>, rpc::Error> {
    let data = multicall::encode(calls);
    let answer = node.ask("eth_call", Question::new(MULTICALL, &data, tag)).await;
    let answer = called(answer)?.ok();
    Ok(answer.and_then(|answer| multicall::decode(&answer, calls.len())))
}

/// Why a contract refused, as far as it said.
fn reverted(data: Vec<u8>) -> Refusal {
    let reason = Function::parse(REVERT).ok().and_then(|function| {
        let words = data.strip_prefix(&function.selector())?;
        let Ok(Value::Record(record)) = function.decode(words) else {
            return None;
        };
        record.get("reason").map(|reason| rpc::cut(&reason.to_text()))
    });
    let reason = reason.map_or_else(
        || "the contract refuses".to_owned(),
        |reason| format!("the contract refuses: {reason}"),
    );
    Refusal { reason, data }
}

/// What a node makes of a call: what fails in the contract is an answer, what fails in the node is none.
fn called(answer: Result<Option<Data>, rpc::Error>) -> Result<Answered, rpc::Error> {
    match answer {
        Ok(data) => Ok(Ok(data.map(|Data(bytes)| bytes).unwrap_or_default().into())),
        Err(rpc::Error::Refused {
            code, message, data, ..
        }) if is_of_contract(code, &message) => {
            let reason = message.strip_prefix("execution reverted").unwrap_or_default();
            let reason = reason.trim_start_matches([':', ' ']);
            Ok(Err(match reason {
                "" => reverted(data),
                reason => Refusal {
                    reason: format!("the contract refuses: {reason}"),
                    data,
                },
            }))
        }
        Err(error) => Err(error),
    }
}

/// Whether a node speaks of the contract: 3 is what geth calls a revert, -32015 what others call what fails while it runs.
fn is_of_contract(code: i64, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let words = ["revert", "opcode", "out of gas", "vm execution"];
    matches!(code, 3 | -32_015) || words.iter().any(|word| message.contains(word))
}

/// A call, and the block it is made at.
#[derive(Serialize)]
struct Question<'q>(Target, &'q str);

#[derive(Serialize)]
struct Target {
    to: String,
    data: String,
}

impl<'q> Question<'q> {
    fn new(at: Address, data: &[u8], tag: &'q str) -> Self {
        let (to, data) = (at.to_string(), const_hex::encode_prefixed(data));
        Self(Target { to, data }, tag)
    }
}

#[cfg(test)]
mod tests;
