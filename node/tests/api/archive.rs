use herald_protocol::proto::api::{Envelope, PublishRequest};
use herald_test_postgres::Cluster;
use serde_json::{Value, json};

use crate::{harness::*, process::Process};

fn some(topic: &str, count: u64) -> Vec<Envelope> {
    (0..count)
        .map(|number| envelope(topic, number, number.to_be_bytes().repeat(20)))
        .collect()
}

#[tokio::test]
async fn what_a_running_node_exports_another_store_imports() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let (first, second) = (some("test-one", 700), some("test-\"two\" é", 600));
    node.publish(&alice, first.clone()).await;
    node.publish(&alice, second.clone()).await;
    node.publish(&alice, vec![envelope("/xmtp/0/mE-1/proto", 1, b"never stored")])
        .await;
    let file = node.place().path().join("export");
    let file = file.to_str().unwrap();
    let exported = Process::run(node.place(), &["export", file]);
    assert_eq!(
        exported,
        (Some(0), format!("{file}: 1300 envelopes\n"), String::new())
    );
    // The other kind of store.
    let file_of_its_own = node.place().path().join("other.db");
    let other = if crate::ON_POSTGRES {
        Place::on(file_of_its_own.to_str().unwrap())
    } else {
        Place::on(&Cluster::shared().database())
    };
    for _ in 0..2 {
        let (code, said, _) = Process::run(&other, &["--json", "import", file]);
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(
            (code, said),
            (Some(0), json!({ "event": "import", "envelopes": 1_300 }))
        );
    }
    let other = TestNode::start_in(other, |_| {}).await;
    assert_eq!(other.stored("test-one").await, first);
    assert_eq!(other.stored("test-\"two\" é").await, second);
    // Nothing is written over.
    let (code, said, why) = Process::run(node.place(), &["export", file]);
    assert_eq!((code, said.as_str()), (Some(2), ""));
    assert!(why.contains("exists already"), "{why}");
}

#[tokio::test]
async fn an_import_says_which_line_is_wrong_and_may_be_done_again() {
    let place = Place::new();
    let good = json!({ "contentTopic": "test-i", "timestampNs": "1", "message": "aGk=" }).to_string();
    let long = json!({ "contentTopic": "t".repeat(301), "timestampNs": "1", "message": "" }).to_string();
    let end = r#"{"envelopes":1}"#;
    for (lines, problem) in [
        (
            vec![good.as_str(), "not JSON", end],
            "line 2 of the import: expected",
        ),
        (
            vec![&good, r#"{"contentTopic":"t"}"#],
            "line 2 of the import: missing field",
        ),
        (vec![&long], "line 1 of the import: topic length too big"),
        (
            vec![&good, r#"{"envelopes":2}"#],
            "line 2 of the import: found 1 envelopes, wanted 2",
        ),
        (vec![&good], "ends after line 1 without its last line"),
        (vec![], "ends after line 0"),
    ] {
        let file = place.path().join("import");
        std::fs::write(&file, lines.join("\n")).unwrap();
        let (code, said, why) = Process::run(&place, &["import", file.to_str().unwrap()]);
        assert_eq!((code, said.as_str()), (Some(1), ""), "{problem}");
        assert!(why.contains(problem), "{why} lacks {problem}");
    }
    let file = place.path().join("import");
    std::fs::write(&file, [good.as_str(), end].join("\n")).unwrap();
    let (code, said, _) = Process::run(&place, &["import", file.to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (Some(0), "1 envelopes\n"));
    let node = TestNode::start_in(place, |_| {}).await;
    assert_eq!(node.stored("test-i").await, [envelope("test-i", 1, b"hi")]);
}

#[tokio::test]
async fn a_backup_under_load_is_a_store_with_all_that_was_acknowledged_before() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let before = some("test-before", 1_000);
    node.publish(&alice, before.clone()).await;
    let file = node.place().path().join("backup.db");
    let place = node.place();
    if crate::ON_POSTGRES {
        let (code, _, why) = Process::run(place, &["backup", file.to_str().unwrap()]);
        assert_eq!(code, Some(2));
        assert!(why.contains("pg_dump"), "{why}");
        return;
    }
    let mut client = node.grpc().await;
    let backup = async {
        let (place, file) = (Place::on(&place.url), file.to_str().unwrap().to_owned());
        let copying = tokio::task::spawn_blocking(move || Process::run(&place, &["backup", &file]));
        copying.await.unwrap()
    };
    let load = async {
        for number in 0.. {
            let envelopes = vec![envelope("test-load", number, b"m")];
            client
                .publish(alice.sign(PublishRequest { envelopes }))
                .await
                .unwrap();
        }
    };
    let (code, said, _) = tokio::select! {
        copied = backup => copied,
        () = load => unreachable!("it goes on"),
    };
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with(&format!("{}: ", file.display())), "{said}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let copy = TestNode::start_in(Place::on(file.to_str().unwrap()), |_| {}).await;
    assert_eq!(copy.stored("test-before").await, before);
}
