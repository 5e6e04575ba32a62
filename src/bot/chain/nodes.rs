//! The nodes of a chain together: asked in order, and believed where two of them say the same.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use futures::future::join_all;
use herald_protocol::address::Address;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::sync::{Mutex, watch};

use super::{
    ask::Known,
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
/// Blocks that are asked for at once.
const BATCH: usize = 100;

/// The chains of a project that have nodes; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Chains(Arc<BTreeMap<String, Result<Arc<Chain>, String>>>);

/// Why the nodes of a chain told nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// None of them answers as it should; this is the first one's reason.
    #[error(transparent)]
    Node(#[from] rpc::Error),
    /// Only one of several answers.
    #[error("only one of the nodes answers, and wants another one to say the same: {0}")]
    Alone(rpc::Error),
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
    #[error("no two nodes have block {0} yet")]
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
    pub(crate) topic: Option<[u8; 32]>,
}

impl Error {
    /// Two nodes tell different things.
    pub(super) fn contradiction(what: String, (first, second): (&Rpc, &Rpc)) -> Self {
        Self::Contradict {
            what,
            first: first.place().to_owned(),
            second: second.place().to_owned(),
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
        Self(Arc::new(chains.collect()))
    }

    /// A chain by its name; or what to add to the project so that it can be asked.
    pub fn find(&self, name: &str) -> Result<Arc<Chain>, String> {
        let found = self.0.get(name).cloned();
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
        })
    }

    /// How many blocks must stand on a block of it.
    pub(crate) fn confirmations(&self) -> u64 {
        self.confirmations
    }

    /// The chain's height as it becomes known, or why it is not known. Somebody must [`Self::poll`].
    pub fn heads(&self) -> watch::Receiver<Option<Result<Head, Error>>> {
        self.head.subscribe()
    }

    /// Looks at the chain's height again and again, and never ends. Of many who call it one does so; when that one is dropped another goes
    /// on.
    pub async fn poll(&self) {
        let _one = self.polling.lock().await;
        let mut wait = FASTEST;
        loop {
            let head = self.height().await;
            let is_new = self.head.borrow().as_ref() != Some(&head);
            wait = match &head {
                Err(Error::Node(rpc::Error::Limited { after, .. })) => after.unwrap_or(SLOWEST).max(SLOWEST),
                Err(_) => SLOWEST,
                Ok(_) if is_new => FASTEST,
                // A chain that stands still for a moment is looked at less often.
                Ok(_) => (wait * 3 / 2).min(SLOWEST),
            };
            if is_new {
                self.head.send_replace(Some(head));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// The highest block that is believed: of several nodes the highest that two of them have.
    pub(super) async fn height(&self) -> Result<Head, Error> {
        let asked = self
            .ask_all(|node| node.known::<BlockWire>("eth_getBlockByNumber", json!(["latest", false])))
            .await;
        let mut heads = Vec::new();
        let mut failed = None;
        for (node, answer) in asked {
            match answer.and_then(|block| read_block(node, &block)) {
                Ok(head) => heads.push(head),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        heads.sort_by_key(|head| std::cmp::Reverse(head.number));
        let wanted = self.nodes.len().min(2);
        match (heads.get(wanted - 1), failed) {
            (Some(head), _) => Ok(*head),
            (None, Some(error)) if heads.is_empty() => Err(Error::Node(error)),
            (None, Some(error)) => Err(Error::Alone(error)),
            (None, None) => Err(Error::Absent(0)),
        }
    }

    /// The block of a number, as one node has it that is the only one, or two that have the same.
    pub(crate) async fn agreed(&self, number: u64) -> Result<Agreed, Error> {
        let asked = self
            .ask_all(|node| node.ask::<BlockWire>("eth_getBlockByNumber", json!([quantity(number), false])))
            .await;
        let mut found: Vec<(usize, Head)> = Vec::new();
        let mut failed = None;
        for (place, (node, answer)) in asked.into_iter().enumerate() {
            match answer.and_then(|block| block.map(|block| read_block(node, &block)).transpose()) {
                Ok(Some(block)) if block.number == number => found.push((place, block)),
                Ok(Some(_)) => {
                    let error = node.malformed("another block", format!("block {number}"));
                    failed = failed.or(Some(error));
                }
                Ok(None) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let wanted = self.nodes.len().min(2);
        for (_, block) in &found {
            let by: Vec<usize> = found
                .iter()
                .filter(|(_, other)| other.hash == block.hash)
                .map(|(place, _)| *place)
                .collect();
            if by.len() >= wanted {
                return Ok(Agreed { block: *block, by });
            }
        }
        Err(match (found.as_slice(), failed) {
            ([(first, _), (second, _), ..], _) => Error::Differ {
                number,
                first: self.place(*first),
                second: self.place(*second),
            },
            ([_], Some(error)) => Error::Alone(error),
            ([], Some(error)) => Error::Node(error),
            (_, None) => Error::Absent(number),
        })
    }

    /// The logs from a block up to one that is believed, asked of a node that has that block before and after.
    pub(crate) async fn logs(&self, end: &Agreed, search: &Search<'_>) -> Result<Vec<Log>, Error> {
        let mut failed = None;
        for node in end.by.iter().filter_map(|place| self.nodes.get(*place)) {
            match self.logs_of(node, end.block, search).await {
                Ok(logs) => return Ok(logs),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or(Error::Absent(end.block.number)))
    }

    async fn logs_of(&self, node: &Rpc, end: Head, search: &Search<'_>) -> Result<Vec<Log>, Error> {
        let contracts: Vec<String> = search.contracts.iter().map(ToString::to_string).collect();
        let topics: Vec<String> = search.topic.iter().map(const_hex::encode_prefixed).collect();
        let filter = json!([{
            "fromBlock": quantity(search.from),
            "toBlock": quantity(end.number),
            "address": contracts,
            "topics": topics,
        }]);
        let found: Vec<LogWire> = node.known("eth_getLogs", filter).await?;
        let mut logs = Vec::new();
        for log in found.iter().filter(|log| !log.is_removed()) {
            let log = log.read().filter(|log| {
                search.contracts.contains(&log.contract)
                    && (search.from..=end.number).contains(&log.block)
                    && (search.topic.is_none() || log.topics.first() == search.topic.as_ref())
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
        let place = by.by.first().copied().unwrap_or_default();
        let Some(node) = self.nodes.get(place) else {
            return Err(Error::Absent(by.block.number));
        };
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

    pub(super) async fn ask_all<'a, T, F>(
        &'a self,
        ask: impl Fn(&'a Rpc) -> F,
    ) -> Vec<(&'a Rpc, Result<T, rpc::Error>)>
    where
        F: Future<Output = Result<T, rpc::Error>>,
    {
        let asking = self.nodes.iter().map(|node| {
            let asking = ask(node);
            async move {
                match node.check(self.id).await {
                    Ok(()) => (node, asking.await),
                    Err(error) => (node, Err(error)),
                }
            }
        });
        join_all(asking).await
    }

    /// The nodes that have a believed block, in their order.
    pub(super) fn nodes_of(&self, agreed: &Agreed) -> impl Iterator<Item = &Rpc> {
        agreed.by.iter().filter_map(|place| self.nodes.get(*place))
    }

    fn place(&self, node: usize) -> String {
        self.nodes
            .get(node)
            .map_or_else(String::new, |node| node.place().to_owned())
    }
}

fn read_block(node: &Rpc, block: &BlockWire) -> Result<Head, rpc::Error> {
    let block = block.read();
    block.ok_or_else(|| node.malformed("no whole block", "its number, hash and time"))
}
