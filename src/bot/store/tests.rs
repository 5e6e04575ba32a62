//! What the store promises to the outbox, on a real file.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use herald_protocol::address::Address;

use super::*;
use crate::bot::config::Priority;

mod tallies;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

fn wallet(number: u8) -> Address {
    Address::from_bytes([number; 20])
}

fn answer(key: &str, number: u8) -> NewDelivery {
    NewDelivery {
        bot: "b".to_owned(),
        rule: "command:/x".to_owned(),
        key: key.to_owned(),
        wallet: wallet(number),
        part: MessageNumber::of(0, 0),
        occurrence: None,
        body: Some(key.to_owned().into()),
        conversation: None,
        vars: None,
        list: None,
        created: at(0),
        due: at(0),
        expires: at(86_400),
        priority: Priority::Normal,
    }
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
async fn a_copy_made_while_the_store_is_written_opens_like_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("herald.db");
    let store = Store::open(&file).unwrap();
    let copy = folder.path().join("copy.db");
    let add = |key: &'static str| {
        let new = answer(key, 1);
        store.write(move |transaction| insert_delivery(transaction, &new))
    };
    add("a").await.unwrap();
    let reader = Store::open_to_read(&file).unwrap();
    let (copied, added) = tokio::join!(reader.back_up(&copy), add("b"));
    copied.unwrap();
    added.unwrap();
    assert!(
        matches!(reader.back_up(&copy).await, Err(Error::Io { .. })),
        "a copy is never written over"
    );
    let restored = Store::open(&copy).unwrap();
    let rows = restored
        .deliveries(Filter {
            limit: 9,
            ..Filter::default()
        })
        .await
        .unwrap();
    assert!(rows.iter().any(|row| row.key == "a"), "{rows:?}");
    let new = answer("c", 1);
    restored
        .write(move |transaction| insert_delivery(transaction, &new))
        .await
        .unwrap();
}

fn chunk(rows: Vec<NewDelivery>) -> Chunk {
    Chunk {
        rows,
        ends: true,
        ..Chunk::default()
    }
}

fn sealed(second: i64) -> Sealed {
    Sealed {
        thread: None,
        request: vec![1],
        envelope: [2; 32],
        message: [3; 32],
        sealed: at(second),
    }
}

async fn end(store: &Store, rows: Vec<(i64, State, Option<String>)>, now: DateTime<Utc>) {
    store
        .write(move |transaction| settle(transaction, &rows, now))
        .await
        .unwrap();
}

fn wait(row: i64, until: i64) -> Wait {
    Wait {
        row,
        reason: "over the limit".to_owned(),
        due: at(until),
        until: at(until),
        expires: at(until + 60),
        period: None,
    }
}

fn occurrence(id: &str, key: &str) -> NewOccurrence {
    NewOccurrence {
        bot: "b".to_owned(),
        rule: "r".to_owned(),
        id: id.to_owned(),
        key: key.to_owned(),
        at: at(0),
        names: "{}".to_owned(),
        gate: Gate::Open,
        skipped: None,
        answer: None,
        zone: None,
    }
}

struct Opened {
    store: Store,
    _folder: tempfile::TempDir,
}

fn open() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    Opened {
        store: Store::open(&folder.path().join("herald.db")).unwrap(),
        _folder: folder,
    }
}

async fn add(store: &Store, rows: Vec<NewDelivery>) {
    let added =
        store.write(move |transaction| rows.iter().map(|row| insert_delivery(transaction, row)).collect());
    let _: Vec<bool> = added.await.unwrap();
}

async fn due(store: &Store, second: i64) -> Vec<String> {
    let rows = store.due("b", at(second), 100).await.unwrap();
    rows.into_iter().map(|row| row.key).collect()
}

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
async fn a_wallet_has_one_row_under_way_and_a_held_one_blocks_nobody() {
    let opened = open();
    let store = &opened.store;
    add(store, vec![answer("a1", 1), answer("a2", 1), answer("b1", 2)]).await;
    add(store, vec![answer("a1", 1)]).await;
    assert_eq!(due(store, 1).await, ["a1", "b1"]);
    let first = store.due("b", at(1), 1).await.unwrap().remove(0);
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

#[tokio::test]
async fn a_row_that_waits_for_its_next_try_holds_back_later_ones_of_its_wallet() {
    let opened = open();
    let store = &opened.store;
    add(store, vec![answer("a1", 1), answer("a2", 1)]).await;
    let first = store.due("b", at(1), 1).await.unwrap().remove(0);
    store
        .seal(vec![(first.id, sealed(1), first.expires)])
        .await
        .unwrap();
    store
        .tried(vec![(first.id, at(30))], at(2), "no answer".to_owned())
        .await
        .unwrap();
    assert!(due(store, 3).await.is_empty());
    let row = store.due("b", at(31), 1).await.unwrap().remove(0);
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
async fn counts_are_of_the_window_without_the_row_itself_and_name_the_time_of_room() {
    let opened = open();
    let store = &opened.store;
    for number in 0..4_i64 {
        let id = format!("o{number}");
        store.record(occurrence(&id, &id)).await.unwrap();
        let row = store
            .next_to_plan("b", at(0), BTreeSet::new())
            .await
            .unwrap()
            .unwrap()
            .row;
        let part = |number| NewDelivery {
            rule: "r".to_owned(),
            part: MessageNumber::of(0, number),
            occurrence: Some(row),
            body: None,
            ..answer(&id, 1)
        };
        store.plan(row, chunk(vec![part(0), part(1)])).await.unwrap();
        for _ in 0..2 {
            let planned = store.due("b", at(10), 1).await.unwrap().remove(0);
            if number < 3 {
                store
                    .seal(vec![(planned.id, sealed(10 * number), planned.expires)])
                    .await
                    .unwrap();
                end(store, vec![(planned.id, State::Delivered, None)], at(10 * number)).await;
            }
        }
    }
    let last = store.due("b", at(10), 1).await.unwrap().remove(0);
    let own = last.occurrence.unwrap();
    let count = |rule: Option<&'static str>, since, limit| {
        let last = last.clone();
        store.read(move |connection| counts(connection, &last, own, rule, at(since), limit))
    };
    let all = count(None, -1, 2).await.unwrap();
    assert_eq!(
        (all.sealed, all.frees),
        (3, Some(at(10))),
        "two parts count once; room when the second newest leaves"
    );
    assert_eq!(
        count(Some("r"), 5, 20).await.unwrap().sealed,
        2,
        "the window slides"
    );
    assert_eq!(count(Some("other"), -1, 1).await.unwrap().sealed, 0);
}

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

#[test]
fn a_second_process_is_refused_with_the_pid_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herald.db");
    let first = Store::open(&path).unwrap();
    let refused = Store::open(&path).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains(&format!("pid {}", std::process::id())),
        "{refused}"
    );
    drop(first);
    Store::open(&path).unwrap();
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
        keys(store.due("b", at(0), 10).await.unwrap()),
        ["urgent", "first", "bulk"]
    );
    assert_eq!(keys(store.due("b", at(0), 2).await.unwrap()), ["urgent", "first"]);
    assert_eq!(store.next_due("b", at(0)).await.unwrap(), Some(at(1)));
}

/// A number that follows from another as if drawn by lot.
fn next_number(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[tokio::test]
async fn runs_merge_into_every_wallet_once_in_order_from_any_wallet_on() {
    let opened = open();
    let store = &opened.store;
    store.record(occurrence("o", "o")).await.unwrap();
    let row = store
        .next_to_plan("b", at(0), BTreeSet::new())
        .await
        .unwrap()
        .unwrap()
        .row;
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

#[tokio::test]
async fn a_row_behind_a_gate_is_due_only_when_it_expires_and_nothing_that_was_under_way_lets_it_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("herald.db")).unwrap();
    let paused = NewOccurrence {
        gate: Gate::Approval,
        ..occurrence("o", "o")
    };
    store.record(paused).await.unwrap();
    let planned = store
        .next_to_plan("b", at(0), BTreeSet::new())
        .await
        .unwrap()
        .unwrap();
    let row = NewDelivery {
        occurrence: Some(planned.row),
        body: None,
        ..answer("o", 1)
    };
    store.plan(planned.row, chunk(vec![row])).await.unwrap();
    assert!(store.due("b", at(1), 10).await.unwrap().is_empty());
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
    assert!(store.due("b", at(6), 10).await.unwrap().is_empty());
    let late = store.seal(vec![(row.id, sealed(6), row.expires)]).await.unwrap();
    assert!(late.is_empty(), "it would go out: {late:?}");
    let progress = store.progress(planned.row, None).await.unwrap();
    assert_eq!((progress.planned, progress.held, progress.left), (1, 1, 0));
    // Its time ends all the same.
    let expired = store.due("b", at(65), 10).await.unwrap();
    assert_eq!(expired.len(), 1);
    end(&store, vec![(row.id, State::Expired, None)], at(65)).await;
    let progress = store.progress(planned.row, None).await.unwrap();
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
    store.record(gated).await.unwrap();
    let planned = store
        .next_to_plan("b", at(0), BTreeSet::new())
        .await
        .unwrap()
        .unwrap();
    let rows: Vec<NewDelivery> = (1..=3)
        .map(|number| NewDelivery {
            occurrence: Some(planned.row),
            body: None,
            ..answer("o", number)
        })
        .collect();
    store.plan(planned.row, chunk(rows)).await.unwrap();
    assert_eq!(store.let_out(planned.row, 2, at(1)).await.unwrap(), 2);
    let due = store.due("b", at(1), 10).await.unwrap();
    assert_eq!(due.len(), 2);
    let first = store
        .seal(vec![(due[0].id, sealed(1), due[0].expires)])
        .await
        .unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(
        store.cancel(planned.row, 10, at(2)).await.unwrap(),
        2,
        "the sealed one is out"
    );
    let second = store
        .seal(vec![(due[1].id, sealed(2), due[1].expires)])
        .await
        .unwrap();
    assert!(second.is_empty(), "it was cancelled");
    assert_eq!(store.progress(planned.row, None).await.unwrap().skipped, 2);
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
    assert_eq!(keys(store.due("b", at(0), 10).await.unwrap()), ["a"]);
    end(
        &store,
        vec![(1, State::Skipped, Some("`if` is false".to_owned()))],
        at(1),
    )
    .await;
    assert_eq!(
        keys(store.due("b", at(1), 10).await.unwrap()),
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
