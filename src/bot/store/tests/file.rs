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
