//! One reading of a watch over ten thousand subscribers, each with a value of a contract on a real node, beside the same batched calls
//! made bare.
//!
//! The time begins when the bot does, and ends when its first reading is in the store.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use herald_protocol::address::Address;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    Error,
    chain::{self, Bare, Evm},
    figure::{self, Figure, Target},
};

/// Milliseconds of a reading.
pub(crate) fn reading(folder: &Path) -> Result<Figure, Error> {
    let evm = Evm::start(&folder.join("evm"))?;
    evm.put("Multicall", MULTICALL)?;
    evm.put("Lending", LENDING)?;
    Bare::to(evm.url())?.result("anvil_mine", &json!(["0x7"]))?;
    let calls: Vec<String> = (0..SUBSCRIBERS)
        .step_by(AT_ONCE)
        .map(calls)
        .collect::<Result<_, Error>>()?;
    let rounds = figure::turns(
        ROUNDS,
        |number| read_by_herald(&folder.join(format!("watch-{number}")), &evm),
        |_| read_bare(&evm, &calls),
        |took| took.as_secs_f64() * 1e3,
    )?;
    Ok(Figure::of_rounds("ms", &rounds, Target::AtMost(1.5)))
}

/// Until the reading of all subscribers is noted.
fn read_by_herald(folder: &Path, evm: &Evm) -> Result<Duration, Error> {
    let join = |store: &mut rusqlite::Connection| -> Result<(), Error> {
        let joining = store.transaction()?;
        for number in 0..SUBSCRIBERS {
            joining.execute(JOIN, [subscriber(number).to_string()])?;
        }
        Ok(joining.commit()?)
    };
    let read = ("SELECT count(read_ms) FROM reading", 1);
    let took = chain::watched((folder, evm.url()), BOT, join, read)?;
    let fired = chain::stored(folder, "SELECT count(*) FROM occurrence")?;
    if fired != 0 {
        return Err(format!("{fired} values are wrong").into());
    }
    Ok(took)
}

/// The floor: the same calls, one after the other, and the numbers read out of the answers.
fn read_bare(evm: &Evm, calls: &[String]) -> Result<Duration, Error> {
    let started = Instant::now();
    let mut connection = Bare::to(evm.url())?;
    let mut right = 0;
    for data in calls {
        let answer = connection.ask("eth_call", &json!([{ "to": MULTICALL, "data": data }, "0x7"]))?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let bytes = const_hex::decode(answer["result"].as_str().ok_or("no bytes")?)?;
        // Of each result the first word says whether the call went well, the last one is the value.
        let results = bytes.get(32 * (2 + AT_ONCE)..).ok_or("no results")?;
        for result in results.chunks_exact(32 * RESULT) {
            let (good, value) = (result.get(31), result.last_chunk::<16>());
            let value = u128::from_be_bytes(*value.ok_or("no value")?);
            right += usize::from(good == Some(&1) && value == 0);
        }
    }
    if right != SUBSCRIBERS {
        return Err(format!("{right} values are right").into());
    }
    Ok(started.elapsed())
}

fn subscriber(number: usize) -> Address {
    let digest = Sha256::digest(format!("subscriber {number}"));
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&digest[..20]);
    Address::from_bytes(bytes)
}

/// The call of Multicall3's `aggregate3` with the calls for the subscribers from a number on.
fn calls(first: usize) -> Result<String, Error> {
    let mut text = "0x82ad56cb".to_owned();
    let offsets = (0..AT_ONCE).map(|number| 32 * AT_ONCE + number * 192);
    for word in [32, AT_ONCE].into_iter().chain(offsets) {
        write!(text, "{word:064x}")?;
    }
    for number in first..first + AT_ONCE {
        let of = const_hex::encode(subscriber(number).as_bytes());
        // The contract, that it may fail, where its data is, how long that is, `getUserAccountData(address)`, and the rest of a word.
        write!(
            text,
            "{:0>64}{:064x}{:064x}{:064x}",
            LENDING.trim_start_matches("0x"),
            1,
            96,
            36
        )?;
        write!(text, "bf92857c{of:0>64}{:056x}", 0)?;
    }
    Ok(text)
}

const BOT: &str = "herald: 1
bot: guard
identity: env:GUARD_KEY
lists: { guarded: { join: /guard } }
sources:
  account:
    call: getUserAccountData(address) returns (uint256, uint256, uint256, uint256, uint256, uint256 health)
    at: 0x1111111111111111111111111111111111111111
    chain: local
    args: [sub.wallet]
rules:
  healthy:
    when: { watch: \"units(account.health, 18)\", each: guarded, every: 1h, above: 1.1 }
    to: { wallet: sub.wallet }
    send: \"{{ value }}\"
";
const JOIN: &str =
    "INSERT INTO member (bot, list, wallet, fields, joined_ms) VALUES ('guard', 'guarded', ?1, '{}', 1)";
const SUBSCRIBERS: usize = 10_000;
/// As many as herald makes at once.
const AT_ONCE: usize = 200;
const MULTICALL: &str = "0xcA11bde05977b3631167028862bE2a173976CA11";
const LENDING: &str = "0x1111111111111111111111111111111111111111";
/// Words of a result: that it went well, where its bytes begin, how many they are, and six values.
const RESULT: usize = 9;
const ROUNDS: usize = 9;
