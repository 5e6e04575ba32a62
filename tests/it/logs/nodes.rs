use std::time::Duration;

use super::{complaint, complaints, fired, house, mint, paid, read_to, reads};
use crate::harness::{
    chain::Evm,
    house::{Herald, House},
    people::{Person, person},
    rpc_proxy::{Behaviour, RpcProxy},
};
use herald_protocol::address::Address;

/// A chain with a token, and two nodes of it that the bot asks.
struct Pair {
    evm: Evm,
    token: Address,
    first: RpcProxy,
    second: RpcProxy,
    house: House,
}

/// A bot that tells transfers once so many blocks stand on them.
async fn pair(confirmations: u64) -> Pair {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    evm.mine(5).await;
    let first = RpcProxy::to(evm.url()).await;
    let second = RpcProxy::to(evm.url()).await;
    let rules = paid("paid", token, "");
    let house = house(&rules, &[first.url(), second.url()], confirmations);
    Pair {
        evm,
        token,
        first,
        second,
        house,
    }
}

const DOWN: Behaviour = Behaviour {
    is_down: true,
    ..HONEST
};
const HONEST: Behaviour = Behaviour {
    lag: 0,
    boast: 0,
    most_blocks: None,
    most_logs: None,
    most_at_once: None,
    hides_logs: false,
    fork: None,
    is_down: false,
    is_silent: false,
};

/// The bot, once it has read all that is there, and a reader.
async fn begun(house: &House, evm: &Evm) -> (Herald, Person) {
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    read_to(house, 1, evm.head().await).await;
    (herald, alice)
}

#[tokio::test]
async fn ranges_that_a_node_refuses_are_read_in_parts() {
    let limits = [
        Behaviour {
            most_blocks: Some((50, (-32_602, "block range too large"))),
            ..HONEST
        },
        Behaviour {
            most_blocks: Some((1, (-32_005, "limit exceeded"))),
            ..HONEST
        },
        Behaviour {
            most_logs: Some((3, (-32_005, "query returned more than 3 results"))),
            most_at_once: Some((2, (-32_600, "batch too large"))),
            ..HONEST
        },
    ];
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    for amount in 0..20 {
        mint(&evm, token, "alice", amount).await;
        evm.mine(10).await;
    }
    let check = async |limit| {
        let proxy = RpcProxy::to(evm.url()).await;
        proxy.behaves(limit);
        let house = house(&paid("paid", token, ", start: 0"), &[proxy.url()], 0);
        let herald = house.start().await;
        read_to(&house, 1, 220).await;
        fired(&house, 20).await;
        assert_eq!(complaints(&herald), Vec::<String>::new());
    };
    futures::future::join_all(limits.map(check)).await;
}

#[tokio::test]
async fn a_node_that_wants_to_be_left_alone_is_left_alone_so_long() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    let proxy = RpcProxy::to(evm.url()).await;
    let house = house(&paid("paid", token, ""), &[proxy.url()], 0);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    read_to(&house, 1, 1).await;
    proxy.too_many(3);
    mint(&evm, token, "alice", 1).await;
    let before = proxy.http_requests();
    tokio::time::sleep(Duration::from_secs(2)).await;
    // One a second, and what is between two of them is not asked.
    let asked = proxy.http_requests() - before;
    assert!(asked <= 4, "{asked} requests");
    alice.reads(herald.address(), &["1"]).await;
    let told = complaints(&herald);
    assert!(told.len() <= 1, "{told:?}");
}

#[tokio::test]
async fn nothing_is_told_that_only_one_of_two_nodes_has() {
    let Pair {
        evm,
        token,
        first: _first,
        second,
        house,
    } = pair(0).await;
    let (herald, alice) = begun(&house, &evm).await;
    second.behaves(Behaviour { lag: 2, ..HONEST });
    for amount in 1..=3 {
        mint(&evm, token, "alice", amount).await;
    }
    alice.reads(herald.address(), &["1"]).await;
    read_to(&house, 1, evm.head().await - 2).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(house.occurrences(), 1, "{:?}", complaints(&herald));
    second.behaves(HONEST);
    reads(&alice, herald.address(), &["1", "2", "3"].map(str::to_owned)).await;
    assert_eq!(complaints(&herald), Vec::<String>::new());
}

#[tokio::test]
async fn a_height_that_a_node_only_claims_confirms_nothing() {
    let Pair {
        evm,
        token,
        first,
        second,
        house,
    } = pair(2).await;
    let boast = Behaviour { boast: 5, ..HONEST };
    first.behaves(boast.clone());
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    read_to(&house, 1, evm.head().await - 2).await;
    mint(&evm, token, "alice", 1).await;
    evm.mine(1).await;
    read_to(&house, 1, evm.head().await - 2).await;
    // Also when both boast, or the boaster is alone: the block that would confirm it is not there.
    second.behaves(boast);
    tokio::time::sleep(Duration::from_secs(3)).await;
    second.behaves(DOWN);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(house.occurrences(), 0);
    first.behaves(HONEST);
    second.behaves(HONEST);
    evm.mine(1).await;
    alice.reads(herald.address(), &["1"]).await;
}

#[tokio::test]
async fn nodes_of_different_chains_hold_reading_up_until_they_are_of_one() {
    let Pair {
        evm,
        token,
        first,
        second,
        house,
    } = pair(0).await;
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let head = evm.head().await;
    read_to(&house, 1, head).await;
    second.behaves(Behaviour {
        fork: Some(head + 1),
        ..HONEST
    });
    mint(&evm, token, "alice", 1).await;
    let reason = complaint(&herald, "different blocks").await;
    let wanted = format!("different blocks {}", head + 1);
    assert!(
        reason.contains(&wanted) && reason.contains(first.url()) && reason.contains(second.url()),
        "{reason}"
    );
    evm.mine(3).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(house.occurrences(), 0);
    assert_eq!(complaints(&herald).len(), 1, "{:?}", complaints(&herald));
    second.behaves(HONEST);
    alice.reads(herald.address(), &["1"]).await;
}

#[tokio::test]
async fn a_node_that_hides_logs_is_found_out_by_the_other_and_nothing_is_lost() {
    for hidden in [true, false] {
        let Pair {
            evm,
            token,
            first,
            second,
            house,
        } = pair(0).await;
        let herald = house.start().await;
        let alice = person("alice", herald.node()).await;
        let head = evm.head().await;
        read_to(&house, 1, head).await;
        let liar = if hidden { &first } else { &second };
        liar.behaves(Behaviour {
            hides_logs: true,
            ..HONEST
        });
        mint(&evm, token, "alice", 1).await;
        let reason = complaint(&herald, "differ in").await;
        let wanted = format!("the logs of blocks {0} to {0}", head + 1);
        assert!(
            reason.contains(&wanted) && reason.contains(first.url()) && reason.contains(second.url()),
            "{reason}"
        );
        mint(&evm, token, "alice", 2).await;
        liar.behaves(HONEST);
        reads(&alice, herald.address(), &["1", "2"].map(str::to_owned)).await;
        assert_eq!(complaints(&herald).len(), 1, "{:?}", complaints(&herald));
    }
}

#[tokio::test]
async fn of_three_nodes_one_that_lies_is_outvoted() {
    let lies = [
        Behaviour {
            hides_logs: true,
            ..HONEST
        },
        Behaviour {
            fork: Some(3),
            ..HONEST
        },
        Behaviour { boast: 100, ..HONEST },
    ];
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    evm.mine(5).await;
    let liar = RpcProxy::to(evm.url()).await;
    let honest = [RpcProxy::to(evm.url()).await, RpcProxy::to(evm.url()).await];
    let nodes = [liar.url(), honest[0].url(), honest[1].url()];
    let house = house(&paid("paid", token, ""), &nodes, 0);
    let (herald, alice) = begun(&house, &evm).await;
    for (amount, lie) in lies.into_iter().enumerate() {
        liar.behaves(lie);
        mint(&evm, token, "alice", u64::try_from(amount).unwrap()).await;
        let texts: Vec<String> = (0..=amount).map(|amount| amount.to_string()).collect();
        reads(&alice, herald.address(), &texts).await;
    }
    assert_eq!(complaints(&herald), Vec::<String>::new());
}

#[tokio::test]
async fn a_node_that_is_away_or_silent_is_told_once_and_the_other_is_enough() {
    let Pair {
        evm,
        token,
        first,
        second,
        house,
    } = pair(0).await;
    let (herald, alice) = begun(&house, &evm).await;
    first.behaves(DOWN);
    mint(&evm, token, "alice", 1).await;
    alice.reads(herald.address(), &["1"]).await;
    let reason = complaint(&herald, "the others are asked").await;
    let wanted = format!(
        "chain `local`: no answer from {}: status 503; the others are asked",
        first.url()
    );
    assert_eq!(reason, wanted);
    first.behaves(HONEST);
    second.behaves(Behaviour {
        is_silent: true,
        ..HONEST
    });
    mint(&evm, token, "alice", 2).await;
    mint(&evm, token, "alice", 3).await;
    reads(&alice, herald.address(), &["1", "2", "3"].map(str::to_owned)).await;
    let reason = complaint(&herald, second.url()).await;
    assert!(reason.contains("it took more than"), "{reason}");
    assert_eq!(complaints(&herald).len(), 2, "{:?}", complaints(&herald));
}

#[tokio::test]
async fn a_node_that_refuses_logs_is_left_out_of_them() {
    let Pair {
        evm,
        token,
        first,
        second: _second,
        house,
    } = pair(0).await;
    let (herald, alice) = begun(&house, &evm).await;
    first.behaves(Behaviour {
        most_blocks: Some((0, (-32_601, "no such method"))),
        ..HONEST
    });
    for amount in 1..=3 {
        mint(&evm, token, "alice", amount).await;
    }
    reads(&alice, herald.address(), &["1", "2", "3"].map(str::to_owned)).await;
    let reason = complaint(&herald, "the others are asked").await;
    assert!(reason.contains("no such method"), "{reason}");
    assert_eq!(complaints(&herald).len(), 1, "{:?}", complaints(&herald));
}

#[tokio::test]
async fn the_only_node_that_goes_and_comes_back_is_told_once_and_nothing_is_lost() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    let proxy = RpcProxy::to(evm.url()).await;
    let rules = [paid("one", token, ""), paid("two", token, "")].concat();
    let house = house(&rules, &[proxy.url()], 0);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    read_to(&house, 2, 1).await;
    proxy.behaves(DOWN);
    for amount in 1..=3 {
        mint(&evm, token, "alice", amount).await;
    }
    let reason = complaint(&herald, proxy.url()).await;
    assert_eq!(
        reason,
        format!("chain `local`: no answer from {}: status 503", proxy.url())
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    proxy.behaves(HONEST);
    let texts = ["1", "2", "3", "1", "2", "3"].map(str::to_owned);
    reads(&alice, herald.address(), &texts).await;
    assert_eq!(complaints(&herald).len(), 1, "{:?}", complaints(&herald));
}

#[tokio::test]
async fn a_node_of_another_chain_is_not_read() {
    let evm = Evm::start_with(&["--chain-id", "137"]).await;
    let token = evm.deploy("Token").await;
    let house = house(&paid("paid", token, ", start: 0"), &[evm.url()], 0);
    mint(&evm, token, "alice", 1).await;
    let herald = house.start().await;
    let reason = complaint(&herald, evm.url()).await;
    let wanted = format!(
        "chain `local`: {} answers with chain id 137, wanted 31337",
        evm.url()
    );
    assert_eq!(reason, wanted);
    assert_eq!(house.occurrences(), 0);
}
