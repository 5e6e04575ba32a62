//! What an operator sees of a running node, and how he configures it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

use herald_node::metrics::{ALL, Kind, Metric};
use herald_protocol::proto::api::{PublishRequest, SubscribeRequest};
use serde_json::Value;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::harness::*;

/// Status and body of an operator's question.
async fn ask(node: &TestNode, path: &str) -> (u16, String) {
    let url = format!("http://{}{path}", node.addresses.metrics);
    let response = http().get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn readiness(node: &TestNode, wanted: (u16, &str)) {
    until(&format!("/readyz says {wanted:?}"), async || {
        let (status, said) = ask(node, "/readyz").await;
        (status, said.as_str()) == wanted
    })
    .await;
}

async fn gauge(node: &TestNode, name: &str) -> f64 {
    let (_, text) = ask(node, "/metrics").await;
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// Overwrites the file where it stands, as a broken disk does, from `offset` on.
fn overwrite(file: &Path, offset: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_told_everywhere_until_it_reads_again() {
    let node = TestNode::start().await;
    let envelopes = (0..50).map(|number| envelope("test-read", number, vec![7; 20_000]));
    node.publish(&Wallet::new(1), envelopes.collect()).await;
    // A stopped node has everything in the file itself.
    let folder = node.stop().await;
    let store = folder.path().join("node.db");
    let intact = fs::read(&store).unwrap();
    let node = TestNode::start_in(folder, |_| {}).await;
    let mut health = HealthClient::new(channel(node.addresses.grpc).await);
    let watched = health.watch(HealthCheckRequest::default()).await.unwrap();
    let mut watched = watched.into_inner();
    let mut said = async || {
        let next = tokio::time::timeout(DEADLINE, watched.message()).await;
        next.unwrap().unwrap().unwrap().status
    };
    assert_eq!(said().await, 1);
    readiness(&node, (200, "ready\n")).await;

    let away = store.with_extension("away");
    let garbage = vec![0x5a; intact.len() - 4_096];
    let damages: [&dyn Fn(); 3] = [
        &|| overwrite(&store, 4_096, &garbage),
        &|| {
            fs::OpenOptions::new()
                .write(true)
                .open(&store)
                .unwrap()
                .set_len(4_096)
                .unwrap();
        },
        &|| fs::rename(&store, &away).unwrap(),
    ];
    for damage in damages {
        damage();
        readiness(&node, (503, "store cannot be read\n")).await;
        assert_eq!(said().await, 2);
        let check = health.check(HealthCheckRequest::default()).await.unwrap();
        assert_eq!(check.into_inner().status, 2);
        assert_eq!(ask(&node, "/healthz").await, (200, "ok\n".to_owned()));

        if away.exists() {
            fs::rename(&away, &store).unwrap();
        }
        overwrite(&store, 0, &intact);
        readiness(&node, (200, "ready\n")).await;
        assert_eq!(said().await, 1);
    }
    assert_eq!(node.stored("test-read").await.len(), 50);
}

#[tokio::test]
async fn one_damaged_envelope_is_found_by_its_digest() {
    let node = TestNode::start().await;
    node.publish(
        &Wallet::new(1),
        vec![envelope("test-flip", 1, "a message in one page")],
    )
    .await;
    let folder = node.stop().await;
    let store = folder.path().join("node.db");
    let bytes = fs::read(&store).unwrap();
    let text = b"a message in one page";
    let at = bytes
        .windows(text.len())
        .position(|window| window == text)
        .unwrap();
    let node = TestNode::start_in(folder, |_| {}).await;
    readiness(&node, (200, "ready\n")).await;
    overwrite(&store, at as u64, b"b");
    readiness(&node, (503, "store cannot be read\n")).await;
}

/// `name{label="value",...} number` in pieces.
fn sample(line: &str) -> (String, BTreeSet<String>) {
    let (series, _) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels
        .trim_end_matches('}')
        .split("\",")
        .filter(|label| !label.is_empty());
    let names = labels.map(|label| label.split_once('=').unwrap().0.to_owned());
    (name.to_owned(), names.collect())
}

#[tokio::test]
async fn a_used_node_shows_every_metric_of_the_table_and_no_other() {
    let (alice, node) = (Wallet::new(1), TestNode::start().await);
    let sent = envelope("test-used", 1, b"m");
    node.publish(&alice, vec![sent.clone()]).await;
    node.publish(&alice, vec![sent.clone()]).await;
    let forged = PublishRequest {
        envelopes: vec![sent],
    };
    let refused = node.grpc().await.publish(with_header(forged, "Bearer x")).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    let topics = SubscribeRequest {
        content_topics: vec!["test-used".to_owned()],
    };
    let _stream = node.grpc().await.subscribe(topics).await.unwrap();
    assert_eq!(node.stored("test-used").await.len(), 1);
    until("the size of the store is known", async || {
        gauge(&node, "herald_node_store_bytes").await > 0.0
    })
    .await;
    assert!(gauge(&node, "herald_node_store_free_bytes").await > 0.0);
    assert!(gauge(&node, "herald_node_ready").await > 0.0);
    until("streams are fed", async || {
        gauge(&node, "herald_node_feed_lag").await == 0.0
    })
    .await;

    let (_, text) = ask(&node, "/metrics").await;
    let mut found: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' ')) {
            found.entry(name).or_default().0 = help;
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            found.entry(name).or_default().1 = kind;
        }
    }
    let table = ALL
        .iter()
        .map(|metric| (metric.name, (metric.help, kind_name(metric.kind))));
    assert_eq!(found, table.collect());
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (name, mut labels) = sample(line);
        let metric = named(&name).unwrap_or_else(|| panic!("{name} is not in the table"));
        if metric.kind == Kind::Histogram {
            labels.remove("le");
        }
        let wanted: BTreeSet<String> = metric.labels.iter().map(|label| (*label).to_owned()).collect();
        assert_eq!(labels, wanted, "{line}");
    }
    for used in [
        r#"herald_node_tokens_total{outcome="verified"}"#,
        r#"herald_node_tokens_total{outcome="cached"}"#,
        r#"herald_node_tokens_total{outcome="refused"}"#,
        r#"herald_node_envelopes_total{kind="other"}"#,
        r#"herald_node_requests_total{method="publish",transport="grpc",code="unauthenticated"}"#,
        "herald_node_duplicates_total",
        "herald_node_commit_seconds_count",
    ] {
        let line = text.lines().find(|line| line.starts_with(&format!("{used} ")));
        assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{used}: {line:?}");
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

/// The metric that a series belongs to: a histogram has three.
pub(crate) fn named(series: &str) -> Option<&'static Metric> {
    let histogram = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| series.strip_suffix(suffix));
    ALL.iter().find(|metric| match metric.kind {
        Kind::Histogram => histogram == Some(metric.name),
        Kind::Counter | Kind::Gauge => series == metric.name,
    })
}

fn with_environment(variables: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herald-node"));
    command.args(arguments).envs(variables.iter().copied());
    command
}

#[test]
fn variables_configure_a_node_and_flags_overrule_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.yaml");
    fs::write(&file, "http: 127.0.0.1\ngrpc: 127.0.0.1:0\n").unwrap();
    let variables = [
        ("HERALD_NODE_HTTP", "127.0.0.2:0"),
        ("HERALD_NODE_METRICS", "127.0.0.2:0"),
        (
            "HERALD_NODE_STORE",
            folder.path().join("of-variable.db").to_str().unwrap(),
        ),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let arguments = ["--config", file.to_str().unwrap(), "--metrics", "127.0.0.3:0"];
    let mut node = with_environment(&variables, &arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(node.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let at = |port: &str| {
        ready[port]
            .as_str()
            .unwrap()
            .split(':')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        ["http", "grpc", "metrics"].map(at),
        ["127.0.0.2", "127.0.0.1", "127.0.0.3"]
    );
    Command::new("kill").arg(node.id().to_string()).status().unwrap();
    assert_eq!(node.wait().unwrap().code(), Some(0));
    assert!(folder.path().join("of-variable.db").exists());
}

#[test]
fn a_wrong_setting_ends_with_two_before_anything_is_made_and_says_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.yaml");
    fs::write(&file, "auth:\n  max_agee: 5m\n").unwrap();
    let data = folder.path().join("data");
    let run = |variables: &[(&str, &str)], arguments: &[&str]| -> Output {
        let mut command = with_environment(variables, arguments);
        command.args(["--data", data.to_str().unwrap()]).output().unwrap()
    };
    let place = format!("error: {}:2:3: auth.max_agee: unknown key", file.display());
    for (variables, arguments, said) in [
        (vec![], vec!["--config", file.to_str().unwrap()], place.as_str()),
        (
            vec![("HERALD_NODE_AUTH_MAX_AGE", "5m")],
            vec![],
            "error: HERALD_NODE_AUTH_MAX_AGE: auth_max_age: unknown key `auth_max_age`\nhint: did you mean `HERALD_NODE_AUTH__MAX_AGE`?",
        ),
        (
            vec![],
            vec!["--http", "5555"],
            "error: --http: http: found `5555`, wanted `host:port`",
        ),
    ] {
        let ended = run(&variables, &arguments);
        let text = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{text}");
        assert!(text.starts_with(said), "{text}");
        assert!(!data.exists());
    }
}
