//! Logs of contracts on a real EVM node: each is told once, after enough blocks, whatever the chain and its nodes do.

/// Nodes that refuse, lag, lie, or are away.
mod nodes;
/// Blocks that leave the chain.
mod reorgs;

use std::time::Duration;

use herald_protocol::address::Address;
use serde_json::{Value, json};

use crate::harness::{
    chain::{Evm, quantity},
    house::{Herald, House},
    people::{LOOK, Person, address, person},
    program::DEADLINE,
    rpc_proxy::RpcProxy,
};

const TRANSFER: &str = "Transfer(address indexed from, address indexed to, uint256 value)";
const MINT: &str = "mint(address,uint256)";

/// A bot with these rules.
fn bot(name: &str, rules: &str) -> String {
    format!(
        "herald: 1
bot: {name}
identity: env:BOT_KEY
defaults: {{ consent: transactional }}
rules:
{rules}"
    )
}

/// A rule that tells who gets tokens what came: its trigger goes on with `more`.
fn paid(name: &str, token: Address, more: &str) -> String {
    format!(
        "  {name}:
    when: {{ log: \"{TRANSFER}\", chain: local, at: {token}{more} }}
    to: {{ wallet: event.to }}
    send: \"{{{{ event.value }}}}\"
"
    )
}

/// A bot with these rules in a project that knows the chain `local` by these nodes.
fn house(rules: &str, nodes: &[&str], confirmations: u64) -> House {
    let house = House::of(&bot("teller", rules));
    let nodes = nodes.join(", ");
    let project = format!(
        "herald: 1\nchains: {{ local: {{ id: 31337, rpc: [{nodes}], confirmations: {confirmations} }} }}\n"
    );
    std::fs::write(house.folder().join("herald.yaml"), project).unwrap();
    house
}

/// The wallet of this name gets so many of the smallest parts of a token, in a block of its own.
async fn mint(evm: &Evm, token: Address, to: &str, amount: u64) -> Value {
    evm.send(token, MINT, json!([address(to).to_string(), amount]))
        .await
}

/// The last block that each cursor of the store has read.
fn cursors(house: &House) -> Vec<u64> {
    let store = rusqlite::Connection::open(house.data().join("herald.db")).unwrap();
    let query = "SELECT max(number) FROM chain_block GROUP BY cursor ORDER BY cursor";
    let mut statement = store.prepare(query).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap();
    rows.map(|number| u64::try_from(number.unwrap()).unwrap())
        .collect()
}

/// Waits until so many cursors have read up to a block.
#[track_caller]
fn read_to(house: &House, count: usize, block: u64) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let reading = async {
            loop {
                let read = cursors(house);
                if read.len() == count && read.iter().all(|last| *last >= block) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, reading).await;
        assert!(
            waited.is_ok(),
            "{caller}: not read to {block}: {:?}",
            cursors(house)
        );
    }
}

/// Waits for so many occurrences, and sees that there are no more.
#[track_caller]
fn fired(house: &House, count: i64) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let firing = async {
            while house.occurrences() < count {
                tokio::time::sleep(LOOK).await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, firing).await;
        assert!(
            waited.is_ok(),
            "{caller}: {} of {count} occurrences",
            house.occurrences()
        );
        assert_eq!(house.occurrences(), count, "{caller}");
    }
}

/// Waits for an error whose reason has this part, and gives the reason.
async fn complaint(herald: &Herald, part: &str) -> String {
    let has_part = |event: &Value| {
        event["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains(part))
    };
    let event = herald.event("error", has_part).await;
    event["reason"].as_str().unwrap().to_owned()
}

/// The reasons of all errors so far.
fn complaints(herald: &Herald) -> Vec<String> {
    let reason = |event: Value| event["reason"].as_str().unwrap_or_default().to_owned();
    herald.events("error").into_iter().map(reason).collect()
}

/// Waits until somebody has read these texts in any order, and no others.
async fn reads(person: &Person, bot: Address, texts: &[String]) {
    let mut expected = texts.to_vec();
    expected.sort();
    let mut read = Vec::new();
    let reading = async {
        loop {
            read = person.texts_of(bot).await;
            if read.len() >= expected.len() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, reading).await;
    read.sort();
    assert_eq!(read, expected, "in time: {}", waited.is_ok());
}

#[tokio::test]
async fn a_transfer_is_told_once_when_enough_blocks_stand_on_it_with_what_it_says() {
    let evm = Evm::start_with(&["--no-mining"]).await;
    let token: Address = "0x00000000000000000000000000000000000000f1".parse().unwrap();
    evm.put_code("Token", token).await;
    evm.mine(5).await;
    let rules = format!(
        "  paid:
    when:
      log: {TRANSFER}
      chain: local
      at: {token}
      where: units(event.value, 18) >= 1
      confirmations: 2
    to: {{ wallet: event.to }}
    send: \"{{{{ units(event.value, 18) }}}} from {{{{ event.from | short }}}}, {{{{ block.number }}}} {{{{ tx }}}} {{{{ log_index }}}} {{{{ contract }}}}\"
"
    );
    let house = house(&rules, &[evm.url()], 50);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    read_to(&house, 1, 3).await;

    let give = async |to: &str, amount: &str| {
        let arguments = json!([address(to).to_string(), amount]);
        evm.submit(address("carol"), token, MINT, arguments).await
    };
    let of_alice = give("alice", "1500000000000000000").await;
    give("bob", "999999999999999999").await;
    let of_bob = give("bob", "2000000000000000000").await;
    evm.mine(1).await;
    let block = evm.head().await;
    evm.mine(1).await;
    read_to(&house, 1, block - 1).await;
    assert_eq!(house.occurrences(), 0, "one block stands on it");
    evm.mine(1).await;
    let from = "0x00…00";
    let alice_reads = format!("1.5 from {from}, {block} {of_alice} 0 {token}");
    let bob_reads = format!("2 from {from}, {block} {of_bob} 2 {token}");
    alice.reads(herald.address(), &[&alice_reads]).await;
    bob.reads(herald.address(), &[&bob_reads]).await;
    evm.mine(5).await;
    read_to(&house, 1, block + 3).await;
    assert_eq!(house.occurrences(), 2);
    assert_eq!(complaints(&herald), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_logged_while_herald_is_down_is_found_and_nothing_is_told_twice() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    mint(&evm, token, "alice", 1).await;
    evm.mine(3).await;
    let rules = paid("from-the-start", token, ", start: 0");
    let house = house(&rules, &[evm.url()], 1);
    let mut herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    reads(&alice, bot, &["1".to_owned()]).await;
    let mut amounts = vec![1];
    for kill in 0..4 {
        for amount in 0..3 {
            amounts.push(10 * (kill + 1) + amount);
            mint(&evm, token, "alice", 10 * (kill + 1) + amount).await;
        }
        // It is killed amid reading, and logs go on while it is down.
        tokio::time::sleep(Duration::from_millis(300 * kill)).await;
        herald.kill();
        amounts.push(100 + kill);
        mint(&evm, token, "alice", 100 + kill).await;
        herald = house.start().await;
    }
    evm.mine(1).await;
    let texts: Vec<String> = amounts.iter().map(ToString::to_string).collect();
    let alice = person("alice", herald.node()).await;
    reads(&alice, bot, &texts).await;
    house.settled().await;
    read_to(&house, 1, evm.head().await - 1).await;
    assert_eq!(house.occurrences(), i64::try_from(texts.len()).unwrap());
    reads(&alice, bot, &texts).await;
}

#[tokio::test]
async fn thousands_of_logs_of_one_block_become_as_many_occurrences() {
    let evm = Evm::start().await;
    let governor = evm.deploy("Governor").await;
    let burst = "burst(uint256,uint256)";
    evm.send(governor, burst, json!([0, 5_000])).await;
    evm.send(governor, burst, json!([5_000, 300])).await;
    let rules = format!(
        "  ticks:
    when: {{ log: \"Tick(uint256 indexed n, address indexed by, string note)\", chain: local, at: {governor}, start: 0 }}
    to: {{ wallet: event.by }}
    digest: {{ every: 1d }}
    send: \"{{{{ items | length }}}}\"
"
    );
    let house = house(&rules, &[evm.url()], 0);
    let herald = house.start().await;
    fired(&house, 5_300).await;
    let memory = std::fs::read_to_string(format!("/proc/{}/status", herald.pid())).unwrap();
    let most = memory.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let most: u64 = most.unwrap().trim_end_matches("kB").trim().parse().unwrap();
    assert!(most < 300 * 1024, "{most} KiB");
    let numbers: std::collections::BTreeSet<String> = {
        let store = rusqlite::Connection::open(house.data().join("herald.db")).unwrap();
        let query = "SELECT json_extract(names, '$.event.n') FROM occurrence";
        let mut statement = store.prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, rusqlite::types::Value>(0));
        rows.unwrap().map(|row| format!("{:?}", row.unwrap())).collect()
    };
    assert_eq!(numbers.len(), 5_300);
}

#[tokio::test]
async fn a_contract_that_is_not_there_or_logs_otherwise_is_told_and_holds_up_no_other() {
    let evm = Evm::start().await;
    let (token, collectible) = (evm.deploy("Token").await, evm.deploy("Collectible").await);
    let nothing: Address = "0x00000000000000000000000000000000000000f2".parse().unwrap();
    let rules = format!(
        "  paid:
    when: {{ log: \"{TRANSFER}\", chain: local, at: \"[{nothing}, {token}, {collectible}]\" }}
    to: {{ wallet: event.to }}
    send: \"{{{{ event.value }}}} of {{{{ contract }}}}\"
"
    );
    let house = house(&rules, &[evm.url()], 0);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let missing = complaint(&herald, "no contract").await;
    assert!(missing.contains(&nothing.to_string()), "{missing}");
    read_to(&house, 1, 0).await;
    let other = mint(&evm, collectible, "alice", 7).await;
    mint(&evm, collectible, "alice", 8).await;
    mint(&evm, token, "alice", 9).await;
    alice.reads(herald.address(), &[&format!("9 of {token}")]).await;
    let otherwise = complaint(&herald, "topics").await;
    assert!(
        otherwise.contains(other["transactionHash"].as_str().unwrap())
            && otherwise.contains(&collectible.to_string()),
        "{otherwise}"
    );
    assert_eq!(complaints(&herald).len(), 2, "{:?}", complaints(&herald));
}

#[tokio::test]
async fn bots_of_one_chain_share_the_look_at_its_height() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    let proxy = RpcProxy::to(evm.url()).await;
    let rules = [paid("one", token, ""), paid("two", token, "")].concat();
    let mut house = house(&rules, &[proxy.url()], 0);
    for name in ["second", "third"] {
        let key = format!("{}_KEY", name.to_uppercase());
        let text = bot(name, &rules).replace("BOT_KEY", &key);
        house = house
            .beside(&format!("{name}.yaml"), &text)
            .set(&key, &crate::harness::people::key(name));
    }
    let herald = house.start().await;
    herald.count("ready", 3).await;
    read_to(&house, 6, 0).await;
    mint(&evm, token, "alice", 1).await;
    fired(&house, 6).await;
    let looks = || {
        let asked = proxy.asked("eth_getBlockByNumber");
        asked.iter().filter(|asked| asked[0] == "latest").count()
    };
    let before = looks();
    tokio::time::sleep(Duration::from_secs(6)).await;
    // Half a second after the new block, and less and less often.
    let after = looks() - before;
    assert!((2..=6).contains(&after), "{after} looks");
    assert_eq!(proxy.asked("eth_chainId").len(), 1);
}

#[tokio::test]
async fn a_changed_file_goes_on_where_its_reading_stood_and_a_new_trigger_begins_where_it_says() {
    let evm = Evm::start().await;
    let (first, second) = (evm.deploy("Token").await, evm.deploy("Token").await);
    mint(&evm, first, "alice", 1).await;
    let house = house(&paid("paid", first, ""), &[evm.url()], 0);
    let herald = house.start().await;
    let bot_address = herald.address();
    let alice = person("alice", herald.node()).await;
    read_to(&house, 1, evm.head().await).await;
    mint(&evm, first, "alice", 2).await;
    alice.reads(bot_address, &["2"]).await;

    // Logs come while the file changes. The old rule watches two contracts then, and a new one reads from the beginning.
    let both = format!("\"[{first}, {second}]\"");
    let rule = paid("paid", first, "").replace(&first.to_string(), &both);
    let new = paid("new", first, ", start: 0").replace("{ wallet: event.to }", "{ wallet: event.from }");
    mint(&evm, second, "alice", 3).await;
    read_to(&house, 1, evm.head().await).await;
    house.rewrite(&bot("teller", &format!("{new}{rule}")));
    mint(&evm, first, "alice", 4).await;
    herald.event("reloaded", |_| true).await;
    mint(&evm, second, "alice", 5).await;
    let wanted = ["2", "4", "5"].map(str::to_owned);
    reads(&alice, bot_address, &wanted).await;
    let of_new = |event: &&Value| event["rule"] == "new";
    herald
        .until("the new rule has read all", |lines| {
            lines
                .iter()
                .filter(of_new)
                .filter(|line| line["event"] == "occurrence")
                .count()
                == 3
        })
        .await;

    // Another trigger before it in the rule's list changes nothing for it.
    let block = evm.head().await;
    let list = format!(
        "  paid:
    when:
      - {{ log: \"Approval(address indexed owner, address indexed to, uint256 value)\", chain: local, at: {first} }}
      - {{ log: \"{TRANSFER}\", chain: local, at: {both} }}
    to: {{ wallet: event.to }}
    send: \"{{{{ event.value }}}}\"
"
    );
    drop(herald);
    mint(&evm, second, "alice", 6).await;
    house.rewrite(&bot("teller", &list));
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    reads(&alice, bot_address, &["2", "4", "5", "6"].map(str::to_owned)).await;
    assert_eq!(quantity(&evm.block(block).await["number"]), block);
}
