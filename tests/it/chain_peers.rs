//! The peers of bots that watch chains do what other tests rely on: a real EVM node, its contracts, and faulty RPC nodes.

use std::time::Duration;

use herald_protocol::address::Address;
use serde_json::{Value, json};

use crate::harness::{
    abi,
    chain::{Evm, ask, hexadecimal, logs, quantity},
    ens::{self, Ens},
    people::address,
    rpc_proxy::{Behaviour, RpcProxy},
    web::http,
};

fn written(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| address(name).to_string()).collect()
}

/// A chain with a token, of which three transfers are in the newest three blocks.
async fn three_transfers() -> (Evm, Address) {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    evm.mine(5).await;
    for amount in 1..=3 {
        let arguments = json!([address("alice").to_string(), amount]);
        evm.send(token, "mint(address,uint256)", arguments).await;
    }
    (evm, token)
}

#[tokio::test]
async fn chain_peer_shows_the_transfer_of_a_token() {
    let evm = Evm::start_with(&["--chain-id", "137"]).await;
    assert_eq!(evm.rpc("eth_chainId", json!([])).await, "0x89");
    let token = evm.deploy("Token").await;
    let [alice, bob] = [address("alice"), address("bob")];
    let amount = "2000000000000000000";
    evm.send(token, "mint(address,uint256)", json!([alice.to_string(), amount]))
        .await;
    let receipt = evm
        .send_from(
            alice,
            token,
            "transfer(address,uint256)",
            json!([bob.to_string(), 5]),
        )
        .await;
    let head = evm.head().await;
    assert_eq!(quantity(&receipt["blockNumber"]), head);
    let seen = evm.logs(token, head, head).await;
    assert_eq!(seen.len(), 1);
    let data = const_hex::decode(seen[0]["data"].as_str().unwrap()).unwrap();
    assert_eq!(abi::number(&data, 0), 5);
    let transfer = abi::hex(abi::keccak(b"Transfer(address,address,uint256)"));
    assert_eq!(seen[0]["topics"][0], transfer);
    let topic = const_hex::decode(seen[0]["topics"][2].as_str().unwrap()).unwrap();
    assert_eq!(abi::address(&topic, 0), bob);
    let balance = evm
        .call(token, "balanceOf(address)", json!([alice.to_string()]))
        .await;
    assert_eq!(abi::number(&balance, 0), 1_999_999_999_999_999_995);
    let too_much = json!([bob.to_string(), 5]);
    evm.try_call(token, "transfer(address,uint256)", too_much)
        .await
        .expect_err("nobody's tokens");
}

#[tokio::test]
async fn chain_peer_keeps_collectibles_items_and_handles() {
    let evm = Evm::start().await;
    let [alice, bob] = [address("alice"), address("bob")];
    let both = written(&["alice", "bob"]);
    let collectible = evm.deploy("Collectible").await;
    evm.send(collectible, "mint(address,uint256)", json!([both[0], 7]))
        .await;
    let transfer = "transferFrom(address,address,uint256)";
    evm.send_from(alice, collectible, transfer, json!([both[0], both[1], 7]))
        .await;
    let owner = evm.call(collectible, "ownerOf(uint256)", json!([7])).await;
    assert_eq!(abi::address(&owner, 0), bob);
    evm.send_from(bob, collectible, "burn(uint256)", json!([7])).await;
    evm.try_call(collectible, "ownerOf(uint256)", json!([7]))
        .await
        .expect_err("it is burnt");

    let items = evm.deploy("Items").await;
    for (id, amount) in [(1, 10), (2, 20)] {
        let arguments = json!([both[0], id, amount]);
        evm.send(items, "mint(address,uint256,uint256)", arguments).await;
    }
    let batch = "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)";
    let arguments = json!([both[0], both[1], [1, 2], [3, 4], "0x"]);
    let receipt = evm.send_from(alice, items, batch, arguments).await;
    assert_eq!(receipt["logs"].as_array().unwrap().len(), 1);
    let balance = evm
        .call(items, "balanceOf(address,uint256)", json!([both[1], 2]))
        .await;
    assert_eq!(abi::number(&balance, 0), 4);

    let handles = evm.deploy("Handles").await;
    evm.send(handles, "mint(address,string)", json!([both[0], "alice"]))
        .await;
    let id = evm.call(handles, "getTokenId(string)", json!(["alice"])).await;
    let owner = evm
        .call(handles, "ownerOf(uint256)", json!([abi::hex(&id)]))
        .await;
    assert_eq!(abi::address(&owner, 0), alice);
}

#[tokio::test]
async fn chain_peer_reads_many_things_at_once_and_tells_why_one_fails() {
    let evm = Evm::start().await;
    let known: Address = "0xcA11bde05977b3631167028862bE2a173976CA11".parse().unwrap();
    evm.put_code("Multicall", known).await;
    let lending = evm.deploy("Lending").await;
    let both = written(&["alice", "bob"]);
    evm.send(lending, "set(address,uint256,uint256)", json!([both[0], 100, 95]))
        .await;
    evm.send(lending, "breakFor(address)", json!([both[1]])).await;
    let read = "getUserAccountData(address)";
    let calls: Vec<Value> = both
        .iter()
        .map(|who| json!([lending.to_string(), true, abi::encode(read, &json!([who]))]))
        .collect();
    let answer = evm
        .call(known, "aggregate3((address,bool,bytes)[])", json!([calls]))
        .await;
    // The list, its length, the places of its two, then of each: success, the place of its bytes, their length.
    assert_eq!([abi::number(&answer, 1), abi::number(&answer, 4)], [2, 1]);
    let health = 7 + 5;
    assert_eq!(abi::number(&answer, health), 95);
    let failed = health + 1;
    assert_eq!(abi::number(&answer, failed), 0);
    let error = evm.try_call(lending, read, json!([both[1]])).await.unwrap_err();
    let error = error["message"].as_str().unwrap();
    assert!(error.contains("the price feed is stale"), "{error}");
}

#[tokio::test]
async fn chain_peer_tells_of_proposals_votes_and_bursts_in_blocks_that_a_test_makes() {
    let evm = Evm::start_with(&["--no-mining"]).await;
    let governor: Address = "0x00000000000000000000000000000000000000f1".parse().unwrap();
    evm.put_code("Governor", governor).await;
    let alice = address("alice");
    let propose = "propose(uint256,uint256,uint256,string)";
    evm.submit(alice, governor, propose, json!([1, 10, 20, "More bridges"]))
        .await;
    evm.submit(alice, governor, "castVote(uint256)", json!([1])).await;
    evm.submit(alice, governor, "burst(uint256,uint256)", json!([5, 300]))
        .await;
    assert_eq!(evm.head().await, 0);
    evm.mine_at(2_000_000_000).await;
    assert_eq!(evm.head().await, 1);
    let logs = evm.logs(governor, 1, 1).await;
    assert_eq!(logs.len(), 301);
    let proposal = logs[0]["data"].as_str().unwrap();
    assert!(
        proposal.contains(&const_hex::encode("More bridges")),
        "{proposal}"
    );
    assert_eq!(logs[300]["topics"][1], format!("{:#066x}", 304));
    let voted = evm
        .call(
            governor,
            "hasVoted(uint256,address)",
            json!([1, alice.to_string()]),
        )
        .await;
    assert_eq!(abi::number(&voted, 0), 1);
    evm.pass(3_600).await;
    let time = quantity(&evm.block(2).await["timestamp"]);
    assert!((2_000_003_600..2_000_003_700).contains(&time), "{time}");
}

#[tokio::test]
async fn chain_peer_replaces_its_newest_blocks() {
    let (evm, token) = three_transfers().await;
    let head = evm.head().await;
    let kept = evm.block(head - 2).await;
    let [before, newest] = [evm.block(head - 1).await, evm.block(head).await];
    evm.reorg(2).await;
    assert_eq!(evm.head().await, head);
    assert_eq!(evm.block(head - 2).await["hash"], kept["hash"]);
    let replaced = [evm.block(head - 1).await, evm.block(head).await];
    assert_ne!(replaced[0]["hash"], before["hash"]);
    assert_ne!(replaced[1]["hash"], newest["hash"]);
    assert_eq!(replaced[0]["parentHash"], kept["hash"]);
    assert_eq!(evm.logs(token, 0, head).await.len(), 1);
    // Empty blocks are replaced by others too.
    evm.reorg(2).await;
    assert_ne!(evm.block(head).await["hash"], replaced[1]["hash"]);
}

#[tokio::test]
async fn chain_peer_knows_names() {
    let evm = Evm::start().await;
    let ens = Ens::on(&evm).await;
    let [alice, bob] = [address("alice"), address("bob")];
    ens.register("alice.eth", alice).await;
    ens.claim(alice, "alice.eth").await;
    // The registry names a node by its parent and the hash of the label.
    let label = |text: &str| abi::hex(abi::keccak(text.as_bytes()));
    let subnode = "setSubnodeOwner(bytes32,bytes32,address)";
    for (parent, own) in [("", "eth"), ("eth", "alice")] {
        let parent = abi::hex(ens::namehash(parent));
        let arguments = json!([parent, label(own), alice.to_string()]);
        evm.send(ens.registry(), subnode, arguments).await;
    }
    let node = abi::hex(ens::namehash("alice.eth"));
    let owner = evm.call(ens.registry(), "owner(bytes32)", json!([node])).await;
    assert_eq!(abi::address(&owner, 0), alice);
    let resolver = evm.call(ens.registry(), "resolver(bytes32)", json!([node])).await;
    assert_eq!(abi::address(&resolver, 0), ens.resolver());
    let found = evm.call(ens.resolver(), "addr(bytes32)", json!([node])).await;
    assert_eq!(abi::address(&found, 0), alice);
    let reverse = abi::hex(ens::namehash(&ens::reverse(alice)));
    let name = evm.call(ens.resolver(), "name(bytes32)", json!([reverse])).await;
    assert_eq!(abi::bytes(&name), b"alice.eth");
    let on_polygon = json!([node, 2_147_483_785_u64, bob.to_string()]);
    let set = "setAddr(bytes32,uint256,bytes)";
    evm.send(ens.resolver(), set, on_polygon).await;
    let question = json!([node, 2_147_483_785_u64]);
    let found = evm.call(ens.resolver(), "addr(bytes32,uint256)", question).await;
    assert_eq!(abi::bytes(&found), bob.as_bytes());
}

#[tokio::test]
async fn chain_peer_knows_names_of_wildcards_and_of_gateways() {
    let evm = Evm::start().await;
    let bob = address("bob");
    let name = "bob.shop.eth";
    let addr = abi::encode("addr(bytes32)", &json!([abi::hex(ens::namehash(name))]));
    let question = json!([abi::hex(ens::dns_encoded(name)), addr]);
    let resolve = "resolve(bytes,bytes)";

    let wildcard = evm.deploy("WildcardResolver").await;
    evm.send(
        wildcard,
        "setLabel(string,address)",
        json!(["bob", bob.to_string()]),
    )
    .await;
    let found = evm.call(wildcard, resolve, question.clone()).await;
    assert_eq!(abi::address(&abi::bytes(&found), 0), bob);

    let offchain = evm.deploy("OffchainResolver").await;
    let url = "http://gateway.test/{sender}/{data}.json";
    evm.send(offchain, "setUrls(string[])", json!([[url]])).await;
    let response = format!("{:0>64}", const_hex::encode(bob.as_bytes()));
    let response = format!("0x{response}");
    let committed = json!([question[0], question[1], response]);
    evm.send(offchain, "commit(bytes,bytes,bytes)", committed).await;
    let error = evm.try_call(offchain, resolve, question).await.unwrap_err();
    let lookup = const_hex::decode(error["data"].as_str().unwrap()).unwrap();
    let selector = abi::keccak(b"OffchainLookup(address,string[],bytes,bytes4,bytes)");
    assert_eq!(lookup[..4], selector[..4]);
    let lookup = &lookup[4..];
    assert_eq!(abi::address(lookup, 0), offchain);
    // The last of the five is bytes of one word.
    let extra = usize::try_from(abi::number(lookup, 4)).unwrap();
    let extra = abi::hex(&lookup[extra + 32..extra + 64]);
    let callback = "resolveWithProof(bytes,bytes)";
    let found = evm.call(offchain, callback, json!([response, extra])).await;
    assert_eq!(abi::address(&abi::bytes(&found), 0), bob);
    evm.try_call(offchain, callback, json!(["0x", extra]))
        .await
        .expect_err("it is not what was committed to");
}

#[tokio::test]
async fn chain_proxy_lags_and_boasts() {
    let (evm, token) = three_transfers().await;
    let head = evm.head().await;
    let proxy = RpcProxy::to(evm.url()).await;
    let says = async || quantity(&ask(proxy.url(), "eth_blockNumber", json!([])).await.unwrap());
    let sees = async || logs(proxy.url(), token, 0, head).await.unwrap().len();
    assert_eq!((says().await, sees().await), (head, 3));

    proxy.behaves(Behaviour {
        lag: 2,
        ..Behaviour::default()
    });
    assert_eq!((says().await, sees().await), (head - 2, 1));
    let newest = json!([hexadecimal(head), false]);
    let block = ask(proxy.url(), "eth_getBlockByNumber", newest.clone()).await;
    assert_eq!(block, Ok(Value::Null));
    let hash = &evm.block(head).await["hash"];
    let block = ask(proxy.url(), "eth_getBlockByHash", json!([hash, false])).await;
    assert_eq!(block, Ok(Value::Null));
    let call = json!({ "to": token.to_string(), "data": abi::encode("totalSupply()", &json!([])) });
    let supply = ask(proxy.url(), "eth_call", json!([call, "latest"]))
        .await
        .unwrap();
    assert_eq!(quantity(&supply), 1);
    ask(proxy.url(), "eth_call", json!([call, newest[0]]))
        .await
        .expect_err("it has not got that block");

    proxy.behaves(Behaviour {
        lag: 2,
        boast: 5,
        ..Behaviour::default()
    });
    assert_eq!((says().await, sees().await), (head + 3, 1));
    let block = ask(proxy.url(), "eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(quantity(&block.unwrap()["number"]), head + 3);
    let block = ask(proxy.url(), "eth_getBlockByNumber", newest).await;
    assert_eq!(block, Ok(Value::Null));
}

#[tokio::test]
async fn chain_proxy_refuses_what_is_too_much() {
    let (evm, token) = three_transfers().await;
    let head = evm.head().await;
    let proxy = RpcProxy::to(evm.url()).await;
    proxy.behaves(Behaviour {
        most_blocks: Some((3, (-32602, "block range too large"))),
        most_logs: Some((2, (-32005, "query returned more than 2 results"))),
        ..Behaviour::default()
    });
    let ask_from = async |from| logs(proxy.url(), token, from, head).await;
    assert_eq!(ask_from(head - 3).await.unwrap_err()["code"], -32602);
    assert_eq!(ask_from(head - 2).await.unwrap_err()["code"], -32005);
    assert_eq!(ask_from(head - 1).await.unwrap().len(), 2);

    proxy.behaves(Behaviour {
        most_at_once: Some((2, (-32600, "batch too large"))),
        ..Behaviour::default()
    });
    let batch = |count: u64| -> Value {
        let request = |id| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_chainId", "params": [] });
        (0..count).map(request).collect()
    };
    let post = async |batch| http().post(proxy.url()).json(&batch).send().await.unwrap();
    let refused: Value = post(batch(3)).await.json().await.unwrap();
    assert_eq!(refused["error"]["code"], -32600);
    let answered: Vec<Value> = post(batch(2)).await.json().await.unwrap();
    assert_eq!([&answered[0]["id"], &answered[1]["id"]], [1, 0]);
    assert_eq!(proxy.asked("eth_chainId").len(), 5);
    assert_eq!(proxy.asked("eth_getLogs").len(), 3);
    assert_eq!((proxy.requests(), proxy.http_requests()), (8, 5));

    proxy.too_many(1);
    let early = post(batch(1)).await;
    assert_eq!(
        (early.status().as_u16(), &early.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    assert_eq!(post(batch(1)).await.status(), 200);
    proxy.behaves(Behaviour {
        is_down: true,
        ..Behaviour::default()
    });
    assert_eq!(post(batch(1)).await.status(), 503);
    proxy.behaves(Behaviour {
        is_silent: true,
        ..Behaviour::default()
    });
    let waited = tokio::time::timeout(Duration::from_millis(200), post(batch(1))).await;
    assert!(waited.is_err(), "it answers");
}

#[tokio::test]
async fn chain_proxy_hides_and_forks() {
    let (evm, token) = three_transfers().await;
    let head = evm.head().await;
    let proxy = RpcProxy::to(evm.url()).await;
    proxy.behaves(Behaviour {
        hides_logs: true,
        ..Behaviour::default()
    });
    assert_eq!(logs(proxy.url(), token, 0, head).await, Ok(Vec::new()));

    proxy.behaves(Behaviour {
        fork: Some(head - 1),
        ..Behaviour::default()
    });
    let block = async |number: u64| {
        let name = hexadecimal(number);
        ask(proxy.url(), "eth_getBlockByNumber", json!([name, false]))
            .await
            .unwrap()
    };
    assert_eq!(block(head - 2).await, evm.block(head - 2).await);
    let (forked, newest) = (block(head - 1).await, block(head).await);
    assert_ne!(forked["hash"], evm.block(head - 1).await["hash"]);
    assert_eq!(forked["parentHash"], evm.block(head - 2).await["hash"]);
    assert_eq!(newest["parentHash"], forked["hash"]);
    let logs = logs(proxy.url(), token, head, head).await.unwrap();
    assert_eq!(logs[0]["blockHash"], newest["hash"]);
    // It knows the blocks by the hashes that it told.
    let same = ask(proxy.url(), "eth_getBlockByHash", json!([newest["hash"], false])).await;
    assert_eq!(same, Ok(newest));
}
