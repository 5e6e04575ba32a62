//! Ports, data folders and signals of the commands that stay.

use serde_json::Value;

use super::run;
use crate::harness::{
    house::{House, Node},
    people::{key, person},
    program::{Program, herald},
};

const BOT: &str = "herald: 1
bot: echo
identity: env:BOT_KEY
commands:
  /ping: { reply: pong }
";

const FREE: &str = "127.0.0.1:0";

#[tokio::test]
async fn a_busy_port_says_by_whom() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bot.yaml"), BOT).unwrap();
    let holder = std::net::TcpListener::bind(FREE).unwrap();
    let busy = holder.local_addr().unwrap().to_string();
    let us = format!("process {}", std::process::id());
    for (command, flags) in [
        ("run", &["--http", "--grpc", "--metrics", "--api"][..]),
        ("dev", &["--api"]),
        ("node", &["--http", "--grpc", "--metrics"]),
    ] {
        for taken in flags {
            let mut arguments = vec![command];
            if command != "node" {
                arguments.push("bot.yaml");
            }
            for flag in ["--http", "--grpc", "--metrics", "--api"] {
                if command != "node" || flag != "--api" {
                    arguments.extend([flag, if flag == *taken { &busy } else { FREE }]);
                }
            }
            let ended = run(folder.path(), &arguments, &[("BOT_KEY", &key("bot"))], "")
                .await
                .expect(2);
            assert!(
                ended.talk.contains(&busy) && ended.talk.contains(&us),
                "{taken}: {}",
                ended.talk
            );
        }
    }
}

#[tokio::test]
async fn a_second_herald_with_the_same_wallet_at_the_same_node_is_refused_with_the_pid_of_the_first() {
    let node = Node::start().await;
    let bot = |name: &str| {
        format!(
            "herald: 1\nbot: {name}\nidentity: env:BOT_KEY\nnode: grpc://{}\nlists: {{ all: {{ join: /join }} }}\n",
            node.grpc()
        )
    };
    let (house, other) = (House::of(&bot("first")), House::of(&bot("second")));
    let first = house.start().await;
    let ports = ["--metrics", FREE, "--api", FREE];
    let second = other
        .run(&[&["run", "bot.yaml"], &ports[..]].concat())
        .await
        .expect(2);
    let wallet = first.address().to_string();
    assert!(
        second.talk.contains(&wallet) && second.talk.contains(&format!("(pid {})", first.pid())),
        "{}",
        second.talk
    );
    // What was killed claims nothing any more.
    drop(first);
    other.start().await;
}

#[tokio::test]
async fn a_second_herald_on_the_same_data_is_refused_with_the_pid_of_the_first() {
    let house = House::of(BOT);
    let mut first = house.start().await;
    let ports = ["--http", FREE, "--grpc", FREE, "--metrics", FREE, "--api", FREE];
    for command in [&["run", "bot.yaml"][..], &["dev", "bot.yaml"]] {
        let second = house.run(&[command, &ports[..]].concat()).await.expect(2);
        assert!(
            second.talk.contains(&format!("pid {}", first.pid())),
            "{}",
            second.talk
        );
    }
    let node = house.run(&[&["node"], &ports[..6]].concat()).await.expect(2);
    assert!(
        node.talk.contains(&format!("process {}", first.pid())),
        "{}",
        node.talk
    );
    // The first has not noticed; when it is gone another may.
    let alice = person("alice", first.node()).await;
    alice.asks(first.address(), "/ping", &["pong"]).await;
    first.kill();
    let next = house.start().await;
    alice.asks(next.address(), "/ping", &["pong"]).await;
}

#[tokio::test]
async fn a_signal_ends_every_command_that_stays_well() {
    let house = House::of(BOT);
    let environment = [("BOT_KEY".to_owned(), key("bot"))];
    let ports = ["--http", FREE, "--grpc", FREE, "--metrics", FREE];
    for signal in ["TERM", "INT"] {
        for command in [
            &["run", "bot.yaml", "--api", FREE][..],
            &["dev", "bot.yaml", "--api", FREE],
            &["node"],
        ] {
            let arguments = [command, &ports[..], &["--json", "--data", command[0]]].concat();
            let mut program = Program::start(command[0], herald(house.folder(), arguments, &environment));
            program.event("ready", |_| true).await;
            program.signal(signal);
            let status = program.ended().await;
            assert_eq!(status.code(), Some(0), "{command:?} {signal}\n{program}");
        }
    }
}

#[tokio::test]
async fn a_herald_whose_node_is_away_ends_on_a_signal_too() {
    let house = House::of(&format!("{BOT}node: grpc://127.0.0.1:1\n"));
    let mut herald = house.start_without_waiting();
    let failed = |lines: &[Value]| lines.iter().any(|line| line["event"] == "error");
    herald.until("an error", failed).await;
    herald.stop().await;
    assert!(herald.events("ready").is_empty());
}

#[tokio::test]
async fn a_run_without_json_is_readable_and_obeys_no_control_characters() {
    let house = House::of(
        "herald: 1
bot: echo
identity: env:BOT_KEY
rules:
  order:
    when: { webhook: /orders, verify: { scheme: standard-webhooks, secret: env:SECRET } }
    to: { wallet: body.wallet }
    send: hi
",
    );
    let arguments = [
        "run",
        "bot.yaml",
        "--http",
        FREE,
        "--grpc",
        FREE,
        "--metrics",
        FREE,
        "--api",
        FREE,
    ];
    let environment = [
        ("BOT_KEY".to_owned(), key("bot")),
        ("SECRET".to_owned(), "whsec_AAAA".to_owned()),
    ];
    let mut program = Program::start("herald run", herald(house.folder(), arguments, &environment));
    let says = |what: &'static str| {
        move |lines: &[Value]| {
            lines
                .iter()
                .any(|line| line.as_str().is_some_and(|line| line.contains(what)))
        }
    };
    program.until("ready", says(" ready ")).await;
    program
        .until("the webhook", says("webhook echo/order: POST http://127.0.0.1:"))
        .await;
    program.stop().await;
    assert!(!format!("{:?}", program.lines()).contains("\\u{1b}"));
}

#[tokio::test]
async fn a_node_takes_its_settings_from_a_file_and_flags_win() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("node.yaml"), text).unwrap();
    write(&format!(
        "http: {FREE}\ngrpc: {FREE}\nmetrics: no address\nstore: kept/by-file.db\n"
    ));
    for (flags, store) in [
        (&[][..], "kept/by-file.db"),
        (&["--data", "given"], "given/node.db"),
    ] {
        let arguments = [
            &["node", "--json", "--config", "node.yaml", "--metrics", FREE],
            flags,
        ]
        .concat();
        let mut program = Program::start("herald node", herald(folder.path(), arguments, &[]));
        program.event("ready", |_| true).await;
        program.stop().await;
        let store = folder.path().join(store);
        assert!(store.is_file(), "{}", store.display());
        let mode = std::fs::metadata(store.parent().unwrap()).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o700);
    }
    write("htp: 127.0.0.1:1\n");
    for (file, said) in [
        ("node.yaml", "unknown key `htp`"),
        ("absent.yaml", "`absent.yaml` cannot be read"),
    ] {
        let ended = run(folder.path(), &["node", "--config", file], &[], "")
            .await
            .expect(2);
        assert!(ended.talk.contains(said), "{}", ended.talk);
    }
}

#[tokio::test]
async fn the_access_lists_of_a_running_node_are_changed_beside_it() {
    let house = House::of(BOT);
    std::fs::write(house.folder().join("node.yaml"), "store: there/node.db\n").unwrap();
    let ports = ["--http", FREE, "--grpc", FREE, "--metrics", FREE];
    let arguments = [&["node", "--json", "--config", "node.yaml"], &ports[..]].concat();
    let mut node = Program::start("herald node", herald(house.folder(), arguments, &[]));
    let ready = node.event("ready", |_| true).await;
    let address = format!("grpc://{}", ready["grpc"].as_str().unwrap());
    let wallet = person("alice", address.parse().unwrap())
        .await
        .address()
        .to_string();
    let friend = person("bob", address.parse().unwrap())
        .await
        .address()
        .to_string();
    let access = async |arguments: &[&str]| {
        let arguments = [&["node", "access"], arguments, &["--config", "node.yaml"]].concat();
        house.run(&arguments).await
    };
    let denied = access(&["deny", &wallet, "10.0.0.0/8", "--comment", "test"])
        .await
        .expect(0);
    assert_eq!(denied.out.lines().count(), 2, "{}", denied.out);
    let listed = access(&["list", "--json"]).await.expect(0).json_lines();
    assert_eq!(listed[0]["subject"], wallet);
    assert_eq!(listed[1]["comment"], "test");
    assert_eq!(
        access(&["remove", "10.0.0.0/8"]).await.expect(0).out,
        "10.0.0.0/8  removed\n"
    );
    access(&["remove", "10.0.0.0/8"]).await.expect(1);
    access(&["allow", "10.0.0.1/8"]).await.expect(2);
    let arguments = ["send", &friend, "hi", "--key", "env:KEY", "--node", &address];
    let start = std::time::Instant::now();
    loop {
        let sent = run(house.folder(), &arguments, &[("KEY", &key("alice"))], "").await;
        if sent.talk.contains("wallet is deny listed") {
            break;
        }
        assert!(start.elapsed().as_secs() < 20, "{sent:?}");
    }
    node.stop().await;
}
