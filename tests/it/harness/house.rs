//! A folder with a bot and its data, and `herald run` or `herald node` in it, as often as a test starts them.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
};

use herald::client::NodeAddress;
use herald_protocol::address::Address;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    people::{LOOK, key, wallet},
    program::{DEADLINE, Ended, Program, finish, herald},
    web::http,
};

/// A bot's folder.
pub(crate) struct House {
    folder: TempDir,
    bots: Vec<PathBuf>,
    environment: Vec<(String, String)>,
    ports: RefCell<Option<Vec<String>>>,
}

/// `herald run`, ready. It is killed when dropped.
pub(crate) struct Herald {
    program: Program,
    ready: Value,
    data: PathBuf,
}

/// `herald node`, ready.
pub(crate) struct Node {
    program: Program,
    ready: Value,
    data: TempDir,
}

/// The text of an example bot with its pace and its places changed for a test.
pub(crate) fn edited(file: &str, changes: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bots").join(file);
    let mut text = std::fs::read_to_string(path).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{file} has no {from}");
        text = text.replace(from, to);
    }
    text
}

/// A port of the loopback address that a program can take again after it ended: below those that the system gives to
/// whoever asks for any.
fn lasting_port() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 20_000).unwrap();
    loop {
        let port = 10_000 + own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let address = format!("127.0.0.1:{port}");
        if std::net::TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

impl House {
    /// A folder with a bot of this text. Its wallet is the one of the name `bot`, in the variable `BOT_KEY`.
    pub(crate) fn of(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bot = folder.path().join("bot.yaml");
        std::fs::write(&bot, text).unwrap();
        Self::with(folder, bot, vec![("BOT_KEY".to_owned(), key("bot"))])
    }

    /// A folder for one of the example bots, whose wallet is in this variable.
    pub(crate) fn example(file: &str, variable: &str) -> Self {
        let bot = Path::new(env!("CARGO_MANIFEST_DIR")).join("bots").join(file);
        let environment = vec![(variable.to_owned(), key("bot"))];
        Self::with(tempfile::tempdir().unwrap(), bot, environment)
    }

    fn with(folder: TempDir, bot: PathBuf, environment: Vec<(String, String)>) -> Self {
        Self {
            folder,
            bots: vec![bot],
            environment,
            ports: RefCell::default(),
        }
    }

    /// In a project whose bots may ask this machine.
    pub(crate) fn asking_this_machine(self) -> Self {
        let project = "herald: 1\nfetch: { allow: [127.0.0.1/32] }\n";
        std::fs::write(self.folder().join("herald.yaml"), project).unwrap();
        self
    }

    /// In a project with these chains, each with its number and its nodes; logs count at once.
    pub(crate) fn on_chains(self, chains: &[(&str, u64, &[&str])]) -> Self {
        let chains = chains.iter().map(|(name, id, nodes)| {
            let nodes = nodes.join(", ");
            format!("  {name}: {{ id: {id}, rpc: [{nodes}], confirmations: 0 }}\n")
        });
        let project = format!("herald: 1\nchains:\n{}", chains.collect::<String>());
        std::fs::write(self.folder().join("herald.yaml"), project).unwrap();
        self
    }

    /// Another bot of this text beside it.
    pub(crate) fn beside(mut self, file: &str, text: &str) -> Self {
        let bot = self.folder().join(file);
        std::fs::write(&bot, text).unwrap();
        self.bots.push(bot);
        self
    }

    /// Another example bot beside it, with the wallet of this name.
    pub(crate) fn and(mut self, file: &str, variable: &str, name: &str) -> Self {
        self.bots
            .push(Path::new(env!("CARGO_MANIFEST_DIR")).join("bots").join(file));
        self.set(variable, &key(name))
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the API listen at this address from the first start on.
    pub(crate) fn listening(self, api: &str) -> Self {
        let ports = vec![lasting_port(), lasting_port(), lasting_port(), api.to_owned()];
        *self.ports.borrow_mut() = Some(ports);
        self
    }

    /// Replaces the bot's text, as its author would with an editor.
    pub(crate) fn rewrite(&self, text: &str) {
        std::fs::write(&self.bots[0], text).unwrap();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The columns of the store, `TABLE.COLUMN`, in which a text stands.
    pub(crate) fn keeps(&self, text: &str) -> Vec<String> {
        let store = rusqlite::Connection::open(self.data().join("herald.db")).unwrap();
        let columns = "SELECT tables.name, columns.name FROM sqlite_schema AS tables
                       JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'";
        let mut columns = store.prepare(columns).unwrap();
        let columns = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let columns: Vec<(String, String)> = columns.unwrap().map(Result::unwrap).collect();
        let holds = |(table, column): &(String, String)| {
            let query =
                format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE instr(CAST({column} AS TEXT), ?1))");
            store.query_row(&query, [text], |row| row.get(0)).unwrap()
        };
        let places = columns.into_iter().filter(holds);
        places
            .map(|(table, column)| format!("{table}.{column}"))
            .collect()
    }

    /// Starts `herald run` and waits until its bot is ready. Later starts take the ports of the first.
    pub(crate) async fn start(&self) -> Herald {
        self.start_until(|_| true).await
    }

    /// Starts `herald run` and waits until the bot of this name is ready, which is the one that is fired.
    pub(crate) async fn start_for(&self, bot: &str) -> Herald {
        self.start_until(|ready| ready["bot"] == bot).await
    }

    async fn start_until(&self, is_ready: impl Fn(&Value) -> bool) -> Herald {
        let program = self.start_without_waiting();
        let ready = program.event("ready", is_ready).await;
        Herald {
            program,
            ready,
            data: self.data(),
        }
    }

    pub(crate) fn start_without_waiting(&self) -> Program {
        let mut ports = self.ports.borrow_mut();
        let ports = ports.get_or_insert_with(|| (0..4).map(|_| lasting_port()).collect());
        let mut arguments = vec!["run", "--json"];
        for (flag, port) in ["--http", "--grpc", "--metrics", "--api"].into_iter().zip(ports) {
            arguments.extend([flag, port.as_str()]);
        }
        arguments.extend(self.bots.iter().map(|bot| bot.to_str().unwrap()));
        Program::start("herald run", herald(self.folder(), arguments, &self.environment))
    }

    /// Runs a command in the folder to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        finish(
            herald(self.folder(), arguments.iter().copied(), &self.environment),
            "",
        )
        .await
    }

    /// What `herald deliveries --json` lists, oldest first.
    pub(crate) async fn deliveries(&self, arguments: &[&str]) -> Vec<Value> {
        let arguments = [&["deliveries", "--json", "--limit", "10000"], arguments].concat();
        let mut rows = self.run(&arguments).await.expect(0).json_lines();
        rows.reverse();
        rows
    }

    /// Waits until every row is settled.
    pub(crate) async fn settled(&self) {
        let settled = async {
            loop {
                let rows = self.deliveries(&[]).await;
                let is_open = |row: &Value| row["settled_at"].is_null();
                if !rows.is_empty() && !rows.iter().any(is_open) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let settled = tokio::time::timeout(DEADLINE, settled).await;
        assert!(
            settled.is_ok(),
            "rows are open still: {:?}",
            self.deliveries(&[]).await
        );
    }

    /// How many occurrences are recorded.
    pub(crate) fn occurrences(&self) -> i64 {
        let store = rusqlite::Connection::open(self.data().join("herald.db")).unwrap();
        store
            .query_row("SELECT count(*) FROM occurrence", [], |row| row.get(0))
            .unwrap()
    }
}

impl Herald {
    pub(crate) fn node(&self) -> NodeAddress {
        NodeAddress::plain(self.ready["grpc"].as_str().unwrap())
    }

    pub(crate) fn ready(&self) -> &Value {
        &self.ready
    }

    /// The bot's wallet.
    pub(crate) fn address(&self) -> Address {
        assert_eq!(self.ready["address"], wallet("bot").address().to_string());
        wallet("bot").address()
    }

    pub(crate) fn api(&self) -> String {
        format!("http://{}", self.ready["api"].as_str().unwrap())
    }

    pub(crate) fn token(&self) -> String {
        let token = std::fs::read_to_string(self.data.join("api.token")).unwrap();
        token.trim().to_owned()
    }

    /// Fires a manual rule, as an operator does. Gives the occurrence.
    pub(crate) async fn fire(&self, rule: &str, body: &Value) -> String {
        let bot = self.ready["bot"].as_str().unwrap();
        let url = format!("{}/v1/bots/{bot}/rules/{rule}", self.api());
        let request = http().post(url).bearer_auth(self.token()).json(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 202, "{:?}", answer.text().await);
        let answer: Value = answer.json().await.unwrap();
        answer["occurrence"].as_str().unwrap().to_owned()
    }

    /// Fires a manual rule for one wallet.
    pub(crate) async fn fire_for(&self, rule: &str, wallet: Address, text: &str) -> String {
        self.fire(rule, &json!({ "wallet": wallet.to_string(), "text": text }))
            .await
    }

    /// The value of a counter on the metrics page, all its labels together.
    pub(crate) async fn counter(&self, name: &str) -> f64 {
        counter(&self.ready, name).await
    }

    /// Waits until a counter has reached a value.
    pub(crate) async fn counted(&self, name: &str, value: f64) {
        let reached = async { while self.counter(name).await < value {} };
        let reached = tokio::time::timeout(DEADLINE, reached).await;
        assert!(reached.is_ok(), "{name} does not reach {value}\n{}", self.program);
    }
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_with(tempfile::tempdir().unwrap()).await
    }

    /// A node with data from elsewhere.
    pub(crate) async fn start_with(data: TempDir) -> Self {
        let ports = [lasting_port(), lasting_port(), lasting_port()];
        Self::start_in(data, [&ports[0], &ports[1], &ports[2]]).await
    }

    async fn start_in(data: TempDir, [http, grpc, metrics]: [&str; 3]) -> Self {
        let folder = data.path().to_str().unwrap();
        let arguments = [
            "node",
            "--json",
            "--data",
            folder,
            "--http",
            http,
            "--grpc",
            grpc,
            "--metrics",
            metrics,
        ];
        let program = Program::start("herald node", herald(data.path(), arguments, &[]));
        let ready = program.event("ready", |_| true).await;
        Self { program, ready, data }
    }

    /// Kills it and gives what is needed to start it again, with the same ports and data.
    pub(crate) fn kill(mut self) -> DeadNode {
        self.program.kill();
        DeadNode {
            ready: self.ready,
            data: self.data,
        }
    }

    /// Ends it well and gives its data.
    pub(crate) async fn into_data(mut self) -> TempDir {
        self.program.stop().await;
        self.data
    }

    pub(crate) fn grpc(&self) -> &str {
        self.ready["grpc"].as_str().unwrap()
    }

    pub(crate) fn address(&self) -> NodeAddress {
        NodeAddress::plain(self.grpc())
    }

    /// Waits until so many streams are open.
    pub(crate) async fn streams(&self, count: f64) {
        let reached = async {
            while (counter(&self.ready, "herald_node_streams").await - count).abs() > 0.5 {
                tokio::time::sleep(LOOK).await;
            }
        };
        let reached = tokio::time::timeout(DEADLINE, reached).await;
        assert!(reached.is_ok(), "there are not {count} streams\n{}", self.program);
    }
}

async fn counter(ready: &Value, name: &str) -> f64 {
    let url = format!("http://{}/metrics", ready["metrics"].as_str().unwrap());
    let page = http().get(url).send().await.unwrap().text().await.unwrap();
    let counted = page.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    counted
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// A node that was killed.
pub(crate) struct DeadNode {
    ready: Value,
    data: TempDir,
}

impl DeadNode {
    pub(crate) async fn start(self) -> Node {
        let ports = ["http", "grpc", "metrics"].map(|name| self.ready[name].as_str().unwrap().to_owned());
        Node::start_in(self.data, [&ports[0], &ports[1], &ports[2]]).await
    }
}

impl Deref for Herald {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl DerefMut for Herald {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.program
    }
}
