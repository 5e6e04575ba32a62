//! The files for operators beside the node are held against the node: names of metrics, keys, ports, times.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use herald_node::{
    Config,
    config::Overrides,
    metrics::{ALL, Kind},
};
use serde_yaml::Value;

use crate::operations::named;

fn read(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../config")
        .join(file);
    fs::read_to_string(path).unwrap()
}

/// What an expression of Prometheus's language names: series, and labels in braces or lists.
#[derive(Debug, Default, PartialEq, Eq)]
struct Names {
    series: BTreeSet<String>,
    labels: BTreeSet<String>,
}

impl Names {
    fn of(expression: &str) -> Self {
        let mut names = Self::default();
        let text = without_strings_and_ranges(expression);
        let (mut rest, mut in_labels, mut last) = (text.as_str(), false, String::new());
        while let Some(first) = rest.chars().next() {
            let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
            let length = rest.find(|letter| !word(letter)).unwrap_or(rest.len());
            if length == 0 {
                in_labels = match first {
                    '{' => true,
                    '(' if GROUPING.contains(&last.as_str()) => true,
                    '}' | ')' => false,
                    _ => in_labels,
                };
                if !first.is_whitespace() {
                    last.clear();
                }
                rest = rest.strip_prefix(first).unwrap();
                continue;
            }
            let (name, after) = rest.split_at(length);
            let called = ["(", "by (", "without ("]
                .iter()
                .any(|list| after.trim_start().starts_with(list));
            if in_labels {
                names.labels.insert(name.to_owned());
            } else if !called
                && !name.starts_with(|letter: char| letter.is_ascii_digit())
                && !WORDS.contains(&name)
            {
                names.series.insert(name.to_owned());
            }
            name.clone_into(&mut last);
            rest = after;
        }
        names
    }
}

fn without_strings_and_ranges(expression: &str) -> String {
    let mut kept = String::new();
    let mut until = None;
    for letter in expression.chars() {
        match until {
            Some(end) if letter == end => until = None,
            Some(_) => {}
            None if letter == '"' => until = Some('"'),
            None if letter == '[' => until = Some(']'),
            None => kept.push(letter),
        }
    }
    kept
}

#[track_caller]
fn check(expression: &str) {
    let names = Names::of(expression);
    assert!(!names.series.is_empty(), "{expression} names no series");
    let mut labels: BTreeSet<&str> = BTreeSet::from(["instance", "job", "le"]);
    for series in names.series.iter().filter(|series| *series != "up") {
        let metric = named(series).unwrap_or_else(|| panic!("`{series}` does not exist, in {expression}"));
        labels.extend(metric.labels);
        let counted = metric.kind == Kind::Gauge
            || ["rate(", "increase("]
                .iter()
                .any(|function| expression.contains(&format!("{function}{series}")));
        assert!(
            counted,
            "`{series}` only grows: wanted its rate or increase, in {expression}"
        );
    }
    for label in &names.labels {
        assert!(
            labels.contains(label.as_str()),
            "`{label}` is no label here, in {expression}"
        );
    }
}

#[test]
fn the_reader_of_expressions_finds_series_and_labels() {
    let found = Names::of(
        r#"sum by (le, instance) (rate(a_total{code=~"x|y_total",m!="z"}[5m] offset 1d)) / on(job) b > 0.5 and c_bucket"#,
    );
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(found.series, names(&["a_total", "b", "c_bucket"]));
    assert_eq!(found.labels, names(&["code", "instance", "job", "le", "m"]));
}

#[test]
fn alerts_name_metrics_that_exist_and_stand_in_the_operations_page() {
    let rules: Value = serde_yaml::from_str(&read("prometheus/alerts.yml")).unwrap();
    let page = include_str!("../../OPERATIONS.md");
    let rules: Vec<&Value> = rules["groups"]
        .as_sequence()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_sequence().unwrap())
        .collect();
    assert!(rules.len() > 10);
    for rule in rules {
        check(rule["expr"].as_str().unwrap());
        let name = rule["alert"].as_str().unwrap();
        assert!(
            page.contains(&format!("`{name}`")),
            "{name} is not in OPERATIONS.md"
        );
        assert!(rule["annotations"]["summary"].is_string(), "{name}");
    }
}

#[test]
fn the_dashboard_names_metrics_that_exist_and_shows_all_of_them() {
    let text = read("grafana/herald-node.json");
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let targets = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    for target in targets {
        check(target["expr"].as_str().unwrap());
    }
    for metric in ALL {
        assert!(text.contains(metric.name), "{} is on no panel", metric.name);
    }
}

/// The variables of a service as the node would get them.
fn load(variables: impl IntoIterator<Item = (String, String)>) -> Config {
    let variables = variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()));
    Config::load(None, &Overrides::from_variables(variables).unwrap()).unwrap()
}

#[test]
fn the_compose_file_and_its_image_use_keys_ports_and_times_that_the_node_has() {
    let dockerfile = read("compose/Dockerfile");
    let variables = dockerfile
        .split_whitespace()
        .filter(|word| word.starts_with("HERALD_NODE_"))
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let image: Vec<(String, String)> = variables.collect();
    let config = load(image.clone());
    let inside = [&config.http, &config.grpc, &config.metrics].map(|address| {
        let (host, port) = address.rsplit_once(':').unwrap();
        assert_eq!(host, "0.0.0.0", "a container is reached from outside");
        port.to_owned()
    });
    assert!(dockerfile.contains(&format!("EXPOSE {}", inside.join(" "))));
    assert!(dockerfile.contains(&format!("/dev/tcp/127.0.0.1/{}", inside[2])));

    let mut compose: Value = serde_yaml::from_str(&read("compose/compose.yaml")).unwrap();
    // A merged service may merge another itself.
    for _ in 0..2 {
        compose.apply_merge().unwrap();
    }
    let mut nodes = 0;
    for (name, service) in compose["services"].as_mapping().unwrap() {
        if service["image"] != "herald-node" {
            continue;
        }
        nodes += 1;
        let environment = service["environment"].as_mapping().unwrap();
        let environment = environment.iter().map(|(name, value)| {
            (
                name.as_str().unwrap().to_owned(),
                value.as_str().unwrap().to_owned(),
            )
        });
        load(image.iter().cloned().chain(environment));
        for (published, port) in service["ports"].as_sequence().unwrap().iter().zip(&inside) {
            assert!(
                published.as_str().unwrap().ends_with(&format!(":{port}")),
                "{name:?}: {published:?}"
            );
        }
        let grace = service["stop_grace_period"]
            .as_str()
            .unwrap()
            .trim_end_matches('s');
        assert!(Duration::from_secs(grace.parse().unwrap()) >= 2 * Config::default().drain);
    }
    assert_eq!(nodes, 3);
}

#[test]
fn the_unit_gives_a_drain_its_time_and_starts_the_node_with_flags_it_has() {
    let unit = read("systemd/herald-node.service");
    let value = |key: &str| {
        let lines = unit.lines().filter_map(|line| line.split_once('='));
        lines
            .filter(|(name, _)| *name == key)
            .map(|(_, value)| value)
            .next()
            .unwrap()
            .to_owned()
    };
    let stop: u64 = value("TimeoutStopSec").trim_end_matches('s').parse().unwrap();
    assert!(Duration::from_secs(stop) >= 2 * Config::default().drain);
    let command = value("ExecStart");
    let mut words = command.split_whitespace().skip(1);
    let (mut flags, folder) = (Vec::new(), tempfile::tempdir().unwrap());
    while let (Some(flag), Some(path)) = (words.next(), words.next()) {
        flags.push((flag, path));
    }
    assert_eq!(flags[1], ("--data", "/var/lib/herald-node"));
    assert_eq!(value("StateDirectory"), "herald-node");
    // The same command with a file that is wrong: flags are known, the file is read.
    let file = folder.path().join("node.yaml");
    fs::write(&file, "zebra: 1\n").unwrap();
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_herald-node"))
        .args([
            flags[0].0,
            file.to_str().unwrap(),
            flags[1].0,
            folder.path().to_str().unwrap(),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(said.contains("node.yaml:1:1: zebra: unknown key"), "{said}");
    assert_eq!(value("Restart"), "on-failure");
}

/// Words of the language that stand where a series may stand.
const WORDS: [&str; 12] = [
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "bool",
    "offset",
    "group_left",
    "group_right",
    "inf",
];
/// Words whose parentheses hold labels.
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
