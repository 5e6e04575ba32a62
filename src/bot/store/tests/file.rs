//! The file: whose it is, and copies of it.

use super::*;

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
async fn a_store_that_was_closed_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("herald.db")).unwrap();
    add(&store, vec![answer("a", 1)]).await;
    assert_eq!(due(&store, 1).await, ["a"]);
    drop(store);
    let files = std::fs::read_dir(folder.path()).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    files.sort_unstable();
    assert_eq!(files, ["herald.db", "herald.lock"]);
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

#[tokio::test]
async fn changes_that_are_made_together_fail_alone() {
    let opened = open();
    let store = &opened.store;
    // The first keeps the writer busy until the others wait.
    let (go, wait) = std::sync::mpsc::channel();
    let first = store.write(move |transaction| {
        wait.recv().ok();
        insert_delivery(transaction, &answer("first", 1))
    });
    let fails = store.write(|transaction| {
        insert_delivery(transaction, &answer("undone", 2))?;
        transaction.execute("no statement", [])
    });
    let panics = store.write(|transaction| {
        insert_delivery(transaction, &answer("undone, too", 3))?;
        Err::<(), _>(std::iter::empty::<rusqlite::Error>().next().expect("nothing"))
    });
    let last = store.write(|transaction| insert_delivery(transaction, &answer("last", 4)));
    let release = async { go.send(()).unwrap() };
    let (first, fails, panics, last, ()) = tokio::join!(first, fails, panics, last, release);
    assert!(first.unwrap() && last.unwrap());
    let error = fails.unwrap_err();
    assert!(matches!(error, Error::Sqlite { .. }), "{error:?}");
    assert!(matches!(panics, Err(Error::Closed)), "{panics:?}");
    assert_eq!(due(store, 1).await, ["first", "last"]);
}

#[tokio::test]
async fn a_full_disk_fails_what_does_not_fit_and_every_answer_is_true() {
    let opened = open();
    let store = &opened.store;
    let limit = |pages: u32| {
        store.write(move |transaction| {
            let pragma = format!("PRAGMA max_page_count = {pages}");
            transaction.query_row(&pragma, [], |_| Ok(()))
        })
    };
    let size = store.read(|connection| connection.query_row("PRAGMA page_count", [], |row| row.get(0)));
    let size: u32 = size.await.unwrap();
    limit(size + 20).await.unwrap();
    let add = |key: &'static str, number, bytes| {
        store.write(move |transaction| {
            let body = Some("x".repeat(bytes).into());
            let row = NewDelivery {
                body,
                ..answer(key, number)
            };
            insert_delivery(transaction, &row)
        })
    };
    // Those that wait for the first are made together.
    let (go, wait) = std::sync::mpsc::channel();
    let first = store.write(move |_| {
        wait.recv().ok();
        Ok(())
    });
    let changes = (
        add("small", 1, 10),
        add("large", 2, 1_000_000),
        add("small, too", 3, 10),
    );
    let release = async { go.send(()).unwrap() };
    let (_, small, large, last, ()) = tokio::join!(first, changes.0, changes.1, changes.2, release);
    let error = large.unwrap_err();
    assert!(matches!(error, Error::Sqlite { .. }), "{error:?}");
    let told = [("small", small), ("small, too", last)];
    let told = told
        .into_iter()
        .filter_map(|(key, added)| added.is_ok().then_some(key));
    assert_eq!(due(store, 1).await, told.collect::<Vec<_>>());
    // Once there is room again it goes on.
    limit(1_000_000).await.unwrap();
    assert!(add("large", 2, 1_000_000).await.unwrap());
}

#[tokio::test]
async fn a_look_sees_what_is_committed_and_waits_for_no_change() {
    let opened = open();
    let store = &opened.store;
    add(store, vec![answer("before", 1)]).await;
    let (go, wait) = std::sync::mpsc::channel();
    let change = store.write(move |transaction| {
        insert_delivery(transaction, &answer("after", 2))?;
        wait.recv().ok();
        Ok(())
    });
    let look = async {
        let seen = tokio::time::timeout(std::time::Duration::from_secs(20), due(store, 1)).await;
        go.send(()).unwrap();
        seen.expect("the look does not wait")
    };
    let (changed, seen) = tokio::join!(change, look);
    changed.unwrap();
    assert_eq!(seen, ["before"]);
    assert_eq!(due(store, 1).await, ["before", "after"]);
}

#[tokio::test]
async fn the_file_is_free_once_a_change_that_held_the_last_handle_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herald.db");
    let store = Store::open(&path).unwrap();
    let (go, wait) = std::sync::mpsc::channel();
    let held = store.clone();
    let change = store.write(move |transaction| {
        wait.recv().ok();
        let added = insert_delivery(transaction, &answer("a", 1));
        drop(held);
        added
    });
    let given_up = tokio::time::timeout(std::time::Duration::from_millis(10), change).await;
    assert!(given_up.is_err());
    drop(store);
    assert!(matches!(Store::open(&path), Err(Error::Locked { .. })));
    go.send(()).unwrap();
    let free = async {
        loop {
            match Store::open(&path) {
                Err(Error::Locked { .. }) => tokio::task::yield_now().await,
                opened => return opened.unwrap(),
            }
        }
    };
    let store = tokio::time::timeout(std::time::Duration::from_secs(20), free)
        .await
        .unwrap();
    assert_eq!(due(&store, 1).await, ["a"]);
}

#[tokio::test]
async fn a_delivery_is_in_a_known_state_which_is_checked_without_an_index_of_its_own() {
    let opened = open();
    let store = &opened.store;
    add(store, vec![answer("a", 1)]).await;
    let set = |state: &'static str| {
        let set = "UPDATE delivery SET state = ?1";
        store.write(move |transaction| transaction.execute(set, [state]))
    };
    for state in [
        "planned",
        "held",
        "sealed",
        "delivered",
        "rejected",
        "expired",
        "skipped",
    ] {
        set(state).await.unwrap();
    }
    let Err(Error::Sqlite { source, .. }) = set("lost").await else {
        panic!("a row is in a state that there is not");
    };
    assert!(source.to_string().contains("CHECK"), "{source}");
    let steps = store.read(|connection| {
        let mut explained =
            connection.prepare("EXPLAIN UPDATE OR FAIL delivery SET state = 'held' WHERE id = 1")?;
        let steps = explained.query_map([], |row| row.get::<_, String>("opcode"))?;
        steps.collect::<Result<Vec<_>, _>>()
    });
    let steps = steps.await.unwrap();
    assert!(
        steps.contains(&"OpenWrite".to_owned()) && !steps.contains(&"OpenEphemeral".to_owned()),
        "{steps:?}"
    );
}
