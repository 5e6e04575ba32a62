//! Reading a hundred thousand logs of a chain, of which a rule wants one in a thousand: how fast, and in how much memory.
//!
//! The floor fetches the same blocks from the same node over a bare connection and reads the same numbers out of the logs, one after the
//! other.

use std::{
    borrow::Cow,
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use herald::bot::store::Store;
use serde::Deserialize;
use serde_json::json;

use crate::{
    Error,
    chain::{self, Bare, Evm},
    figure::{self, Figure, Round, Target},
    process,
};

/// Logs a second.
pub(crate) fn logs(folder: &Path) -> Result<Figure, Error> {
    let evm = start(&folder.join("evm"))?;
    grow(&evm, 0, BLOCKS)?;
    let count = u32::try_from(BLOCKS / APART * TOGETHER)?;
    let rounds = figure::turns(
        ROUNDS,
        |number| read_by_herald((&folder.join(format!("scan-{number}")), evm.url()), BLOCKS),
        |_| read_bare(&evm),
        |took| figure::rate(count, took),
    )?;
    Ok(Figure::of_rounds("/s", &rounds, Target::AtLeast(0.5)))
}

/// MiB at the most while a hundred and fifty thousand logs are read; in the floor's place the same for a third of them.
pub(crate) fn memory(folder: &Path) -> Result<Figure, Error> {
    // Both are longer than what is read at once, on which the memory depends.
    let (short, long) = (BLOCKS / 2, BLOCKS / 2 * 3);
    let evm = start(&folder.join("evm"))?;
    let peaks = |blocks: usize| -> Result<Vec<f64>, Error> {
        let peaks = (0..MEMORY_ROUNDS).map(|number| {
            let place = folder.join(format!("scan-{number}-{blocks}"));
            let place = place.to_str().ok_or("a path is text")?;
            let mut part = process::Part::start(&["scan", place, evm.url(), &blocks.to_string()])?;
            Ok(part.line()?.parse::<f64>()? / 1024.0)
        });
        peaks.collect()
    };
    grow(&evm, 0, short)?;
    let few = peaks(short)?;
    grow(&evm, short, long)?;
    let many = peaks(long)?;
    let rounds = many.into_iter().zip(few);
    let rounds: Vec<Round> = rounds.map(|(subject, floor)| Round { subject, floor }).collect();
    Ok(Figure::of_rounds("MiB", &rounds, Target::AtMost(1.2)))
}

/// The process that reads so many blocks: says the KiB that it had at the most.
pub(crate) fn role(place: (&Path, &str), blocks: usize) -> Result<(), Error> {
    read_by_herald(place, blocks)?;
    Ok(writeln!(io::stdout(), "{}", process::peak_kib()?)?)
}

/// A node with a contract that makes logs.
fn start(folder: &Path) -> Result<Evm, Error> {
    let evm = Evm::start(folder)?;
    evm.put("Crier", TOKEN)?;
    Ok(evm)
}

/// Makes blocks, of which every twenty-fifth has five hundred logs, the first of every other of them wanted.
fn grow(evm: &Evm, from: usize, to: usize) -> Result<(), Error> {
    let mut connection = Bare::to(evm.url())?;
    for number in from / APART + 1..=to / APART {
        connection.result("anvil_mine", &json!([format!("{:#x}", APART - 1)]))?;
        let data = format!("{CRY}{TOGETHER:064x}{:064x}", number % 2);
        let cry =
            json!([{ "from": TOKEN, "to": TOKEN, "gas": "0x10000000", "gasPrice": "0x0", "data": data }]);
        connection.result("eth_sendTransactionSync", &cry)?;
    }
    let height = connection.result("eth_blockNumber", &json!([]))?;
    if height != format!("{to:#x}") {
        return Err(format!("the chain has {height} blocks").into());
    }
    Ok(())
}

/// Until the cursor stands at the last block, with the occurrences in the store.
fn read_by_herald((folder, url): (&Path, &str), blocks: usize) -> Result<Duration, Error> {
    let last = i64::try_from(blocks)?;
    let started = Instant::now();
    let scan = async |store: &Store| {
        chain::answered(store, "SELECT coalesce(max(number), 0) FROM chain_block", last).await?;
        Ok(started.elapsed())
    };
    let took = chain::measured((folder, url), BOT, |_| Ok(()), scan)?;
    let fired = chain::stored(folder, "SELECT count(*) FROM occurrence")?;
    if fired != i64::try_from(blocks / APART / 2)? {
        return Err(format!("{fired} logs fired").into());
    }
    Ok(took)
}

/// The floor.
fn read_bare(evm: &Evm) -> Result<Duration, Error> {
    let started = Instant::now();
    let mut connection = Bare::to(evm.url())?;
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
    if wanted != BLOCKS / APART / 2 {
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
/// `cry(uint256,uint256)`
const CRY: &str = "0xa7ee7114";
const BLOCKS: usize = 5_000;
/// From one block with logs to the next, and how many it has.
const APART: usize = 25;
const TOGETHER: usize = 500;
/// Blocks that the floor fetches at once.
const RANGE: usize = 250;
const ROUNDS: usize = 5;
const MEMORY_ROUNDS: usize = 3;
