//! What each sender signs, posted to the real program: one occurrence a delivery, one answer however often it comes.

use const_hex::encode;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::{
    house::{Herald, House},
    people::{address, now, person},
    web::http,
};

const SECRET: &str = "the secret of all of them";

fn house() -> House {
    let rule = |name: &str, verify: &str, more: &str| {
        format!(
            "  {name}:
    when: {{ webhook: /{name}, verify: {{ {verify} }}, body: {{ id: text, to: wallet }}{more} }}
    to: {{ wallet: body.to }}
    consent: transactional
    send: \"{name} {{{{ body.id }}}}\"
"
        )
    };
    let secret = "secret: env:SECRET";
    let answer = ", answer: { status: 200, json: { got: body.id, at: now, of: { it: occurrence.id, agent: \
                  'headers[\"user-agent\"]', key: 'headers[\"x-sig\"]' } } }";
    let rules = [
        rule("github", &format!("scheme: github, {secret}"), ""),
        rule("stripe", &format!("scheme: stripe, {secret}, tolerance: 1m"), ""),
        rule("slack", &format!("scheme: slack, {secret}"), ""),
        rule(
            "hmac",
            &format!("scheme: hmac-sha256, {secret}, header: X-Sig, encoding: base64"),
            answer,
        ),
        rule(
            "bearer",
            &format!("scheme: bearer, {secret}"),
            ", answer: { status: 201 }",
        ),
        rule("open", "scheme: none", ""),
    ];
    House::of(&format!(
        "herald: 1\nbot: many\nidentity: env:BOT_KEY\nrules:\n{}",
        rules.concat()
    ))
    .set("SECRET", SECRET)
}

fn mac(parts: &[&str]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().to_vec()
}

fn base64(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

/// The headers with which the sender of a rule signs a body.
fn signed(rule: &str, body: &str) -> Vec<(&'static str, String)> {
    let time = now().as_seconds().to_string();
    match rule {
        "github" => vec![
            ("X-GitHub-Delivery", format!("delivery of {}", body.len())),
            ("X-Hub-Signature-256", format!("sha256={}", encode(mac(&[body])))),
        ],
        "stripe" => {
            let right = encode(mac(&[&time, ".", body]));
            vec![("Stripe-Signature", format!("t={time},v1=00ff,v1={right}"))]
        }
        "slack" => {
            let signature = encode(mac(&["v0:", &time, ":", body]));
            vec![
                ("X-Slack-Request-Timestamp", time),
                ("X-Slack-Signature", format!("v0={signature}")),
            ]
        }
        "hmac" => vec![("X-Sig", format!("sha256={}", base64(&mac(&[body]))))],
        "bearer" => vec![("Authorization", format!("Bearer {SECRET}"))],
        _ => Vec::new(),
    }
}

async fn post(herald: &Herald, rule: &str, headers: &[(&str, String)], body: &str) -> (u16, Value) {
    let url = format!("{}/hooks/many/{rule}", herald.api());
    let mut request = http()
        .post(url)
        .header("user-agent", "a shop")
        .body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn each_sender_signs_in_its_way_and_a_delivery_is_one_message_and_one_answer() {
    let house = house();
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let body = |id: &str| json!({ "id": id, "to": address("alice").to_string(), "more": 1 }).to_string();
    let one = body("one");
    let digest = encode(Sha256::digest(&one));
    for (rule, status, id) in [
        ("github", 202, format!("delivery of {}", one.len())),
        ("stripe", 202, "one".to_owned()),
        ("slack", 202, digest.clone()),
        ("hmac", 200, digest.clone()),
        ("bearer", 201, digest.clone()),
        ("open", 202, digest),
    ] {
        let (first, answer) = post(&herald, rule, &signed(rule, &one), &one).await;
        assert_eq!(first, status, "{rule}: {answer}");
        let said = if rule == "hmac" {
            &answer["of"]["it"]
        } else {
            &answer["occurrence"]
        };
        assert_eq!(*said, json!(id), "{rule}: {answer}");
        // Sent again by its sender, with a signature of its own time.
        let again = post(&herald, rule, &signed(rule, &one), &one).await;
        assert_eq!(again, (status, answer.clone()), "{rule}");
        if rule == "hmac" {
            assert_eq!(
                (&answer["got"], &answer["of"]["agent"]),
                (&json!("one"), &json!("a shop"))
            );
            assert_eq!(answer["of"]["key"], Value::Null, "a signature is told to nobody");
        }
    }
    // One wallet's messages keep their order.
    alice
        .reads(
            herald.address(),
            &[
                "github one",
                "stripe one",
                "slack one",
                "hmac one",
                "bearer one",
                "open one",
            ],
        )
        .await;
    assert_eq!(house.occurrences(), 6);
}

#[tokio::test]
async fn a_request_that_its_sender_did_not_sign_or_not_now_leaves_nothing() {
    let house = house();
    let herald = house.start().await;
    let body = json!({ "id": "one", "to": address("alice").to_string() }).to_string();
    let other = body.replace("one", "two");
    for rule in ["github", "stripe", "slack", "hmac"] {
        let signature = signed(rule, &body);
        for (what, headers, body) in [
            ("unsigned", Vec::new(), &body),
            ("another body", signature.clone(), &other),
        ] {
            let (status, answer) = post(&herald, rule, &headers, body).await;
            assert_eq!(status, 401, "{rule}, {what}: {answer}");
            assert!(answer["error"].is_string(), "{answer}");
        }
        // A body that does not fit is refused once it is known whose it is, and one that is too large before.
        let odd = r#"{"id": 1}"#;
        assert_eq!(
            post(&herald, rule, &signed(rule, odd), odd).await.0,
            400,
            "{rule}"
        );
        let large = " ".repeat(262_145);
        assert_eq!(post(&herald, rule, &[], &large).await.0, 413, "{rule}");
    }
    let old = (now().as_seconds() - 400).to_string();
    let stripe = encode(mac(&[&old, ".", &body]));
    let stripe = [("Stripe-Signature", format!("t={old},v1={stripe}"))];
    assert_eq!(post(&herald, "stripe", &stripe, &body).await.0, 401);
    let slack = encode(mac(&["v0:", &old, ":", &body]));
    let slack = [
        ("X-Slack-Request-Timestamp", old),
        ("X-Slack-Signature", format!("v0={slack}")),
    ];
    assert_eq!(post(&herald, "slack", &slack, &body).await.0, 401);
    let wrong = [("Authorization", format!("Bearer {SECRET}."))];
    assert_eq!(post(&herald, "bearer", &wrong, &body).await.0, 401);
    assert_eq!(house.occurrences(), 0);
    assert!(!herald.talk().contains(SECRET));
}
