//! The nodes of a chain together: those that answer are believed where two of them say the same, or where only one answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use futures::{
    future::join_all,
    stream::{FuturesUnordered, StreamExt as _},
};
use herald_protocol::address::Address;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};

use super::{
    ask::Known,
    names::KnownNames,
    remarks::Remarks,
    rpc::{self, Rpc},
    wire::{BlockWire, Head, Log, LogWire, quantity},
};
use crate::{
    bot::project::{self, Project, rpc_url},
    fetch::Fetch,
};

/// The longest and the shortest time between two looks at a chain's height. Ours.
const SLOWEST: Duration = Duration::from_secs(4);
const FASTEST: Duration = Duration::from_millis(500);
/// How long nodes are waited for once one has answered. Ours: those that are well take some tenths of a second.
const GRACE: Duration = Duration::from_secs(3);
/// Blocks that are asked for at once.
const BATCH: usize = 100;

/// The chains of a project that have nodes; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Chains {
    chains: Arc<BTreeMap<String, Result<Arc<Chain>, String>>>,
    pub(super) names: Arc<KnownNames>,
}

/// Why the nodes of a chain told nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// None of them answers as it should; this is the first one's reason.
    #[error(transparent)]
    Node(#[from] rpc::Error),
    /// They have different blocks of one number.
    #[error("{first} and {second} have different blocks {number}")]
    Differ {
        /// The block's number.
        number: u64,
        /// A node.
        first: String,
        /// Another one.
        second: String,
    },
    /// They tell different things of one block.
    #[error("{first} and {second} differ in {what}")]
    Contradict {
        /// Of what.
        what: String,
        /// A node.
        first: String,
        /// Another one.
        second: String,
    },
    /// There is no such block yet.
    #[error("not every node that is needed has block {0} yet")]
    Absent(u64),
}

/// One chain.
pub struct Chain {
    name: String,
    id: u64,
    confirmations: u64,
    nodes: Vec<Rpc>,
    head: watch::Sender<Option<Result<Head, Error>>>,
    /// Held by the one who polls.
    polling: Mutex<()>,
    pub(super) known: Known,
    remarks: Remarks,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("name", &self.name)
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

/// A block that is believed, and the nodes that have it.
pub(crate) struct Agreed {
    pub(crate) block: Head,
    by: Vec<usize>,
}

/// Which logs are asked for.
pub(crate) struct Search<'a> {
    pub(crate) from: u64,
    pub(crate) contracts: &'a [Address],
    /// The first topics, of which one must be a log's; none for any.
    pub(crate) topics: &'a [[u8; 32]],
}

impl Error {
    /// Two nodes tell different things.
    pub(super) fn contradiction(what: String, (first, second): (&str, &str)) -> Self {
        Self::Contradict {
            what,
            first: first.to_owned(),
            second: second.to_owned(),
        }
    }
}

impl Chains {
    /// The chains of a project. References to addresses are resolved here, once.
    pub(crate) fn of(project: &Project, fetch: &Fetch) -> Self {
        let chains = project.chains.iter();
        let chains = chains.map(|(name, chain)| {
            let made = Chain::of(project, (name, chain), fetch);
            (name.clone(), made.map(Arc::new))
        });
        Self {
            chains: Arc::new(chains.collect()),
            names: Arc::default(),
        }
    }

    /// A chain by its name; or what to add to the project so that it can be asked.
    pub fn find(&self, name: &str) -> Result<Arc<Chain>, String> {
        let found = self.chains.get(name).cloned();
        found.unwrap_or_else(|| Err(without_rpc(name)))
    }
}

/// What to do about a chain that cannot be asked.
pub(crate) fn without_rpc(name: &str) -> String {
    let variable = name.to_ascii_uppercase().replace('-', "_");
    format!(
        "chain `{name}` has no node: add `chains: {{ {name}: {{ rpc: [env:{variable}_RPC] }} }}` to herald.yaml"
    )
}

impl Chain {
    fn of(project: &Project, (name, chain): (&str, &project::Chain), fetch: &Fetch) -> Result<Self, String> {
        if chain.rpc.is_empty() {
            return Err(without_rpc(name));
        }
        let mut nodes = Vec::new();
        for rpc in &chain.rpc {
            let url = match rpc {
                project::Rpc::Url(url) => url.clone(),
                project::Rpc::Reference(reference) => {
                    let text = reference.resolve(project.folder());
                    let text = text.map_err(|error| format!("the `rpc` of chain `{name}`: {error}"))?;
                    rpc_url(text.expose_secret())
                        .ok_or_else(|| format!("the `rpc` of chain `{name}`: `{reference}` holds no URL"))?
                }
            };
            nodes.push(Rpc::new(url, fetch.operators()));
        }
        Ok(Self {
            name: name.to_owned(),
            id: chain.id,
            confirmations: chain.confirmations,
            nodes,
            head: watch::Sender::new(None),
            polling: Mutex::default(),
            known: Known::default(),
            remarks: Remarks::new(),
        })
    }

    /// The height that each node tells, by the node's place; or what is wrong with it.
    pub(crate) async fn heights(&self) -> Vec<(&str, Result<u64, rpc::Error>)> {
        let looks = self.nodes.iter().map(async |node| {
            let look = async {
                node.check(self.id).await?;
                let latest = json!(["latest", false]);
                let block: BlockWire = node.known("eth_getBlockByNumber", latest).await?;
                Ok(read_block(node, &block)?.number)
            };
            (node.place(), look.await)
        });
        join_all(looks).await
    }

    /// How many blocks must stand on a block of it.
    pub(crate) fn confirmations(&self) -> u64 {
        self.confirmations
    }

    /// The chain's height as it becomes known, or why it is not known. Somebody must [`Self::poll`].
    pub fn heads(&self) -> watch::Receiver<Option<Result<Head, Error>>> {
        self.head.subscribe()
    }

    /// What is to be said of its nodes while somebody polls: those that are left out, and one that reading waits for.
    pub(crate) fn remarks(&self) -> watch::Receiver<BTreeSet<String>> {
        self.remarks.subscribe()
    }

    /// Looks at the chain's height again and again, and never ends. Of many who call it one does so; when that one is dropped another goes
    /// on.
    pub async fn poll(&self) {
        let _one = self.polling.lock().await;
        let mut wait = FASTEST;
        let mut failed = false;
        loop {
            let head = self.height().await;
            let is_new = self.head.borrow().as_ref() != Some(&head);
            // One failure may be a connection that broke; a second one is told.
            let is_first = head.is_err() && !std::mem::replace(&mut failed, head.is_err());
            wait = match &head {
                Err(_) if is_first => FASTEST,
                Err(_) => SLOWEST,
                Ok(_) if is_new => FASTEST,
                // A chain that stands still for a moment is looked at less often.
                Ok(_) => (wait * 3 / 2).min(SLOWEST),
            };
            if is_new && !is_first {
                self.head.send_replace(Some(head));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// The height that whoever waits for it was told last.
    pub(super) fn told_height(&self) -> Option<u64> {
        let head = self.head.borrow();
        head.as_ref()
            .and_then(|head| head.as_ref().ok())
            .map(|head| head.number)
    }

    /// The highest block that is believed: of several nodes the highest that two of them have.
    pub(crate) async fn height(&self) -> Result<Head, Error> {
        let asked = self
            .ask_all(async |node| {
                let latest = json!(["latest", false]);
                let block: BlockWire = node.known("eth_getBlockByNumber", latest).await?;
                read_block(node, &block)
            })
            .await;
        let (mut heads, failed) = self.answered(asked);
        heads.sort_by_key(|(_, head)| std::cmp::Reverse(head.number));
        let heights: Vec<(&str, u64)> = heads
            .iter()
            .map(|(place, head)| (self.place(*place), head.number))
            .collect();
        self.remarks.looked(&heights);
        match (heads.get(1).or(heads.first()), failed) {
            (Some((_, head)), _) => Ok(*head),
            (None, Some(error)) => Err(Error::Node(error)),
            (None, None) => Err(Error::Absent(0)),
        }
    }

    /// The block of a number, as two nodes have it, or the one that answers.
    pub(crate) async fn agreed(&self, number: u64) -> Result<Agreed, Error> {
        let asked = self
            .ask_all(async |node| {
                let params = json!([quantity(number), false]);
                let block: Option<BlockWire> = node.ask("eth_getBlockByNumber", params).await?;
                let block = block.map(|block| read_block(node, &block)).transpose()?;
                match block {
                    Some(block) if block.number != number => {
                        Err(node.malformed(format!("block {}", block.number), format!("block {number}")))
                    }
                    block => Ok(block),
                }
            })
            .await;
        let (answered, failed) = self.answered(asked);
        if let (true, Some(error)) = (answered.is_empty(), failed) {
            return Err(Error::Node(error));
        }
        let found: Vec<(usize, Head)> = answered
            .iter()
            .filter_map(|(place, block)| Some((*place, (*block)?)))
            .collect();
        for (_, block) in &found {
            let by: Vec<usize> = found
                .iter()
                .filter(|(_, other)| other.hash == block.hash)
                .map(|(place, _)| *place)
                .collect();
            if by.len() >= answered.len().min(2) {
                return Ok(Agreed { block: *block, by });
            }
        }
        Err(match found.as_slice() {
            [(first, _), (second, _), ..] => Error::Differ {
                number,
                first: self.place(*first).to_owned(),
                second: self.place(*second).to_owned(),
            },
            _ => Error::Absent(number),
        })
    }

    /// The logs from a block up to one that is believed, as two nodes tell them that have that block before and after, or the one that
    /// answers.
    pub(crate) async fn logs(&self, end: &Agreed, search: &Search<'_>) -> Result<Vec<Log>, Error> {
        let mut told: Vec<(usize, Vec<Log>)> = Vec::new();
        let mut failures = Vec::new();
        let (mut places, others): (Vec<usize>, Vec<usize>) = end
            .by
            .iter()
            .partition(|place| self.nodes.get(**place).is_some_and(Rpc::gives_logs));
        if places.is_empty() {
            places = others;
        }
        let (now, later) = places.split_at(places.len().min(2));
        let turns = std::iter::once(now).chain(later.chunks(1));
        for places in turns {
            for (place, answer) in self.logs_of_all(places, end.block, search).await {
                match answer {
                    Ok(logs) if told.iter().any(|(_, others)| *others == logs) => return Ok(logs),
                    Ok(logs) => told.push((place, logs)),
                    Err(error) => failures.push((place, error)),
                }
            }
        }
        if let [(first, _), (second, _), ..] = told.as_slice() {
            let what = format!("the logs of blocks {} to {}", search.from, end.block.number);
            let places = (self.place(*first), self.place(*second));
            return Err(Error::contradiction(what, places));
        }
        if failures
            .iter()
            .any(|(_, error)| matches!(error, Error::Absent(_)))
        {
            // It has another chain now, which the next look sees.
            return Err(Error::Absent(end.block.number));
        }
        let is_one_block = search.from >= end.block.number;
        let refused = failures.iter().position(|(_, error)| is_refused(error));
        match (told.pop(), refused) {
            // Of fewer blocks it may tell.
            (_, Some(refused)) if !is_one_block => Err(failures.swap_remove(refused).1),
            (Some((_, logs)), _) => {
                self.leave_out(&failures);
                Ok(logs)
            }
            (None, _) => Err(failures
                .pop()
                .map_or(Error::Absent(end.block.number), |(_, error)| error)),
        }
    }

    /// Goes on without the logs of these nodes.
    fn leave_out(&self, failures: &[(usize, Error)]) {
        for (place, error) in failures {
            if is_refused(error)
                && let Some(node) = self.nodes.get(*place)
            {
                node.refuses_logs();
            }
            if let Error::Node(error) = error {
                self.remarks.left_out(error);
            }
        }
    }

    async fn logs_of_all(
        &self,
        places: &[usize],
        end: Head,
        search: &Search<'_>,
    ) -> Vec<(usize, Result<Vec<Log>, Error>)> {
        let asking = places.iter().filter_map(|place| {
            let node = self.nodes.get(*place)?;
            Some(async move { (*place, self.logs_of(node, end, search).await) })
        });
        join_all(asking).await
    }

    async fn logs_of(&self, node: &Rpc, end: Head, search: &Search<'_>) -> Result<Vec<Log>, Error> {
        let contracts: Vec<String> = search.contracts.iter().map(ToString::to_string).collect();
        let topics: Vec<String> = search.topics.iter().map(const_hex::encode_prefixed).collect();
        let topics = if topics.is_empty() {
            json!([])
        } else {
            json!([topics])
        };
        let filter = json!([{
            "fromBlock": quantity(search.from),
            "toBlock": quantity(end.number),
            "address": contracts,
            "topics": topics,
        }]);
        let found: Vec<LogWire> = node.known("eth_getLogs", filter).await?;
        let mut logs = Vec::new();
        for log in found.into_iter().filter(|log| !log.is_removed()) {
            let log = log.read().filter(|log| {
                search.contracts.contains(&log.contract)
                    && (search.from..=end.number).contains(&log.block)
                    && (search.topics.is_empty()
                        || log
                            .topics
                            .first()
                            .is_some_and(|topic| search.topics.contains(topic)))
            });
            let Some(log) = log else {
                return Err(node.malformed("another log", "logs that were asked for").into());
            };
            logs.push(log);
        }
        let again = json!([quantity(end.number), false]);
        let again: Option<BlockWire> = node.ask("eth_getBlockByNumber", again).await?;
        if again.and_then(|block| block.read()).map(|block| block.hash) != Some(end.hash) {
            return Err(Error::Absent(end.number));
        }
        logs.sort_by_key(|log| (log.block, log.index));
        Ok(logs)
    }

    /// Blocks by their numbers, asked of a node that has the believed one.
    pub(crate) async fn blocks(&self, by: &Agreed, numbers: &[u64]) -> Result<BTreeMap<u64, Head>, Error> {
        let mut failed = None;
        for node in by.by.iter().filter_map(|place| self.nodes.get(*place)) {
            match blocks_of(node, numbers).await {
                Ok(blocks) => return Ok(blocks),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or(Error::Absent(by.block.number)))
    }

    /// Whether anybody has put a contract there, as the first node knows that answers.
    pub(crate) async fn has_code(&self, address: Address) -> Result<bool, Error> {
        let params = json!([address.to_string(), "latest"]);
        let code: Option<String> = self.first("eth_getCode", &params).await?;
        Ok(code.is_some_and(|code| code.len() > 2))
    }

    /// Asks the nodes in their order until one answers.
    pub(super) async fn first<T: serde::de::DeserializeOwned>(
        &self,
        method: &str,
        params: &Value,
    ) -> Result<Option<T>, Error> {
        let mut failed = None;
        for node in &self.nodes {
            let answer = match node.check(self.id).await {
                Ok(()) => node.ask(method, params.clone()).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.map_or(Error::Absent(0), Error::Node))
    }

    /// Asks every node at once. Once one has answered the others have a moment to do so.
    pub(super) async fn ask_all<'a, T, F>(
        &'a self,
        ask: impl Fn(&'a Rpc) -> F,
    ) -> Vec<(usize, Result<T, rpc::Error>)>
    where
        F: Future<Output = Result<T, rpc::Error>>,
    {
        let ask = &ask;
        let mut asking: FuturesUnordered<_> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(place, node)| async move {
                let is_right = node.check(self.id).await;
                match is_right {
                    Ok(()) => (place, ask(node).await),
                    Err(error) => (place, Err(error)),
                }
            })
            .collect();
        let mut answers = BTreeMap::new();
        let mut until = None;
        loop {
            let next = match until {
                None => asking.next().await,
                Some(until) => {
                    let next = tokio::time::timeout_at(until, asking.next()).await;
                    next.unwrap_or_default()
                }
            };
            let Some((place, answer)) = next else { break };
            if answer.is_ok() && until.is_none() {
                until = Some(Instant::now() + GRACE);
            }
            answers.insert(place, answer);
        }
        drop(asking);
        let all = self.nodes.iter().enumerate();
        all.map(|(place, node)| {
            let answer = answers.remove(&place);
            (place, answer.unwrap_or_else(|| Err(node.too_slow(GRACE))))
        })
        .collect()
    }

    /// The nodes that have a believed block, in their order.
    pub(super) fn nodes_of(&self, agreed: &Agreed) -> impl Iterator<Item = &Rpc> {
        agreed.by.iter().filter_map(|place| self.nodes.get(*place))
    }

    /// What nodes said; those that said nothing are left out where others did. Beside them the first reason.
    pub(super) fn answered<T>(
        &self,
        asked: Vec<(usize, Result<T, rpc::Error>)>,
    ) -> (Vec<(usize, T)>, Option<rpc::Error>) {
        let mut answered = Vec::new();
        let mut failures = Vec::new();
        for (place, answer) in asked {
            match answer {
                Ok(answer) => answered.push((place, answer)),
                Err(error) => failures.push(error),
            }
        }
        if !answered.is_empty() {
            for error in &failures {
                self.remarks.left_out(error);
            }
        }
        (answered, failures.into_iter().next())
    }

    pub(super) fn place(&self, node: usize) -> &str {
        self.nodes.get(node).map_or("", Rpc::place)
    }
}

fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Node(rpc::Error::Refused { .. }))
}

async fn blocks_of(node: &Rpc, numbers: &[u64]) -> Result<BTreeMap<u64, Head>, Error> {
    let mut blocks = BTreeMap::new();
    for numbers in numbers.chunks(BATCH) {
        let params = numbers.iter().map(|number| json!([quantity(*number), false]));
        let answers = node
            .batch::<BlockWire>("eth_getBlockByNumber", params.collect())
            .await?;
        for (number, answer) in numbers.iter().zip(answers) {
            let block = answer?.ok_or(Error::Absent(*number))?;
            blocks.insert(*number, read_block(node, &block)?);
        }
    }
    Ok(blocks)
}

fn read_block(node: &Rpc, block: &BlockWire) -> Result<Head, rpc::Error> {
    let block = block.read();
    block.ok_or_else(|| node.malformed("no whole block", "its number, hash and time"))
}
