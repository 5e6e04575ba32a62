//! `check`, and files that cannot run.

use std::path::Path;

use serde_json::Value;

use super::run;

const BAD: &str = "herald: 1
bot: bad
identity: env:BOT_KEY
rules:
  typo:
    when: { started: true }
    to: { wallet: 0xdaE6738322c9d3EDE8a1BEE4C70ef7B2131aa6b7 }
    consnet: any
    send: hi
  type:
    when: { started: true }
    to: { wallet: 0xdaE6738322c9d3EDE8a1BEE4C70ef7B2131aa6b7 }
    ttl: soon
    send: hi
  checksum:
    when: { started: true }
    to: { wallet: 0xDAE6738322c9d3EDE8a1BEE4C70ef7B2131aa6b7 }
    send: hi
  zone:
    when: { cron: 0 9 * * mon, tz: Europe/Lissabon }
    to: { wallet: 0xdaE6738322c9d3EDE8a1BEE4C70ef7B2131aa6b7 }
    send: hi
  cron:
    when: { cron: 61 9 * * mon }
    to: { wallet: 0xdaE6738322c9d3EDE8a1BEE4C70ef7B2131aa6b7 }
    send: hi
";

/// Line, column, path and what the message names, of each mistake in [`BAD`].
const MISTAKES: [(u64, u64, &str, &str); 5] = [
    (8, 5, "rules.typo.consnet", "unknown key `consnet`"),
    (13, 10, "rules.type.ttl", "`soon`"),
    (17, 19, "rules.checksum.to.wallet", "checksum"),
    (20, 36, "rules.zone.when.tz", "`Europe/Lissabon`"),
    (24, 19, "rules.cron.when.cron", "`61`"),
];

fn bad() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.yaml"), BAD).unwrap();
    folder
}

#[track_caller]
fn one_error_each(findings: &[Value]) {
    assert_eq!(findings.len(), MISTAKES.len(), "{findings:#?}");
    for (finding, (line, column, path, names)) in findings.iter().zip(MISTAKES) {
        assert_eq!(
            (&finding["line"], &finding["column"]),
            (&line.into(), &column.into()),
            "{finding}"
        );
        assert_eq!(
            (&finding["file"], &finding["path"]),
            (&"bad.yaml".into(), &path.into()),
            "{finding}"
        );
        assert_eq!(finding["severity"], "error", "{finding}");
        assert!(finding["message"].as_str().unwrap().contains(names), "{finding}");
        assert!(finding["code"].as_str().unwrap().starts_with('E'), "{finding}");
        assert!(finding.get("hint").is_some(), "{finding}");
    }
    assert!(
        findings[0]["hint"].as_str().unwrap().contains("`consent`"),
        "{findings:?}"
    );
}

#[tokio::test]
async fn each_mistake_is_one_finding_with_its_place() {
    let folder = bad();
    let key = [("BOT_KEY", "x")];
    let found = run(folder.path(), &["check", "--json", "bad.yaml"], &key, "")
        .await
        .expect(1);
    one_error_each(&found.json_lines());
    assert_eq!(found.talk, "1 bot, 0 rules, 5 errors, 0 warnings\n");

    let shown = run(folder.path(), &["check", "bad.yaml"], &key, "")
        .await
        .expect(1);
    assert!(
        shown.out.starts_with(
            "bad.yaml:8:5 error E101: unknown key `consnet` in `rules.typo`\n 8 |     consnet: any\n   |     ^\nhint: did you mean `consent`?\n"
        ),
        "{}",
        shown.out
    );
    assert_eq!(
        shown.out.lines().last(),
        Some("1 bot, 0 rules, 5 errors, 0 warnings")
    );
    assert_eq!(shown.talk, "");
}

#[tokio::test]
async fn a_folder_is_every_yaml_file_in_it_and_the_examples_are_clean() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let secrets = [
        ("HELLO_KEY", "x"),
        ("ORDERS_KEY", "x"),
        ("ORDERS_WEBHOOK_SECRET", "x"),
        ("COURSE_KEY", "x"),
        ("DROP_KEY", "x"),
        ("LETTER_KEY", "x"),
        ("NOTES_KEY", "x"),
        ("DESK_KEY", "x"),
        ("RSS_KEY", "x"),
        ("PRICE_KEY", "x"),
        ("DIGEST_KEY", "x"),
        ("HEALTH_KEY", "x"),
        ("LIQUIDATION_KEY", "x"),
        ("ETH_RPC", "https://eth.example"),
        ("DAO_KEY", "x"),
        ("ARB_RPC", "https://arb.example"),
        ("TICKETS_KEY", "x"),
        ("TICKETS_SECRET", "x"),
    ];
    let clean = run(root, &["check", "bots/"], &secrets, "").await.expect(0);
    assert!(clean.out.ends_with("0 errors, 0 warnings\n"), "{}", clean.out);
    assert_eq!(clean.out.lines().count(), 1, "{}", clean.out);
    // A missing secret is a warning: the file is not wrong.
    let unset = run(root, &["check", "bots", "--json"], &[], "").await.expect(0);
    let warnings = unset.json_lines();
    // One chain is asked by four of the bots.
    assert_eq!(warnings.len(), secrets.len() + 3);
    assert!(
        warnings.iter().all(|warning| warning["severity"] == "warning"),
        "{warnings:?}"
    );

    let folder = bad();
    std::fs::write(folder.path().join("other.txt"), "no bot").unwrap();
    std::fs::write(folder.path().join("herald.yaml"), "no bot").unwrap();
    let found = run(folder.path(), &["check", "."], &[("BOT_KEY", "x")], "")
        .await
        .expect(1);
    assert!(found.out.contains("\n1 bot, "), "{}", found.out);
    let empty = tempfile::tempdir().unwrap();
    let nothing = run(empty.path(), &["check", "."], &[], "").await.expect(2);
    assert!(nothing.talk.contains("no *.yaml"), "{}", nothing.talk);
    run(empty.path(), &["check", "absent.yaml"], &[], "")
        .await
        .expect(2);
}

#[tokio::test]
async fn a_bot_with_mistakes_does_not_start_and_leaves_nothing() {
    let folder = bad();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = holder.local_addr().unwrap().to_string();
    for command in ["run", "dev"] {
        let arguments = [
            command,
            "bad.yaml",
            "--json",
            "--api",
            &busy,
            "--http",
            &busy,
            "--grpc",
            &busy,
            "--metrics",
            &busy,
        ];
        let refused = run(folder.path(), &arguments, &[("BOT_KEY", "x")], "")
            .await
            .expect(2);
        one_error_each(&refused.json_lines());
        assert!(
            !refused.talk.contains("in use"),
            "no port is tried: {}",
            refused.talk
        );
        assert!(!folder.path().join("data").exists(), "nothing is left");
    }
}

#[tokio::test]
async fn a_bot_without_its_key_does_not_run_and_two_of_one_name_neither() {
    let folder = tempfile::tempdir().unwrap();
    let text = "herald: 1\nbot: one\nidentity: env:BOT_KEY\ncommands:\n  /ping: { reply: pong }\n";
    std::fs::write(folder.path().join("a.yaml"), text).unwrap();
    let refused = run(folder.path(), &["run", "a.yaml"], &[], "").await.expect(2);
    assert!(refused.talk.contains("`BOT_KEY`"), "{}", refused.talk);
    let odd = run(folder.path(), &["run", "a.yaml"], &[("BOT_KEY", "0xabc")], "")
        .await
        .expect(2);
    assert!(
        !odd.talk.contains("0xabc"),
        "the key is not repeated: {}",
        odd.talk
    );
    std::fs::write(folder.path().join("b.yaml"), text).unwrap();
    let twice = run(folder.path(), &["run", "."], &[("BOT_KEY", "x")], "")
        .await
        .expect(2);
    assert!(twice.talk.contains("both bot `one`"), "{}", twice.talk);
    assert!(!folder.path().join("data").exists(), "nothing is left");
}

#[tokio::test]
async fn the_bot_in_the_readme_is_clean() {
    let readme = include_str!("../../../README.md");
    let bot = readme.split("```yaml\n").nth(1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bot.yaml"), bot.split("```").next().unwrap()).unwrap();
    // A secret that is missing would be a finding, too.
    let environment = [("HELLO_KEY", "x")];
    let clean = run(folder.path(), &["check", "bot.yaml", "--json"], &environment, "")
        .await
        .expect(0);
    assert!(clean.json_lines().is_empty(), "{:?}", clean.json_lines());
}
