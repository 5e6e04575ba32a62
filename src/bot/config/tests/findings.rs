use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{bot_with, found, load_text};

#[test]
fn every_mistake_of_the_table_is_found_with_its_place_and_hint() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bot/config/tests/findings.txt");
    let table = std::fs::read_to_string(table).unwrap();
    let (mut count, mut odd) = (0, Vec::new());
    for case in table.split("##### ").skip(1) {
        let (_, case) = case.split_once('\n').unwrap();
        let (text, expected) = case.split_once("\n==>\n").unwrap();
        let found = found(text);
        if found != expected.trim_end() {
            odd.push(format!("{text}\n==>\n{found}\n"));
        }
        count += 1;
    }
    assert!(odd.is_empty(), "of the table differ:\n{}", odd.join("#####\n"));
    assert!(count > 70, "only {count} cases were read");
}

#[test]
fn a_finding_prints_its_line_with_a_caret_under_the_name_in_a_template() {
    let text = bot_with(
        "lists: { l1: {} }\nrules:\n  r1:\n    when: { manual: true }\n    to: l1\n    send: |\n      Dear {{ to.nmae }},\n",
    );
    let found = load_text(text).unwrap_err();
    let [finding] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(finding.path, "rules.r1.send");
    let printed = finding.to_string();
    let (_, printed) = printed.split_once("bot.yaml").unwrap();
    assert_eq!(
        printed,
        ":10:18 error E104: `to` has no field `nmae`\n 10 |       Dear {{ to.nmae }},\n    |                  ^\nhint: did you mean `name`?"
    );
}

#[test]
fn a_finding_of_a_file_that_cannot_be_read_has_no_place() {
    let path = Path::new("no/such/bot.yaml");
    let absent = super::load(path).unwrap_err();
    assert_eq!(
        (absent[0].line, absent[0].code.to_string()),
        (0, "E001".to_owned())
    );
    assert!(
        absent[0]
            .to_string()
            .starts_with("no/such/bot.yaml error E001: cannot read the file")
    );
    assert_eq!(found_code(&super::load(Path::new(".")).unwrap_err()), "E001");
    assert_eq!(
        found(b"a: \xff"),
        "0:0 E003 expected UTF-8, found another byte in line 1"
    );
}

fn found_code(found: &[super::Finding]) -> String {
    found
        .first()
        .map(|finding| finding.code.to_string())
        .unwrap_or_default()
}

/// So many lines or entries.
fn numbered(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect::<Vec<_>>().concat()
}

/// Files that grow when they are read.
fn bombs() -> Vec<(&'static str, String)> {
    let laughs: String = (1..9).fold("a0: &a0 [lol, lol]\n".to_owned(), |text, level| {
        let below = level - 1;
        let aliases = vec![format!("*a{below}"); 10].join(", ");
        format!("{text}a{level}: &a{level} [{aliases}]\n")
    });
    let map = |key: &str| format!("{{ {key}: {} }}", "x".repeat(100));
    vec![
        ("E002", laughs),
        (
            "E002",
            format!("a: &a {}\nb: [{}]", "x".repeat(1000), "*a, ".repeat(10_000)),
        ),
        ("E002", "[".repeat(100_000)),
        ("E002", "{a: ".repeat(60_000)),
        ("E002", "- ".repeat(100_000)),
        ("E002", format!("a: {}", "x".repeat(300_000))),
        ("E002", format!("a: [{}]", "1,".repeat(100_000))),
        ("E002", numbered(30_000, |key| format!("k{key}:\n"))),
        ("E004", "---\n".repeat(50_000)),
        (
            "E004",
            format!("a: &a {}\nb: {{ {} }}", map("k"), "<<: *a, ".repeat(1000)),
        ),
        ("E003", format!("a: {}", "*a ".repeat(80_000))),
        ("E003", "\"".repeat(200_001)),
        ("E004", "? ".repeat(100_000)),
        ("E003", "!".repeat(200_000)),
        ("E003", "&".repeat(200_000)),
        ("E003", format!("a: |{}\n", "9".repeat(200_000))),
    ]
}

#[test]
fn bombs_are_refused_quickly_with_one_finding() {
    for (code, text) in bombs() {
        let start = Instant::now();
        let found = load_text(&text).unwrap_err();
        let took = start.elapsed();
        let shown: String = text.chars().take(20).collect();
        println!("{shown:?}: {took:?} {}", super::shown(&found));
        assert_eq!((found.len(), found_code(&found)), (1, code.to_owned()), "{shown}");
        // Optimised code takes a tenth of it.
        assert!(took < Duration::from_secs(5), "{shown} took {took:?}");
    }
}

#[test]
fn a_file_full_of_mistakes_is_told_of_the_first_hundred() {
    let rules = |rule: &str| {
        bot_with(&format!(
            "lists: {{ l1: {{}} }}\nrules:\n{}",
            numbered(1500, |i| format!("  r{i}: {rule}\n"))
        ))
    };
    let repeated = |text: &str, count: usize| text.repeat(count);
    for text in [
        rules("{ when: { cron: 0 9 * * *, tz: Erewhon/X }, to: l1, send: hi }"),
        rules("{ when: { manual: true }, to: l1, send: '{{ x }}' }"),
        rules("{ wen: 1 }"),
        bot_with(&format!(
            "vars: {{ {} }}",
            numbered(9000, |i| format!("a-{i}: 1, "))
        )),
        bot_with(&format!(
            "vars: {{ a: [{}] }}",
            repeated("0x87870bca3F3fD6335C3F4ce8392D69350B4fA4E2, ", 5000)
        )),
        bot_with(&format!(
            "commands: {{ {} }}",
            numbered(5000, |i| format!("x{i}: {{ reply: a }}, "))
        )),
    ] {
        let found = load_text(&text).unwrap_err();
        assert!((100..=110).contains(&found.len()), "{}", found.len());
    }
}

/// Pieces that bots and YAML are made of, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("herald: 1\nbot: ab\nidentity: file:key\n".to_owned()),
        Just("rules:\n  r1:\n    when: { cron: 0 9 * * * }\n    to: l1\n    send: hi\n".to_owned()),
        Just("lists:\n  l1:\n    join: /a <b:int=1>\n".to_owned()),
        proptest::sample::select(vec![
            "    when:",
            " webhook: a",
            " verify:",
            "vars:",
            " every: 5m",
            " {",
            "}",
            "[",
            "]",
            ", ",
            "\n",
            "  ",
            ": ",
            "- ",
            "&a ",
            "*a ",
            "|",
            ">-\n",
            "\"",
            "'",
            "#",
            "? ",
            "{{ to.x }}",
            "{% if %}",
            "0x1",
            "~",
            "!t ",
            "\t",
            "\u{feff}",
            "é🗳️",
            "\r\n",
            "---\n",
            "%YAML 1.2\n",
            "commands:",
            " /c <d:e>",
            " reply:",
            "if: sub",
            "tz: x",
            " at: 2026-01-01T00:00",
            "limit: 1/d",
            " key: [a]",
        ])
        .prop_map(str::to_owned),
        "[ -~\n]{0,12}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in pieces()) {
        for finding in load_text(&text).map_or_else(|found| found, |(_, warnings)| warnings) {
            let _ = finding.to_string();
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = load_text(&bytes);
    }
}
