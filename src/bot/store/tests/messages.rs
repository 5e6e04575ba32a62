//! Messages that were handled, and people who come and go.

use super::*;

#[tokio::test]
async fn a_message_is_handled_once_also_by_another_process_on_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herald.db");
    for expected in [true, false] {
        let store = Store::open(&path).unwrap();
        let from = herald_protocol::time::TimestampNs::from_ns(5);
        let listening = store.listen("b", wallet(1), from).await.unwrap();
        assert_eq!(listening.from, from);
        let sent = herald_protocol::time::TimestampNs::from_ns(70);
        let new = store
            .write(move |transaction| handle(transaction, "b", &[7; 32], (wallet(1), sent), sent))
            .await
            .unwrap();
        assert_eq!(new, expected);
        let later = herald_protocol::time::TimestampNs::from_ns(99);
        let listening = store.listen("b", wallet(1), later).await.unwrap();
        assert_eq!(
            (listening.from, listening.read),
            (from, sent),
            "the first start's time stays"
        );
    }
}

#[tokio::test]
async fn a_message_of_the_future_does_not_move_the_read_mark_past_the_clock() {
    let opened = open();
    let ns = herald_protocol::time::TimestampNs::from_ns;
    opened.store.listen("b", wallet(1), ns(5)).await.unwrap();
    // What was handled, when its sender says that it was sent, when it was handled, and the mark then.
    for (id, sent, now, read) in [(1, 7_000, 70, 70), (2, 80, 90, 80), (3, 60, 95, 80)] {
        let handled = opened
            .store
            .write(move |transaction| handle(transaction, "b", &[id; 32], (wallet(1), ns(sent)), ns(now)));
        assert!(handled.await.unwrap());
        let listening = opened.store.listen("b", wallet(1), ns(99)).await.unwrap();
        assert_eq!(listening.read, ns(read), "after message {id}");
    }
}

#[tokio::test]
async fn a_handled_message_is_remembered_by_when_it_was_handled_however_old_it_says_it_is() {
    let opened = open();
    let store = &opened.store;
    let ns = |ms: u64| herald_protocol::time::TimestampNs::from_ns(ms * 1_000_000);
    for (id, sent, now) in [(1, 10, 20), (2, 10, 70), (3, 7_000, 20)] {
        let handled = store
            .write(move |transaction| handle(transaction, "b", &[id; 32], (wallet(1), ns(sent)), ns(now)));
        assert!(handled.await.unwrap());
    }
    store.forget_handled("b", ns(50)).await.unwrap();
    let known = store.known_messages("b", ns(50), 9).await.unwrap();
    assert_eq!(known, [[3; 32], [2; 32]]);
    assert!(!store.handled("b", [1; 32]).await.unwrap());
}

#[tokio::test]
async fn who_leaves_stays_away_until_he_joins_again_and_keeps_no_old_fields() {
    let opened = open();
    let store = &opened.store;
    let member = |topic: &str| Member {
        wallet: wallet(1),
        fields: serde_json::Map::from_iter([("topic".to_owned(), topic.into())]),
        joined: at(0),
    };
    let steps = store.write(move |transaction| {
        let first = join(transaction, "b", "l", &member("news"))?;
        let again = join(transaction, "b", "l", &member("art"))?;
        let changed = find_member(transaction, "b", "l", wallet(1))?.unwrap().fields["topic"].clone();
        let left = leave(transaction, "b", None, wallet(1), at(1))?;
        let away = standing(transaction, "b", wallet(1))?;
        let back = join(transaction, "b", "l", &member("news"))?;
        let here = standing(transaction, "b", wallet(1))?;
        Ok((first, again, changed, left, away, back, here))
    });
    let (first, again, changed, left, away, back, here) = steps.await.unwrap();
    assert!(first && !again && back);
    assert_eq!((changed, left), ("art".into(), vec!["l".to_owned()]));
    assert!(away.left && away.lists.is_empty());
    assert!(!here.left && here.lists.len() == 1);
}
