use std::collections::BTreeSet;

use super::super::explain::{codes, explain};
use super::{bot_with, load_text};
use crate::bot::project::Project;

/// The example of a page under a heading, as a whole file.
fn example(page: &str, heading: &str) -> Option<String> {
    let (_, after) = page.split_once(&format!("\n{heading}:\n```yaml\n"))?;
    let (text, _) = after.split_once("```")?;
    let is_whole = text.starts_with("herald:");
    Some(if is_whole { text.to_owned() } else { bot_with(text) })
}

fn found(text: &str) -> Vec<String> {
    let found = if text.starts_with("herald: 1\nproject:") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("herald.yaml");
        std::fs::write(&path, text).unwrap();
        Project::load(&path).map_or_else(|found| found, |(_, warnings)| warnings)
    } else {
        load_text(text).map_or_else(|found| found, |(_, warnings)| warnings)
    };
    found.iter().map(|finding| finding.code.to_string()).collect()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let declared: BTreeSet<&str> = include_str!("../diagnostics.rs")
        .split("rename = \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let explained: BTreeSet<&str> = codes().collect();
    assert_eq!(explained, declared);
    assert!(explain("E999").is_none());
}

/// What no text of a file shows: one that cannot be read, a change, and what cannot be reached.
const NOT_OF_ONE_FILE: [&str; 8] = ["W305", "E001", "E401", "E501", "E502", "E503", "E504", "E505"];

#[test]
fn the_wrong_example_of_a_page_has_its_code_alone_and_the_right_one_none() {
    let mut examples = 0;
    let mut odd = Vec::new();
    for code in codes().filter(|code| !NOT_OF_ONE_FILE.contains(code)) {
        let page = explain(code).unwrap();
        let (wrong, right) = (example(page, "Wrong"), example(page, "Right"));
        let (wrong, right) = (wrong.unwrap(), right.unwrap());
        let (in_wrong, in_right) = (found(&wrong), found(&right));
        examples += 1;
        if in_wrong != [code] {
            odd.push(format!("{code}: the wrong one has {in_wrong:?}\n{wrong}"));
        }
        if !in_right.is_empty() {
            odd.push(format!("{code}: the right one has {in_right:?}\n{right}"));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
    assert!(examples > 25, "only {examples} were read");
}
