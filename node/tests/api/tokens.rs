use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use herald_node::clock;
use herald_protocol::{
    proto::api::{PublishRequest, Token},
    time::TimestampNs,
};
use prost::Message as _;
use serde_json::json;
use tonic::Code;

use crate::harness::*;

fn ago(duration: Duration) -> TimestampNs {
    TimestampNs::from_ns(clock::wall().as_ns() - u64::try_from(duration.as_nanos()).unwrap())
}

fn ahead(duration: Duration) -> TimestampNs {
    clock::wall().checked_add(duration).unwrap()
}

fn decoded(bearer: &str) -> Token {
    let base64 = bearer.strip_prefix("Bearer ").unwrap();
    Token::decode(STANDARD.decode(base64).unwrap().as_slice()).unwrap()
}

#[tokio::test]
async fn publishing_needs_a_valid_token_and_says_what_is_wrong_with_another() {
    let node = TestNode::start().await;
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let minute = Duration::from_mins(1);
    // Bob's claim to be Bob, signed by Alice.
    let forged = {
        let mut token = decoded(&bob.bearer);
        token.auth_data_signature = decoded(&alice.bearer).auth_data_signature;
        format!("Bearer {}", STANDARD.encode(token.encode_to_vec()))
    };
    let cases = [
        (String::new(), "invalid authorization header"),
        ("Basic YTpi".to_owned(), "unrecognized authorization scheme Basic"),
        ("Bearer %%%".to_owned(), "extracting token"),
        ("Bearer aGk=".to_owned(), "missing identity key"),
        (format!("Bearer {}", "A".repeat(5_000)), "extracting token"),
        (alice.bearer_dated(ago(61 * minute)), "token expired"),
        (alice.bearer_dated(ago(24 * 60 * minute)), "token expired"),
        (alice.bearer_dated(ahead(61 * minute)), "token is from the future"),
        (forged, "validating token: invalid signature"),
    ];
    for (header, text) in cases {
        let request = with_header(PublishRequest::default(), &header);
        let status = node.grpc().await.publish(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{header}");
        assert!(
            status.message().contains(text),
            "{} lacks {text}",
            status.message()
        );
        let request = http()
            .post(node.url("/message/v1/publish"))
            .header("authorization", &header);
        let (status, refused) = answer(request.body("{}")).await;
        assert_eq!((status, &refused["code"]), (401, &json!(16)), "{header}");
        assert!(refused["message"].as_str().unwrap().contains(text), "{refused}");
    }
    for good in [
        alice.bearer_dated(ago(59 * minute)),
        alice.bearer_dated(ahead(59 * minute)),
    ] {
        node.grpc()
            .await
            .publish(with_header(PublishRequest::default(), &good))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_publish_without_a_token_is_refused_and_everything_else_needs_none() {
    let node = TestNode::start().await;
    let status = node
        .grpc()
        .await
        .publish(PublishRequest::default())
        .await
        .unwrap_err();
    let text = "authorization token is not provided";
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, text));
    let response = http().post(node.url("/message/v1/publish")).send().await.unwrap();
    assert_eq!(response.headers()["www-authenticate"], text);
    assert_eq!(
        response.text().await.unwrap(),
        format!(r#"{{"code":16,"message":"{text}","details":[]}}"#)
    );
    let (status, _) = node
        .post("/message/v1/query", r#"{"contentTopics":["privatestore-123"]}"#)
        .await;
    assert_eq!(status, 200);
    node.grpc()
        .await
        .query(ascending(["privatestore-123"]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_token_that_was_good_once_is_not_taken_after_its_time() {
    let node = TestNode::start_with(|config| config.auth.max_age = Duration::from_secs(2)).await;
    let alice = Wallet::new(1);
    node.publish(&alice, Vec::new()).await;
    let mut client = node.grpc().await;
    until("the remembered token expires", async || {
        match client.publish(alice.sign(PublishRequest::default())).await {
            Ok(_) => false,
            Err(status) => status.message().contains("token expired"),
        }
    })
    .await;
}

#[tokio::test]
async fn contacts_and_private_stores_are_written_by_their_wallet_only() {
    let node = TestNode::start().await;
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let (own, other) = (alice.address(), bob.address());
    for topic in [
        format!("/xmtp/0/contact-{own}/proto"),
        format!("/xmtp/0/privatestore-{own}/key_bundle/proto"),
        format!("/xmtp/0/dm-{own}-{other}/proto"),
        "/xmtp/0/m-12345/proto".to_owned(),
        format!("/xmtp/0/invite-{other}/proto"),
        format!("/xmtp/0/intro-{other}/proto"),
        "/xmtp/0/userpreferences-x/proto".to_owned(),
        "test-anything".to_owned(),
    ] {
        node.publish(&alice, vec![envelope(&topic, 1, b"mine")]).await;
    }
    for topic in [
        format!("/xmtp/0/contact-{other}/proto"),
        format!("/xmtp/0/contact-{}/proto", own.to_lowercase()),
        format!("/xmtp/0/contact-{own}-x/proto"),
        format!("/xmtp/0/CONTACT-{other}/proto"),
        "/xmtp/0/contact-/proto".to_owned(),
        format!("/xmtp/0/privatestore-{other}/key_bundle/proto"),
    ] {
        let bad = envelope(&topic, 1, b"not mine");
        let request = alice.sign(PublishRequest {
            envelopes: vec![bad.clone()],
        });
        let status = node.grpc().await.publish(request).await.unwrap_err();
        let text = "publishing to restricted topic";
        assert_eq!(
            (status.code(), status.message()),
            (Code::PermissionDenied, text),
            "{topic}"
        );
        let body = json!({ "envelopes": [envelope_json(&bad)] });
        let refused = node.post_as(&alice, "/message/v1/publish", &body).await;
        assert_eq!(
            refused,
            (403, json!({ "code": 7, "message": text, "details": [] }))
        );
        assert_eq!(node.stored(&topic).await, []);
    }
}
