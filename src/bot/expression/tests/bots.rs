//! Expressions and templates of whole bots, against the names their triggers bring.

use super::super::{Expression, Names, Record, Scope, SourceTypes, Template, Type, Value};
use serde_json::json;

fn record(fields: &[(&str, &str)]) -> Record {
    fields
        .iter()
        .map(|(name, declaration)| (*name, Type::parse(declaration).unwrap()))
        .collect()
}

/// The person a message goes to, with the fields of a list.
fn member(fields: &[(&str, &str)]) -> Type {
    let mut member = record(&[
        ("wallet", "wallet"),
        ("name", "optional text"),
        ("tz", "tz"),
        ("lang", "optional text"),
        ("joined_at", "time"),
    ]);
    for (name, declaration) in fields {
        member.insert(*name, Type::parse(declaration).unwrap());
    }
    Type::Record(member)
}

fn names(names: impl IntoIterator<Item = (&'static str, Type)>) -> Names {
    let everywhere = [
        ("now", Type::Time),
        (
            "occurrence",
            Type::Record(record(&[("id", "text"), ("at", "time")])),
        ),
    ];
    everywhere.into_iter().chain(names).collect()
}

#[track_caller]
fn typed(source: &str, names: &Names, wanted: &str) {
    let expression =
        Expression::parse(source, names).unwrap_or_else(|findings| panic!("{source}: {findings:?}"));
    assert_eq!(expression.ty().to_string(), wanted, "{source}");
}

#[track_caller]
fn rendered(source: &str, names: &Names, values: &serde_json::Value) -> String {
    let template = Template::parse(source, names).unwrap_or_else(|findings| panic!("{source}: {findings:?}"));
    let json = |name: &str| values.get(name).cloned().unwrap_or_default();
    let scope: Scope = names
        .iter()
        .filter(|(name, _)| template.names().contains(*name))
        .map(|(name, ty)| (name, ty.read_json(&json(name)).unwrap()))
        .collect();
    template
        .render(&scope)
        .unwrap_or_else(|error| panic!("{source}: {error}"))
}

#[test]
fn a_liquidation_guard() {
    let account = record(&[("collateral", "int"), ("debt", "int"), ("hf", "int")]);
    let sub = member(&[("warn_at", "decimal")]);
    let names = names([
        ("account", Type::Record(account)),
        ("sub", sub),
        ("value", Type::Decimal),
    ]);
    typed("units(account.hf, 18)", &names, "decimal");
    typed("sub.warn_at", &names, "decimal");
    typed("sub.warn_at + 0.05", &names, "decimal");
    typed("sub.wallet", &names, "wallet");
    let text = rendered(
        "⚠️ Your health factor is {{ value | fixed(2) }} (your line is {{ sub.warn_at }}).\nDebt {{ units(account.debt, 8) | usd }}.\n",
        &names,
        &json!({
            "value": "1.0499", "account": {"collateral": 0, "debt": "25000000000", "hf": "1050000000000000000"},
            "sub": {"wallet": super::WALLET, "tz": "UTC", "joined_at": 0, "warn_at": "1.10"}
        }),
    );
    assert_eq!(
        text,
        "⚠️ Your health factor is 1.05 (your line is 1.10).\nDebt $250.00.\n"
    );
}

#[test]
fn a_drop_for_holders() {
    let names = names([
        ("to", member(&[("balance", "optional int")])),
        ("failed", Type::Decimal),
    ]);
    typed("failed > 0.02", &names, "bool");
    let source = "**Aurora II**, {{ to.name or \"collector\" }}.\nYou hold {{ to.balance or 0 }}: https://aurora.example/mint?w={{ to.wallet }}\n";
    let text = rendered(
        source,
        &names,
        &json!({"to": {"wallet": super::WALLET, "tz": "UTC", "joined_at": 0, "balance": 2}}),
    );
    assert_eq!(
        text,
        format!(
            "**Aurora II**, collector.\nYou hold 2: https://aurora.example/mint?w={}\n",
            super::WALLET
        )
    );
}

#[test]
fn a_dao_herald() {
    let event = record(&[
        ("proposalId", "int"),
        ("proposer", "wallet"),
        ("voteEnd", "int"),
        ("description", "text"),
    ]);
    let names = names([
        ("event", Type::Record(event)),
        ("vars", Type::Record(record(&[("governor", "wallet")]))),
        ("ballot", Type::Record(record(&[("cast", "bool")]))),
        ("to", member(&[])),
        ("title", Type::Text),
        ("ends", Type::Time),
    ]);
    typed("event.description | first_line", &names, "text");
    typed("ends - 24h", &names, "time");
    typed("not ballot.cast", &names, "bool");
    typed("vars.governor", &names, "wallet");
    typed("[event.proposalId, to.wallet]", &names, "list");
    let text = rendered(
        "🗳️ {{ title }}\nBy {{ event.proposer | short }}. Vote before {{ ends | date(to.tz) }}: https://vote.example/{{ event.proposalId }}",
        &names,
        &json!({
            "event": {"proposalId": 7, "proposer": super::WALLET, "voteEnd": 1000, "description": "Fund"},
            "to": {"wallet": super::WALLET, "tz": "Europe/Paris", "joined_at": 0},
            "title": "Fund the grants", "ends": "2026-11-24T00:00:00Z"
        }),
    );
    assert_eq!(
        text,
        "🗳️ Fund the grants\nBy 0x5a…ed. Vote before 24 Nov 2026, 01:00: https://vote.example/7"
    );
    let mut names = names;
    names.set_sources(SourceTypes::new(["ethereum".to_owned()].into(), |_, _| None));
    typed("block_time(\"ethereum\", event.voteEnd)", &names, "time");
}

#[test]
fn a_newsletter() {
    let item = record(&[
        ("id", "text"),
        ("title", "optional text"),
        ("link", "optional text"),
        ("summary", "optional text"),
        ("published", "optional time"),
        ("tags", "list of text"),
    ]);
    let names = names([("item", Type::Record(item)), ("to", member(&[]))]);
    typed("item.id", &names, "text");
    let source = "**{{ item.title }}**\n{{ item.summary | plain | truncate(20) }}\n{{ item.link }}\n";
    let summary = "<p>A <b>long</b> summary &amp; more of it</p>";
    let item = json!({"id": "b", "title": "Fresh", "summary": summary, "link": "https://blog.example/b", "tags": []});
    assert_eq!(
        rendered(source, &names, &json!({"item": item})),
        "**Fresh**\nA long summary & mo…\nhttps://blog.example/b\n"
    );
    let bare = json!({"item": {"id": "b", "tags": []}});
    assert_eq!(rendered(source, &names, &bare), "****\n\n\n");
}

#[test]
fn a_price_bell() {
    let row = Type::Record(record(&[
        ("id", "int"),
        ("owner", "wallet"),
        ("symbol", "text"),
        ("side", "text"),
        ("usd", "decimal"),
    ]));
    let mine = Type::Record(
        [("alerts", Type::List(Box::new(row.clone())))]
            .into_iter()
            .collect(),
    );
    let names = names([
        ("row", row),
        ("value", Type::Any),
        ("price", Type::Any),
        ("mine", mine),
        ("args", Type::Record(record(&[("id", "int")]))),
        ("body", Type::Any),
    ]);
    typed("price", &names, "any");
    typed("body.usd", &names, "any");
    typed("args.id", &names, "int");
    typed(
        "(row.side == \"above\" and value >= row.usd) or (row.side == \"below\" and value <= row.usd)",
        &names,
        "bool",
    );
    let alerts = "{% for a in mine.alerts %}{{ a.id }}. {{ a.symbol }} {{ a.side }} {{ a.usd | usd }}\n{% else %}No alerts yet. Try: /alert ETH below 2500{% endfor %}\n";
    assert_eq!(
        rendered(alerts, &names, &json!({"mine": {"alerts": []}})),
        "No alerts yet. Try: /alert ETH below 2500\n"
    );
    let row = json!({"id": 1, "owner": super::WALLET, "symbol": "ETH", "side": "below", "usd": 2500});
    assert_eq!(
        rendered(alerts, &names, &json!({"mine": {"alerts": [row.clone()]}})),
        "1. ETH below $2,500.00\n\n"
    );
    let ring = "🔔 {{ row.symbol }} is {{ value | usd }} ({{ row.side }} {{ row.usd | usd }}).";
    assert_eq!(
        rendered(ring, &names, &json!({"row": row, "value": 2490})),
        "🔔 ETH is $2,490.00 (below $2,500.00)."
    );
    let url = "https://api.example/v1/price?symbol={{ row.symbol }}&vs=usd";
    Template::parse(url, &names).unwrap();
}

#[test]
fn shop_orders() {
    let body = record(&[
        ("id", "text"),
        ("wallet", "wallet"),
        ("status", "paid | shipped | refunded | draft"),
        ("total", "decimal"),
        ("tx", "optional hash"),
    ]);
    let names = names([("body", Type::Record(body))]);
    typed("body.status != \"draft\"", &names, "bool");
    typed("[body.id, body.status]", &names, "list of text");
    typed("body.wallet", &names, "wallet");
    typed("body.tx", &names, "optional hash");
    typed("occurrence.id", &names, "text");
    let source = "{% if body.status == \"paid\" %}Thank you! Order {{ body.id }} is paid ({{ body.total | usd }}).\n{% elif body.status == \"shipped\" %}Order {{ body.id }} is on its way.\n{% else %}Order {{ body.id }} was refunded.{% endif %}";
    for (status, wanted) in [
        ("paid", "Thank you! Order A1 is paid ($42.00).\n"),
        ("shipped", "Order A1 is on its way.\n"),
        ("refunded", "Order A1 was refunded."),
    ] {
        let body = json!({"id": "A1", "wallet": super::WALLET, "status": status, "total": 42});
        assert_eq!(rendered(source, &names, &json!({"body": body})), wanted);
    }
    let findings = Expression::parse("body.status != 'drfat'", &names).unwrap_err();
    assert_eq!(findings[0].hint.as_deref(), Some("did you mean `draft`?"));
}

#[test]
fn a_governance_digest() {
    let space = Type::Record(record(&[("id", "text"), ("name", "text")]));
    let mut item = record(&[
        ("id", "text"),
        ("title", "text"),
        ("state", "text"),
        ("end", "any"),
    ]);
    item.insert("space", space);
    let item = Type::Record(item);
    let names = names([
        ("item", item.clone()),
        ("items", Type::List(Box::new(item))),
        ("sub", member(&[("hour", "int"), ("spaces", "list of text")])),
        ("body", Type::Any),
        ("args", Type::Record(record(&[("names", "list of word")]))),
    ]);
    typed("item.space.id in sub.spaces", &names, "bool");
    typed("sub.hour", &names, "int");
    typed("item.end", &names, "any");
    typed("body.data.proposals", &names, "any");
    typed("args.names", &names, "list of word");
    typed("sub.spaces | join(\", \")", &names, "text");
    let source = "🏛️ {{ items | length }} change(s)\n{% for p in items %}• {{ p.space.name }}: {{ p.title | truncate(70) }} ({{ p.state }}{% if p.state == \"active\" %}, ends {{ p.end | ago }}{% endif %})\n{% endfor %}\n";
    let item = |title, state| json!({"id": "p", "title": title, "state": state, "end": 1_795_564_800, "space": {"id": "e", "name": "ENS"}});
    let text = rendered(
        source,
        &names,
        &json!({"items": [item("Budget", "active"), item("Rules", "closed")], "now": "2026-11-20T08:00:00Z"}),
    );
    assert_eq!(
        text,
        "🏛️ 2 change(s)\n• ENS: Budget (active, ends in 4 days)\n• ENS: Rules (closed)\n"
    );
}

#[test]
fn a_help_desk() {
    let status = Type::Record(record(&[
        ("found", "bool"),
        ("status", "text"),
        ("time", "optional time"),
    ]));
    let names = names([
        ("tx", status),
        ("opens", Type::Time),
        ("to", member(&[])),
        ("answers", Type::Record(record(&[("hash", "hash")]))),
    ]);
    typed("answers.hash", &names, "hash");
    let source = "{% if tx.found %}It is {{ tx.status }}, {{ tx.time | ago }}.{% else %}I cannot see it yet.{% endif %} Did that help?";
    let values = json!({"tx": {"found": true, "status": "confirmed", "time": "2026-11-20T08:00:00Z"}, "now": "2026-11-20T09:30:00Z"});
    assert_eq!(
        rendered(source, &names, &values),
        "It is confirmed, 1 hour ago. Did that help?"
    );
    let values = json!({"tx": {"found": false, "status": ""}, "now": 0});
    assert_eq!(
        rendered(source, &names, &values),
        "I cannot see it yet. Did that help?"
    );
    let closed = "We are back {{ opens | date(to.tz) }}.";
    let values = json!({"opens": "2026-11-23T09:00:00Z", "to": {"wallet": super::WALLET, "tz": "Europe/Lisbon", "joined_at": 0}});
    assert_eq!(
        rendered(closed, &names, &values),
        "We are back 23 Nov 2026, 09:00."
    );
}

#[test]
fn a_scope_is_extended_per_recipient_without_touching_the_shared_one() {
    let shared: Scope = [("title", Value::from("News"))].into_iter().collect();
    let mut one = shared.clone();
    one.insert("to", Value::record([("name", Value::from("Ana"))]));
    assert_eq!(shared.iter().count(), 1);
    assert_eq!(one.iter().count(), 2);
}
