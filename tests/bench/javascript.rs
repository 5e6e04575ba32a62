//! herald's client beside the published XMTP JavaScript client: the same node, the same machine, taking turns.
//!
//! Each has 16 messages on their way at any time and is done when the node has all. herald talks gRPC, the JavaScript client
//! HTTP/JSON, as each does by default. Needs Node.js and `npm ci` in `tests/interop`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    ops::Range,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use herald::client::{Address, Client, Conversation};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    Error,
    figure::{Figure, Round, Target},
    load,
    node::runtime,
    people,
    process::NodeProcess,
};

/// Messages a second to wallets that were written to before.
pub(crate) fn sends(folder: &Path) -> Result<Figure, Error> {
    let mut meeting = Meeting::new(folder, ACQUAINTANCES)?;
    meeting.round(0..ACQUAINTANCES, IN_FLIGHT)?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rounds.push(meeting.round(0..ACQUAINTANCES, SENDS)?);
    }
    meeting.end()?;
    Ok(Figure::of_rounds("/s", &rounds, Target::Told))
}

/// First messages a second, each to a wallet that is new to the sender.
pub(crate) fn first_messages(folder: &Path) -> Result<Figure, Error> {
    let strangers = FIRST_MESSAGES as usize;
    let mut meeting = Meeting::new(folder, strangers * (1 + FIRST_ROUNDS))?;
    let mut rounds = Vec::with_capacity(FIRST_ROUNDS);
    for number in 0..=FIRST_ROUNDS {
        let first = number * strangers;
        let round = meeting.round(first..first + strangers, FIRST_MESSAGES)?;
        // The first time both make ready what they need once.
        if number > 0 {
            rounds.push(round);
        }
    }
    meeting.end()?;
    Ok(Figure::of_rounds("/s", &rounds, Target::Told))
}

/// One sender of each kind, and those they write to.
struct Meeting {
    node: NodeProcess,
    runtime: Runtime,
    herald: Client,
    /// herald's conversations, by recipient.
    opened: Vec<Option<Conversation>>,
    javascript: JavaScript,
    recipients: Vec<Address>,
    javascript_first: bool,
}

impl Meeting {
    fn new(folder: &Path, recipients: usize) -> Result<Self, Error> {
        let store = folder.join("node");
        fs::create_dir(&store)?;
        let node = NodeProcess::start(&store)?;
        let runtime = runtime("herald")?;
        let numbers = FIRST_RECIPIENT..FIRST_RECIPIENT + u32::try_from(recipients)?;
        let (herald, addresses) = runtime.block_on(async {
            let mut addresses = Vec::with_capacity(recipients);
            for number in numbers {
                addresses.push(load::publish_contact(number, &node.address()).await?);
            }
            let herald = people::connect(0, node.address()).await?;
            Ok::<_, Error>((herald, addresses))
        })?;
        let javascript = JavaScript::start(node.http(), &people::wallet(1)?.to_bytes()[..])?;
        Ok(Self {
            node,
            runtime,
            herald,
            opened: vec![None; recipients],
            javascript,
            recipients: addresses,
            javascript_first: false,
        })
    }

    /// Messages a second of both, `count` of each, to these recipients in turn. Who goes first changes.
    fn round(&mut self, recipients: Range<usize>, count: u32) -> Result<Round, Error> {
        let to = self.recipients[recipients.clone()].to_vec();
        self.javascript_first = !self.javascript_first;
        let rate = |seconds: f64| f64::from(count) / seconds;
        Ok(if self.javascript_first {
            let floor = rate(self.javascript.send(&to, count)?);
            let subject = rate(self.send(recipients, count)?);
            Round { subject, floor }
        } else {
            let subject = rate(self.send(recipients, count)?);
            let floor = rate(self.javascript.send(&to, count)?);
            Round { subject, floor }
        })
    }

    /// Seconds of herald's client.
    fn send(&mut self, recipients: Range<usize>, count: u32) -> Result<f64, Error> {
        let to: Vec<_> = recipients
            .map(|at| (self.recipients[at], self.opened[at].clone()))
            .collect();
        let (to, next) = (Arc::new(to), Arc::new(AtomicU32::new(0)));
        let started = Instant::now();
        let sent = self.runtime.block_on(async {
            let mut senders = JoinSet::new();
            for _ in 0..IN_FLIGHT {
                let (client, to, next) = (self.herald.clone(), Arc::clone(&to), Arc::clone(&next));
                senders.spawn(async move {
                    let mut sent = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return Ok::<_, herald::client::Error>(sent);
                        }
                        let (wallet, opened) = &to[number as usize % to.len()];
                        let message = match opened {
                            Some(conversation) => conversation.send(TEXT).await?,
                            None => client.send(*wallet, TEXT).await?,
                        };
                        sent.push(message.conversation().clone());
                    }
                });
            }
            let mut sent = Vec::new();
            while let Some(ended) = senders.join_next().await {
                sent.extend(ended??);
            }
            Ok::<_, Error>(sent)
        })?;
        let took = started.elapsed().as_secs_f64();
        for conversation in sent {
            let at = self.recipients.iter().position(|one| *one == conversation.peer());
            self.opened[at.ok_or("sent to a recipient")?] = Some(conversation);
        }
        Ok(took)
    }

    fn end(self) -> Result<(), Error> {
        self.javascript.end()?;
        drop((self.opened, self.herald));
        self.node.stop()
    }
}

/// A process of `javascript.cjs`.
struct JavaScript {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl JavaScript {
    fn start(url: &str, key: &[u8]) -> Result<Self, Error> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/javascript.cjs");
        let mut child = Command::new("node")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("a process has an output")?);
        let mut javascript = Self { child, output };
        javascript.call(&json!({ "connect": { "url": url, "key": const_hex::encode_prefixed(key) } }))?;
        Ok(javascript)
    }

    /// Seconds that it took.
    fn send(&mut self, to: &[Address], count: u32) -> Result<f64, Error> {
        let to: Vec<String> = to.iter().map(ToString::to_string).collect();
        let asked = json!({ "to": to, "count": count, "in_flight": IN_FLIGHT, "text": TEXT });
        let answer = self.call(&json!({ "send": asked }))?;
        Ok(answer["ms"].as_f64().ok_or("it says how long it took")? / 1e3)
    }

    fn call(&mut self, asked: &Value) -> Result<Value, Error> {
        let input = self.child.stdin.as_mut().ok_or("it has an input")?;
        writeln!(input, "{asked}")?;
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("the JavaScript client failed: Node.js, and `npm ci` in tests/interop?".into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    fn end(mut self) -> Result<(), Error> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for JavaScript {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const TEXT: &str = "gm, and welcome to the conversation";
/// In both: as many as a small bot has.
const IN_FLIGHT: u32 = 16;
const ACQUAINTANCES: usize = 16;
const SENDS: u32 = 512;
const ROUNDS: usize = 9;
/// Fewer: the JavaScript client takes seconds for these.
const FIRST_MESSAGES: u32 = 32;
const FIRST_ROUNDS: usize = 5;
/// Senders come before.
const FIRST_RECIPIENT: u32 = 10;
