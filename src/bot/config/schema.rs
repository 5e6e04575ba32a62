//! The JSON Schema of bots and projects, for editors: made of the types that read the files, so that it cannot say anything
//! else than they do.
//!
//! What the types say in their own way is put into words that every validator knows: a union is told apart by kinds of nodes
//! and by keys, every scalar may be written as text, number or boolean, and the last word of a field's description is its mark
//! `x-herald`.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::file::{BotFile, ProjectFile};
use super::spanned::{Entries, OneOrMany, Raw, Spanned};

/// The schema of a bot's file.
pub fn bot() -> Value {
    of::<BotFile>("a bot of herald")
}

/// The schema of `herald.yaml`.
pub fn project() -> Value {
    of::<ProjectFile>("a project of herald")
}

fn of<T: JsonSchema>(title: &str) -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    translate(&mut schema);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), title.into());
        if let Some(version) = schema
            .get_mut("properties")
            .and_then(|keys| keys.get_mut("herald"))
        {
            // The one value that is known beforehand.
            version["enum"] = json!([1, "1"]);
        }
    }
    schema
}

/// Puts a schema, as the types give it, into words for validators.
fn translate(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(translate),
        Value::Object(object) => {
            if let Some(Value::Array(variants)) = object.remove("oneOf") {
                let variants = variants.into_iter().map(variant).collect();
                object.insert("anyOf".to_owned(), Value::Array(variants));
            }
            drop_null(object);
            if object.get("type") == Some(&json!("string")) {
                object.insert("type".to_owned(), json!(["string", "number", "boolean"]));
            }
            mark(object);
            object.values_mut().for_each(translate);
        }
        _ => {}
    }
}

/// What stands in a file for a variant of a union: not the variant's name, but its value.
fn variant(named: Value) -> Value {
    let Value::Object(mut named) = named else {
        return named;
    };
    let value = match named.get_mut("properties") {
        Some(Value::Object(only)) if only.len() == 1 => only.values().next().cloned(),
        _ => None,
    };
    let Some(Value::Object(mut value)) = value else {
        return Value::Object(named);
    };
    if let Some(description) = named.remove("description") {
        value.entry("description").or_insert(description);
    }
    Value::Object(value)
}

/// Takes `null` out: a key without a value is refused.
fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|ty| ty != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(variants)) = object.get_mut("anyOf") {
        variants.retain(|variant| *variant != json!({ "type": "null" }));
        if let [Value::Object(only)] = variants.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
}

/// The last word of a description says how a text is read; it becomes the mark of the field.
fn mark(object: &mut Map<String, Value>) {
    let Some(Value::String(description)) = object.get("description") else {
        return;
    };
    let marks = [
        ("Literal", "literal"),
        ("Literals", "literal"),
        ("Expression", "expression"),
        ("Expressions", "expression"),
        ("Template", "template"),
        ("Templates", "template"),
    ];
    let told = description.trim_end().trim_end_matches('.');
    let found = marks.iter().find_map(|(word, mark)| {
        let rest = told.strip_suffix(word)?;
        (rest.is_empty() || rest.ends_with([' ', '\n'])).then(|| (rest.trim_end().to_owned(), *mark))
    });
    if let Some((rest, mark)) = found {
        object.insert("description".to_owned(), rest.into());
        object.insert("x-herald".to_owned(), mark.into());
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("EntriesOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrManyOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one.clone(), { "type": "array", "items": one }] })
    }
}

impl JsonSchema for Raw {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Raw".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "not": { "type": "null" } })
    }
}
