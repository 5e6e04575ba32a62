//! Contracts as sources, times of blocks and states of transactions: bots read them from real nodes, and believe no single one.

use std::time::Duration;

use herald_protocol::address::Address;
use serde_json::json;

use crate::harness::{
    chain::{Evm, quantity},
    house::{Herald, House, edited},
    people::{Person, address, person},
    rpc_proxy::{Behaviour, RpcProxy},
};

const MULTICALL: &str = "0xcA11bde05977b3631167028862bE2a173976CA11";

/// Where the examples look for what they read.
const LENDING: &str = "0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2";
const GOVERNOR: &str = "0x2222222222222222222222222222222222222222";

fn at(address: &str) -> Address {
    address.parse().unwrap()
}

async fn set(evm: &Evm, who: Address, debt: u64, health: u64) {
    let arguments = json!([who.to_string(), debt.to_string(), health.to_string()]);
    evm.send(at(LENDING), "set(address,uint256,uint256)", arguments)
        .await;
}

#[tokio::test]
async fn the_liquidation_bot_warns_each_borrower_by_their_own_position_and_line() {
    let evm = Evm::start_with(&["--chain-id", "1"]).await;
    evm.put_code("Lending", at(LENDING)).await;
    evm.put_code("Multicall", at(MULTICALL)).await;
    let node = RpcProxy::to(evm.url()).await;
    let changes = [
        ("LIQUIDATION_KEY", "BOT_KEY"),
        ("every: 30s", "every: 1s"),
        ("for: 1m", "for: 2s"),
        ("limit: 1/30m", "limit: 9/30m"),
    ];
    let house = House::of(&edited("liquidation.yaml", &changes));
    let house = house.on_chains(&[("ethereum", 1, &[node.url()])]);
    let herald = house.start().await;
    let bot = herald.address();
    let [alice, bob, carol] = [
        person("alice", herald.node()).await,
        person("bob", herald.node()).await,
        person("carol", herald.node()).await,
    ];
    let debt = 25_000 * 100_000_000;
    for (who, health) in [(&alice, 1_200), (&bob, 1_900), (&carol, 1_900)] {
        set(&evm, who.address(), debt, health * 1_000_000_000_000_000).await;
    }
    let welcome = |line| format!("I watch your Aave position and write below {line}. Write stop to end it.");
    alice.say(bot, "/guard").await;
    alice.reads(bot, &[&welcome("1.10")]).await;
    bob.say(bot, "/guard 1.5").await;
    bob.reads(bot, &[&welcome("1.5")]).await;
    carol.say(bot, "/guard 1.5").await;
    carol.reads(bot, &[&welcome("1.5")]).await;

    // Carol's position cannot be read: she is reported, and holds up nobody.
    evm.send(
        at(LENDING),
        "breakFor(address)",
        json!([carol.address().to_string()]),
    )
    .await;
    let told = herald.event("error", |event| event["rule"] == "at-risk").await;
    let reason = told["reason"].as_str().unwrap();
    assert!(
        reason.contains("1 of 3 values: source `account`: the contract refuses: "),
        "{reason}"
    );
    set(&evm, alice.address(), debt, 1_050_000_000_000_000_000).await;
    let warned = "⚠️ Your Aave health factor is 1.05 (your line is 1.10).\nDebt $25,000.00. Repay or add collateral: https://app.aave.com";
    alice.reads(bot, &[&welcome("1.10"), warned]).await;
    set(&evm, alice.address(), debt, 1_160_000_000_000_000_000).await;
    let safe = "✅ Back to 1.16. Nothing more to do.";
    alice.reads(bot, &[&welcome("1.10"), warned, safe]).await;
    bob.reads(bot, &[&welcome("1.5")]).await;

    // What three subscribers need is asked in one call, and not again while its block is the latest.
    let block = evm.head().await;
    let calls = node.asked("eth_call").len();
    herald.count("error", 1).await;
    assert!(
        u64::try_from(calls).unwrap() <= 2 * block + 20,
        "{calls} calls by block {block}"
    );
}

/// So long a height is taken for the chain's.
const A_MOMENT: Duration = Duration::from_secs(2);

/// What who asks is told while something is away.
const LATER: &str = "I cannot look that up right now. Please try again in a few minutes.";

const WALLET: &str = "herald: 1
bot: wallet
identity: env:BOT_KEY
vars: { token: TOKEN }
sources:
  token:
    call: balanceOf(address) returns (uint256 balance)
    at: vars.token
    chain: local
    args: [message.from]
  worth:
    call: balanceOf(address) returns (uint256 amount)
    at: vars.token
    chain: local
    args: [message.from]
commands:
  /both: { reply: \"{{ units(token.balance, 18) }} and {{ units(worth.amount, 18) }}\" }
  /balance: { reply: \"You have {{ units(token.balance, 18) }}.\" }
  /tx <hash:hash>:
    reply: \"{% if (args.hash | tx_status('local')).found %}{{ (args.hash | tx_status('local')).status }} in {{ (args.hash | tx_status('local')).block }}{% else %}unknown{% endif %}\"
  /when <block:int>: { reply: \"{{ block_time('local', args.block) | date('UTC', '%s') }}\" }
rules: {}
";

/// A bot that reads a token on a chain with these nodes, and somebody with five and a half of it.
async fn wallet(evm: &Evm, token: Address, nodes: &[&str]) -> (House, Herald, Person) {
    let house = House::of(&WALLET.replace("TOKEN", &token.to_string()));
    let house = house.on_chains(&[("local", 31337, nodes)]);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let amount = json!([alice.address().to_string(), "5500000000000000000"]);
    if !evm
        .rpc("eth_getCode", json!([token.to_string(), "latest"]))
        .await
        .as_str()
        .unwrap()
        .eq("0x")
    {
        evm.send(token, "mint(address,uint256)", amount).await;
    }
    (house, herald, alice)
}

#[tokio::test]
async fn a_command_reads_a_contract_as_of_the_latest_block_once() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    let node = RpcProxy::to(evm.url()).await;
    let (_house, herald, alice) = wallet(&evm, token, &[node.url()]).await;
    let bot = herald.address();
    alice.asks(bot, "/balance", &["You have 5.5."]).await;
    alice.asks(bot, "/balance", &["You have 5.5."]).await;
    // Each source has its own names for the same answer.
    alice.asks(bot, "/both", &["5.5 and 5.5"]).await;
    assert_eq!(node.asked("eth_call").len(), 1, "of one block");
    let amount = json!([alice.address().to_string(), "1000000000000000000"]);
    let receipt = evm.send(token, "mint(address,uint256)", amount).await;
    // What was just read is a moment old at the most.
    alice
        .asks(
            bot,
            "/tx 0x00000000000000000000000000000000000000000000000000000000000000aa",
            &["unknown"],
        )
        .await;
    tokio::time::sleep(A_MOMENT).await;
    alice.asks(bot, "/balance", &["You have 6.5."]).await;

    let hash = receipt["transactionHash"].as_str().unwrap();
    let head = evm.head().await;
    alice
        .asks(bot, &format!("/tx {hash}"), &[&format!("success in {head}")])
        .await;
    let block = evm.block(head).await;
    let time = quantity(&block["timestamp"]);
    alice
        .asks(bot, &format!("/when {head}"), &[&time.to_string()])
        .await;
}

#[tokio::test]
async fn a_contract_that_is_not_there_is_told_to_the_operator_and_who_asks_is_told_to_try_again() {
    let evm = Evm::start().await;
    let (_house, herald, alice) = wallet(&evm, address("nobody"), &[evm.url()]).await;
    let bot = herald.address();
    alice.asks(bot, "/balance", &[LATER]).await;
    let told = herald.event("error", |_| true).await;
    let reason = told["reason"].as_str().unwrap();
    assert!(
        reason.contains("answers nothing: no contract is there, or it has no `balanceOf(address)`"),
        "{reason}"
    );
}

#[tokio::test]
async fn two_nodes_that_differ_are_not_believed_and_one_that_is_away_is_done_without() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    evm.mine(5).await;
    let (first, second) = (RpcProxy::to(evm.url()).await, RpcProxy::to(evm.url()).await);
    let (_house, herald, alice) = wallet(&evm, token, &[first.url(), second.url()]).await;
    let bot = herald.address();
    alice.asks(bot, "/balance", &["You have 5.5."]).await;
    second.behaves(Behaviour {
        fork: Some(2),
        ..Behaviour::default()
    });
    tokio::time::sleep(A_MOMENT).await;
    alice.asks(bot, "/balance", &[LATER]).await;
    let told = herald.event("error", |_| true).await;
    let reason = told["reason"].as_str().unwrap();
    assert!(
        reason.contains("have different blocks") && reason.contains(second.url()),
        "{reason}"
    );
    second.behaves(Behaviour {
        is_down: true,
        ..Behaviour::default()
    });
    tokio::time::sleep(A_MOMENT).await;
    alice.asks(bot, "/balance", &["You have 5.5."]).await;
}

#[tokio::test]
async fn a_transaction_is_as_far_as_the_node_that_is_behind_says() {
    let evm = Evm::start_with(&["--no-mining"]).await;
    evm.mine(3).await;
    let (first, second) = (RpcProxy::to(evm.url()).await, RpcProxy::to(evm.url()).await);
    let nobody = address("nobody");
    let (_house, herald, alice) = wallet(&evm, nobody, &[first.url(), second.url()]).await;
    let bot = herald.address();
    let hash = evm.submit(nobody, nobody, "nothing()", json!([])).await;
    let question = format!("/tx {hash}");
    alice.asks(bot, &question, &["pending in"]).await;
    evm.mine(1).await;
    let lag = Behaviour {
        lag: 1,
        ..Behaviour::default()
    };
    second.behaves(lag);
    tokio::time::sleep(A_MOMENT).await;
    let behind = alice.texts_of(bot).await.len();
    alice.say(bot, &question).await;
    herald.count("delivered", behind + 1).await;
    let texts = alice.texts_of(bot).await;
    assert!(
        ["pending in", "unknown"].contains(&texts[behind].as_str()),
        "{texts:?}"
    );
    second.behaves(Behaviour::default());
    tokio::time::sleep(A_MOMENT).await;
    alice.asks(bot, &question, &["success in 4"]).await;
}

#[tokio::test]
async fn the_nodes_of_chains_are_looked_at_one_by_one() {
    let evm = Evm::start().await;
    let other = Evm::start_with(&["--chain-id", "7"]).await;
    let house = House::of(&WALLET.replace("TOKEN", &address("nobody").to_string()));
    let house = house.on_chains(&[("local", 31337, &[evm.url(), other.url()])]);
    let found = house.run(&["check", "--connect", "bot.yaml"]).await.expect(1);
    let wanted = format!(
        "bot.yaml:9:12 error E505: chain `local`: {} answers with chain id 7, wanted 31337",
        other.url()
    );
    assert!(found.out.contains(&wanted), "{}", found.out);
    drop(other);
    let found = house.run(&["check", "--connect", "bot.yaml"]).await.expect(1);
    assert!(
        found.out.contains("chain `local`: no answer from "),
        "{}",
        found.out
    );
    let house = house.on_chains(&[("local", 31337, &[evm.url()])]);
    let looked = house.run(&["check", "--connect", "bot.yaml"]).await;
    assert_eq!(looked.code, Some(0), "{}", looked.out);
    let checks = house.run(&["doctor", "--json"]).await.json_lines();
    let chain = checks.iter().find(|check| check["check"] == "chain");
    assert!(chain.is_some_and(|chain| chain["state"] == "ok"), "{checks:?}");
}

#[tokio::test]
async fn the_dao_bot_tells_a_proposal_once_and_reminds_who_has_not_voted() {
    let ethereum = Evm::start_with(&["--chain-id", "1"]).await;
    let arbitrum = Evm::start_with(&["--chain-id", "42161"]).await;
    arbitrum.put_code("Governor", at(GOVERNOR)).await;
    // A block a second, and the vote ends some of them ahead.
    ethereum.rpc("anvil_mine", json!(["0x10", "0x1"])).await;
    let changes = [("DAO_KEY", "BOT_KEY"), ("at: ends - 24h", "at: ends")];
    let house = House::of(&edited("dao.yaml", &changes));
    let house = house.on_chains(&[
        ("ethereum", 1, &[ethereum.url()]),
        ("arbitrum", 42161, &[arbitrum.url()]),
    ]);
    let herald = house.start().await;
    let bot = herald.address();
    let (alice, bob) = (
        person("alice", herald.node()).await,
        person("bob", herald.node()).await,
    );
    for member in [&alice, &bob] {
        member.say(bot, "/follow").await;
    }
    herald.count("joined", 2).await;
    let absent = house.run(&["preview", "dao/proposal", "--event", "latest"]).await;
    assert!(
        absent
            .talk
            .contains("no log that counts is in the latest blocks of chain `arbitrum`"),
        "{absent:?}"
    );
    let end = ethereum.head().await + 8;
    let proposal = json!([7, 1, end, "Fund the grants\nlong text"]);
    let propose = "propose(uint256,uint256,uint256,string)";
    let told = |text: String| text.contains("Fund the grants\nBy 0x");
    let receipt = arbitrum.send(at(GOVERNOR), propose, proposal).await;
    herald.count("delivered", 2).await;
    let (hash, number) = (
        receipt["transactionHash"].as_str().unwrap(),
        quantity(&receipt["blockNumber"]),
    );
    for past in ["latest", &format!("tx:{hash}"), &format!("block:{number}")] {
        let arguments = ["preview", "dao/proposal", "--event", past, "--json"];
        let shown = house.run(&arguments).await.expect(0).json();
        let text = shown["messages"][0]["text"].as_str().unwrap();
        assert!(text.contains("Fund the grants\nBy 0x"), "{shown}");
        assert_eq!(shown["repeated"], true, "{shown}");
    }
    arbitrum
        .send_from(alice.address(), at(GOVERNOR), "castVote(uint256)", json!([7]))
        .await;
    herald.count("delivered", 3).await;
    let of_bob = bob.texts_of(bot).await;
    assert_eq!(of_bob.len(), 2, "{of_bob:?}");
    assert!(told(of_bob[0].clone()), "{of_bob:?}");
    assert!(
        of_bob[1].starts_with("One day left to vote on *Fund the grants*."),
        "{of_bob:?}"
    );
    let of_alice = alice.texts_of(bot).await;
    assert_eq!(of_alice.len(), 1, "{of_alice:?}");
    house.settled().await;
    let conversations = bob.conversations_with(bot).await;
    let threads: Vec<_> = conversations
        .iter()
        .filter_map(|conversation| {
            conversation
                .context()
                .map(|context| context.conversation_id.clone())
        })
        .collect();
    assert!(
        threads.iter().any(|thread| thread.ends_with("proposals/7")),
        "{threads:?}"
    );
}

#[tokio::test]
async fn an_answer_that_stands_for_a_while_does_not_stand_longer_because_it_is_asked_for() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    let text = WALLET.replace("TOKEN", &token.to_string());
    let text = text.replace("args: [message.from]", "args: [message.from]\n    cache: 2s");
    let house = House::of(&text).on_chains(&[("local", 31337, &[evm.url()])]);
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    alice.asks(bot, "/balance", &["You have 0."]).await;
    let amount = json!([alice.address().to_string(), "1000000000000000000"]);
    evm.send(token, "mint(address,uint256)", amount).await;
    // As a person who asks too often is not answered.
    let often = Duration::from_millis(700);
    for asked in 1..12 {
        alice.say(bot, "/balance").await;
        herald.count("delivered", asked + 1).await;
        if alice.texts_of(bot).await.iter().any(|text| text == "You have 1.") {
            return;
        }
        tokio::time::sleep(often).await;
    }
    panic!("what was asked for a while ago stands for ever");
}

#[tokio::test]
async fn what_a_rule_reads_of_a_contract_is_no_older_than_the_log_that_fired_it() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    let source = |argument: &str| {
        format!(
            "{{ chain: local, at: {token}, call: balanceOf(address) returns (uint256 balance), args: [{argument}] }}"
        )
    };
    let house = House::of(&format!(
        "herald: 1
bot: wallet
identity: env:BOT_KEY
defaults: {{ consent: transactional }}
sources:
  own: {}
  got: {}
commands:
  /balance: {{ reply: \"{{{{ own.balance }}}}\" }}
rules:
  paid:
    when: {{ log: \"Transfer(address indexed from, address indexed to, uint256 value)\", chain: local, at: {token}, start: 0 }}
    to: {{ wallet: event.to }}
    send: \"{{{{ got.balance }}}}\"
",
        source("message.from"),
        source("event.to")
    ));
    let house = house.on_chains(&[("local", 31337, &[evm.url()])]);
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let mut texts: Vec<String> = Vec::new();
    for balance in 1..=3 {
        // From here a latest block is known, for a moment.
        let before = (balance - 1).to_string();
        alice.asks(bot, "/balance", &[&before]).await;
        let amount = json!([alice.address().to_string(), "1"]);
        evm.send(token, "mint(address,uint256)", amount).await;
        texts.extend([before, balance.to_string()]);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        alice.reads(bot, &texts).await;
    }
}
