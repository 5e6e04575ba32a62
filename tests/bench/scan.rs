//! Reading a hundred thousand logs of a chain, of which a rule wants one in a thousand.
//!
//! The chain's node is a server in this process that has every log written out. The floor fetches the same blocks from it over a bare
//! connection and reads the same numbers out of the logs, one after the other.

use std::{
    borrow::Cow,
    fmt::Write as _,
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
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    figure::{self, Figure, Round, Target},
    node::runtime,
    people,
};

/// Logs a second.
pub(crate) fn logs(folder: &Path) -> Result<Figure, Error> {
    let node = Node::start()?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for number in 0..ROUNDS {
        let own = folder.join(format!("scan-{number}"));
        fs::create_dir(&own)?;
        let (subject, floor) = if number % 2 == 0 {
            let subject = read_by_herald(&own, &node)?;
            (subject, read_bare(&node)?)
        } else {
            let floor = read_bare(&node)?;
            (read_by_herald(&own, &node)?, floor)
        };
        let count = u32::try_from(BLOCKS * PER_BLOCK)?;
        rounds.push(Round {
            subject: figure::rate(count, subject),
            floor: figure::rate(count, floor),
        });
    }
    Ok(Figure::of_rounds("/s", &rounds, Target::AtLeast(0.5)))
}

/// Until the cursor stands at the last block, with the occurrences in the store.
fn read_by_herald(folder: &Path, node: &Node) -> Result<Duration, Error> {
    let project = folder.join("herald.yaml");
    let text = format!(
        "herald: 1\nchains: {{ local: {{ id: 31337, rpc: [{}], confirmations: 0 }} }}\n",
        node.url
    );
    fs::write(&project, text)?;
    fs::write(folder.join("bot.yaml"), BOT)?;
    let found = |found: Vec<config::Finding>| found.iter().map(ToString::to_string).collect::<String>();
    let (project, _) = Project::load(&project).map_err(found)?;
    let (bot, _) = config::load_in(&project, &folder.join("bot.yaml")).map_err(found)?;
    let store = Store::open(&folder.join("herald.db"))?;
    runtime("scan")?.block_on(async {
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
            let query = "SELECT coalesce(max(number), 0) FROM chain_block";
            let read = store.read(|connection| connection.query_row(query, [], |row| row.get::<_, i64>(0)));
            if read.await? == i64::try_from(BLOCKS)? {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        let took = started.elapsed();
        let query = "SELECT count(*) FROM occurrence";
        let fired = store.read(|connection| connection.query_row(query, [], |row| row.get::<_, i64>(0)));
        match fired.await? {
            fired if fired == i64::try_from(BLOCKS * PER_BLOCK / WANTED)? => Ok(took),
            fired => Err(format!("{fired} logs fired").into()),
        }
    })
}

/// The floor.
fn read_bare(node: &Node) -> Result<Duration, Error> {
    let started = Instant::now();
    let mut connection = BufReader::new(TcpStream::connect(&node.address)?);
    let mut wanted = 0;
    for from in (1..=BLOCKS).step_by(RANGE) {
        let filter = json!([{
            "fromBlock": format!("{from:#x}"),
            "toBlock": format!("{:#x}", from + RANGE - 1),
            "address": [TOKEN],
            "topics": [TRANSFER],
        }]);
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": filter });
        let question = question.to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: node\r\ncontent-length: {}\r\n\r\n",
            question.len()
        );
        connection.get_mut().write_all((head + &question).as_bytes())?;
        let body = read_message(&mut connection)?.ok_or("the node hung up")?;
        let answer: Answer<'_> = serde_json::from_slice(&body)?;
        for log in &answer.result {
            let _to: [u8; 32] = const_hex::decode_to_array(log.topics[2].as_bytes())?;
            let value: [u8; 32] = const_hex::decode_to_array(log.data.as_bytes())?;
            let value = u128::from_be_bytes(value[16..].try_into()?);
            let _hash: [u8; 32] = const_hex::decode_to_array(log.block_hash.as_bytes())?;
            let _tx: [u8; 32] = const_hex::decode_to_array(log.transaction_hash.as_bytes())?;
            wanted += usize::from(value == 0);
        }
    }
    if wanted != BLOCKS * PER_BLOCK / WANTED {
        return Err(format!("{wanted} logs are wanted").into());
    }
    Ok(started.elapsed())
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Vec<BareLog<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BareLog<'a> {
    #[serde(borrow)]
    topics: [Cow<'a, str>; 3],
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    block_hash: Cow<'a, str>,
    #[serde(borrow)]
    transaction_hash: Cow<'a, str>,
}

/// A node that answers what readers of logs ask. It lives as long as the process.
struct Node {
    url: String,
    address: String,
}

impl Node {
    fn start() -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let blocks: Arc<[String]> = (0..=BLOCKS).map(logs_of).collect::<Result<_, _>>()?;
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let blocks = Arc::clone(&blocks);
                // Whoever hangs up is gone.
                std::thread::spawn(move || serve(connection, &blocks).ok());
            }
        });
        let url = format!("http://{address}");
        Ok(Self { url, address })
    }
}

fn serve(connection: TcpStream, blocks: &[String]) -> Result<(), Error> {
    connection.set_nodelay(true)?;
    let mut connection = BufReader::new(connection);
    while let Some(question) = read_message(&mut connection)? {
        let question: Value = serde_json::from_slice(&question)?;
        let answer = match &question {
            Value::Array(several) => {
                let answers: Result<Vec<String>, Error> =
                    several.iter().map(|one| answer(one, blocks)).collect();
                format!("[{}]", answers?.join(","))
            }
            one => answer(one, blocks)?,
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

fn answer(question: &Value, blocks: &[String]) -> Result<String, Error> {
    let params = &question["params"][0];
    let number = |value: &Value| -> Result<usize, Error> {
        let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
        Ok(usize::from_str_radix(digits.ok_or("no number")?, 16)?)
    };
    let result = match question["method"].as_str().unwrap_or_default() {
        "eth_chainId" => "\"0x7a69\"".to_owned(),
        "eth_getCode" => "\"0x60\"".to_owned(),
        "eth_getBlockByNumber" if params == "latest" => block(BLOCKS),
        "eth_getBlockByNumber" => block(number(params)?),
        "eth_getLogs" => {
            let (from, to) = (number(&params["fromBlock"])?, number(&params["toBlock"])?);
            format!("[{}]", blocks.get(from..=to).ok_or("no such blocks")?.join(","))
        }
        other => return Err(format!("nobody asks for {other}").into()),
    };
    Ok(format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}",
        question["id"]
    ))
}

fn block(number: usize) -> String {
    json!({ "number": format!("{number:#x}"), "hash": hash(number), "timestamp": "0x65000000" }).to_string()
}

/// The logs of a block, as nodes write them.
fn logs_of(number: usize) -> Result<String, Error> {
    let mut text = String::new();
    for index in 0..PER_BLOCK {
        let count = number * PER_BLOCK + index;
        let log = json!({
            "address": TOKEN.to_ascii_lowercase(),
            "topics": [TRANSFER, word(count), word(count + 1)],
            "data": word(count % WANTED),
            "blockNumber": format!("{number:#x}"),
            "blockHash": hash(number),
            "blockTimestamp": "0x65000000",
            "transactionHash": word(count),
            "transactionIndex": format!("{index:#x}"),
            "logIndex": format!("{index:#x}"),
            "removed": false,
        });
        let comma = if index == 0 { "" } else { "," };
        write!(text, "{comma}{log}")?;
    }
    Ok(text)
}

fn hash(number: usize) -> String {
    format!("0xb10c{number:060x}")
}

fn word(number: usize) -> String {
    format!("{number:#066x}")
}

const BOT: &str = "herald: 1
bot: crier
identity: env:CRIER_KEY
rules:
  cry:
    when:
      log: Transfer(address indexed from, address indexed to, uint256 value)
      chain: local
      at: 0x1111111111111111111111111111111111111111
      where: event.value == 0
      start: 0
    to: { wallet: event.to }
    consent: transactional
    send: \"{{ event.value }}\"
";
const TOKEN: &str = "0x1111111111111111111111111111111111111111";
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const BLOCKS: usize = 20_000;
const PER_BLOCK: usize = 5;
/// One log of so many is wanted.
const WANTED: usize = 1_000;
/// Blocks that the floor fetches at once.
const RANGE: usize = 1_000;
const ROUNDS: usize = 9;
/// Between two looks at the store.
const LOOK: Duration = Duration::from_millis(5);
