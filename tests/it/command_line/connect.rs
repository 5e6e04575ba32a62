//! `herald check --connect`: what bots name is reached, once, and what does not answer as it should has its place.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::mpsc,
};

use serde_json::Value;

use super::run;
use crate::harness::{house::Node, people::key, program::Ended};

/// Answers every request with a list under `items`, but for `/odd`; tells what was asked for.
fn site() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap();
            let line = String::from_utf8_lossy(&head[..length])
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            let status = if line.contains("/refused") {
                "403 Forbidden"
            } else {
                "200 OK"
            };
            let body = if line.contains("list-type=2") {
                "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
            } else if line.contains("/feed/other") {
                r#"{"version": "https://jsonfeed.org/version/1.1", "title": "Blog", "items": []}"#
            } else if line.contains("/odd") {
                r#"{"items": 5}"#
            } else {
                r#"{"items": []}"#
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
            if told.send(line).is_err() {
                return;
            }
        }
    });
    (port, asked)
}

/// A project on this machine.
fn project(port: u16, [folder, node, bucket]: [&str; 3]) -> String {
    format!(
        "herald: 1
node: {node}
fetch: {{ allow: 127.0.0.1/32 }}
uploads:
  media: {{ folder: {folder}, public: http://127.0.0.1:7411/uploads }}
  store:
    s3: {bucket}/drops
    public: https://media.example
    key: env:S3_KEY
    secret: env:S3_SECRET
    endpoint: http://127.0.0.1:{port}
"
    )
}

/// A bot that names what there is to name.
fn bot(port: u16, path: &str, table: &str) -> String {
    format!(
        "herald: 1
bot: reach
identity: env:BOT_KEY
defaults: {{ consent: not_denied }}
sources:
  good: {{ http: http://127.0.0.1:{port}/good, pick: body.items }}
  other: {{ http: http://127.0.0.1:{port}{path}, pick: body.items }}
  of_event: {{ http: \"http://127.0.0.1:{port}/{{{{ body.id }}}}\", pick: body.items }}
  amount: {{ http: http://127.0.0.1:{port}/value, pick: body.items }}
  posted: {{ http: http://127.0.0.1:{port}/posted, post: {{ a: b }}, pick: body.items }}
rules:
  good: {{ when: {{ manual: true }}, to: {{ source: good }}, send: hi }}
  again: {{ when: {{ manual: true }}, to: {{ source: good }}, send: hi }}
  other: {{ when: {{ manual: true }}, to: {{ source: other }}, send: hi }}
  event: {{ when: {{ manual: true }}, to: {{ source: of_event }}, send: hi }}
  posted: {{ when: {{ manual: true }}, to: {{ source: posted }}, send: hi }}
  feed: {{ when: {{ feed: http://127.0.0.1:{port}/feed{path} }}, to: {{ source: good }}, send: hi }}
  value: {{ when: {{ poll: good }}, to: {{ source: good }}, send: \"{{{{ amount }}}}\" }}
  sql:
    when: {{ manual: true }}
    to:
      sql: SELECT wallet FROM {table}
      url: sqlite:shop.db
    send: hi
"
    )
}

/// Code, file and keys, line and column of what was found.
fn places(found: &Ended) -> Vec<(String, String, u64, u64)> {
    let mut places: Vec<(String, String, u64, u64)> = found
        .json_lines()
        .iter()
        .map(|line: &Value| {
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            let number = |key: &str| line[key].as_u64().unwrap();
            (
                text("code"),
                format!("{} {}", text("file"), text("path")),
                number("line"),
                number("column"),
            )
        })
        .collect();
    places.sort();
    places
}

#[tokio::test]
async fn what_bots_name_is_reached_and_what_does_not_answer_has_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
    let (port, asked) = site();
    let shop = rusqlite::Connection::open(folder.path().join("shop.db")).unwrap();
    shop.execute_batch("CREATE TABLE t (wallet TEXT)").unwrap();
    drop(shop);
    write(
        "herald.yaml",
        &project(port, ["shop.db", "grpc://127.0.0.1:1", "refused"]),
    );
    write("bot.yaml", &bot(port, "/odd", "nowhere"));
    let environment = [
        ("BOT_KEY", &*key("bot")),
        ("S3_KEY", "canary-one"),
        ("S3_SECRET", "canary-two"),
    ];
    let plain = run(folder.path(), &["check", "bot.yaml", "--json"], &environment, "")
        .await
        .expect(0);
    assert!(plain.out.is_empty(), "{}", plain.out);
    assert!(asked.try_recv().is_err(), "nobody is asked without --connect");

    let arguments = ["check", "bot.yaml", "--connect", "--json"];
    let found = run(folder.path(), &arguments, &environment, "").await.expect(1);
    let places = places(&found);
    let wanted = [
        ("E501", "bot.yaml rules.feed.when.feed", 17, 25),
        ("E501", "bot.yaml sources.other.http", 7, 18),
        ("E502", "bot.yaml rules.sql.to.sql", 22, 12),
        ("E503", "herald.yaml node", 2, 7),
        ("E504", "herald.yaml uploads.media", 5, 10),
        ("E504", "herald.yaml uploads.store", 7, 5),
    ];
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(code, place, line, column)| ((*code).to_owned(), (*place).to_owned(), *line, *column))
        .collect();
    assert_eq!(places, wanted, "{}", found.out);
    assert!(
        found.talk.contains("source `of_event` is not tried") && found.talk.contains("source `posted`"),
        "{}",
        found.talk
    );
    let mut lines: Vec<String> = asked.try_iter().collect();
    lines.sort();
    assert_eq!(lines.len(), 6, "{lines:?}");
    let wanted = [
        "GET /feed/odd HTTP/1.1",
        "GET /good HTTP/1.1",
        "GET /odd HTTP/1.1",
    ];
    assert_eq!(lines[..3], wanted);
    assert_eq!(lines[4], "GET /value HTTP/1.1");
    assert!(
        lines[3].starts_with("GET /refused?") && lines[5].starts_with("HEAD /refused/drops/"),
        "{lines:?}"
    );
    assert!(
        found.out.contains("the bucket refuses the key") && !found.out.contains("canary"),
        "{}",
        found.out
    );

    // All of it in order.
    let node = Node::start().await;
    write(
        "herald.yaml",
        &project(port, ["files", &format!("grpc://{}", node.grpc()), "kept"]),
    );
    write("bot.yaml", &bot(port, "/other", "t"));
    let fine = run(
        folder.path(),
        &["check", "bot.yaml", "--connect"],
        &environment,
        "",
    )
    .await
    .expect(0);
    assert!(fine.out.ends_with("0 errors, 0 warnings\n"), "{}", fine.out);
    assert!(!folder.path().join("files").exists() && !folder.path().join("data").exists());
}
