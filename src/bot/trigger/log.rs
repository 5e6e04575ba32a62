//! Logs of contracts: each is told once, when enough blocks stand on its own.
//!
//! ```text
//! height ──> how far to read ──> the block read last is still there? ──> ranges of logs ──> occurrences, together with the cursor
//! ```
//!
//! A range counts when two nodes (where two answer) have the same block at its end and the same logs in it; it shrinks when a node
//! refuses it, and grows again. A block that left the chain takes its logs with it, and reading goes on from the last block that is
//! still there.

mod failure;
mod nodes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use herald_protocol::address::Address;
use tokio_util::sync::CancellationToken;

use failure::Failure;
use nodes::watch_nodes;

use super::Trigger;
use crate::bot::{
    chain::{self, Agreed, Chain, Head, Log, MOST_LOGS, RpcError, Search, Span, abi},
    config::{Retry, Rule},
    event::Kind,
    expression::{Expression, Scope, Value},
    fire::{self, Firing},
    outbox::retry_wait,
    outside::Asking,
    running::Running,
    store::{ChainCursor, CursorStep, NewOccurrence, ReadBlock, ScheduleKey},
};

/// How far reading goes back when none of the blocks that are remembered is on the chain any more.
const FAR_BACK: u64 = 64;
/// The waits between two tries.
const AGAIN: Retry = Retry {
    within: None,
    from: Duration::from_secs(2),
    to: Duration::from_secs(30),
};
/// Contracts of which it is looked whether they are there.
const LOOKED_AT: usize = 20;

/// A `log` trigger.
#[derive(Debug, Clone)]
pub struct EvmLog {
    /// The chain's name in the project.
    pub chain: String,
    /// What is waited for.
    pub event: abi::Event,
    /// The contract, or several.
    pub at: Expression,
    /// Which of the logs count.
    pub condition: Option<Expression>,
    /// How many blocks must stand on a log's; otherwise as many as the project says.
    pub confirmations: Option<u64>,
    /// The first block that is read; otherwise the one that is confirmed when the rule is first seen.
    pub start: Option<u64>,
}

/// A rule's log trigger and where its reading stands.
struct Watch<'a> {
    running: &'a Running,
    rule: &'a Rule,
    log: &'a EvmLog,
    /// Which it is of the rule's log triggers of this chain and event.
    place: usize,
    /// How many blocks are read at once.
    span: Span,
    /// Whether it was told that contracts log the event in another way.
    told_topics: AtomicBool,
}

/// What is found in a range.
struct Found {
    /// Its last block.
    end: Agreed,
    /// How many logs there are.
    count: usize,
    /// Those that count.
    taken: Vec<(Log, Value)>,
    /// What is told of those that cannot be read, once the range is taken.
    unread: Vec<String>,
}

/// Reads the logs that the bot's rules wait for, until shutdown.
pub(crate) async fn follow_logs(running: Arc<Running>, shutdown: CancellationToken) {
    let mut watches: Vec<Watch<'_>> = Vec::new();
    for rule in running.bot.rules.values() {
        for trigger in &rule.triggers {
            let Trigger::Log(log) = trigger else { continue };
            let is_alike = |other: &&Watch<'_>| other.is_of(rule, log);
            watches.push(Watch {
                running: &running,
                rule,
                log,
                place: watches.iter().filter(is_alike).count(),
                span: Span::default(),
                told_topics: AtomicBool::new(false),
            });
        }
    }
    let chains: BTreeSet<&str> = watches.iter().map(|watch| watch.log.chain.as_str()).collect();
    let nodes = join_all(chains.into_iter().map(|chain| watch_nodes(&running, chain)));
    let following = join_all(watches.iter().map(Watch::run));
    tokio::select! {
        () = shutdown.cancelled() => {}
        _ = async { tokio::join!(nodes, following) } => {}
    }
}

/// The firing of a log of a test, in a block of its own; none when the trigger does not take it.
pub(crate) async fn in_test(
    running: &Running,
    log: &EvmLog,
    event: &Value,
    count: usize,
) -> Result<Option<Firing>, String> {
    let takes = |running: &Running| log.takes(&mut running.scope(), event);
    if !Asking::work(running, takes).await.0? {
        return Ok(None);
    }
    let contracts = log.contracts(running).await?;
    let number = u64::try_from(count).unwrap_or_default();
    let mut hash = [0; 32];
    if let Some(last) = hash.last_chunk_mut() {
        *last = number.to_be_bytes();
    }
    let block = Head {
        number,
        hash,
        time: running.now(),
    };
    let found = Log {
        contract: contracts.first().copied().unwrap_or(Address::from_bytes([0; 20])),
        topics: Vec::new(),
        data: Vec::new(),
        block: number,
        block_hash: hash,
        tx: hash,
        index: 0,
    };
    Ok(Some(firing(running, (&log.chain, event.clone()), &found, block)))
}

/// The firing of a log.
pub(super) fn firing(running: &Running, (chain, event): (&str, Value), log: &Log, block: Head) -> Firing {
    let mut names = Scope::new();
    names.insert("event", event);
    let number = |number: u64| Value::Int(number.into());
    let record = Value::record([
        ("number", number(block.number)),
        ("hash", Value::Hash(block.hash)),
        ("time", Value::Time(block.time)),
    ]);
    names.insert("block", record);
    names.insert("tx", Value::Hash(log.tx));
    names.insert("log_index", number(log.index));
    names.insert("contract", Value::Wallet(log.contract));
    let hash = const_hex::encode_prefixed(block.hash);
    Firing {
        id: format!("{chain}:{hash}:{}", log.index),
        at: running.now(),
        names,
    }
}

impl EvmLog {
    /// The contracts whose logs are read, or why they are not known.
    pub(crate) async fn contracts(&self, running: &Running) -> Result<Vec<Address>, String> {
        let at = |running: &Running| self.at.evaluate(&running.scope());
        let (at, _) = Asking::work(running, at).await;
        let items = match at.map_err(|error| format!("`at`: {error}"))? {
            Value::List(items) => items.to_vec(),
            one => vec![one],
        };
        let wallets = items.into_iter().map(|item| match item {
            Value::Wallet(wallet) => Ok(wallet),
            other => Err(format!(
                "`at`: expected the address of a contract, found `{other}`"
            )),
        });
        wallets.collect()
    }

    /// What a log tells, if it counts.
    pub(super) fn hear(&self, scope: &mut Scope, log: &Log) -> Result<Option<Value>, String> {
        let event = self.event.decode(&log.topics, &log.data);
        let event = event.map_err(|error| error.to_string())?;
        let takes = self.takes(scope, &event)?;
        Ok(takes.then_some(event))
    }

    /// Whether a log of these values counts.
    fn takes(&self, scope: &mut Scope, event: &Value) -> Result<bool, String> {
        let Some(condition) = &self.condition else {
            return Ok(true);
        };
        scope.insert("event", event.clone());
        let value = condition.evaluate(scope);
        value
            .map(|value| value.is_truthy())
            .map_err(|error| format!("`where`: {error}"))
    }
}

impl Watch<'_> {
    /// Whether it reads the same event on the same chain for a rule.
    fn is_of(&self, rule: &Rule, log: &EvmLog) -> bool {
        self.rule.name == rule.name
            && self.log.chain == log.chain
            && self.log.event.topic() == log.event.topic()
    }

    /// What its reading is known by: neither the contracts nor the condition, so that a file with others goes on where it stood.
    fn key(&self) -> ScheduleKey {
        let topic = const_hex::encode(self.log.event.topic());
        ScheduleKey {
            bot: self.running.bot.name.clone(),
            rule: self.rule.name.clone(),
            trigger: format!("log {} {topic} {}", self.log.chain, self.place),
        }
    }

    async fn tell(&self, reason: String) {
        let mut event = self.running.event(Kind::Error);
        event.rule = Some(self.rule.name.clone());
        event.reason = Some(reason);
        self.running.tell(event).await;
    }

    async fn run(&self) {
        let chain = match self.running.chains.find(&self.log.chain) {
            Ok(chain) => chain,
            Err(reason) => return self.tell(reason).await,
        };
        let follow = async {
            self.look_at_contracts(&chain).await;
            self.follow(&chain).await;
        };
        tokio::select! {
            () = chain.poll() => {}
            () = follow => {}
        }
    }

    /// What each of some logs tells, if it counts, or why it cannot be read. None counts while names in the condition are not known.
    async fn heard(&self, logs: &[Log]) -> Result<Vec<Result<Option<Value>, String>>, Failure> {
        let work = |running: &Running| {
            let mut scope = running.scope();
            let heard = |log: &Log| {
                if self.log.event.has_topics(log.topics.len()) {
                    self.log.hear(&mut scope, log)
                } else {
                    self.otherwise_indexed(log)
                }
            };
            logs.iter().map(heard).collect()
        };
        match Asking::work(self.running, work).await {
            (_, Some(reason)) => Err(Failure::File(format!("`where`: {reason}"))),
            (heard, None) => Ok(heard),
        }
    }

    /// Tells which of the contracts are not there.
    async fn look_at_contracts(&self, chain: &Chain) {
        let contracts = self.log.contracts(self.running).await.unwrap_or_default();
        for contract in contracts.into_iter().take(LOOKED_AT) {
            if let Ok(false) = chain.has_code(contract).await {
                let chain = &self.log.chain;
                self.tell(format!("there is no contract at {contract} on chain `{chain}`; what it logs is told once there is one"))
                    .await;
            }
        }
    }

    /// Reads on whenever the chain is higher. What does not work is tried again; its reason is told once.
    async fn follow(&self, chain: &Chain) {
        let mut heads = chain.heads();
        let mut failures = 0;
        let mut told = BTreeSet::new();
        loop {
            let head = heads.borrow_and_update().clone();
            // Why there is none is told once for all rules.
            let Some(Ok(head)) = head else {
                if heads.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let done = self.advance(chain, head).await;
            let Err(failure) = done else {
                failures = 0;
                told.clear();
                if heads.changed().await.is_err() {
                    return;
                }
                continue;
            };
            failures = if failure.is_of_height() { 0 } else { failures + 1 };
            let (reason, kind) = failure.reason(&self.log.chain);
            if failure.is_told(failures) && told.insert(kind) {
                self.tell(reason).await;
            }
            let wait = tokio::time::sleep(retry_wait(failures, AGAIN));
            tokio::select! {
                () = wait => {}
                _ = heads.changed(), if failure.is_of_height() => {}
            }
        }
    }

    /// Reads up to what is confirmed at a height.
    async fn advance(&self, chain: &Chain, head: Head) -> Result<(), Failure> {
        let confirmations = self.log.confirmations.unwrap_or(chain.confirmations());
        let Some(target) = head.number.checked_sub(confirmations) else {
            return Ok(());
        };
        let contracts = self.log.contracts(self.running).await.map_err(Failure::File)?;
        let found = self.running.store.chain_cursor(self.key()).await?;
        let mut cursor = match found {
            Some(cursor) if cursor.last.number > target => return Ok(()),
            Some(cursor) => self.rewound(chain, cursor).await?,
            None => match self.begin(chain, target).await? {
                Some(cursor) => cursor,
                None => return Ok(()),
            },
        };
        while cursor.last.number < target {
            let from = cursor.last.number + 1;
            let end = self.span.end(from, target);
            let found = match self.read(chain, (from, end), &contracts).await {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.span.shrink((from, end));
                    continue;
                }
                Err(Failure::Chain(error)) if self.span.shrink_after((from, end), &error) => continue,
                Err(error) => return Err(error),
            };
            self.span.fit(found.count);
            let last = read(found.end.block, 0);
            let mut parts = in_parts(found.taken).into_iter().peekable();
            while let Some(part) = parts.next() {
                let last = parts.peek().is_none().then_some(last);
                let (read, new) = self.occurrences(chain, (&found.end, last), part).await?;
                let step = CursorStep {
                    first: cursor.first,
                    forget_above: None,
                    read,
                };
                self.take(step, new).await?;
            }
            cursor.last = last;
            for reason in found.unread {
                self.tell(reason).await;
            }
        }
        Ok(())
    }

    async fn take(&self, step: CursorStep, new: Vec<NewOccurrence>) -> Result<(), Failure> {
        let moved = self
            .running
            .store
            .move_chain_cursor(self.key(), step, new)
            .await?;
        for (new, planned) in moved {
            fire::tell(self.running, &new, &planned).await;
        }
        Ok(())
    }

    /// Where a cursor begins; none while the chain is not that high.
    async fn begin(&self, chain: &Chain, target: u64) -> Result<Option<ChainCursor>, Failure> {
        let before = match self.log.start {
            Some(start) if start.saturating_sub(1) > target => return Ok(None),
            Some(start) => start.saturating_sub(1),
            None => target,
        };
        let last = read(chain.agreed(before).await?.block, 0);
        let step = CursorStep {
            first: before,
            forget_above: None,
            read: vec![last],
        };
        self.take(step, Vec::new()).await?;
        Ok(Some(ChainCursor {
            first: before,
            last,
            recent: Vec::new(),
        }))
    }

    /// The cursor, back at the last block that is still on the chain. Logs of blocks that are not were told for nothing, which is told.
    async fn rewound(&self, chain: &Chain, cursor: ChainCursor) -> Result<ChainCursor, Failure> {
        let mut gone = Vec::new();
        let mut standing = None;
        for block in [cursor.last].iter().chain(&cursor.recent) {
            let now = chain.agreed(block.number).await?.block;
            if now.hash == block.hash {
                standing = Some(*block);
                break;
            }
            gone.push(*block);
        }
        if gone.is_empty() {
            return Ok(cursor);
        }
        let last = if let Some(block) = standing {
            block
        } else {
            let oldest = gone.last().map_or(cursor.first, |block| block.number);
            let number = oldest.saturating_sub(FAR_BACK).max(cursor.first.min(oldest));
            read(chain.agreed(number).await?.block, 0)
        };
        let step = CursorStep {
            first: cursor.first,
            forget_above: Some(last.number),
            read: vec![last],
        };
        self.take(step, Vec::new()).await?;
        for block in gone.iter().filter(|block| block.logs > 0) {
            let (hash, count) = (const_hex::encode_prefixed(block.hash), block.logs);
            let reason = format!(
                "block {} ({hash}) left chain `{}` after it was confirmed; what was told of its logs ({count}) is not so",
                block.number, self.log.chain
            );
            self.tell(reason).await;
        }
        Ok(ChainCursor {
            first: cursor.first,
            last,
            recent: Vec::new(),
        })
    }

    /// Reads a range; nothing when a node refuses so much at once.
    async fn read(
        &self,
        chain: &Chain,
        (from, end): (u64, u64),
        contracts: &[Address],
    ) -> Result<Option<Found>, Failure> {
        let mut found = Found {
            end: chain.agreed(end).await?,
            count: 0,
            taken: Vec::new(),
            unread: Vec::new(),
        };
        // An empty list would ask for the logs of every contract.
        if contracts.is_empty() {
            return Ok(Some(found));
        }
        let topic = (!self.log.event.anonymous).then(|| self.log.event.topic());
        let search = Search {
            from,
            contracts,
            topics: topic.as_slice(),
        };
        let logs = match chain.logs(&found.end, &search).await {
            Err(chain::Error::Node(RpcError::Refused { .. })) if end > from => return Ok(None),
            logs => logs?,
        };
        found.count = logs.len();
        let heard = self.heard(&logs).await?;
        let mut unread: BTreeMap<String, (String, usize)> = BTreeMap::new();
        for (log, heard) in logs.into_iter().zip(heard) {
            match heard {
                Ok(Some(event)) => found.taken.push((log, event)),
                Ok(None) => {}
                Err(_)
                    if !self.log.event.has_topics(log.topics.len())
                        && self.told_topics.swap(true, Ordering::Relaxed) => {}
                Err(reason) => {
                    let (_, count) = unread.entry(reason).or_insert_with(|| (log.to_string(), 0));
                    *count += 1;
                }
            }
        }
        let unread = unread.into_iter().map(|(reason, (first, count))| match count {
            1 => format!("{first}: {reason}"),
            count => format!("{first} and {} more: {reason}", count - 1),
        });
        found.unread = unread.collect();
        Ok(Some(found))
    }

    /// What is told of a log with other topics than the event's: nothing, or that its contract logs it in another way.
    fn otherwise_indexed(&self, log: &Log) -> Result<Option<Value>, String> {
        let event = &self.log.event;
        // Without a topic of its own each log of the contract is asked for.
        if event.anonymous {
            return Ok(None);
        }
        Err(format!(
            "it has {} topics: {} logs `{}` with other parameters indexed than the rule says, so none of these is told",
            log.topics.len(),
            log.contract,
            event.signature()
        ))
    }

    /// The occurrences of a part, and the blocks that are read with it: those with logs, and the range's last one if it is given.
    async fn occurrences(
        &self,
        chain: &Chain,
        (end, last): (&Agreed, Option<ReadBlock>),
        part: Vec<(Log, Value)>,
    ) -> Result<(Vec<ReadBlock>, Vec<NewOccurrence>), Failure> {
        let numbers: BTreeSet<u64> = part.iter().map(|(log, _)| log.block).collect();
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let blocks = chain.blocks(end, &numbers).await?;
        let mut read_blocks = BTreeMap::new();
        let mut new = Vec::new();
        for (log, event) in part {
            let block = blocks
                .get(&log.block)
                .filter(|block| block.hash == log.block_hash);
            // The chain has changed while it was read.
            let block = block.ok_or(chain::Error::Absent(log.block))?;
            let firing = firing(self.running, (&self.log.chain, event), &log, *block);
            new.push(fire::occurrence(self.running, self.rule, &firing));
            let own = read_blocks.entry(log.block).or_insert_with(|| read(*block, 0));
            own.logs += 1;
        }
        if let Some(last) = last {
            read_blocks.entry(last.number).or_insert(last);
        }
        Ok((read_blocks.into_values().collect(), new))
    }
}

/// Logs in parts that are recorded together, of whole blocks; at least one part.
fn in_parts(logs: Vec<(Log, Value)>) -> Vec<Vec<(Log, Value)>> {
    let mut parts = vec![Vec::new()];
    let mut before = None;
    for (log, event) in logs {
        let is_full = parts.last().is_some_and(|part: &Vec<_>| part.len() >= MOST_LOGS);
        if is_full && before != Some(log.block) {
            parts.push(Vec::new());
        }
        before = Some(log.block);
        if let Some(part) = parts.last_mut() {
            part.push((log, event));
        }
    }
    parts
}

fn read(block: Head, logs: u32) -> ReadBlock {
    ReadBlock {
        number: block.number,
        hash: block.hash,
        logs,
    }
}
