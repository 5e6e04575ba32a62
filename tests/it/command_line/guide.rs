//! The guide of authors, `bots/README.md`, and the schemas beside it say what the program says.
//!
//! With `BLESS=1` in the environment the generated parts are written instead of compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::run;
use crate::harness::{people::key, shop};

fn bots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bots")
}

fn guide() -> String {
    std::fs::read_to_string(bots().join("README.md")).unwrap()
}

const BEGIN: &str = "<!-- reference: begin -->\n";
const END: &str = "<!-- reference: end -->\n";

/// Compares a file with what it should hold, or writes it.
fn is_or_becomes(file: &str, wanted: &str) {
    let path = bots().join(file);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "bots/{file} is not what the program says; run this test with BLESS=1"
    );
}

#[tokio::test]
async fn the_reference_and_the_schemas_beside_the_bots_are_those_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let printed = async |kind| run(folder.path(), &["schema", kind], &[], "").await.expect(0).out;
    let text = guide();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let reference = printed("reference").await;
    is_or_becomes(
        "README.md",
        &format!("{before}{BEGIN}\n{reference}\n{END}{after}"),
    );
    is_or_becomes("bot.schema.json", &printed("bot").await);
    is_or_becomes("project.schema.json", &printed("project").await);
    for file in std::fs::read_dir(bots()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let bot = std::fs::read_to_string(&path).unwrap();
            let is_project = path.ends_with("herald.yaml");
            let schema = if is_project { "project" } else { "bot" };
            let line = format!("# yaml-language-server: $schema={schema}.schema.json\n");
            assert!(bot.starts_with(&line), "{}", path.display());
        }
    }
}

/// The values of the environment that a text names.
fn secrets(text: &str) -> BTreeMap<String, String> {
    let names = text.split("env:").skip(1).map(|rest| {
        rest.chars()
            .take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_')
            .collect::<String>()
    });
    names
        .map(|name| {
            let value = if name.ends_with("_KEY") {
                key("bot")
            } else {
                shop::secret()
            };
            (name, value)
        })
        .collect()
}

#[tokio::test]
async fn every_example_of_the_guide_is_clean_and_its_tests_pass() {
    let (mut checked, mut tested) = (0, 0);
    for example in guide().split("```yaml\n").skip(1) {
        let example = example.split("```").next().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
        let head = "herald: 1\nbot: example\nidentity: env:BOT_KEY\n";
        let of = |name: &str| format!("{name}: {{ rpc: https://{name}.example }}");
        let chains = ["ethereum", "polygon", "base"].map(of).join(", ");
        let chains = format!("herald: 1\nchains: {{ {chains} }}\n");
        write("herald.yaml", &chains);
        let bot = if example.starts_with("herald: 1\nproject:") {
            write("herald.yaml", example);
            format!("{head}commands: {{ /ping: {{ reply: pong }} }}\n")
        } else if example.starts_with("herald:") {
            example.to_owned()
        } else {
            format!("{head}{example}")
        };
        write("bot.yaml", &bot);
        write("holders.csv", "wallet,votes\n");
        write("team.csv", "wallet\n");
        write("poster.png", "a picture");
        let secrets = secrets(&format!("{bot}{example}"));
        let environment: Vec<(&str, &str)> =
            secrets.iter().map(|(name, value)| (&**name, &**value)).collect();
        let found = run(folder.path(), &["check", "bot.yaml"], &environment, "").await;
        assert!(
            found.code == Some(0) && found.out.lines().count() == 1,
            "{example}\n{}",
            found.out
        );
        checked += 1;
        if bot.contains("\ntests:") {
            run(folder.path(), &["test", "bot.yaml"], &[], "").await.expect(0);
            tested += 1;
        }
    }
    assert!(checked >= 8 && tested >= 2, "{checked} {tested}");
}

/// A trigger as a bot has it.
fn trigger(name: &str) -> &'static str {
    match name {
        "cron" => "{ cron: 0 9 * * * }",
        "every" => "{ every: 10m }",
        "at" => "{ at: 2027-01-01T00:00:00Z }",
        "webhook" => "{ webhook: /x, verify: { scheme: bearer, secret: env:SECRET } }",
        "message" => "{ message: hi }",
        "joined" => "{ joined: people }",
        "left" => "{ left: people }",
        "silent" => "{ silent: other, for: 1d }",
        "feed" => "{ feed: https://blog.example/rss.xml }",
        "poll" => "{ poll: source }",
        "watch" => "{ watch: source, each: people, above: 1 }",
        "cleared" => "{ cleared: watched }",
        "log" => "{ log: \"T(uint256 a)\", at: 0x2222222222222222222222222222222222222222, chain: base }",
        "started" => "{ started: true }",
        "manual" => "{ manual: true }",
        new => panic!("`{new}` is a trigger that the guide and this test do not know"),
    }
}

#[tokio::test]
async fn the_guide_has_every_trigger_with_the_names_it_gives() {
    let folder = tempfile::tempdir().unwrap();
    let schema = run(folder.path(), &["schema", "bot"], &[], "")
        .await
        .expect(0)
        .out;
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let variants = schema["$defs"]["TriggerFile"]["anyOf"].as_array().unwrap();
    let mut known = BTreeMap::new();
    for variant in variants {
        let name = variant["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        let name = name.strip_suffix("File").unwrap().to_lowercase();
        let text = format!(
            "herald: 1\nbot: example\nidentity: env:BOT_KEY\nlists: {{ people: {{ join: /join }} }}\nsources: {{ source: {{ http: https://a.example/ }} }}\nrules:\n  \
             other: {{ when: [{{ every: 1h }}, {{ poll: source }}], to: people, send: hi }}\n  \
             watched: {{ when: {{ watch: source, each: people, above: 1 }}, to: people, send: hi }}\n  \
             rule: {{ when: {}, to: people, send: hi }}\n",
            trigger(&name)
        );
        let path = folder.path().join("bot.yaml");
        std::fs::write(&path, text).unwrap();
        let (bot, _) = herald::bot::config::load(&path).unwrap();
        let names = bot.rules["rule"].names.iter().map(|(name, _)| name.to_owned());
        known.insert(name, names.collect::<BTreeSet<_>>());
    }
    let guide = guide();
    let (_, table) = guide
        .split_once("| trigger | fires | names |\n| --- | --- | --- |\n")
        .unwrap();
    let written: BTreeMap<String, BTreeSet<String>> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            (cells[0].trim().trim_matches('`').to_owned(), words(cells[2]))
        })
        .collect();
    assert_eq!(written, known);
}
