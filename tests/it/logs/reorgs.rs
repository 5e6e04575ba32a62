use serde_json::json;

use super::{MINT, TRANSFER, complaint, complaints, fired, house, mint, paid, read_to};
use crate::harness::{
    chain::Evm,
    people::{address, person},
};

#[tokio::test]
async fn a_log_that_leaves_the_chain_before_it_counts_is_not_told_and_where_it_moved_it_is() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    let house = house(&paid("paid", token, ""), &[evm.url()], 3);
    evm.mine(5).await;
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    read_to(&house, 1, 1).await;
    mint(&evm, token, "alice", 1).await;
    mint(&evm, token, "alice", 2).await;
    evm.mine(1).await;
    let head = evm.head().await;
    read_to(&house, 1, head - 3).await;
    // Both are gone; one of them comes again.
    evm.reorg(3).await;
    mint(&evm, token, "alice", 2).await;
    evm.mine(3).await;
    alice.reads(herald.address(), &["2"]).await;
    read_to(&house, 1, evm.head().await - 3).await;
    assert_eq!(house.occurrences(), 1);
    assert_eq!(complaints(&herald), Vec::<String>::new());
}

#[tokio::test]
async fn a_chain_that_takes_back_what_was_told_is_told_and_read_anew() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    let by_tx = paid("by-tx", token, "").replace("    to:", "    key: tx\n    to:");
    let rules = [paid("paid", token, ""), by_tx].concat();
    let house = house(&rules, &[evm.url()], 0);
    evm.mine(5).await;
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    read_to(&house, 2, evm.head().await).await;
    let before = mint(&evm, token, "alice", 7).await;
    alice.reads(bot, &["7", "7"]).await;
    let block = evm.block(evm.head().await).await;
    evm.reorg(1).await;
    let reason = complaint(&herald, "left chain `local`").await;
    assert!(
        reason.contains(block["hash"].as_str().unwrap()) && reason.contains("(1)"),
        "{reason}"
    );
    // The same transaction in another block is another occurrence, unless the rule says that it is not.
    let after = mint(&evm, token, "alice", 7).await;
    assert_eq!(before["transactionHash"], after["transactionHash"]);
    alice.reads(bot, &["7", "7", "7"]).await;
    mint(&evm, token, "alice", 8).await;
    fired(&house, 5).await;
    alice.reads(bot, &["7", "7", "7", "8", "8"]).await;
    assert_eq!(
        complaints(&herald).len(),
        2,
        "one of each rule: {herald:?}",
        herald = complaints(&herald)
    );
}

#[tokio::test]
async fn a_chain_that_takes_back_many_blocks_while_herald_is_down_is_read_from_where_it_parted() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    let house = house(&paid("paid", token, ""), &[evm.url()], 0);
    let mut herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    read_to(&house, 1, evm.head().await).await;
    mint(&evm, token, "alice", 1).await;
    alice.reads(bot, &["1"]).await;
    evm.mine(10).await;
    mint(&evm, token, "alice", 2).await;
    alice.reads(bot, &["1", "2"]).await;
    herald.kill();
    evm.reorg(8).await;
    let arguments = json!([address("alice").to_string(), 3]);
    evm.send(token, MINT, arguments).await;
    // The new chain is as high as the old one, so that nothing but the blocks tells them apart.
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    alice.reads(bot, &["1", "2", "3"]).await;
    let told = complaints(&herald);
    assert_eq!(told.len(), 1, "{told:?} of {TRANSFER}");
    assert!(told[0].contains("left chain `local`"), "{told:?}");
}
