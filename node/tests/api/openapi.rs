//! The `OpenAPI` document and the page are held against the node that serves them.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::*;

/// Where the routes stand.
const ROUTES: &str = include_str!("../../src/api/gateway.rs");

/// An answer or a request is as documented: each field by name and type, none missing, none besides.
#[track_caller]
fn assert_is(document: &Value, schema: &Value, value: &Value) {
    if let Err(problem) = check(document, schema, value) {
        panic!("{problem} in {value}");
    }
}

fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = at(document, name).ok_or(format!("{name} leads nowhere"))?;
        return check(document, target, value);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let tries: Vec<_> = choices.iter().map(|one| check(document, one, value)).collect();
        return tries
            .iter()
            .any(Result::is_ok)
            .then_some(())
            .ok_or(format!("none of {tries:?}"));
    }
    let is_of_type = match schema["type"].as_str().expect("a schema has a type") {
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => return Err(format!("unknown type {other}")),
    };
    if !is_of_type {
        return Err(format!("{value} is no {}", schema["type"]));
    }
    let text = value.as_str().unwrap_or_default();
    if schema.get("pattern").is_some() && (text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err(format!("{value} is no number"));
    }
    if schema["format"] == "byte" {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        STANDARD
            .decode(text)
            .map_err(|error| format!("{value}: {error}"))?;
    }
    if let Some(names) = schema["enum"].as_array()
        && !names.contains(value)
    {
        return Err(format!("{value} is none of {names:?}"));
    }
    for item in value.as_array().into_iter().flatten() {
        check(document, &schema["items"], item)?;
    }
    let empty = Map::new();
    if let Some(fields) = value.as_object().filter(|_| schema.get("properties").is_some()) {
        let known = schema["properties"].as_object().unwrap_or(&empty);
        for (name, field) in fields {
            let schema = known.get(name).ok_or(format!("{name} is not documented"))?;
            check(document, schema, field)?;
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if !fields.contains_key(name) {
                return Err(format!("{name} is missing"));
            }
        }
    }
    Ok(())
}

/// What a reference leads to.
fn at<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    document.pointer(reference.strip_prefix('#')?)
}

async fn document(node: &TestNode) -> Value {
    let (status, document) = answer(http().get(node.url("/openapi.json"))).await;
    assert_eq!(status, 200);
    document
}

#[tokio::test]
async fn the_document_is_served_under_both_names_and_every_reference_in_it_leads_somewhere() {
    let node = TestNode::start().await;
    let document = document(&node).await;
    assert_eq!(
        answer(http().get(node.url("/swagger.json"))).await,
        (200, document.clone())
    );
    assert_eq!(answer(http().post(node.url("/openapi.json"))).await.0, 501);
    let text = document.to_string();
    let references: BTreeSet<&str> = text
        .split(r##""$ref":"#"##)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(references.len() > 10);
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn every_documented_path_answers_and_every_route_is_documented() {
    let node = TestNode::start().await;
    let document = document(&node).await;
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        documented.insert(path.as_str());
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let asked = http()
                .request(method.clone(), node.url(path))
                .send()
                .await
                .unwrap();
            let status = asked.status().as_u16();
            assert!(![404, 501].contains(&status), "{method} {path}: {status}");
        }
    }
    let routes: BTreeSet<&str> = ROUTES
        .split(".route(")
        .skip(1)
        .filter_map(|rest| rest.split('"').nth(1))
        // The page under the name that the V2 network had for it.
        .filter(|path| !path.starts_with("/swagger-ui"))
        .collect();
    assert_eq!(routes, documented);
}

#[tokio::test]
async fn answers_are_as_documented() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let document = document(&node).await;
    let operation = |method: &str| &document["paths"][format!("/message/v1/{method}")]["post"];
    let asks = |method: &str| &operation(method)["requestBody"]["content"]["application/json"]["schema"];
    let answers =
        |method: &str| &operation(method)["responses"]["200"]["content"]["application/json"]["schema"];
    let refuses = |method: &str| {
        let reference = operation(method)["responses"]["default"]["$ref"]
            .as_str()
            .unwrap();
        let response = at(&document, reference).unwrap();
        &response["content"]["application/json"]["schema"]
    };
    let stream = http()
        .post(node.url("/message/v1/subscribe"))
        .body(r#"{"contentTopics":["test-o"]}"#)
        .send();
    let mut stream = stream.await.unwrap();
    let envelopes = [1, 2].map(|time| envelope_json(&envelope("test-o", time, b"m")));
    let query = json!({ "contentTopics": ["test-o"], "startTimeNs": "1", "endTimeNs": "9",
        "pagingInfo": { "limit": 1, "direction": "SORT_DIRECTION_ASCENDING" } });
    let requests = [
        ("publish", json!({ "envelopes": envelopes })),
        ("query", query.clone()),
        ("query", json!({ "contentTopics": ["test-none"] })),
        ("batch-query", json!({ "requests": [query.clone(), query] })),
    ];
    for (method, request) in &requests {
        assert_is(&document, asks(method), request);
        let (status, given) = node
            .post_as(&alice, &format!("/message/v1/{method}"), request)
            .await;
        assert_eq!(status, 200, "{given}");
        assert_is(&document, answers(method), &given);
        if *method == "query" {
            // The cursor of an answer is the cursor of a question.
            let mut next = request.clone();
            next["pagingInfo"]["cursor"] = given["pagingInfo"]["cursor"].clone();
            if !next["pagingInfo"]["cursor"].is_null() {
                assert_is(&document, asks("query"), &next);
                assert_eq!(node.post("/message/v1/query", next.to_string()).await.0, 200);
            }
        }
    }
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.extend_from_slice(&stream.chunk().await.unwrap().unwrap());
    }
    let first = line.split(|byte| *byte == b'\n').next().unwrap();
    assert_is(
        &document,
        answers("subscribe"),
        &serde_json::from_slice(first).unwrap(),
    );
    for method in ["publish", "query", "batch-query", "subscribe", "subscribe-all"] {
        let (status, refusal) = node.post(&format!("/message/v1/{method}"), "[").await;
        assert_eq!(status, 400);
        assert_is(&document, refuses(method), &refusal);
    }
}

#[tokio::test]
async fn what_is_not_as_documented_is_found() {
    let node = TestNode::start().await;
    let document = document(&node).await;
    let schema = json!({ "$ref": "#/components/schemas/Envelope" });
    let good = envelope_json(&envelope("test-o", 1, b"m"));
    assert_is(&document, &schema, &good);
    for (field, value) in [
        ("timestampNs", json!(1)),
        ("message", json!("*")),
        ("contentTopic", Value::Null),
        ("more", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        check(&document, &schema, &bad).unwrap_err();
    }
    let mut bad = good;
    bad.as_object_mut().unwrap().remove("message");
    check(&document, &schema, &bad).unwrap_err();
}

/// Conformance line 2.
#[tokio::test]
async fn whoever_opens_the_address_of_a_node_reads_what_it_is() {
    let node = TestNode::start().await;
    for method in [Method::GET, Method::POST, Method::PUT] {
        for path in ["/", "/swagger-ui/", "/swagger-ui/index.html"] {
            let page = http()
                .request(method.clone(), node.url(path))
                .send()
                .await
                .unwrap();
            assert_eq!(page.status(), 200, "{method} {path}");
            assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
            assert_eq!(page.headers()["access-control-allow-origin"], "*");
            let text = page.text().await.unwrap();
            for path in document(&node).await["paths"].as_object().unwrap().keys() {
                assert!(path == "/" || text.contains(path), "the page names {path}");
            }
            assert!(
                !text.contains("<script") && !text.contains("src="),
                "it stands alone"
            );
        }
    }
}
