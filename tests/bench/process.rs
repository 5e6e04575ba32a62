//! What is measured across processes: this program, started again as a node or as a client.
//!
//! ```text
//! bench --bench --as node FOLDER                  -> its gRPC and HTTP addresses, then until standard input ends
//! bench --bench --as client NODE CACHE NUMBER     -> microseconds to connect, and how many conversations it has then
//! bench --bench --as resident NODE CACHE NUMBER   -> KiB of its memory then, and how many conversations
//! bench --bench --as plan FOLDER                  -> see [`plan`]
//! bench --bench --as commands NODE FOLDER         -> see [`commands`]
//! bench --bench --as scan FOLDER URL BLOCKS       -> see [`scan`]
//! bench --bench --as streams NODE CONNECTIONS EACH TOPICS BYTES   -> see [`readers`]
//! bench --bench --as sockets ADDRESS CONNECTIONS BYTES            -> see [`readers`]
//! ```

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use herald::client::{Cache, Client, NodeAddress};

use crate::{
    Error, commands,
    node::{Node, runtime},
    people, plan, readers, scan,
};

/// The part of this program that `arguments` name, those after `--as`.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Error> {
    match arguments {
        ["node", folder] => {
            let node = Node::start(Path::new(folder))?;
            writeln!(io::stdout(), "{} {}", node.grpc(), node.http())?;
            io::copy(&mut io::stdin(), &mut io::sink())?;
            node.stop()
        }
        ["client", node, cache, number] => {
            let started = Instant::now();
            let (_client, conversations) = connected(node, cache, number)?;
            let took = started.elapsed().as_micros();
            Ok(writeln!(io::stdout(), "{took} {conversations}")?)
        }
        ["resident", node, cache, number] => {
            let ((_client, runtime), conversations) = connected(node, cache, number)?;
            let kib = runtime.block_on(settled_kib("self"))?;
            Ok(writeln!(io::stdout(), "{kib} {conversations}")?)
        }
        ["plan", folder] => plan::role(Path::new(folder)),
        ["commands", node, folder] => commands::role(node.parse()?, Path::new(folder)),
        ["scan", folder, url, blocks] => scan::role((Path::new(folder), url), blocks.parse()?),
        ["streams", node, connections, each, topics, bytes] => readers::streams(
            node.parse()?,
            connections.parse()?,
            each.parse()?,
            topics.parse()?,
            bytes.parse()?,
        ),
        ["sockets", address, connections, bytes] => {
            readers::sockets(address.parse()?, connections.parse()?, bytes.parse()?)
        }
        _ => Err("`--as` is for this program itself".into()),
    }
}

/// A connected client with the runtime it lives in, and how many conversations it lists.
fn connected(
    node: &str,
    cache: &str,
    number: &str,
) -> Result<((Client, tokio::runtime::Runtime), usize), Error> {
    let runtime = runtime("client")?;
    let (node, wallet) = (node.parse()?, people::wallet(number.parse()?)?);
    let client = runtime.block_on(async {
        let cache = Cache::open(Path::new(cache))?;
        Client::builder(wallet, node).cache(cache).connect().await
    })?;
    let conversations = client.conversations().len();
    Ok(((client, runtime), conversations))
}

/// Resident memory of a process (`self` is this one), once it has stayed the same for a while.
pub(crate) async fn settled_kib(process: &str) -> Result<u32, Error> {
    let mut last = resident_kib(process)?;
    loop {
        tokio::time::sleep(SETTLED).await;
        let now = resident_kib(process)?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
}

fn resident_kib(process: &str) -> Result<u32, Error> {
    status_kib(process, "VmRSS:")
}

/// The most resident memory that this process ever had.
pub(crate) fn peak_kib() -> Result<u32, Error> {
    status_kib("self", "VmHWM:")
}

fn status_kib(process: &str, name: &str) -> Result<u32, Error> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("no memory is told")?.trim().parse()?)
}

/// This program in a role that goes on. Its process ends with this value, or with this process.
pub(crate) struct Part {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Part {
    /// Starts it with the arguments after `--as`.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self, Error> {
        let mut child = again(arguments)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("a part has an output")?;
        Ok(Self {
            child,
            output: BufReader::new(output),
        })
    }

    /// Waits for the next line it says.
    pub(crate) fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        match line.strip_suffix('\n') {
            Some(line) => Ok(line.to_owned()),
            None => Err("a part of the measurement has ended".into()),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A node in a process of its own.
pub(crate) struct NodeProcess {
    part: Part,
    grpc: SocketAddr,
    http: String,
}

impl NodeProcess {
    /// Starts one with default settings, its store in `folder`, on free ports.
    pub(crate) fn start(folder: &Path) -> Result<Self, Error> {
        let mut part = Part::start(&["node", text(folder)?])?;
        let line = part.line()?;
        let (grpc, http) = line.split_once(' ').ok_or("the node did not start")?;
        Ok(Self {
            grpc: grpc.parse()?,
            http: http.to_owned(),
            part,
        })
    }

    pub(crate) fn address(&self) -> NodeAddress {
        NodeAddress::plain(self.grpc)
    }

    /// Where raw sockets find its gRPC.
    pub(crate) fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where HTTP clients find it, as a URL.
    pub(crate) fn http(&self) -> &str {
        &self.http
    }

    /// Its resident memory, once that has stayed the same for a while.
    pub(crate) fn resident_kib(&self) -> Result<u32, Error> {
        runtime("wait")?.block_on(settled_kib(&self.part.child.id().to_string()))
    }

    /// Drains and closes the store.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        drop(self.part.child.stdin.take());
        let status = self.part.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the node ended with {status}").into())
        }
    }
}

/// A client's process: connects and ends. Returns how long connecting took until all conversations were listed.
pub(crate) fn connect(
    node: &NodeAddress,
    cache: &Path,
    number: u32,
    conversations: u32,
) -> Result<Duration, Error> {
    let micros = of_client("client", node, cache, number, conversations)?;
    Ok(Duration::from_micros(micros.into()))
}

/// A client's process: connects, settles and ends. Returns the KiB that it held.
pub(crate) fn resident(
    node: &NodeAddress,
    cache: &Path,
    number: u32,
    conversations: u32,
) -> Result<u32, Error> {
    of_client("resident", node, cache, number, conversations)
}

fn of_client(
    role: &str,
    node: &NodeAddress,
    cache: &Path,
    number: u32,
    conversations: u32,
) -> Result<u32, Error> {
    let arguments = [role, &node.to_string(), text(cache)?, &number.to_string()];
    let output = again(&arguments)?.stderr(Stdio::inherit()).output()?;
    let output = String::from_utf8(output.stdout)?;
    let (figure, found) = output.trim().split_once(' ').ok_or("the client failed")?;
    if found.parse() != Ok(conversations) {
        return Err(format!("a client has {found} conversations, wanted {conversations}").into());
    }
    Ok(figure.parse()?)
}

fn again(arguments: &[&str]) -> Result<Command, Error> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--bench", "--as"]).args(arguments);
    Ok(command)
}

fn text(path: &Path) -> Result<&str, Error> {
    Ok(path.to_str().ok_or("a path is text")?)
}

/// Allocators give back what they do not need within this.
const SETTLED: Duration = Duration::from_millis(500);
