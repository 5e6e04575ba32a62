//! Ledgers: balances go on, and back, and never out of bounds.

use num_bigint::{BigInt, BigUint};

use super::*;

fn key(ends: Option<u64>) -> LedgerKey {
    LedgerKey {
        chain: 1,
        token: wallet(99),
        item: None,
        ends,
    }
}

/// An entry up to a block that may go, with what the wallets of these numbers gain or lose.
fn entry(number: u64, changes: &[(u8, i64)]) -> LedgerEntry {
    let changes = changes.iter();
    LedgerEntry {
        block: LedgerBlock {
            number,
            hash: [u8::try_from(number % 251).unwrap(); 32],
        },
        standard: Some(20),
        changes: changes
            .map(|(number, change)| (wallet(*number), BigInt::from(*change)))
            .collect(),
        may_go: true,
    }
}

/// What the wallets of a ledger hold, by their numbers.
async fn balances(store: &Store, ledger: i64) -> Vec<(u8, u64)> {
    let holders = store.holders(ledger, BigUint::from(1_u8), (None, 100)).await;
    let holders = holders.unwrap().into_iter();
    holders
        .map(|(wallet, balance)| (wallet.as_bytes()[0], u64::try_from(balance).unwrap()))
        .collect()
}

fn numbers(ledger: &Ledger) -> Vec<u64> {
    ledger.blocks.iter().map(|block| block.number).collect()
}

#[tokio::test]
async fn a_ledger_goes_back_to_any_block_that_is_kept() {
    let Opened { store, _folder } = open();
    let ledger = store.ledger(key(None), at(0)).await.unwrap();
    assert_eq!((ledger.standard, numbers(&ledger)), (None, vec![]));
    let row = ledger.row;
    for entry in [
        entry(10, &[(1, 5), (2, 7)]),
        entry(11, &[(1, -5), (3, 5)]),
        entry(15, &[(1, 1), (2, -7), (3, 2)]),
    ] {
        store.enter(row, entry).await.unwrap().unwrap();
    }
    assert_eq!(balances(&store, row).await, [(1, 1), (3, 7)]);
    store.rewind_ledger(row, 11).await.unwrap();
    assert_eq!(balances(&store, row).await, [(2, 7), (3, 5)]);
    store.enter(row, entry(12, &[(2, -1)])).await.unwrap().unwrap();
    store.rewind_ledger(row, 10).await.unwrap();
    assert_eq!(balances(&store, row).await, [(1, 5), (2, 7)]);
    let ledger = store.ledger(key(None), at(0)).await.unwrap();
    assert_eq!(
        (ledger.row, ledger.standard, numbers(&ledger)),
        (row, Some(20), vec![10])
    );

    // What is far behind is forgotten but for one block, to which it goes back.
    store.enter(row, entry(11, &[(1, -5)])).await.unwrap().unwrap();
    for number in [12, 300, 600] {
        store.enter(row, entry(number, &[(4, 1)])).await.unwrap().unwrap();
    }
    let ledger = store.ledger(key(None), at(0)).await.unwrap();
    assert_eq!(numbers(&ledger), [600, 300]);
    store.rewind_ledger(row, 300).await.unwrap();
    assert_eq!(balances(&store, row).await, [(2, 7), (4, 2)]);
    let far = LedgerEntry {
        may_go: false,
        ..entry(900, &[(4, 1)])
    };
    store.enter(row, far).await.unwrap().unwrap();
    assert_eq!(numbers(&store.ledger(key(None), at(0)).await.unwrap()), [900]);
}

#[tokio::test]
async fn an_entry_with_a_balance_out_of_bounds_changes_nothing() {
    let Opened { store, _folder } = open();
    let row = store.ledger(key(None), at(0)).await.unwrap().row;
    store
        .enter(row, entry(1, &[(1, 5), (2, 1)]))
        .await
        .unwrap()
        .unwrap();
    let out = store.enter(row, entry(2, &[(1, 1), (2, -2)])).await.unwrap();
    let negative = OutOfBounds {
        wallet: wallet(2),
        is_negative: true,
    };
    assert_eq!(out, Err(negative));
    let mut huge = entry(2, &[]);
    huge.changes.insert(wallet(1), (BigInt::from(1) << 256) - 6);
    store.enter(row, huge.clone()).await.unwrap().unwrap();
    store.rewind_ledger(row, 1).await.unwrap();
    huge.changes.insert(wallet(1), (BigInt::from(1) << 256) - 5);
    let out = store.enter(row, huge).await.unwrap();
    let large = OutOfBounds {
        wallet: wallet(1),
        is_negative: false,
    };
    assert_eq!(out, Err(large));
    assert_eq!(balances(&store, row).await, [(1, 5), (2, 1)]);
    assert_eq!(numbers(&store.ledger(key(None), at(0)).await.unwrap()), [1]);
}

#[tokio::test]
async fn holders_are_paged_by_wallet_and_compared_as_numbers() {
    let Opened { store, _folder } = open();
    let row = store.ledger(key(Some(7)), at(0)).await.unwrap().row;
    let held: Vec<(u8, i64)> = (1..=9).map(|number| (number, i64::from(number) * 200)).collect();
    store.enter(row, entry(7, &held)).await.unwrap().unwrap();
    let page = |after: Option<Address>| store.holders(row, BigUint::from(600_u16), (after, 3));
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let found = page(after).await.unwrap();
        let Some((last, _)) = found.last() else { break };
        after = Some(*last);
        paged.extend(found.iter().map(|(wallet, _)| wallet.as_bytes()[0]));
    }
    assert_eq!(paged, [3, 4, 5, 6, 7, 8, 9]);
    let nobody = store.holders(row, BigUint::from(1_u8) << 256, (None, 9)).await;
    assert_eq!(nobody.unwrap(), []);
}

#[tokio::test]
async fn ledgers_that_are_given_up_or_unused_are_taken_apart() {
    let Opened { store, _folder } = open();
    let old = store.ledger(key(None), at(0)).await.unwrap().row;
    let new = store.ledger(key(Some(5)), at(100)).await.unwrap().row;
    for row in [old, new] {
        store.enter(row, entry(5, &[(1, 1)])).await.unwrap().unwrap();
    }
    while store.tidy_ledgers(at(50)).await.unwrap() {}
    assert_eq!(balances(&store, old).await, []);
    assert_eq!(balances(&store, new).await, [(1, 1)]);
    store.retire_ledger(new).await.unwrap();
    let again = store.ledger(key(Some(5)), at(100)).await.unwrap();
    assert!(again.row != new && again.blocks.is_empty());
    while store.tidy_ledgers(at(50)).await.unwrap() {}
    assert_eq!(balances(&store, new).await, []);
}
