use std::path::Path;

use serde_json::{Value, json};

use super::super::schema;
use super::valid::EVERY_KEY;
use super::{bot_with, load_text};

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::validator_for(schema).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

#[track_caller]
fn fits(validator: &jsonschema::Validator, document: &Value, name: &str) {
    let wrong: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
}

/// The YAML files of a folder of the repository, with their texts.
fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn the_example_bots_and_a_file_with_every_key_fit_the_schema() {
    let bots = validator(&schema::bot());
    let project = validator(&schema::project());
    let mut checked = 0;
    for (name, text) in files("bots") {
        let schema = if name == "herald.yaml" { &project } else { &bots };
        fits(schema, &yaml(&text), &name);
        checked += 1;
    }
    assert!(checked >= 2, "only {checked} files were read");
    fits(&bots, &yaml(EVERY_KEY), "every key");
    let project_text = include_str!("../../../../config/herald.yaml");
    fits(&project, &yaml(project_text), "config/herald.yaml");
}

#[test]
fn what_the_shape_of_a_file_refuses_the_schema_refuses() {
    let bots = validator(&schema::bot());
    let cases = [
        "rulse: {}",
        "herald: 2",
        "rules: []",
        "rules: { r: { to: l, send: hi } }",
        "rules: { r: { when: { manual: true }, to: l } }",
        "rules: { r: { when: { manual: true }, to: l, send: hi, consnet: any } }",
        "rules: { r: { when: manual, to: l, send: hi } }",
        "rules: { r: { when: { manual: true, at: x }, to: l, send: hi } }",
        "rules: { r: { when: { manual: true }, to: [l], send: hi } }",
        "rules: { r: { when: { manual: true }, to: l, send: { txet: hi } } }",
        "rules: { r: { when: { manual: true }, to: l, send: hi, if: [a] } }",
        "rules: { r: { when: { manual: true }, to: l, send: hi, ttl: } }",
        "rules: { r: { when: { webhook: /x, verify: { secret: file:key } }, to: l, send: hi } }",
        "rules: { r: { when: { webhook: /x, verify: { scheme: bearer }, body: { a: { b: [c] } } }, to: l, send: hi } }",
        "lists: { l: { fields: { a: { typ: int } } } }",
        "identity: { keystore: key }",
        "vars:",
    ];
    for case in cases {
        // A case may replace a key of the beginning.
        let key = case.split(':').next().unwrap();
        let beginning = bot_with("")
            .replace(&format!("{key}: 1\n"), "")
            .replace(&format!("{key}: file:key\n"), "");
        let text = format!("{beginning}{case}\n");
        assert!(!bots.is_valid(&yaml(&text)), "the schema takes {case}");
        assert!(load_text(&text).is_err(), "herald takes {case}");
    }
    // What YAML loaders of editors make of a scalar does not matter.
    let typed = "vars: { a: 1.10, b: no }\ncommands: { /a: { about: 5, reply: true, if: false } }\n";
    fits(&bots, &yaml(&bot_with(typed)), "scalars of every kind");
}

#[test]
fn every_key_is_described_and_every_text_says_how_it_is_read() {
    for schema in [schema::bot(), schema::project()] {
        let mut bare = Vec::new();
        look(&schema, "", &mut bare);
        assert!(bare.is_empty(), "{}", bare.join("\n"));
        assert!(
            !schema.to_string().contains("$text"),
            "names of the reader's own are not shown"
        );
    }
}

/// Collects the keys that have no description, and the texts without a mark.
fn look(schema: &Value, path: &str, bare: &mut Vec<String>) {
    match schema {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                look(item, &format!("{path}/{index}"), bare);
            }
        }
        Value::Object(object) => {
            for (key, value) in object
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                if value["description"].as_str().is_none_or(|text| text.len() < 3) {
                    bare.push(format!("{path}/{key} has no description"));
                }
                let is_text = value["type"] == json!(["string", "number", "boolean"]);
                if is_text && value["x-herald"].is_null() && value["enum"].is_null() {
                    bare.push(format!("{path}/{key} does not say how it is read"));
                }
            }
            for (key, value) in object {
                look(value, &format!("{path}/{key}"), bare);
            }
        }
        _ => {}
    }
}
