//! A node of a chain that answers what a figure needs, a bot that asks it, and a bare connection that does the same.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use herald::{
    bot::{self, Launch, Runtime, Shared, Started, config, project::Project, store::Store},
    client::{Cache, NodeAddress},
};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{Error, node::runtime, people};

/// What a node answers to a method with these parameters, as JSON.
type Answer = dyn Fn(&str, &Value) -> Result<String, Error> + Send + Sync;

/// A server in this process. It lives as long as that.
pub(crate) struct Node {
    url: String,
    address: String,
}

impl Node {
    pub(crate) fn start(
        answer: impl Fn(&str, &Value) -> Result<String, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let answer: Arc<Answer> = Arc::new(answer);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let answer = Arc::clone(&answer);
                // Whoever hangs up is gone.
                std::thread::spawn(move || serve(connection, &*answer).ok());
            }
        });
        let url = format!("http://{address}");
        Ok(Self { url, address })
    }

    /// Starts a bot of this text in a fresh folder, with the store as `prepare` leaves it, and gives how long it takes until the store
    /// answers a question with this number.
    pub(crate) fn watched_by(
        &self,
        folder: &Path,
        bot: &str,
        prepare: impl FnOnce(&mut Connection) -> Result<(), Error>,
        (question, wanted): (&'static str, i64),
    ) -> Result<Duration, Error> {
        fs::create_dir(folder)?;
        let project = folder.join("herald.yaml");
        let text = format!(
            "herald: 1\nchains: {{ local: {{ id: 31337, rpc: [{}], confirmations: 0 }} }}\n",
            self.url
        );
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
            let launch = Launch {
                bot,
                wallet: people::wallet(1)?,
                // Nobody listens there.
                node: NodeAddress::plain("127.0.0.1:1"),
                network: None,
            };
            let shutdown = CancellationToken::new();
            let started = Instant::now();
            let _running = Runtime::start(vec![launch], &shared, Started::OnCall, &shutdown);
            loop {
                let read = store
                    .read(move |connection| connection.query_row(question, [], |row| row.get::<_, i64>(0)));
                if read.await? == wanted {
                    return Ok(started.elapsed());
                }
                tokio::time::sleep(LOOK).await;
            }
        })
    }
}

/// What the store of a bot in this folder answers now.
pub(crate) fn stored(folder: &Path, question: &str) -> Result<i64, Error> {
    Ok(Connection::open(store_of(folder))?.query_row(question, [], |row| row.get(0))?)
}

fn store_of(folder: &Path) -> std::path::PathBuf {
    folder.join("herald.db")
}

/// A connection to a node with nothing around it.
pub(crate) struct Bare(BufReader<TcpStream>);

impl Bare {
    pub(crate) fn to(node: &Node) -> Result<Self, Error> {
        Ok(Self(BufReader::new(TcpStream::connect(&node.address)?)))
    }

    /// The whole answer to a question.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Result<Vec<u8>, Error> {
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let question = question.to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: node\r\ncontent-length: {}\r\n\r\n",
            question.len()
        );
        self.0.get_mut().write_all((head + &question).as_bytes())?;
        Ok(read_message(&mut self.0)?.ok_or("the node hung up")?)
    }
}

fn serve(connection: TcpStream, answer: &Answer) -> Result<(), Error> {
    connection.set_nodelay(true)?;
    let mut connection = BufReader::new(connection);
    let whole = |question: &Value| -> Result<String, Error> {
        let method = question["method"].as_str().unwrap_or_default();
        let result = answer(method, &question["params"])?;
        Ok(format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}",
            question["id"]
        ))
    };
    while let Some(question) = read_message(&mut connection)? {
        let question: Value = serde_json::from_slice(&question)?;
        let answer = match &question {
            Value::Array(several) => {
                let answers: Result<Vec<String>, Error> = several.iter().map(whole).collect();
                format!("[{}]", answers?.join(","))
            }
            one => whole(one)?,
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
        connection.get_mut().write_all((head + &answer).as_bytes())?;
    }
    Ok(())
}

/// The body of a request or an answer; none when the other side is done.
fn read_message(connection: &mut BufReader<TcpStream>) -> Result<Option<Vec<u8>>, Error> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    Ok(Some(body))
}

/// Between two looks at the store.
const LOOK: Duration = Duration::from_millis(5);
