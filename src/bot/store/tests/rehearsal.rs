//! Stores for trying out what a rule would do.

use super::*;

#[tokio::test]
async fn a_rehearsal_knows_what_was_sealed_lately_and_changes_nothing_of_the_store() {
    let Opened { store, _folder } = open();
    for id in ["o1", "o2"] {
        store.record(occurrence(id, id)).await.unwrap();
    }
    let rows = [("early", 1), ("late", 2)].map(|(key, occurrence)| NewDelivery {
        occurrence: Some(occurrence),
        ..answer(key, 1)
    });
    add(&store, rows.to_vec()).await;
    let seals = [(1, 10), (2, 100)].map(|(row, second)| (row, sealed(second), at(86_400)));
    store.seal(seals.to_vec()).await.unwrap();
    let copy = store.rehearse("b", Vec::new(), at(50)).await.unwrap();
    let keys = async |store: &Store, occurrence| {
        let rows = store.rows_of(occurrence, None, (0, 9)).await.unwrap();
        rows.into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(&copy, 1).await, [""; 0]);
    assert_eq!(keys(&copy, 2).await, ["late"]);
    // Both are being planned in the store, and neither is in the copy.
    let next = async |store: &Store| store.next_to_plan("b", at(200), BTreeSet::new()).await.unwrap();
    assert!(next(&store).await.is_some() && next(&copy).await.is_none());
    copy.record(occurrence("o3", "o3")).await.unwrap();
    assert_eq!(
        next(&copy).await.unwrap().row,
        copy.last_occurrence().await.unwrap()
    );
    assert!(copy.has_fired("b", "r", "o3").await.unwrap());
    assert!(!store.has_fired("b", "r", "o3").await.unwrap());
}
