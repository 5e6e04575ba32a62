//! What a node says of the calls it answers.

use std::path::Path;

use serde_json::json;

use crate::{client::Client, harness::*, process::Process};

/// Every line of the log that has all of these words.
fn lines_with(log: &Path, words: &[&str]) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
    text.lines().filter(has_all).map(str::to_owned).collect()
}

/// Conformance line 41.
#[tokio::test]
async fn every_call_is_one_line_at_debug_that_names_the_client_and_tells_no_secret() {
    let place = Place::new();
    let log = place.path().join("log");
    let before = format!(
        "export NO_COLOR=1 HERALD_LOG=herald_node=debug; exec 2>'{}';",
        log.display()
    );
    let node = Process::start(&place, &before);
    let alice = Wallet::new(1);
    let grpc = Client::Grpc(node.client().await);
    let sent = envelope("test-secret-topic", 1, b"m");
    grpc.publish(Some(&alice.bearer), vec![sent]).await.unwrap();
    let ask = http()
        .post(format!("http://{}/message/v1/query", node.http))
        .header("x-client-version", "xmtp-js/13.0.4")
        .header("x-client-version", "other/1")
        .header("x-app-version", format!("{}/1.2/3", "n".repeat(1_000)))
        .body(json!({ "contentTopics": ["test-secret-topic"] }).to_string());
    assert_eq!(answer(ask).await.0, 200);
    let refused = http().post(format!("http://{}/message/v1/query", node.http));
    assert_eq!(answer(refused.body("{}")).await.0, 400);
    let unknown = http().get(format!("http://{}/nothing", node.http));
    assert_eq!(answer(unknown).await.0, 404);

    let publish = ["answered", "\"publish\"", "\"grpc\"", "\"ok\"", "ms="];
    let queried = ["answered", "\"query\"", "\"http\"", "\"ok\"", "ms="];
    let invalid = ["answered", "\"query\"", "\"http\"", "\"invalid_argument\""];
    let missed = ["answered", "\"unknown\"", "\"http\"", "\"not_found\""];
    for words in [&publish[..], &queried, &invalid, &missed] {
        until("the call is in the log", async || {
            !lines_with(&log, words).is_empty()
        })
        .await;
        assert_eq!(lines_with(&log, words).len(), 1, "{words:?}");
    }
    let line = &lines_with(&log, &queried)[0];
    for word in [
        "\"xmtp-js\"",
        "\"13.0.4\"",
        "\"1.2/3\"",
        &format!("\"{}\"", "n".repeat(64)),
    ] {
        assert!(line.contains(word), "{line} lacks {word}");
    }
    let all = std::fs::read_to_string(&log).unwrap();
    let token: String = alice.bearer.chars().skip("Bearer ".len()).take(40).collect();
    let address = alice.address();
    for secret in ["secret-topic", &token, &address, "other/1"] {
        assert!(!all.contains(secret), "{secret} is in the log");
    }
}
