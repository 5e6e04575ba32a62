//! A real EVM node with contracts on it, a bot that reads them, and a bare connection that does the same.
//!
//! Needs Node.js and `npm ci --ignore-scripts` in `tests/interop`, which brings the node.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use herald::{
    bot::{self, Runtime, Shared, Started, config, project::Project, store::Store},
    client::Cache,
};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{Error, node::runtime, people};

/// A node in a process of its own, which makes a block of each transaction. It ends with this value.
pub(crate) struct Evm {
    url: String,
    program: Child,
}

impl Evm {
    /// Starts it; what it keeps is in the folder.
    pub(crate) fn start(folder: &Path) -> Result<Self, Error> {
        let program = Command::new(anvil()?)
            .args([
                "--port",
                "0",
                "--auto-impersonate",
                "--block-base-fee-per-gas",
                "0",
            ])
            .args(["--gas-limit", "1000000000", "--cache-path"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut evm = Self {
            url: String::new(),
            program,
        };
        let output = evm.program.stdout.take().ok_or("a node has an output")?;
        let mut lines = BufReader::new(output).lines();
        let address = loop {
            let line = lines.next().ok_or("the node has ended")??;
            if let Some(address) = line.strip_prefix("Listening on ") {
                break address.to_owned();
            }
        };
        evm.url = format!("http://{address}");
        // It says each request, and must not wait for a reader.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(evm)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Puts a contract of `tests/contracts` at an address.
    pub(crate) fn put(&self, contract: &str, address: &str) -> Result<(), Error> {
        let compiled = Command::new("node")
            .arg(tests().join("contracts/compile.cjs"))
            .output()?;
        io::stderr().write_all(&compiled.stderr)?;
        let compiled: Value = serde_json::from_slice(&compiled.stdout)?;
        let code = &compiled[contract]["runtime"];
        let mut connection = Bare::to(&self.url)?;
        connection
            .result("anvil_setCode", &json!([address, code]))
            .map(drop)
    }
}

impl Drop for Evm {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// The program that npm has installed for this machine.
fn anvil() -> Result<PathBuf, Error> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let package = format!("interop/node_modules/@foundry-rs/anvil-linux-{architecture}/bin/anvil");
    let path = tests().join(package);
    if path.is_file() {
        return Ok(path);
    }
    Err("no EVM node: run `npm ci --ignore-scripts` in tests/interop".into())
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Starts a bot of this text in a fresh folder, in a project whose chain `local` is at `url`, with the store as `prepare` leaves it, and
/// measures it; `measure` is given its store.
pub(crate) fn measured<T>(
    (folder, url): (&Path, &str),
    bot: &str,
    prepare: impl FnOnce(&mut Connection) -> Result<(), Error>,
    measure: impl AsyncFnOnce(&Store) -> Result<T, Error>,
) -> Result<T, Error> {
    fs::create_dir(folder)?;
    let project = folder.join("herald.yaml");
    let text = format!("herald: 1\nchains: {{ local: {{ id: 31337, rpc: [{url}], confirmations: 0 }} }}\n");
    fs::write(&project, text)?;
    fs::write(folder.join("bot.yaml"), bot)?;
    let found = |found: Vec<config::Finding>| found.iter().map(ToString::to_string).collect::<String>();
    let (project, _) = Project::load(&project).map_err(found)?;
    let (bot, _) = config::load_in(&project, &folder.join("bot.yaml")).map_err(found)?;
    let store = Store::open(&store_of(folder))?;
    prepare(&mut Connection::open(store_of(folder))?)?;
    runtime("chain")?.block_on(async {
        let (sender, _events) = bot::events();
        let cache = Cache::open(&folder.join("client.db"))?;
        let shared = Shared::of(project, (store.clone(), cache), herald::clock::now.into(), sender)?;
        let launch = people::launch(bot, 1, people::nowhere())?;
        let shutdown = CancellationToken::new();
        let _running = Runtime::start(vec![launch], &shared, Started::OnCall, &shutdown);
        measure(&store).await
    })
}

/// Waits until the store answers a question with a number of at least this.
pub(crate) async fn answered(store: &Store, question: &'static str, least: i64) -> Result<i64, Error> {
    loop {
        let answer =
            store.read(move |connection| connection.query_row(question, [], |row| row.get::<_, i64>(0)));
        let answer = answer.await?;
        if answer >= least {
            return Ok(answer);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What the store of a bot in this folder answers now.
pub(crate) fn stored(folder: &Path, question: &str) -> Result<i64, Error> {
    Ok(Connection::open(store_of(folder))?.query_row(question, [], |row| row.get(0))?)
}

fn store_of(folder: &Path) -> PathBuf {
    folder.join("herald.db")
}

/// A connection to a node with nothing around it.
pub(crate) struct Bare(BufReader<TcpStream>);

impl Bare {
    pub(crate) fn to(url: &str) -> Result<Self, Error> {
        let address = url.strip_prefix("http://").ok_or("no address")?;
        let connection = TcpStream::connect(address)?;
        connection.set_nodelay(true)?;
        Ok(Self(BufReader::new(connection)))
    }

    /// The whole answer to a question.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Result<Vec<u8>, Error> {
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let question = question.to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            question.len()
        );
        self.0.get_mut().write_all((head + &question).as_bytes())?;
        let (mut length, mut line) = (None, String::new());
        loop {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err("the node hung up".into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(text) = line.strip_prefix("content-length:") {
                length = Some(text.trim().parse()?);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length.ok_or("the node does not say how long its answer is")?];
        self.0.read_exact(&mut body)?;
        Ok(body)
    }

    /// What a node gives for a question.
    pub(crate) fn result(&mut self, method: &str, params: &Value) -> Result<Value, Error> {
        let mut answer: Value = serde_json::from_slice(&self.ask(method, params)?)?;
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(format!("{method}: {answer}").into()),
        }
    }
}

/// Between two looks at the store.
const LOOK: Duration = Duration::from_millis(10);
