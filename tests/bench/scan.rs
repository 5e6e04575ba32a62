//! Reading a hundred thousand logs of a chain, of which a rule wants one in a thousand.
//!
//! The chain's node has every log written out. The floor fetches the same blocks from it over a bare connection and reads the same numbers
//! out of the logs, one after the other.

use std::{
    borrow::Cow,
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Error,
    chain::{Bare, Node, stored},
    figure::{self, Figure, Target},
};

/// Logs a second.
pub(crate) fn logs(folder: &Path) -> Result<Figure, Error> {
    let blocks: Vec<String> = (0..=BLOCKS).map(logs_of).collect::<Result<_, _>>()?;
    let node = Node::start(move |method, params| answer(method, &params[0], &blocks))?;
    let count = u32::try_from(BLOCKS * PER_BLOCK)?;
    let rounds = figure::turns(
        ROUNDS,
        |number| read_by_herald(&folder.join(format!("scan-{number}")), &node),
        |_| read_bare(&node),
        |took| figure::rate(count, took),
    )?;
    Ok(Figure::of_rounds("/s", &rounds, Target::AtLeast(0.5)))
}

/// Until the cursor stands at the last block, with the occurrences in the store.
fn read_by_herald(folder: &Path, node: &Node) -> Result<Duration, Error> {
    let last = (
        "SELECT coalesce(max(number), 0) FROM chain_block",
        i64::try_from(BLOCKS)?,
    );
    let took = node.watched_by(folder, BOT, |_| Ok(()), last)?;
    let fired = stored(folder, "SELECT count(*) FROM occurrence")?;
    if fired != i64::try_from(BLOCKS * PER_BLOCK / WANTED)? {
        return Err(format!("{fired} logs fired").into());
    }
    Ok(took)
}

/// The floor.
fn read_bare(node: &Node) -> Result<Duration, Error> {
    let started = Instant::now();
    let mut connection = Bare::to(node)?;
    let mut wanted = 0;
    for from in (1..=BLOCKS).step_by(RANGE) {
        let filter = json!([{
            "fromBlock": format!("{from:#x}"),
            "toBlock": format!("{:#x}", from + RANGE - 1),
            "address": [TOKEN],
            "topics": [TRANSFER],
        }]);
        let body = connection.ask("eth_getLogs", &filter)?;
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

fn answer(method: &str, params: &Value, blocks: &[String]) -> Result<String, Error> {
    let number = |value: &Value| -> Result<usize, Error> {
        let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
        Ok(usize::from_str_radix(digits.ok_or("no number")?, 16)?)
    };
    Ok(match method {
        "eth_chainId" => "\"0x7a69\"".to_owned(),
        "eth_getCode" => "\"0x60\"".to_owned(),
        "eth_getBlockByNumber" if params == "latest" => block(BLOCKS),
        "eth_getBlockByNumber" => block(number(params)?),
        "eth_getLogs" => {
            let (from, to) = (number(&params["fromBlock"])?, number(&params["toBlock"])?);
            format!("[{}]", blocks.get(from..=to).ok_or("no such blocks")?.join(","))
        }
        other => return Err(format!("nobody asks for {other}").into()),
    })
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
