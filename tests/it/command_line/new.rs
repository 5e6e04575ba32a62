//! `new`: a folder that runs as it is; `schema` and `completions`.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::run;
use crate::harness::{
    people::{address, key},
    program::{Program, herald},
};

#[tokio::test]
async fn a_new_bot_is_clean_runs_as_it_is_and_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(folder.path(), &["new", "big-shop", "--from", "orders"], &[], "")
        .await
        .expect(0);
    let lines: Vec<&str> = made.out.lines().collect();
    assert!(
        lines[0].starts_with("created big-shop/bot.yaml (") && lines[0].ends_with(" tests)"),
        "{lines:?}"
    );
    assert_eq!(lines[1], "next: cd big-shop && herald dev");
    let own = folder.path().join("big-shop");
    let text = std::fs::read_to_string(own.join("bot.yaml")).unwrap();
    assert!(
        text.starts_with("# yaml-language-server: $schema=bot.schema.json\n"),
        "{text}"
    );
    assert!(
        text.contains("\nbot: big-shop\n") && text.contains("/hooks/big-shop/orders"),
        "{text}"
    );
    let schema = std::fs::read_to_string(own.join("bot.schema.json")).unwrap();
    let printed = run(&own, &["schema", "bot"], &[], "").await.expect(0).out;
    assert_eq!(schema, printed);
    let rights = std::fs::metadata(own.join(".env")).unwrap().permissions().mode();
    assert_eq!(rights & 0o7777, 0o600);
    // No secret is missing, so nothing is found.
    let checked = run(&own, &["check"], &[], "").await.expect(0);
    assert_eq!(checked.out, "1 bot, 1 rule, 0 errors, 0 warnings\n");

    for wrong in [
        &["new", "big-shop"][..],
        &["new", "Big_Shop"],
        &["new", "../out"],
        &["new", "other", "--from", "nothing"],
    ] {
        run(folder.path(), wrong, &[], "").await.expect(2);
    }
    assert_eq!(std::fs::read_to_string(own.join("bot.yaml")).unwrap(), text);
    assert!(!folder.path().join("other").exists());
}

#[tokio::test]
async fn every_example_can_be_begun_with_and_is_whole_under_its_new_name() {
    let folder = tempfile::tempdir().unwrap();
    let bots = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("bots");
    for file in std::fs::read_dir(bots).unwrap() {
        let path = file.unwrap().path();
        let is_bot = path.extension().is_some_and(|extension| extension == "yaml");
        if !is_bot || path.ends_with("herald.yaml") {
            continue;
        }
        let template = path.file_stem().unwrap().to_str().unwrap();
        let name = format!("my-{template}");
        run(folder.path(), &["new", &name, "--from", template], &[], "")
            .await
            .expect(0);
        let own = folder.path().join(&name);
        let checked = run(&own, &["check"], &[], "").await.expect(0).out;
        assert!(
            checked.starts_with("1 bot, ") && checked.ends_with("0 errors, 0 warnings\n"),
            "{template}: {checked}"
        );
        run(&own, &["test", "bot.yaml"], &[], "").await.expect(0);
        let text = std::fs::read_to_string(own.join("bot.yaml")).unwrap();
        let was = [
            format!("bot: {template}\n"),
            format!("/hooks/{template}/"),
            format!("bots/{template}.yaml"),
        ];
        assert!(was.iter().all(|was| !text.contains(was)), "{template}: {text}");
    }
    let drop = std::fs::read_to_string(folder.path().join("my-drop/bot.yaml")).unwrap();
    assert!(
        drop.contains("approve my-drop/opening`") && drop.contains("csv: drop/team.csv"),
        "{drop}"
    );
}

#[tokio::test]
async fn the_file_beside_a_bot_stands_for_what_the_environment_does_not_have() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["new", "greeter"], &[], "").await.expect(0);
    let own = folder.path().join("greeter");
    let free = "127.0.0.1:0";
    let arguments = [
        "run",
        "--json",
        "--http",
        free,
        "--grpc",
        free,
        "--metrics",
        free,
        "--api",
        free,
    ];
    let mut program = Program::start("herald run", herald(&own, arguments, &[]));
    let ready = program.event("ready", |_| true).await;
    let secrets = std::fs::read_to_string(own.join(".env")).unwrap();
    let secret = secrets
        .lines()
        .find_map(|line| line.strip_prefix("GREETER_KEY="))
        .unwrap();
    let shown = [("K", secret)];
    let shown = run(&own, &["keys", "show", "--key", "env:K"], &shown, "")
        .await
        .expect(0);
    assert_eq!(ready["address"], shown.out.trim());
    assert!(!program.talk().contains(secret));
    program.stop().await;

    let environment = [("GREETER_KEY".to_owned(), key("alice"))];
    let mut program = Program::start("herald run", herald(&own, arguments, &environment));
    let ready = program.event("ready", |_| true).await;
    assert_eq!(
        ready["address"],
        address("alice").to_string(),
        "the environment goes first"
    );
    program.stop().await;

    std::fs::set_permissions(own.join(".env"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = run(&own, &["run"], &[], "").await.expect(2);
    assert!(refused.talk.contains("chmod 600"), "{}", refused.talk);
}

#[tokio::test]
async fn schemas_are_json_and_completions_name_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["bot", "project"] {
        let schema = run(folder.path(), &["schema", kind], &[], "").await.expect(0);
        let schema: Value = serde_json::from_str(&schema.out).unwrap();
        assert_eq!(schema["properties"]["herald"]["enum"][1], "1", "{kind}");
    }
    let api = run(folder.path(), &["schema", "api"], &[], "").await.expect(0);
    assert!(api.out.contains("\"openapi\": \"3.1.0\""));
    run(folder.path(), &["schema", "nothing"], &[], "")
        .await
        .expect(2);
    for shell in ["bash", "zsh", "fish"] {
        let script = run(folder.path(), &["completions", shell], &[], "")
            .await
            .expect(0)
            .out;
        for command in ["deliveries", "sign-consent"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    run(folder.path(), &["completions", "tcsh"], &[], "")
        .await
        .expect(2);
}
