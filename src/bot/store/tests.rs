//! What the store promises to the outbox, on a real file.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use herald_protocol::address::Address;

use super::*;
use crate::bot::config::Priority;

mod audiences;
mod broadcasts;
mod callbacks;
mod file;
mod flows;
mod ledgers;
mod messages;
mod occurrences;
mod queue;
mod rehearsal;
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
        author: None,
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
        request: vec![1].into(),
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

/// Records an occurrence that is to be planned next. Gives its row.
async fn recorded(store: &Store, new: NewOccurrence) -> i64 {
    store.record(new).await.unwrap();
    let next = store.next_to_plan("b", at(0), BTreeSet::new()).await.unwrap();
    next.unwrap().row
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
    let rows = store.due("b", at(second), 100, HashMap::new()).await.unwrap();
    rows.into_iter().map(|row| row.key).collect()
}

/// A number that follows from another as if drawn by lot.
fn next_number(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}
