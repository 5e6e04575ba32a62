//! Help and talk: every command explains itself, and no flag is offered that no test tries.

use std::{collections::BTreeSet, process::Command};

use super::run;
use crate::harness::program::herald;

/// The flags of each command beside those of all. Each is tried by a test of this folder or of its neighbours.
const COMMANDS: &[(&str, &str)] = &[
    ("dev", "--http --grpc --metrics --api"),
    ("run", "--http --grpc --metrics --api"),
    ("check", "--explain --connect"),
    ("test", "--update --junit"),
    ("node", "--config --http --grpc --metrics"),
    ("node access", "--config"),
    ("node access allow", "--config --comment"),
    ("node access deny", "--config --comment"),
    ("node access remove", "--config"),
    ("node access list", "--config"),
    ("send", "--key --passphrase --node"),
    ("inbox", "--key --passphrase --node --follow"),
    ("keys", ""),
    ("keys new", "--hex --passphrase"),
    ("keys show", "--key --passphrase --reveal"),
    ("keys import", "--key --derivation --hex --passphrase"),
    ("keys sign", "--key --passphrase"),
    ("keys sign-consent", "--key --passphrase"),
    ("keys export", "--key --passphrase --node"),
    ("keys rotate", "--key --passphrase --node"),
    ("broadcast", ""),
    ("broadcast plan", "--event --api --token --bots"),
    ("broadcast start", "--body --api --token --bots"),
    ("broadcast approve", "--api --token --bots"),
    ("broadcast pause", "--api --token --bots"),
    ("broadcast resume", "--api --token --bots"),
    ("broadcast cancel", "--api --token --bots"),
    ("broadcast status", "--follow --api --token --bots"),
    ("preview", "--as --event --limit --api --token --bots"),
    (
        "deliveries",
        "--bot --rule --wallet --state --since --broken --limit",
    ),
    ("callbacks", "--bot --rule --state --limit"),
    ("callbacks replay", "--dead --api --token --bots"),
    ("deliveries show", ""),
    ("deliveries why", ""),
    ("deliveries replay", "--dead --bot --rule --api --token --bots"),
    ("subscribers", ""),
    ("subscribers list", "--api --token --bots"),
    (
        "subscribers add",
        "--field --proof --proof-time --api --token --bots",
    ),
    ("subscribers remove", "--api --token --bots"),
    ("subscribers import", "--api --token --bots"),
    ("subscribers export", "--api --token --bots"),
    ("subscribers show", "--bot --api --token --bots"),
    ("subscribers forget", "--bot --api --token --bots"),
    ("status", "--api --token --bots"),
    ("doctor", "--http --grpc --metrics --api"),
    ("backup", ""),
    ("new", "--from"),
    ("schema", ""),
    ("schema bot", ""),
    ("schema project", ""),
    ("schema api", ""),
    ("schema reference", ""),
    ("completions", ""),
];

const OF_ALL: &str = "--json --data --project --verbose --quiet --help";

/// The words of a help text that are long flags in the first column.
fn flags(help: &str) -> BTreeSet<&str> {
    help.lines()
        .filter(|line| line.trim_start().starts_with('-'))
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")))
        .map(|word| word.trim_end_matches(['.', ',']))
        .collect()
}

#[tokio::test]
async fn every_command_explains_itself_and_offers_only_flags_that_are_tried() {
    let folder = tempfile::tempdir().unwrap();
    for (command, own) in COMMANDS {
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push("--help");
        let help = run(folder.path(), &arguments, &[], "").await.expect(0).out;
        let wanted: BTreeSet<&str> = own.split_whitespace().chain(OF_ALL.split(' ')).collect();
        assert_eq!(flags(&help), wanted, "{command}\n{help}");
        assert!(help.contains(&format!("Usage: herald {command} ")), "{help}");
    }
    let all = run(folder.path(), &["--help"], &[], "").await.expect(0).out;
    let offered: BTreeSet<&str> = all
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let wanted = COMMANDS
        .iter()
        .map(|(command, _)| command.split(' ').next().unwrap());
    let wanted: BTreeSet<&str> = wanted.chain(["help"]).collect();
    assert_eq!(offered, wanted, "{all}");
    assert!(
        run(folder.path(), &["--version"], &[], "")
            .await
            .expect(0)
            .out
            .starts_with("herald ")
    );
}

#[tokio::test]
async fn a_wrong_command_line_is_usage_and_says_what_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["chek"][..],
        &["run", "--htpp", "x"],
        &["send"],
        &["node", "--quiet", "--verbose"],
        &[],
    ] {
        let ended = run(folder.path(), arguments, &[], "").await.expect(2);
        assert!(
            ended.talk.contains("Usage: herald") && ended.out.is_empty(),
            "{arguments:?} {ended:?}"
        );
    }
    assert!(
        run(folder.path(), &["chek"], &[], "")
            .await
            .talk
            .contains("'check'")
    );
}

#[tokio::test]
async fn talk_goes_to_stderr_as_much_as_asked_for_and_colours_to_terminals_only() {
    let folder = tempfile::tempdir().unwrap();
    let away = |more: &[&'static str]| {
        let arguments = ["inbox", "--key", "env:KEY", "--node", "grpc://127.0.0.1:1"];
        [&arguments[..], more].concat()
    };
    let key = crate::harness::people::key("alice");
    let environment = [("KEY", &*key), ("HERALD_LOG", "trace")];
    let traced = run(folder.path(), &away(&[]), &environment, "").await.expect(3);
    assert!(
        traced.talk.contains("TRACE") && traced.out.is_empty(),
        "{}",
        traced.talk
    );
    assert!(!traced.talk.contains('\u{1b}'), "no colours without a terminal");
    let plain = run(folder.path(), &away(&[]), &environment[..1], "")
        .await
        .expect(3);
    assert_eq!(plain.talk.lines().count(), 2, "{}", plain.talk);
    let verbose = run(folder.path(), &away(&["-vv"]), &environment[..1], "")
        .await
        .expect(3);
    let quiet = run(folder.path(), &away(&["--quiet"]), &environment[..1], "")
        .await
        .expect(3);
    assert!(verbose.talk.len() >= plain.talk.len() && quiet.talk.len() <= plain.talk.len());

    // On a terminal, as `script` of util-linux gives one.
    for (no_colour, colours) in [(None, true), (Some("1"), false)] {
        let mut command = herald(folder.path(), ["--help"], &[]);
        let program = command.get_program().to_str().unwrap().to_owned();
        command = Command::new("script");
        command
            .args(["-qec", &format!("{program} chek"), "/dev/null"])
            .env_remove("NO_COLOR");
        command.env("TERM", "xterm-256color");
        command.envs(no_colour.map(|value| ("NO_COLOR", value)));
        let ended = crate::harness::program::finish(command, "").await;
        assert!(ended.out.contains("Usage"), "{ended:?}");
        assert_eq!(
            ended.out.contains('\u{1b}'),
            colours,
            "NO_COLOR={no_colour:?} {ended:?}"
        );
    }
}
