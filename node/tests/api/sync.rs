//! What reaches the disk before a publish is acknowledged, as the kernel sees it: the node runs under `strace`.

use std::path::{Path, PathBuf};

use herald_protocol::proto::api::PublishRequest;
use tonic::Code;

use crate::{harness::*, process::Process};

const PUBLISHES: u64 = 40;

/// Starts a node whose system calls go into a file.
fn traced(place: &Place, settings: &str, options: &str) -> (Process, PathBuf) {
    let trace = place.path().join("trace");
    let calls = "fsync,fdatasync,read,recvfrom,write,writev,sendto,sendmsg";
    let strace = format!(
        "{settings} under='strace -D -f -yy -s 4096 -o {} -e trace={calls} {options}';",
        trace.display()
    );
    (Process::start(place, &strace), trace)
}

/// Publishes one after the other, each with a mark that a trace shows. Returns how many were acknowledged, and the refusal.
async fn publish_marks(node: &Process, count: u64) -> (u64, Option<tonic::Status>) {
    let alice = Wallet::new(1);
    let mut client = node.client().await;
    for number in 0..count {
        let envelopes = vec![envelope("test-sync", number, mark(number))];
        if let Err(status) = client.publish(alice.sign(PublishRequest { envelopes })).await {
            return (number, Some(status));
        }
    }
    (count, None)
}

fn mark(number: u64) -> String {
    format!("mark-{number:04}-")
}

/// Publishes whose log was synced, its data and not its times, between their arrival at the node and an answer on their connection.
fn synced_before_answered(trace: &Path) -> u64 {
    let trace = std::fs::read_to_string(trace).unwrap();
    let mut synced = 0;
    let mut lines = trace.lines().peekable();
    for number in 0..PUBLISHES {
        let (arrived, next) = (mark(number), mark(number + 1));
        if !lines.by_ref().any(|line| line.contains(&arrived)) {
            break;
        }
        // Up to the next publish, which is sent after the answer to this one.
        let mut own = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.contains(&next)) {
            own.push(line);
        }
        let sync = own
            .iter()
            .position(|line| line.contains("fdatasync(") && line.contains("-wal>"));
        let answer = own.iter().rposition(|line| {
            line.contains("<TCP:[")
                && ["writev(", "sendto(", "write(", "sendmsg("]
                    .iter()
                    .any(|call| line.contains(call))
        });
        if sync.is_some() && answer > sync {
            synced += 1;
        }
    }
    synced
}

#[tokio::test]
async fn every_publish_is_synced_before_it_is_acknowledged_and_the_unsafe_mutant_is_found_out() {
    let place = Place::new();
    let (mut node, trace) = traced(&place, "", "");
    assert_eq!(publish_marks(&node, PUBLISHES).await.0, PUBLISHES);
    node.terminate().await;
    assert_eq!(synced_before_answered(&trace), PUBLISHES);
    // The same node without its syncs: what this test is for.
    let place = Place::new();
    let (mut mutant, trace) = traced(&place, "export HERALD_NODE_DANGEROUSLY_UNSYNCED=true;", "");
    assert_eq!(publish_marks(&mutant, PUBLISHES).await.0, PUBLISHES);
    mutant.terminate().await;
    assert_eq!(synced_before_answered(&trace), 0);
}

#[tokio::test]
async fn a_failed_sync_is_never_tried_again_and_ends_all_acknowledgements() {
    let place = Place::new();
    let failing = "-e inject=fsync,fdatasync:error=EIO:when=50+";
    let (mut node, trace) = traced(&place, "", failing);
    let (acknowledged, refused) = publish_marks(&node, 100).await;
    let refused = refused.expect("syncs fail from the fiftieth of a thread on");
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Unavailable, "store cannot write")
    );
    let ready = http()
        .get(format!("http://{}/readyz", node.metrics))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), 503);
    let (again, _) = publish_marks(&node, 1).await;
    assert_eq!(again, 0);
    assert_eq!(node.terminate().await, Some(1));
    let trace = std::fs::read_to_string(trace).unwrap();
    let of_log = |line: &&str| line.contains("sync(") && line.contains("-wal>");
    let failed = trace
        .lines()
        .filter(of_log)
        .filter(|line| line.contains("EIO"))
        .count();
    assert_eq!(failed, 1, "the log was synced again after a failure");
    let node = TestNode::start_in(place, |_| {}).await;
    let stored = node.stored("test-sync").await.len() as u64;
    assert!(stored >= acknowledged, "{stored} of {acknowledged}");
}

#[tokio::test]
async fn a_log_that_cannot_be_copied_into_the_file_ends_all_acknowledgements() {
    let place = Place::new();
    let node = TestNode::start_in(place, |_| {}).await;
    let place = node.stop().await;
    let store = place.path().join("node.db");
    let failing = format!("-P {} -e inject=fsync,fdatasync:error=EIO", store.display());
    let (mut node, _trace) = traced(&place, "", &failing);
    // The log is another file.
    assert_eq!(publish_marks(&node, 3).await.0, 3);
    // After a second without work it is copied.
    let (url, http) = (format!("http://{}/readyz", node.metrics), http());
    until("the store fails", async || {
        http.get(&url).send().await.unwrap().status() == 503
    })
    .await;
    let (_, refused) = publish_marks(&node, 1).await;
    assert_eq!(refused.unwrap().message(), "store cannot write");
    assert_eq!(node.terminate().await, Some(1));
    let node = TestNode::start_in(place, |_| {}).await;
    assert_eq!(node.stored("test-sync").await.len(), 3);
}
