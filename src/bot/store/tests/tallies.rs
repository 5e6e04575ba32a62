use std::collections::BTreeMap;

use refinery::Target;
use rusqlite::params;

use super::*;
use crate::bot::store::people::forget;

/// What `progress` should say: the rows, counted one by one.
fn counted(rows: &[Delivery]) -> Progress {
    let mut progress = Progress::default();
    for row in rows.iter().filter(|row| row.part.step() == 0) {
        progress.planned += 1;
        *match row.state {
            State::Delivered => &mut progress.delivered,
            State::Rejected => &mut progress.rejected,
            State::Expired => &mut progress.expired,
            State::Skipped => &mut progress.skipped,
            State::Held => &mut progress.held,
            State::Planned | State::Sealed => &mut progress.left,
        } += 1;
    }
    progress
}

/// Every row by its occurrence.
async fn rows(store: &Store) -> BTreeMap<i64, Vec<Delivery>> {
    let filter = Filter {
        limit: 10_000,
        ..Filter::default()
    };
    let mut rows: BTreeMap<i64, Vec<Delivery>> = BTreeMap::new();
    for row in store.deliveries(filter).await.unwrap() {
        rows.entry(row.occurrence.unwrap()).or_default().push(row);
    }
    rows
}

async fn assert_adds_up(store: &Store, canaries: &BTreeMap<i64, i64>, after: &str) {
    for (occurrence, rows) in rows(store).await {
        let told = store.progress(occurrence, None).await.unwrap();
        assert_eq!(told, counted(&rows), "of {occurrence} after {after}");
        if let Some(last) = canaries.get(&occurrence) {
            let told = store.progress(occurrence, Some(*last)).await.unwrap();
            let canary: Vec<Delivery> = rows.into_iter().filter(|row| row.id <= *last).collect();
            assert_eq!(
                told,
                counted(&canary),
                "of the canary of {occurrence} after {after}"
            );
        }
    }
}

/// An occurrence behind a gate, half of its rows planned.
async fn half_planned(store: &Store, id: &str, gate: Gate) -> (i64, Vec<NewDelivery>) {
    let new = NewOccurrence {
        gate,
        ..occurrence(id, id)
    };
    let row = recorded(store, new).await;
    let mut rows: Vec<NewDelivery> = (0..40)
        .flat_map(|number| [(number, 0), (number, 1)])
        .map(|(number, part)| NewDelivery {
            rule: "r".to_owned(),
            occurrence: Some(row),
            part: MessageNumber::of(0, part),
            body: None,
            ..answer(id, number)
        })
        .collect();
    let rest = rows.split_off(40);
    let first = Chunk {
        ends: false,
        ..chunk(rows)
    };
    store.plan(row, first).await.unwrap();
    (row, rest)
}

/// Does one of the things that move rows, to some rows.
async fn step(store: &Store, dice: &mut u64, canaries: &mut BTreeMap<i64, i64>) -> &'static str {
    let rows = rows(store).await;
    let occurrences: Vec<i64> = rows.keys().copied().collect();
    let mut roll = |below: usize| usize::try_from(next_number(dice)).unwrap() % below;
    let occurrence = occurrences[roll(occurrences.len())];
    let open: Vec<&Delivery> = rows
        .values()
        .flatten()
        .filter(|row| row.settled.is_none())
        .collect();
    let some: Vec<i64> = open.iter().map(|row| row.id).filter(|_| roll(9) == 0).collect();
    let now = at(2);
    match roll(9) {
        0 => {
            store.let_out(occurrence, 7, now).await.unwrap();
            "rows were let out"
        }
        1 => {
            store.take_back(occurrence, 5).await.unwrap();
            "rows were taken back"
        }
        2 if roll(4) == 0 => {
            store.cancel(occurrence, 3, now).await.unwrap();
            "rows were cancelled"
        }
        3 => {
            let waits = some.iter().map(|row| wait(*row, 5)).collect();
            store.hold(waits).await.unwrap();
            "rows were held"
        }
        4 => {
            let bytes = some.iter().map(|row| (*row, sealed(2), at(9))).collect();
            store.seal(bytes).await.unwrap();
            "rows were sealed"
        }
        5 if some.len() > 1 => {
            let carried = vec![(some[0], some[1..].to_vec())];
            let merged = store.write(move |transaction| merge(transaction, &carried));
            merged.await.unwrap();
            end(store, vec![(some[0], State::Delivered, None)], now).await;
            "a digest was delivered"
        }
        6 => {
            let states = [State::Delivered, State::Rejected, State::Expired, State::Skipped];
            let ends = some.iter().map(|row| (*row, states[roll(4)], None)).collect();
            end(store, ends, now).await;
            "rows were settled"
        }
        7 if canaries.is_empty() => {
            store.let_canary_out(occurrence, 4, now).await.unwrap();
            let query = "SELECT canary_to FROM occurrence WHERE id = ?1";
            let last =
                store.read(move |connection| connection.query_row(query, [occurrence], |row| row.get(0)));
            canaries.insert(occurrence, last.await.unwrap());
            "a canary was let out"
        }
        8 if roll(6) == 0 && !open.is_empty() => {
            let wallet = open[roll(open.len())].wallet;
            let forgotten = store.write(move |transaction| forget(transaction, "b", wallet, now));
            forgotten.await.unwrap();
            "somebody was forgotten"
        }
        _ => "nothing",
    }
}

#[tokio::test]
async fn counts_of_broadcasts_are_those_of_their_rows_whatever_moves_them_and_across_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herald.db");
    let mut store = Store::open(&path).unwrap();
    let (mut dice, mut canaries) = (7, BTreeMap::new());
    let mut rests = Vec::new();
    for (id, gate) in [
        ("one", Gate::Open),
        ("two", Gate::Approval),
        ("three", Gate::Canary),
    ] {
        let (row, rest) = half_planned(&store, id, gate).await;
        // The same rows again, as after a kill, count once.
        store.plan(row, chunk(rest.clone())).await.unwrap();
        rests.push((row, rest));
    }
    assert_adds_up(&store, &canaries, "the plan").await;
    for (row, rest) in rests {
        store.plan(row, chunk(rest)).await.unwrap();
    }
    assert_adds_up(&store, &canaries, "the plan again").await;
    for round in 0..300 {
        let done = step(&store, &mut dice, &mut canaries).await;
        assert_adds_up(&store, &canaries, done).await;
        if round % 50 == 0 {
            // A transaction that is cut off moves neither rows nor counts.
            let cut: Result<(), _> = store
                .write(|transaction| {
                    transaction.execute("UPDATE delivery SET state = 'rejected', parked = 0", [])?;
                    Err(rusqlite::Error::QueryReturnedNoRows)
                })
                .await;
            assert!(cut.is_err());
            drop(store);
            store = Store::open(&path).unwrap();
            assert_adds_up(&store, &canaries, "a restart").await;
        }
    }
    let told = rows(&store).await.into_values().flatten();
    let settled = told.filter(|row| row.settled.is_some()).count();
    assert!(settled > 100, "{settled} rows were settled");
}

#[tokio::test]
async fn a_file_of_an_older_herald_gets_the_counts_of_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herald.db");
    let mut connection = Connection::open(&path).unwrap();
    let older = migrations::migrations::runner().set_target(Target::Version(8));
    older.run(&mut connection).unwrap();
    connection
        .execute_batch(
            "INSERT INTO occurrence (id, bot, rule, occurrence, key, at_ms, names, state, gate, canary_to)
             VALUES (1, 'b', 'r', 'o', 'o', 0, '{}', 'planned', 'canary', 2), (2, 'b', 'r', 'p', 'p', 0, '{}', 'planned', 'open', NULL)",
        )
        .unwrap();
    let states = [
        (1, "delivered", 0),
        (1, "rejected", 0),
        (1, "planned", 1),
        (1, "held", 0),
        (2, "sealed", 0),
        (2, "expired", 0),
    ];
    for (number, (occurrence, state, parked)) in (1_u8..).zip(states) {
        let values = params![number, wallet(number).to_string(), occurrence, state, parked];
        connection
            .execute(
                "INSERT INTO delivery (id, bot, rule, key, wallet, part, occurrence, state, parked, created_ms, due_ms, expires_ms)
                 VALUES (?1, 'b', 'r', 'o', ?2, 0, ?3, ?4, ?5, 0, 0, 0)",
                values,
            )
            .unwrap();
    }
    // A follow-up is none of the broadcast's messages.
    connection
        .execute_batch(
            "INSERT INTO delivery (bot, rule, key, wallet, part, occurrence, state, created_ms, due_ms, expires_ms)
             VALUES ('b', 'r', 'o', 'x', 256, 1, 'planned', 0, 0, 0)",
        )
        .unwrap();
    drop(connection);
    let store = Store::open(&path).unwrap();
    let told = |occurrence, last| store.progress(occurrence, last);
    let whole = Progress {
        planned: 4,
        delivered: 1,
        rejected: 1,
        held: 2,
        ..Progress::default()
    };
    assert_eq!(told(1, None).await.unwrap(), whole);
    let canary = Progress {
        planned: 2,
        held: 0,
        ..whole
    };
    assert_eq!(told(1, Some(2)).await.unwrap(), canary);
    let other = Progress {
        planned: 2,
        expired: 1,
        left: 1,
        ..Progress::default()
    };
    assert_eq!(told(2, None).await.unwrap(), other);
}
