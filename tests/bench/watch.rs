//! One reading of a watch over ten thousand subscribers, each with a value of a contract on a real node, beside the same batched calls
//! made bare.
//!
//! It is a reading as it comes again and again: the second one, at another block. Its time begins when it is due, and ends when it is
//! noted. The bare calls come after the same pause: what a machine has turned away from meanwhile, it has to fetch for either.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use herald::bot::store::Store;
use herald_protocol::address::Address;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    Error,
    chain::{self, Bare, Evm},
    figure::{self, Figure, Target},
    node::runtime,
};

/// Milliseconds of a reading.
pub(crate) fn reading(folder: &Path) -> Result<Figure, Error> {
    let evm = Evm::start(&folder.join("evm"))?;
    evm.put("Multicall", MULTICALL)?;
    evm.put("Lending", LENDING)?;
    Bare::to(evm.url())?.result("anvil_mine", &json!(["0x7"]))?;
    let rounds = figure::turns(
        ROUNDS,
        |number| read_by_herald(&folder.join(format!("watch-{number}")), &evm),
        |_| read_bare(&evm),
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
    let read = async |store: &Store| {
        let first = chain::answered(store, LAST, 1).await?;
        Bare::to(evm.url())?.result("anvil_mine", &json!(["0x1"]))?;
        let second = chain::answered(store, LAST, first + 1).await?;
        let took = Duration::from_millis(u64::try_from(second - first)?);
        took.checked_sub(EVERY)
            .ok_or_else(|| "it was read too soon".into())
    };
    let took = chain::measured((folder, evm.url()), BOT, join, read)?;
    let fired = chain::stored(folder, "SELECT count(*) FROM occurrence")?;
    if fired != 0 {
        return Err(format!("{fired} values are wrong").into());
    }
    Ok(took)
}

/// The floor: after a pause the same calls written and made, one after the other, and the numbers read out of the answers.
fn read_bare(evm: &Evm) -> Result<Duration, Error> {
    runtime("pause")?.block_on(async { tokio::time::sleep(EVERY).await });
    let started = Instant::now();
    let mut connection = Bare::to(evm.url())?;
    let mut right = 0;
    for first in (0..SUBSCRIBERS).step_by(AT_ONCE) {
        let data = calls(first);
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
fn calls(first: usize) -> String {
    let word = |number: usize| {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&(number as u64).to_be_bytes());
        word
    };
    let mut bytes = vec![0x82, 0xad, 0x56, 0xcb];
    let offsets = (0..AT_ONCE).map(|number| 32 * AT_ONCE + number * 192);
    for number in [32, AT_ONCE].into_iter().chain(offsets) {
        bytes.extend(word(number));
    }
    for number in first..first + AT_ONCE {
        // The contract, that it may fail, where its data is, how long that is, `getUserAccountData(address)`, and the rest of a word.
        bytes.extend([0; 12]);
        bytes.extend([0x11; 20]);
        for number in [1, 96, 36] {
            bytes.extend(word(number));
        }
        bytes.extend([0xbf, 0x92, 0x85, 0x7c]);
        bytes.extend([0; 12]);
        bytes.extend(subscriber(number).as_bytes());
        bytes.extend([0; 28]);
    }
    const_hex::encode_prefixed(bytes)
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
    when: { watch: \"units(account.health, 18)\", each: guarded, every: 3s, above: 1.1 }
    to: { wallet: sub.wallet }
    send: \"{{ value }}\"
";
const JOIN: &str =
    "INSERT INTO member (bot, list, wallet, fields, joined_ms) VALUES ('guard', 'guarded', ?1, '{}', 1)";
/// Between two readings: longer than a block is taken for the latest one.
const EVERY: Duration = Duration::from_secs(3);
const LAST: &str = "SELECT coalesce(max(read_ms), 0) FROM reading";
const SUBSCRIBERS: usize = 10_000;
/// As many as herald makes at once.
const AT_ONCE: usize = 200;
const MULTICALL: &str = "0xcA11bde05977b3631167028862bE2a173976CA11";
const LENDING: &str = "0x1111111111111111111111111111111111111111";
/// Words of a result: that it went well, where its bytes begin, how many they are, and six values.
const RESULT: usize = 9;
const ROUNDS: usize = 9;
