//! What is due, in which order, and how often.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::*;

#[tokio::test]
async fn a_wallet_has_one_row_under_way_and_a_held_one_blocks_nobody() {
    let opened = open();
    let store = &opened.store;
    add(store, vec![answer("a1", 1), answer("a2", 1), answer("b1", 2)]).await;
    add(store, vec![answer("a1", 1)]).await;
    assert_eq!(due(store, 1).await, ["a1", "b1"]);
    let first = store.due("b", at(1), 1, HashMap::new()).await.unwrap().remove(0);
    let held = store.hold(vec![wait(first.id, 60)]).await.unwrap();
    assert_eq!(held, [first.id]);
    assert_eq!(
        due(store, 1).await,
        ["a2", "b1"],
        "the held row lets the next one pass"
    );
    let again = store.hold(vec![wait(first.id, 90)]).await.unwrap();
    assert!(again.is_empty(), "the same reason is no news");
    assert_eq!(
        due(store, 91).await,
        ["b1", "a1"],
        "when both are due, the wallet's older row is under way"
    );
    assert_eq!(store.next_due("b", at(1)).await.unwrap(), Some(at(90)));
}

/// The steps that SQLite takes to find ten rows that are due, of so many, the first of which are under way.
async fn steps(rows: u32, under_way: u32) -> u64 {
    let opened = open();
    let rows = (0..rows).map(|number| NewDelivery {
        wallet: {
            let mut bytes = [0; 20];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            Address::from_bytes(bytes)
        },
        ..answer(&number.to_string(), 0)
    });
    add(&opened.store, rows.collect()).await;
    let first = opened
        .store
        .due("b", at(1), under_way, HashMap::new())
        .await
        .unwrap();
    let under_way = first.iter().map(|row| (row.id, row.wallet)).collect();
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let count = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        false
    };
    let readers = opened.store.readers.as_ref().unwrap();
    let set = readers.read(move |connection| connection.progress_handler(1, Some(count)));
    set.await.unwrap().unwrap();
    let due = opened.store.due("b", at(1), 10, under_way).await.unwrap();
    assert_eq!(due.len(), 10);
    steps.load(Ordering::Relaxed)
}

#[tokio::test]
async fn finding_what_is_due_costs_the_same_however_much_is_due() {
    let (few, many) = (steps(100, 0).await, steps(5_000, 0).await);
    assert!(many < 2 * few, "{few} steps of 100 rows, {many} of 5,000");
    let beside = steps(5_000, 1_000).await.saturating_sub(many) / 1_000;
    assert!(beside <= STEPS_BESIDE, "{beside} steps for each row under way");
}

/// Enough to pass over a row without looking at what else its wallet has.
const STEPS_BESIDE: u64 = 50;

#[tokio::test]
async fn what_is_under_way_is_not_due_and_keeps_back_its_wallet_and_nobody_else() {
    let opened = open();
    let store = &opened.store;
    let rows = [("a1", 1), ("b1", 2), ("c1", 3), ("a2", 1)];
    add(store, rows.map(|(key, number)| answer(key, number)).into()).await;
    let mut under_way = HashMap::new();
    for row in store.due("b", at(1), 2, HashMap::new()).await.unwrap() {
        under_way.insert(row.id, row.wallet);
        store.seal(vec![(row.id, sealed(1), row.expires)]).await.unwrap();
    }
    // Nor does a more urgent one overtake what is under way.
    let mut urgent = answer("b2", 2);
    urgent.priority = Priority::Urgent;
    add(store, vec![urgent]).await;
    let rows = store.due("b", at(1), 2, under_way).await.unwrap();
    let keys: Vec<_> = rows.into_iter().map(|row| row.key).collect();
    assert_eq!(keys, ["c1"]);
}

#[tokio::test]
async fn sealed_bytes_that_are_read_at_once_are_bounded() {
    let opened = open();
    let store = &opened.store;
    add(store, (1..=6).map(|number| answer("a", number)).collect()).await;
    for row in store.due("b", at(1), 6, HashMap::new()).await.unwrap() {
        let sealed = Sealed {
            request: vec![1; 12 * 1024 * 1024].into(),
            ..sealed(1)
        };
        store.seal(vec![(row.id, sealed, row.expires)]).await.unwrap();
    }
    assert_eq!(store.due("b", at(1), 6, HashMap::new()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_row_that_waits_for_its_next_try_holds_back_later_ones_of_its_wallet() {
    let opened = open();
    let store = &opened.store;
    add(store, vec![answer("a1", 1), answer("a2", 1)]).await;
    let first = store.due("b", at(1), 1, HashMap::new()).await.unwrap().remove(0);
    store
        .seal(vec![(first.id, sealed(1), first.expires)])
        .await
        .unwrap();
    store
        .tried(vec![(first.id, at(30))], at(2), "no answer".to_owned())
        .await
        .unwrap();
    assert!(due(store, 3).await.is_empty());
    let row = store.due("b", at(31), 1, HashMap::new()).await.unwrap().remove(0);
    assert_eq!((row.key.as_str(), row.tries, row.state), ("a1", 1, State::Sealed));
    assert_eq!(row.sealed.unwrap().request, vec![1], "the bytes stay");
    end(store, vec![(first.id, State::Delivered, None)], at(32)).await;
    assert_eq!(due(store, 33).await, ["a2"]);
    let settled = store
        .deliveries(Filter {
            state: Some(State::Delivered),
            limit: 9,
            ..Filter::default()
        })
        .await
        .unwrap();
    assert_eq!(
        (settled.len(), settled[0].tries, settled[0].settled),
        (1, 2, Some(at(32)))
    );
    end(store, vec![(first.id, State::Expired, None)], at(40)).await;
    let filter = Filter {
        state: Some(State::Expired),
        limit: 9,
        ..Filter::default()
    };
    assert!(
        store.deliveries(filter).await.unwrap().is_empty(),
        "what is settled stays settled"
    );
}

#[tokio::test]
async fn urgent_rows_go_before_others_also_to_the_same_wallet_and_a_row_of_tomorrow_keeps_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("herald.db")).unwrap();
    let row = |key: &str, number, priority| NewDelivery {
        priority,
        ..answer(key, number)
    };
    let rows = [
        row("bulk", 1, Priority::Bulk),
        row("tomorrow", 2, Priority::Normal),
        row("first", 2, Priority::Normal),
        row("second", 2, Priority::Normal),
        row("urgent", 3, Priority::Urgent),
        row("behind the urgent", 3, Priority::Normal),
    ];
    let insert = store.write(move |transaction| {
        for row in &rows {
            insert_delivery(transaction, row)?;
        }
        transaction.execute(
            "UPDATE delivery SET due_ms = due_ms + 1000 WHERE key = 'tomorrow'",
            [],
        )
    });
    insert.await.unwrap();
    let keys = |rows: Vec<Delivery>| rows.into_iter().map(|row| row.key).collect::<Vec<_>>();
    assert_eq!(
        keys(store.due("b", at(0), 10, HashMap::new()).await.unwrap()),
        ["urgent", "first", "bulk"]
    );
    assert_eq!(
        keys(store.due("b", at(0), 2, HashMap::new()).await.unwrap()),
        ["urgent", "first"]
    );
    assert_eq!(store.next_due("b", at(0)).await.unwrap(), Some(at(1)));
}

#[tokio::test]
async fn a_recipients_window_leaves_the_row_itself_out_and_names_the_time_of_room() {
    let opened = open();
    let store = &opened.store;
    for number in 0..4_i64 {
        let id = format!("o{number}");
        let row = recorded(store, occurrence(&id, &id)).await;
        let part = |number| NewDelivery {
            rule: "r".to_owned(),
            part: MessageNumber::of(0, number),
            occurrence: Some(row),
            body: None,
            ..answer(&id, 1)
        };
        store.plan(row, chunk(vec![part(0), part(1)])).await.unwrap();
        for _ in 0..2 {
            let planned = store.due("b", at(10), 1, HashMap::new()).await.unwrap().remove(0);
            if number < 3 {
                store
                    .seal(vec![(planned.id, sealed(10 * number), planned.expires)])
                    .await
                    .unwrap();
                end(store, vec![(planned.id, State::Delivered, None)], at(10 * number)).await;
            }
        }
    }
    let last = store.due("b", at(10), 1, HashMap::new()).await.unwrap().remove(0);
    let own = last.occurrence.unwrap();
    let frees = async |rule: Option<&'static str>, since, limit| {
        let last = last.clone();
        let look =
            store.read(move |connection| recipient_window(connection, (&last, own), rule, at(since), limit));
        look.await.unwrap()
    };
    assert_eq!(frees(None, -1, 2).await, Some(at(10)), "the second newest leaves");
    assert_eq!(frees(None, -1, 3).await, Some(at(0)));
    assert_eq!(frees(None, -1, 4).await, None, "two parts count once");
    assert_eq!(frees(Some("r"), 5, 2).await, Some(at(10)));
    assert_eq!(frees(Some("r"), 5, 3).await, None, "the window slides");
    assert_eq!(frees(Some("other"), -1, 1).await, None);
}

#[tokio::test]
async fn rows_of_a_digest_end_with_the_one_that_carries_them_unless_it_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("herald.db")).unwrap();
    let insert = store.write(move |transaction| {
        for key in ["a", "b", "c"] {
            insert_delivery(transaction, &answer(key, 1))?;
        }
        merge(transaction, &[(1, vec![2, 3])])
    });
    insert.await.unwrap();
    let keys = |rows: Vec<Delivery>| rows.into_iter().map(|row| row.key).collect::<Vec<_>>();
    assert_eq!(
        keys(store.due("b", at(0), 10, HashMap::new()).await.unwrap()),
        ["a"]
    );
    end(
        &store,
        vec![(1, State::Skipped, Some("`if` is false".to_owned()))],
        at(1),
    )
    .await;
    assert_eq!(
        keys(store.due("b", at(1), 10, HashMap::new()).await.unwrap()),
        ["b"],
        "another carries them"
    );
    let again = store.write(|transaction| merge(transaction, &[(2, vec![3])]));
    again.await.unwrap();
    end(&store, vec![(2, State::Delivered, None)], at(2)).await;
    let last = store
        .deliveries(Filter {
            limit: 1,
            ..Filter::default()
        })
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (last.state, last.reason.as_deref()),
        (State::Delivered, Some("in the digest of delivery 2"))
    );
}

#[tokio::test]
async fn what_did_not_arrive_is_due_again_with_its_bytes_and_what_did_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("herald.db")).unwrap();
    let keys = ["delivered", "expired", "rejected", "skipped", "open"];
    for (number, key) in (1..).zip(keys) {
        let new = answer(key, number);
        store
            .write(move |transaction| insert_delivery(transaction, &new))
            .await
            .unwrap();
    }
    store
        .seal(vec![(1, sealed(1), at(86_400)), (2, sealed(1), at(86_400))])
        .await
        .unwrap();
    let ends = [
        (1, State::Delivered, None),
        (2, State::Expired, Some("late".to_owned())),
        (3, State::Rejected, Some("odd".to_owned())),
        (4, State::Skipped, Some("left".to_owned())),
    ];
    store
        .write(move |transaction| settle(transaction, &ends, at(10)))
        .await
        .unwrap();
    let before = store
        .deliveries(Filter {
            limit: 9,
            ..Filter::default()
        })
        .await
        .unwrap();
    assert!(
        store
            .replay(
                Dead {
                    id: Some(1),
                    ..Dead::default()
                },
                at(20)
            )
            .await
            .unwrap()
            .is_empty()
    );
    let other = Dead {
        bot: Some("other".to_owned()),
        ..Dead::default()
    };
    assert!(store.replay(other, at(20)).await.unwrap().is_empty());
    let mut replayed = store.replay(Dead::default(), at(20)).await.unwrap();
    replayed.sort_unstable();
    assert_eq!(replayed, [(2, "b".to_owned()), (3, "b".to_owned())]);
    let mut rows = store
        .deliveries(Filter {
            limit: 9,
            ..Filter::default()
        })
        .await
        .unwrap();
    rows.reverse();
    let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(states, ["delivered", "sealed", "planned", "skipped", "planned"]);
    assert_eq!(
        rows[1].sealed.as_ref().unwrap().request,
        vec![1],
        "it is looked for before it goes out"
    );
    assert!(rows[2].sealed.is_none() && rows[0].sealed.as_ref().unwrap().request.is_empty());
    for row in &rows[1..3] {
        assert_eq!(
            (row.settled, row.reason.as_deref(), row.due),
            (None, None, at(20))
        );
        assert_eq!(row.expires, at(20 + 86_400), "as long as at first");
    }
    assert_eq!(before.len(), rows.len());
    assert!(
        store.replay(Dead::default(), at(30)).await.unwrap().is_empty(),
        "once"
    );
}

#[tokio::test]
async fn what_an_answer_says_is_kept_of_those_alone_that_can_be_sent_again() {
    let opened = open();
    let store = &opened.store;
    let bodies = [
        Body::Text("text".to_owned()),
        Body::Content(vec![1]),
        Body::File("{}".to_owned()),
    ];
    let all = || Filter {
        limit: 100,
        ..Filter::default()
    };
    let row = |number, body: &Body| NewDelivery {
        part: MessageNumber::of(0, number),
        body: Some(body.clone()),
        ..answer("a", 1)
    };
    let ends = [State::Delivered, State::Skipped, State::Rejected, State::Expired];
    for (number, state) in (0..).zip(ends) {
        let rows = (3 * number..).zip(&bodies);
        add(store, rows.map(|(part, body)| row(part, body)).collect()).await;
        let open = store.deliveries(all()).await.unwrap();
        let ended = open.iter().filter(|row| row.settled.is_none());
        end(store, ended.map(|row| (row.id, state, None)).collect(), at(1)).await;
    }
    let ended = store.deliveries(all()).await.unwrap();
    assert_eq!(ended.len(), 12);
    for row in ended {
        let is_dead = matches!(row.state, State::Rejected | State::Expired);
        assert_eq!(row.body.is_some(), is_dead, "{:?}", row.state);
    }
}

#[tokio::test]
async fn what_a_forgotten_wallet_wrote_or_was_written_is_sent_by_nothing_any_more() {
    let Opened { store, _folder } = open();
    let (its, others) = (wallet(1), wallet(2));
    let to_it = answer("to it", 1);
    let by_it = NewDelivery {
        author: Some(its),
        ..answer("by it", 2)
    };
    let waiting = NewDelivery {
        author: Some(its),
        ..answer("waiting", 2)
    };
    let between_others = NewDelivery {
        author: Some(others),
        ..answer("between others", 3)
    };
    for new in [to_it, by_it, between_others, waiting] {
        let added = store.write(move |transaction| insert_delivery(transaction, &new));
        added.await.unwrap();
    }
    let seals = [1, 2, 3].map(|row| (row, sealed(1), at(86_400)));
    store.seal(seals.to_vec()).await.unwrap();
    let late = Some("late".to_owned());
    let ends = [1, 2, 3].map(|row| (row, State::Expired, late.clone()));
    end(&store, ends.to_vec(), at(10)).await;
    let forgotten = store.write(move |transaction| forget(transaction, "b", its, at(20)));
    forgotten.await.unwrap();
    let all = Filter {
        limit: 9,
        ..Filter::default()
    };
    let mut rows = store.deliveries(all).await.unwrap();
    rows.reverse();
    let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(states, ["expired", "expired", "expired", "skipped"]);
    let holds: Vec<(bool, bool)> = rows
        .iter()
        .map(|row| {
            let sealed = row.sealed.as_ref();
            (
                row.body.is_some(),
                sealed.is_some_and(|sealed| !sealed.request.is_empty()),
            )
        })
        .collect();
    let nothing = (false, false);
    assert_eq!(holds, [nothing, nothing, (true, true), nothing]);
}
