//! Rows behind a gate.

use super::*;

#[tokio::test]
async fn a_row_behind_a_gate_is_due_only_when_it_expires_and_nothing_that_was_under_way_lets_it_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("herald.db")).unwrap();
    let paused = NewOccurrence {
        gate: Gate::Approval,
        ..occurrence("o", "o")
    };
    let planned = recorded(&store, paused).await;
    let row = NewDelivery {
        occurrence: Some(planned),
        body: None,
        ..answer("o", 1)
    };
    store.plan(planned, chunk(vec![row])).await.unwrap();
    assert!(
        store
            .due("b", at(1), 10, HashMap::new())
            .await
            .unwrap()
            .is_empty()
    );
    let listed = || {
        store.deliveries(Filter {
            limit: 10,
            ..Filter::default()
        })
    };
    let row = listed().await.unwrap().remove(0);
    assert_eq!(
        (row.state, row.reason.as_deref()),
        (State::Held, Some("it awaits approval"))
    );
    // A worker that had read it before the gate closed holds it or seals it.
    store.hold(vec![wait(row.id, 5)]).await.unwrap();
    assert!(
        store
            .due("b", at(6), 10, HashMap::new())
            .await
            .unwrap()
            .is_empty()
    );
    let late = store.seal(vec![(row.id, sealed(6), row.expires)]).await.unwrap();
    assert!(late.is_empty(), "it would go out: {late:?}");
    let progress = store.progress(planned, None).await.unwrap();
    assert_eq!((progress.planned, progress.held, progress.left), (1, 1, 0));
    // Its time ends all the same.
    let expired = store.due("b", at(65), 10, HashMap::new()).await.unwrap();
    assert_eq!(expired.len(), 1);
    end(&store, vec![(row.id, State::Expired, None)], at(65)).await;
    let progress = store.progress(planned, None).await.unwrap();
    assert_eq!((progress.expired, progress.held), (1, 0));
}

#[tokio::test]
async fn what_is_let_out_is_sealed_and_what_is_cancelled_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("herald.db")).unwrap();
    let gated = NewOccurrence {
        gate: Gate::Approval,
        ..occurrence("o", "o")
    };
    let planned = recorded(&store, gated).await;
    let rows: Vec<NewDelivery> = (1..=3)
        .map(|number| NewDelivery {
            occurrence: Some(planned),
            body: None,
            ..answer("o", number)
        })
        .collect();
    store.plan(planned, chunk(rows)).await.unwrap();
    assert_eq!(store.let_out(planned, 2, at(1)).await.unwrap(), 2);
    let due = store.due("b", at(1), 10, HashMap::new()).await.unwrap();
    assert_eq!(due.len(), 2);
    let first = store
        .seal(vec![(due[0].id, sealed(1), due[0].expires)])
        .await
        .unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(
        store.cancel(planned, 10, at(2)).await.unwrap(),
        2,
        "the sealed one is out"
    );
    let second = store
        .seal(vec![(due[1].id, sealed(2), due[1].expires)])
        .await
        .unwrap();
    assert!(second.is_empty(), "it was cancelled");
    assert_eq!(store.progress(planned, None).await.unwrap().skipped, 2);
}
