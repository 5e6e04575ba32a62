//! What is measured across processes: this program, started again as a node or as a client.
//!
//! ```text
//! bench --bench --as node FOLDER                  -> its gRPC and HTTP addresses, then until standard input ends
//! bench --bench --as client NODE CACHE NUMBER     -> microseconds to connect, and how many conversations it has then
//! bench --bench --as resident NODE CACHE NUMBER   -> KiB of its memory then, and how many conversations
//! ```

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use herald::client::{Cache, Client, NodeAddress};

use crate::{
    Error,
    node::{Node, runtime},
    people,
};

/// The part of this program that `arguments` name, those after `--as`.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Error> {
    match arguments {
        ["node", folder] => {
            let node = Node::start(Path::new(folder))?;
            writeln!(io::stdout(), "{} {}", node.address(), node.http())?;
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
            let kib = runtime.block_on(settled_kib())?;
            Ok(writeln!(io::stdout(), "{kib} {conversations}")?)
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

/// Resident memory of this process, once it has stayed the same for a while.
async fn settled_kib() -> Result<u32, Error> {
    let mut last = resident_kib()?;
    loop {
        tokio::time::sleep(SETTLED).await;
        let now = resident_kib()?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
}

fn resident_kib() -> Result<u32, Error> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("no resident memory is told")?.trim().parse()?)
}

/// A node in a process of its own. Its process ends with this value, or with this process.
pub(crate) struct NodeProcess {
    child: Child,
    /// Kept so that nothing the node says breaks it.
    _output: BufReader<ChildStdout>,
    grpc: NodeAddress,
    http: String,
}

impl NodeProcess {
    /// Starts one with default settings, its store in `folder`, on free ports.
    pub(crate) fn start(folder: &Path) -> Result<Self, Error> {
        let mut child = again(&["node", text(folder)?])?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("a node has an output")?;
        let (mut output, mut line) = (BufReader::new(output), String::new());
        output.read_line(&mut line)?;
        let (grpc, http) = line.trim().split_once(' ').ok_or("the node did not start")?;
        Ok(Self {
            child,
            _output: output,
            grpc: grpc.parse()?,
            http: http.to_owned(),
        })
    }

    pub(crate) fn address(&self) -> NodeAddress {
        self.grpc.clone()
    }

    /// Where HTTP clients find it, as a URL.
    pub(crate) fn http(&self) -> &str {
        &self.http
    }

    /// Drains and closes the store.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the node ended with {status}").into())
        }
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
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
