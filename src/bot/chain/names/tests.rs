use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_known_stands_for_five_minutes_and_does_not_grow() {
    let kept = Kept::default();
    kept.put(0, "zero");
    tokio::time::advance(FRESH.checked_sub(Duration::from_secs(1)).unwrap()).await;
    kept.put(1, "one");
    assert_eq!(kept.get(&0), Some("zero"));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!((kept.get(&0), kept.get(&1)), (None, Some("one")));
    for number in 2..KEPT + 10 {
        kept.put(number, "another");
    }
    let count = kept.0.lock().unwrap().len();
    assert!(count <= KEPT, "{count}");
}

#[tokio::test]
async fn without_a_chain_nothing_is_known_and_nothing_is_lost() {
    let (chains, fetch) = (Chains::default(), Fetch::builder().closed().build().unwrap());
    assert!(!chains.has_names());
    let names = ["alice.eth", "ana.lens"].map(|name| WalletName::read(name).unwrap());
    let found = chains.wallets(&fetch, &names).await;
    let [Err(NameError::Away(ens)), Err(NameError::Away(lens))] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(ens.starts_with("chain `ethereum` has no node: add "), "{ens}");
    assert!(lens.starts_with("chain `polygon` has no node: add "), "{lens}");
}
