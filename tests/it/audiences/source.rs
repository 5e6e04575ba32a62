//! Sources as audiences: pages of JSON from servers of all kinds.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{broken, nobody, rows, rule};
use crate::harness::{
    house::{Herald, House},
    people::{address, person},
    site::{Answer, Site, ok},
};

/// A bot with sources and rules, in a project that lets it ask this machine.
fn house(sources: &str, rules: &str) -> House {
    let house = House::of(&format!(
        "herald: 1\nbot: post\nidentity: env:BOT_KEY\ndefaults: {{ consent: transactional }}\nsources:\n{sources}rules:\n{rules}"
    ));
    house.asking_this_machine()
}

/// Waits for the failure of a rule's audience and gives its reason.
async fn failure(herald: &Herald, rule: &str) -> String {
    let failed = herald.event("error", |event| event["rule"] == rule).await;
    failed["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_page_of_a_source_is_asked_and_read_once() {
    let (alice, bob) = (address("alice").to_string(), address("bob").to_string());
    let item = |wallet: &str, seats: i64| json!({ "owner": { "x": 1 }, "address": wallet, "seats": seats, "vip": true, "none": null });
    let pages = [
        json!({ "data": { "items": [item(&alice, 2), item("0x12", 1)] }, "next": "/holders?page=2" }),
        json!({ "data": { "items": [item(&nobody(1), 0), { "seats": 5 }, "text", item(&alice, 9)] }, "next": "?page=3" }),
        json!({ "data": { "items": [item(&bob.to_lowercase(), 7)] }, "next": null }),
    ];
    let site = Site::start(move |path| {
        let page = path
            .rsplit_once("page=")
            .map_or(1, |(_, page)| page.parse().unwrap());
        ok(&pages[page - 1])
    })
    .await;
    let source = format!(
        "  holders:
    http: {}?of={{{{ body.token | urlencode }}}}
    post: {{ query: \"{{{{ body.token }}}}!\", first: 50, on: true, deep: [{{ a: \"1\" }}] }}
    headers: {{ x-trace: \"{{{{ occurrence.id }}}}\", x-key: env:SOURCE_KEY }}
    auth: env:SOURCE_KEY
    pick: body.data.items
    next: body.next
",
        site.url("/holders")
    );
    let rules = rule(
        "held",
        "{ source: holders, column: address, where: row.seats > 0 and row.owner.x == 1 }",
        "{{ to.seats + 1 }} {{ to.vip }} {{ to.owner.x }} {{ to.none or 'x' }}",
    );
    let house = house(&source, &rules).set("SOURCE_KEY", "s3cret");
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    let id = herald.fire("held", &json!({ "token": "a b" })).await;
    alice.reads(herald.address(), &["3 true 1 x"]).await;
    bob.reads(herald.address(), &["8 true 1 x"]).await;
    assert_eq!(rows(&house, "held").await.len(), 2);
    let told = broken(&house).await;
    assert_eq!(
        told,
        [
            "holders 2 found `0x12`, wanted an address: `0x` and 40 hex digits",
            "holders 4 found no `address`",
            "holders 5 found no record, wanted an item with `address`"
        ]
    );
    let asked = site.asked();
    let paths: Vec<&str> = asked
        .iter()
        .map(|(head, _)| head.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(paths, ["/holders?of=a%20b", "/holders?page=2", "/holders?page=3"]);
    for (head, body) in &asked {
        assert!(head.starts_with("POST "), "{head}");
        let sent: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            sent,
            json!({ "query": "a b!", "first": 50, "on": true, "deep": [{ "a": "1" }] })
        );
        for header in [
            format!("x-trace: {id}"),
            "x-key: s3cret".to_owned(),
            "authorization: Bearer s3cret".to_owned(),
        ] {
            assert!(head.lines().any(|line| line == header), "{header} in {head}");
        }
    }
}

#[tokio::test]
async fn an_answer_stands_for_the_time_that_the_file_says() {
    let alice = address("alice").to_string();
    let site = Site::start(move |_| ok(&json!([{ "wallet": alice }]))).await;
    let sources = format!(
        "  kept: {{ http: \"{0}?n={{{{ body.n }}}}\", cache: 1h }}\n  fresh: {{ http: \"{0}\" }}\n",
        site.url("/all")
    );
    let rules = [
        rule("kept", "{ source: kept }", "hi"),
        rule("fresh", "{ source: fresh }", "hi"),
    ];
    let house = house(&sources, &rules.concat());
    let herald = house.start().await;
    let _alice = person("alice", herald.node()).await;
    for (rule, n, asked) in [
        ("kept", 1, 1),
        ("kept", 1, 1),
        ("kept", 2, 2),
        ("fresh", 1, 3),
        ("fresh", 1, 4),
    ] {
        let before = rows(&house, rule).await.len();
        herald.fire(rule, &json!({ "n": n })).await;
        herald
            .count("delivered", herald.events("delivered").len().max(before) + 1)
            .await;
        assert_eq!(site.asked().len(), asked, "{rule} {n}");
    }
}

/// A site that answers everything but what it should, by path.
async fn careless_site() -> Site {
    let alice = address("alice").to_string();
    let first = json!({ "items": [{ "wallet": alice }], "next": "/late?page=2" });
    let other = json!({ "items": [], "next": "http://127.0.0.2/" });
    let looping = json!({ "items": [], "next": "" });
    let late = Arc::new(Mutex::new(0));
    Site::start(move |path| match path {
        "/html" => Answer::Whole(
            "200 OK",
            "content-type: text/html\r\n".to_owned(),
            b"<!DOCTYPE html><p>Hi".to_vec(),
        ),
        "/empty" => Answer::Whole("200 OK", String::new(), Vec::new()),
        "/cut" => Answer::Whole("200 OK", String::new(), b"{\"items\": [{\"wallet\": \"".to_vec()),
        "/500" => Answer::Whole("500 Oops", String::new(), first.to_string().into_bytes()),
        "/404" => Answer::Whole("404 Not Found", String::new(), first.to_string().into_bytes()),
        "/gzip" => Answer::Whole(
            "200 OK",
            "content-encoding: gzip\r\n".to_owned(),
            vec![31, 139, 8, 0],
        ),
        "/private" => Answer::Whole(
            "302 Found",
            "location: http://169.254.169.254/latest\r\n".to_owned(),
            Vec::new(),
        ),
        "/record" => ok(&json!({ "items": { "wallet": alice } })),
        "/rounded" => Answer::Whole(
            "200 OK",
            String::new(),
            b"{\"items\": [{\"n\": 123456789012345678901234567890}]}".to_vec(),
        ),
        "/loop" => ok(&json!({ "items": [], "next": "/loop" })),
        "/other" => ok(&other),
        "/end" => ok(&looping),
        "/endless" => Answer::Endless,
        "/silence" => Answer::Silence,
        "/late" => ok(&first),
        // The second page is there from the second time on.
        "/late?page=2" => {
            let mut late = late.lock().unwrap();
            *late += 1;
            if *late == 1 {
                return Answer::Whole("503 Later", String::new(), Vec::new());
            }
            ok(&json!({ "items": [{ "wallet": nobody(7) }] }))
        }
        other => panic!("asked for {other}"),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_no_whole_answer_is_no_audience_and_the_occurrence_is_tried_again() {
    let site = careless_site().await;
    let reasons = [
        (
            "html",
            "the answer is not JSON: expected value at line 1 column 1",
        ),
        ("empty", "the answer is not JSON: EOF while parsing a value"),
        ("cut", "the answer is not JSON: EOF while parsing a string"),
        ("500", "answered with status 500"),
        ("404", "answered with status 404"),
        ("gzip", "is encoded with `gzip`"),
        ("private", "is at 169.254.169.254, a link-local address"),
        ("record", "the answer holds no list of items; `pick` names it"),
        ("rounded", "a number in it is one that JSON readers round"),
        ("loop", "`next` leads to a page that was read already"),
        ("other", "`next` leads to another host"),
        ("endless", "is larger than 5242880 bytes"),
        ("silence", "no complete answer from"),
        ("late", "answered with status 503"),
    ];
    let source = |name: &str| {
        format!(
            "  s{name}: {{ http: \"{}\", pick: body.items, next: body.next, timeout: 5s }}\n",
            site.url(&format!("/{name}"))
        )
    };
    let names = || reasons.iter().map(|(name, _)| *name).chain(["end"]);
    let sources: String = names().map(source).collect::<Vec<_>>().concat();
    let rules: Vec<String> = names()
        .map(|name| {
            rule(
                &format!("r{name}"),
                &format!("{{ any: [{{ wallet: body.wallet }}, {{ source: s{name} }}] }}"),
                name,
            )
        })
        .collect();
    let house = house(&sources, &rules.concat());
    let herald = house.start().await;
    let bob = person("bob", herald.node()).await;
    let alice = person("alice", herald.node()).await;
    for name in names() {
        herald
            .fire(
                &format!("r{name}"),
                &json!({ "wallet": bob.address().to_string() }),
            )
            .await;
    }
    for (name, wanted) in reasons {
        let reason = failure(&herald, &format!("r{name}")).await;
        let start = format!("its audience cannot be read: source `s{name}`: ");
        assert!(reason.starts_with(&start) && reason.contains(wanted), "{reason}");
        if name != "late" {
            assert_eq!(
                rows(&house, &format!("r{name}")).await.len(),
                0,
                "a part of the audience of {name}"
            );
        }
    }
    // The others are written to; the late page came.
    alice.reads(herald.address(), &["late"]).await;
    let texts = bob.texts_of(herald.address()).await;
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert_eq!(rows(&house, "rlate").await.len(), 3);
    assert_eq!(rows(&house, "rend").await.len(), 1);
}

#[tokio::test]
async fn a_source_on_this_machine_is_not_asked_unless_the_project_allows_it() {
    let site = Site::start(|_| ok(&json!([]))).await;
    let house = house(
        &format!("  own: {{ http: \"{}\" }}\n", site.url("/")),
        &rule("own", "{ source: own }", "hi"),
    );
    std::fs::remove_file(house.folder().join("herald.yaml")).unwrap();
    let herald = house.start().await;
    herald.fire("own", &json!({})).await;
    let reason = failure(&herald, "own").await;
    assert!(reason.contains("is at 127.0.0.1, a loopback address"), "{reason}");
    assert_eq!(site.asked().len(), 0);
}
