//! The reference of the language as Markdown: every key of both files, from the schema, and every function, from the table that
//! the checker uses. So it cannot say anything else than they do.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::schema;
use crate::bot::expression;

/// The whole reference.
pub fn markdown() -> String {
    let mut text = Pages::of("The bot's file", &schema::bot());
    text.push_str(&Pages::of("The project's file, herald.yaml", &schema::project()));
    text.push_str("## Filters and functions\n\n");
    text.push_str("A filter `x | f(a)` may also be written `f(x, a)`. Given `none`, it gives `none`.\n\n");
    text.push_str("| written | gives |\n| --- | --- |\n");
    for (usage, about) in expression::reference() {
        row(&mut text, &[&format!("`{usage}`"), about]);
    }
    text
}

/// The sections of one schema.
struct Pages<'s> {
    root: &'s Value,
    text: String,
    /// Definitions that have their section, or will have it.
    known: BTreeSet<&'s str>,
}

impl<'s> Pages<'s> {
    fn of(title: &str, root: &'s Value) -> String {
        let mut pages = Pages {
            root,
            text: format!("## {title}\n\n"),
            known: BTreeSet::new(),
        };
        pages.section(root);
        pages.text
    }

    /// The keys of a map, or the forms of a union, and then the sections that these lead to.
    fn section(&mut self, schema: &'s Value) {
        if let Some(keys) = schema["properties"].as_object() {
            self.text
                .push_str("| key | what it is | read as |\n| --- | --- | --- |\n");
            for (key, value) in keys {
                let needed = is_required(schema, key);
                let name = format!("`{key}`{}", if needed { ", needed" } else { "" });
                let form = self.form(value, None);
                row(&mut self.text, &[&name, told(value), &form]);
            }
        } else {
            for variant in forms(schema) {
                let form = self.form(variant, None);
                let told = told(variant);
                let told = if told.is_empty() {
                    String::new()
                } else {
                    format!(": {told}")
                };
                let _ = writeln!(self.text, "- {form}{told}");
            }
        }
        self.text.push('\n');
        let mut led = Vec::new();
        references(schema, &mut led);
        for name in led {
            if self.known.insert(name) {
                let definition = &self.root["$defs"][name];
                let _ = writeln!(self.text, "### {}\n", heading(definition));
                self.section(definition);
            }
        }
    }

    /// How a value is written. `mark` says how its texts are read, where the value does not say so itself.
    fn form(&self, schema: &Value, mark: Option<&str>) -> String {
        let mark = schema["x-herald"].as_str().or(mark);
        if let Some(name) = reference(schema) {
            let heading = heading(&self.root["$defs"][name]);
            return format!("see *{heading}*");
        }
        if let Some(variants) = schema["anyOf"].as_array() {
            if let [one, many] = variants.as_slice()
                && many["items"] == *one
            {
                return format!("{}, or a list of such", self.form(one, mark));
            }
            let variants: Vec<String> = variants.iter().map(|one| self.form(one, mark)).collect();
            return variants.join(", or ");
        }
        if !schema["items"].is_null() {
            return format!("a list, {} each", self.form(&schema["items"], mark));
        }
        if schema["additionalProperties"].is_object() {
            return format!(
                "by name, {} each",
                self.form(&schema["additionalProperties"], mark)
            );
        }
        match mark {
            Some(mark) => mark.to_owned(),
            None if schema["enum"].is_array() => "literal".to_owned(),
            None if schema["type"].is_array() => "text".to_owned(),
            None => "any value".to_owned(),
        }
    }
}

/// What a union may be: each of its variants, or what it always is.
fn forms(schema: &Value) -> Vec<&Value> {
    match schema["anyOf"].as_array() {
        Some(variants) => variants.iter().collect(),
        None => vec![schema],
    }
}

/// The definitions that a schema names, in its order.
fn references<'s>(schema: &'s Value, led: &mut Vec<&'s str>) {
    led.extend(reference(schema));
    match schema {
        Value::Array(items) => items.iter().for_each(|item| references(item, led)),
        Value::Object(object) => {
            let inside = object.iter().filter(|(key, _)| *key != "$defs");
            inside.for_each(|(_, value)| references(value, led));
        }
        _ => {}
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

fn is_required(schema: &Value, key: &str) -> bool {
    let required = schema["required"].as_array();
    required.is_some_and(|required| required.iter().any(|needed| needed == key))
}

/// A description, without the stop that ends a heading nowhere.
fn heading(definition: &Value) -> &str {
    told(definition).trim_end_matches('.')
}

fn told(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

/// A row of a table. A bar would end its cell, in code, too.
fn row(text: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| cell.replace('|', "\\|").replace('\n', " "))
        .collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}
