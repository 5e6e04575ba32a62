//! Promises of the language. Sources here are checked and evaluated against one sample of names and values.

mod attacks;
mod bots;
mod findings;
mod functions;
mod operators;
mod reading;
mod templates;
mod wallet_names;

use std::str::FromStr;

use bigdecimal::BigDecimal;
use serde_json::json;

use super::{Expression, Failure, Finding, Names, Scope, SourceTypes, Template, Type, Value};

const WALLET: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const HASH: &str = "0x00000000000000000000000000000000000000000000000000000000000000ff";

/// The names that tests use, each with its declaration and its value as JSON.
fn sample() -> Vec<(&'static str, Type, serde_json::Value)> {
    let declared = |declaration: &str| Type::parse(declaration).unwrap();
    let row = Type::Record(
        [
            ("name", declared("text")),
            ("size", declared("int")),
            ("price", declared("optional decimal")),
            ("state", declared("open | closed")),
        ]
        .into_iter()
        .collect(),
    );
    let to = Type::Record(
        [
            ("wallet", declared("wallet")),
            ("name", declared("optional text")),
            ("tz", declared("tz")),
            ("joined_at", declared("time")),
        ]
        .into_iter()
        .collect(),
    );
    let row_json =
        |name, size, price, state| json!({"name": name, "size": size, "price": price, "state": state});
    vec![
        ("text", declared("text"), json!("Hello World")),
        ("empty", declared("text"), json!("")),
        ("word", declared("word"), json!("hello")),
        ("int", declared("int"), json!(7)),
        ("decimal", declared("decimal"), json!("1.10")),
        ("yes", declared("bool"), json!(true)),
        ("wallet", declared("wallet"), json!(WALLET)),
        ("hash", declared("hash"), json!(HASH)),
        ("at", declared("time"), json!("2026-11-20T08:00:00Z")),
        ("now", declared("time"), json!("2026-11-20T11:00:00Z")),
        ("span", declared("duration"), json!("90s")),
        ("zone", declared("tz"), json!("Europe/Lisbon")),
        ("state", declared("open | closed"), json!("open")),
        ("words", declared("list of text"), json!(["b", "a", "b"])),
        ("numbers", declared("list of int"), json!([3, 1, 2, 3])),
        ("nobody", declared("optional text"), json!(null)),
        ("somebody", declared("optional text"), json!("Ana")),
        ("fee", declared("optional decimal"), json!(null)),
        (
            "rows",
            Type::List(Box::new(row)),
            json!([
                row_json("x", 2, json!("1.5"), "open"),
                row_json("y", 1, json!(null), "closed")
            ]),
        ),
        (
            "to",
            to,
            json!({"wallet": WALLET, "name": null, "tz": "Asia/Tokyo", "joined_at": "2026-01-01T00:00:00Z"}),
        ),
        (
            "any",
            declared("any"),
            json!({
                "id": "A-1", "wallet": WALLET.to_lowercase(), "price": "2600.12", "size": 3, "ok": true,
                "when": "2026-11-20T08:00:00Z", "list": [1, 2], "rows": [{"k": 1}, {"k": 2}], "null": null
            }),
        ),
    ]
}

fn names() -> Names {
    let mut names: Names = sample().into_iter().map(|(name, ty, _)| (name, ty)).collect();
    let chains = ["base", "ethereum"].map(str::to_owned);
    names.set_sources(SourceTypes::new(chains.into(), |_, _| None));
    names
}

fn scope() -> Scope {
    sample()
        .into_iter()
        .map(|(name, ty, json)| (name, ty.read_json(&json).unwrap()))
        .collect()
}

#[track_caller]
fn parse(source: &str) -> Expression {
    Expression::parse(source, &names()).unwrap_or_else(|findings| panic!("{source}: {findings:?}"))
}

#[track_caller]
fn value(source: &str) -> Value {
    parse(source)
        .evaluate(&scope())
        .unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// The value as a template prints it, `none` for none.
#[track_caller]
fn text(source: &str) -> String {
    match value(source) {
        Value::None => "none".to_owned(),
        value => value.to_text(),
    }
}

#[track_caller]
fn ty(source: &str) -> String {
    parse(source).ty().to_string()
}

#[track_caller]
fn failure(source: &str) -> Failure {
    parse(source).evaluate(&scope()).expect_err(source).failure
}

#[track_caller]
fn render(source: &str) -> String {
    let template =
        Template::parse(source, &names()).unwrap_or_else(|findings| panic!("{source}: {findings:?}"));
    template
        .render(&scope())
        .unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// A finding as `place: message` and, in brackets, its hint.
fn shown(source: &str, finding: &Finding) -> String {
    let place = source
        .get(finding.span.clone())
        .expect("a span lies in its source");
    match &finding.hint {
        Some(hint) => format!("{place}: {} [{hint}]", finding.message),
        None => format!("{place}: {}", finding.message),
    }
}

#[track_caller]
fn finding(source: &str) -> String {
    let findings = Expression::parse(source, &names()).expect_err(source);
    assert_eq!(findings.len(), 1, "{source}: {findings:?}");
    shown(source, &findings[0])
}

#[track_caller]
fn template_findings(source: &str) -> Vec<String> {
    let findings = Template::parse(source, &names()).expect_err(source);
    findings.iter().map(|finding| shown(source, finding)).collect()
}

fn decimal(text: &str) -> Value {
    Value::Decimal(BigDecimal::from_str(text).unwrap())
}
