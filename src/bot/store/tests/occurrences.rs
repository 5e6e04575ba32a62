//! Triggers that fired.

use super::*;

#[tokio::test]
async fn an_occurrence_is_recorded_once_by_its_id_and_once_by_its_key() {
    let opened = open();
    let store = &opened.store;
    assert_eq!(store.record(occurrence("one", "k")).await.unwrap(), Planned::New);
    for repeated in [occurrence("one", "other"), occurrence("two", "k")] {
        let planned = store.record(repeated).await.unwrap();
        assert_eq!(
            planned,
            Planned::Repeated {
                id: "one".to_owned(),
                answer: None
            },
            "a repeat answers with the first one's id"
        );
    }
    let first = store
        .next_to_plan("b", at(0), BTreeSet::new())
        .await
        .unwrap()
        .unwrap();
    store.plan(first.row, chunk(Vec::new())).await.unwrap();
    assert!(
        store
            .next_to_plan("b", at(0), BTreeSet::new())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn an_instant_fires_with_its_occurrence_or_not_at_all() {
    let opened = open();
    let store = &opened.store;
    let key = ScheduleKey {
        bot: "b".to_owned(),
        rule: "r".to_owned(),
        trigger: "every 1s".to_owned(),
    };
    let first = store.schedule(key.clone(), at(0)).await.unwrap();
    assert_eq!((first.first, first.fired), (at(0), None));
    let fired = store
        .fire(key.clone(), at(3), Some(occurrence("tick", "tick")))
        .await
        .unwrap();
    assert_eq!(fired, Some(Planned::New));
    store.fire(key.clone(), at(2), None).await.unwrap();
    let later = store.schedule(key, at(60)).await.unwrap();
    assert_eq!(
        (later.first, later.fired),
        (at(0), Some(at(3))),
        "time does not go back"
    );
    assert!(at(3) - at(0) == TimeDelta::seconds(3));
}
