//! One reading of a watch over ten thousand subscribers, each with a value of a contract, beside the same batched calls made bare.
//!
//! The time begins when the bot does, and ends when its first reading is in the store.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use herald_protocol::address::Address;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    Error,
    chain::{Bare, Node},
    figure::{self, Figure, Target},
};

/// Milliseconds of a reading.
pub(crate) fn reading(folder: &Path) -> Result<Figure, Error> {
    let answered = results();
    let node = Node::start(move |method, params| answer(method, params, &answered))?;
    let rounds = figure::turns(
        ROUNDS,
        |number| read_by_herald(&folder.join(format!("watch-{number}")), &node),
        |_| read_bare(&node),
        |took| took.as_secs_f64() * 1e3,
    )?;
    Ok(Figure::of_rounds("ms", &rounds, Target::AtMost(1.5)))
}

/// Until the reading of all subscribers is noted.
fn read_by_herald(folder: &Path, node: &Node) -> Result<Duration, Error> {
    let join = |store: &mut rusqlite::Connection| -> Result<(), Error> {
        let joining = store.transaction()?;
        for number in 0..SUBSCRIBERS {
            joining.execute(JOIN, [subscriber(number)?.to_string()])?;
        }
        Ok(joining.commit()?)
    };
    node.watched_by(folder, BOT, join, ("SELECT count(read_ms) FROM reading", 1))
}

/// The floor: the same calls, one after the other, and the numbers read out of the answers.
fn read_bare(node: &Node) -> Result<Duration, Error> {
    let data = calls(AT_ONCE);
    let started = Instant::now();
    let mut connection = Bare::to(node)?;
    let mut healthy = 0;
    for _ in 0..SUBSCRIBERS.div_ceil(AT_ONCE) {
        let answer = connection.ask("eth_call", &json!([{ "to": MULTICALL, "data": data }, "0x7"]))?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let bytes = const_hex::decode(answer["result"].as_str().ok_or("no bytes")?)?;
        // Each value is the last word of its result.
        let results = bytes.get(32 * (2 + AT_ONCE)..).ok_or("no results")?;
        for result in results.chunks_exact(32 * RESULT.len()) {
            let value = result.last_chunk::<16>().ok_or("no value")?;
            healthy += usize::from(u128::from_be_bytes(*value) == HEALTH);
        }
    }
    if healthy != SUBSCRIBERS {
        return Err(format!("{healthy} values are right").into());
    }
    Ok(started.elapsed())
}

fn subscriber(number: usize) -> Result<Address, Error> {
    let digest = Sha256::digest(format!("subscriber {number}"));
    let bytes: [u8; 20] = digest[..20].try_into()?;
    Ok(Address::from_bytes(bytes))
}

fn answer(method: &str, params: &Value, results: &[String]) -> Result<String, Error> {
    Ok(match method {
        "eth_chainId" => "\"0x7a69\"".to_owned(),
        "eth_getCode" => "\"0x60\"".to_owned(),
        "eth_getBlockByNumber" => {
            json!({ "number": "0x7", "hash": word(7), "timestamp": "0x65000000" }).to_string()
        }
        "eth_call" => {
            // Its third word is the number of calls.
            let data = params[0]["data"].as_str().ok_or("no data")?;
            let count = data.get(10 + 64..10 + 128).ok_or("no count")?;
            let count = usize::from_str_radix(count, 16)?;
            results.get(count).cloned().ok_or("nobody asks so much")?
        }
        other => return Err(format!("nobody asks for {other}").into()),
    })
}

/// What Multicall3 answers to so many calls, by their number: as many times the same result.
fn results() -> Vec<String> {
    let of = |count: usize| {
        let offsets = (0..count).map(|number| 32 * (count + number * RESULT.len()));
        let words = [32, count].into_iter().chain(offsets);
        let mut text = "\"0x".to_owned();
        text.extend(words.map(bare_word));
        text.extend((0..count).flat_map(|_| RESULT).map(bare_word));
        text + "\""
    };
    (0..=AT_ONCE).map(of).collect()
}

/// The call of Multicall3's `aggregate3` with so many calls of `health(address)`.
fn calls(count: usize) -> String {
    let of = [0x1111, 1, 96, 36, 0x5a5a_5a5a, 0];
    let offsets = (0..count).map(|number| 32 * (count + number * of.len()));
    let words = [32, count].into_iter().chain(offsets);
    let mut text = "0x82ad56cb".to_owned();
    text.extend(words.map(bare_word));
    text.extend((0..count).flat_map(|_| of).map(bare_word));
    text
}

fn bare_word(number: usize) -> String {
    format!("{number:064x}")
}

fn word(number: usize) -> String {
    format!("{number:#066x}")
}

const BOT: &str = "herald: 1
bot: guard
identity: env:GUARD_KEY
lists: { guarded: { join: /guard } }
sources:
  account:
    call: health(address) returns (uint256 factor)
    at: 0x1111111111111111111111111111111111111111
    chain: local
    args: [sub.wallet]
rules:
  at-risk:
    when: { watch: \"units(account.factor, 18)\", each: guarded, every: 1h, below: 1.1 }
    to: { wallet: sub.wallet }
    send: \"{{ value }}\"
";
const JOIN: &str =
    "INSERT INTO member (bot, list, wallet, fields, joined_ms) VALUES ('guard', 'guarded', ?1, '{}', 1)";
const SUBSCRIBERS: usize = 10_000;
/// As many as herald makes at once.
const AT_ONCE: usize = 200;
const MULTICALL: &str = "0xcA11bde05977b3631167028862bE2a173976CA11";
/// A result: it went well, where its bytes begin, how many they are, and a factor of 1.9.
const RESULT: [usize; 4] = [1, 64, 32, 1_900_000_000_000_000_000];
const HEALTH: u128 = 1_900_000_000_000_000_000;
const ROUNDS: usize = 9;
