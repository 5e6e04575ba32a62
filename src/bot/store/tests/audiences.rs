//! Audiences on their way into rows.

use super::*;

#[tokio::test]
async fn runs_merge_into_every_wallet_once_in_order_from_any_wallet_on() {
    let opened = open();
    let store = &opened.store;
    let row = recorded(store, occurrence("o", "o")).await;
    // What is wanted: by wallet and branch the variables of the first run.
    let mut wanted: std::collections::BTreeMap<Address, std::collections::BTreeMap<u8, Option<String>>> =
        std::collections::BTreeMap::new();
    let mut state = 7;
    for run in 0..9_u32 {
        let mut rows = std::collections::BTreeMap::new();
        for _ in 0..700 {
            let number = u8::try_from(next_number(&mut state) % 200).unwrap();
            let branch = u8::try_from(next_number(&mut state) % 3).unwrap();
            rows.insert((wallet(number), branch), Some(format!("{{\"run\":{run}}}")));
        }
        for ((wallet, branch), vars) in &rows {
            let known = wanted.entry(*wallet).or_default();
            known.entry(*branch).or_insert_with(|| vars.clone());
        }
        let rows = rows
            .into_iter()
            .map(|((wallet, branch), vars)| StagedRow { wallet, branch, vars });
        store.stage(row, run, rows.collect(), Vec::new()).await.unwrap();
    }
    let wanted: Vec<Named> = wanted
        .into_iter()
        .map(|(wallet, branches)| Named {
            wallet,
            branches: branches.into_iter().collect(),
        })
        .collect();
    for after in [
        None,
        Some(wallet(0)),
        Some(wallet(77)),
        Some(wallet(199)),
        Some(wallet(250)),
    ] {
        let (mut merge, mut found) = (Merge::new(row, 9, after), Vec::new());
        loop {
            let (rest, named) = store.merge(merge, 33).await.unwrap();
            merge = rest;
            if named.is_empty() {
                break;
            }
            found.extend(named);
        }
        let rest = wanted.iter().filter(|named| Some(named.wallet) > after).cloned();
        assert_eq!(found, rest.collect::<Vec<_>>(), "after {after:?}");
    }
    for left in (0..9).rev() {
        assert_eq!(store.drop_run(row).await.unwrap(), left);
    }
    let (_, named) = store.merge(Merge::new(row, 9, None), 33).await.unwrap();
    assert!(named.is_empty(), "nothing is left of dropped runs");
}

#[tokio::test]
async fn an_audience_that_waits_holds_up_no_other_and_is_planned_when_it_is_due() {
    let opened = open();
    let store = &opened.store;
    for id in ["first", "second"] {
        store.record(occurrence(id, id)).await.unwrap();
    }
    let next = |second, busy: BTreeSet<i64>| store.next_to_plan("b", at(second), busy);
    let first = next(0, BTreeSet::new()).await.unwrap().unwrap();
    assert_eq!((first.id.as_str(), first.tries), ("first", 0));
    let second = next(0, BTreeSet::from([first.row])).await.unwrap().unwrap();
    assert_eq!(second.id, "second");
    store
        .postpone(first.row, at(5), "no answer".to_owned())
        .await
        .unwrap();
    assert_eq!(next(4, BTreeSet::new()).await.unwrap().unwrap().id, "second");
    assert_eq!(store.next_plan_due("b", at(4)).await.unwrap(), Some(at(5)));
    let again = next(5, BTreeSet::new()).await.unwrap().unwrap();
    assert_eq!((again.id.as_str(), again.tries), ("first", 1));
}
