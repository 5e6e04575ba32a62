//! `herald doctor`: what is in order passes, what is not fails with what to do, and nothing is changed or given away.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use serde_json::Value;

use super::run;
use crate::harness::{
    house::House,
    people::key,
    program::{Ended, finish, herald},
};

const BOT: &str = "herald: 1
bot: post
identity: env:BOT_KEY
rules:
  note: { when: { manual: true }, to: { wallet: body.wallet }, consent: transactional, send: hi }
";

/// The states and words of a check, by what was looked at.
fn of<'l>(lines: &'l [Value], check: &str) -> Vec<(&'l str, &'l str)> {
    let own = lines.iter().filter(|line| line["check"] == check);
    own.map(|line| (line["state"].as_str().unwrap(), line["told"].as_str().unwrap()))
        .collect()
}

#[track_caller]
fn is(lines: &[Value], check: &str, state: &str, told: &str) {
    let found = of(lines, check);
    assert!(
        !found.is_empty()
            && found
                .iter()
                .all(|(own, words)| *own == state && words.contains(told)),
        "{check}: {found:?}"
    );
}

/// Every failure says what to do about it, and nothing else does.
#[track_caller]
fn fixes(lines: &[Value]) {
    for line in lines {
        assert_eq!(line["state"] == "failed", line["fix"].is_string(), "{line}");
    }
}

fn files(folder: &Path) -> BTreeSet<(String, u64)> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        found.insert((name, entry.metadata().unwrap().len()));
    }
    found
}

#[tokio::test]
async fn a_machine_in_order_passes_beside_a_running_herald_and_after_it() {
    let house = House::of(BOT);
    let mut running = house.start().await;
    let ready = running.ready().clone();
    let mut arguments = vec!["doctor", "bot.yaml", "--json"];
    for flag in ["http", "grpc", "metrics", "api"] {
        arguments.push(match flag {
            "http" => "--http",
            "grpc" => "--grpc",
            "metrics" => "--metrics",
            _ => "--api",
        });
        arguments.push(ready[flag].as_str().unwrap());
    }
    let lines = house.run(&arguments).await.expect(0).json_lines();
    for (check, told) in [
        ("bots", "no errors"),
        ("data", "mode 0700"),
        ("disk", "MiB are free"),
        ("store", &*format!("running herald (pid {})", running.pid())),
        ("files", "at once"),
        ("port", "in use by the running herald"),
        ("api", "takes the token"),
        ("key", &*running.address().to_string()),
        ("node", "answers in "),
        ("contact", "published"),
        ("clock", "s from that of the node at grpc://"),
    ] {
        is(&lines, check, "ok", told);
    }
    assert_eq!(of(&lines, "port").len(), 4);
    fixes(&lines);

    // Its token is another now than the one it knows.
    std::fs::write(house.data().join("api.token"), "another").unwrap();
    let lines = house.run(&arguments).await.expect(1).json_lines();
    is(&lines, "api", "failed", "status 401");
    running.stop().await;

    let before = files(&house.data());
    let lines = house.run(&arguments).await.expect(0).json_lines();
    is(&lines, "port", "ok", "free");
    is(&lines, "store", "ok", "version ");
    assert!(!of(&lines, "store")[0].1.contains("pid"), "{lines:?}");
    is(&lines, "node", "skipped", "it starts with");
    is(&lines, "api", "skipped", "no herald runs on data");
    is(&lines, "clock", "ok", "no node told the time");
    assert_eq!(files(&house.data()), before, "nothing is written");
}

#[tokio::test]
async fn what_is_wrong_fails_with_what_to_do_and_gives_no_secret_away() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
    write(
        "herald.yaml",
        "herald: 1
uploads:
  lost: { folder: herald.yaml/files, public: http://127.0.0.1:7411/uploads }
  away: { s3: bucket, public: https://media.invalid, key: env:S3_KEY, secret: env:S3_SECRET, endpoint: http://127.0.0.1:1 }
",
    );
    write(
        "bot.yaml",
        "herald: 1
bot: ill
identity: env:MISSING_KEY
node: grpc://127.0.0.1:1
sources:
  people: { http: http://127.0.0.1:8080/people }
rules:
  web: { when: { manual: true }, to: { source: people }, consent: not_denied, send: hi }
  sql: { when: { manual: true }, to: { sql: SELECT wallet FROM t, url: env:DATABASE }, consent: not_denied, send: hi }
  hook:
    when: { webhook: /x, verify: { scheme: bearer, secret: env:MISSING_TOKEN } }
    to: { wallet: body.wallet }
    consent: transactional
    send: hi
",
    );
    write("broken.yaml", "herald: 1\nbot: broken\n");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    write("data/api.token", "a token");
    write("data/herald.db", "not a database, whatever its name says");
    for (path, mode) in [(data.clone(), 0o755), (data.join("api.token"), 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = holder.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0";
    let secrets = [
        ("S3_KEY", "canary-one"),
        ("S3_SECRET", "canary-two"),
        ("DATABASE", "canary-three"),
    ];
    let arguments = ["doctor", ".", "--api", &busy, "--metrics", free];
    let told = run(folder.path(), &arguments, &secrets, "").await.expect(1);
    let json = [&arguments[..], &["--json"]].concat();
    let Ended { out, talk, .. } = run(folder.path(), &json, &secrets, "").await.expect(1);
    for text in [&out, &talk, &told.out, &told.talk] {
        assert!(!text.contains("canary"), "{text}");
    }
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    fixes(&lines);
    for (check, words) in [
        ("data", "others can "),
        ("store", "cannot be read"),
        ("key", "`ill`: environment variable `MISSING_KEY`"),
        ("node", "grpc://127.0.0.1:1"),
        ("source", "loopback address"),
        ("sql", "no `postgres://` or `sqlite:` URL"),
        ("dns", ""),
        ("secret", "`MISSING_TOKEN` is not set"),
        ("bots", "no `identity`"),
    ] {
        is(&lines, check, "failed", words);
    }
    let all = |check| {
        of(&lines, check)
            .iter()
            .map(|(_, told)| *told)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let uploads = all("upload");
    assert!(
        uploads.contains("herald.yaml is no folder") && uploads.contains("does not answer"),
        "{uploads}"
    );
    let ports = all("port");
    assert!(
        ports.contains(&format!("process {}", std::process::id())) && ports.contains("free"),
        "{ports}"
    );
    assert!(of(&lines, "clock")[0].1.contains("no node told the time"));

    assert_eq!(
        told.out.lines().count(),
        lines.len(),
        "one line a check: {}",
        told.out
    );
    let line = told.out.lines().find(|line| line.contains("mode 0755")).unwrap();
    assert_eq!(
        line,
        "failed   data data: others can look into it (mode 0755); run `chmod 700 data`"
    );
}

#[tokio::test]
async fn few_files_and_no_bots_fail_and_an_empty_folder_stays_empty() {
    let folder = tempfile::tempdir().unwrap();
    let command = herald(folder.path(), ["doctor"], &[]);
    let mut few = Command::new("sh");
    few.current_dir(folder.path())
        .args([
            "-c",
            "ulimit -n 256; exec \"$0\" doctor --json --api 127.0.0.1:0 --metrics 127.0.0.1:0",
        ])
        .arg(command.get_program());
    let lines = finish(few, "").await.expect(1).json_lines();
    is(&lines, "files", "failed", "at most 256");
    is(&lines, "bots", "failed", "no file or folder bots");
    is(&lines, "data", "skipped", "not there yet");
    assert!(files(folder.path()).is_empty());

    std::fs::write(folder.path().join("bot.yaml"), BOT).unwrap();
    let ports = [
        "--http",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
        "--api",
        "127.0.0.1:0",
        "--metrics",
        "127.0.0.1:0",
    ];
    let arguments = [&["doctor"][..], &ports].concat();
    run(folder.path(), &arguments, &[("BOT_KEY", &key("bot"))], "")
        .await
        .expect(0);
    assert_eq!(files(folder.path()).len(), 1);
}
