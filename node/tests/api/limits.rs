use std::time::Duration;

use herald_node::{Config, config::Rate};
use herald_protocol::proto::api::{
    BatchQueryRequest, Envelope, PublishRequest, QueryRequest, SubscribeRequest,
    message_api_client::MessageApiClient,
};
use serde_json::{Value, json};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

use crate::harness::*;

const PUBLISH: &str = "/message/v1/publish";
const QUERY: &str = "/message/v1/query";
const ANY_QUERY: &str = r#"{"contentTopics":["test-any"]}"#;

/// A node to which this host is a caller like any other; it is reached from all of 127.0.0.0/8.
pub(crate) async fn public(change: impl FnOnce(&mut Config)) -> TestNode {
    TestNode::start_with(|config| {
        config.limits.exempt.clear();
        "127.0.0.1:0".clone_into(&mut config.grpc);
        change(config);
    })
    .await
}

/// A client with an address of its own.
async fn client_from(node: &TestNode, address: &str) -> MessageApiClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", node.addresses.grpc)).unwrap();
    let local = Some(address.parse().unwrap());
    MessageApiClient::new(endpoint.local_address(local).connect().await.unwrap())
}

/// So many publishes are a full bucket.
async fn limited(publish: Rate) -> TestNode {
    public(|config| config.limits.publish = publish).await
}

fn envelopes(count: u64) -> PublishRequest {
    let envelopes = (0..count).map(|number| envelope("test-limits", number, b"m"));
    PublishRequest {
        envelopes: envelopes.collect(),
    }
}

fn envelopes_json(count: u64) -> Value {
    let envelopes: Vec<Value> = envelopes(count).envelopes.iter().map(envelope_json).collect();
    json!({ "envelopes": envelopes })
}

async fn publish(node: &TestNode, wallet: &Wallet, count: u64) -> Result<(), Status> {
    let published = node.grpc().await.publish(wallet.sign(envelopes(count))).await;
    published.map(|_| ())
}

fn assert_limited(status: &Status, text: &str) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains(text), "{status}");
    assert!(!status.message().contains("127.0.0.1"), "{status}");
}

fn with_forwarded_for<T>(mut request: Request<T>, value: &str) -> Request<T> {
    let metadata = request.metadata_mut();
    metadata.insert("x-forwarded-for", value.parse().unwrap());
    request
}

#[tokio::test]
async fn one_publish_too_many_is_refused_with_the_wait_and_queries_go_on() {
    let node = limited(Rate::of(1, 2)).await;
    let alice = Wallet::new(1);
    publish(&node, &alice, 1).await.unwrap();
    let status = publish(&node, &alice, 0).await.unwrap_err();
    assert_limited(&status, "1 exceeds rate limit publish per address; try again in ");
    let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(
        (Duration::from_secs(5)..=Duration::from_secs(30)).contains(&wait),
        "{wait:?}"
    );

    let request = http()
        .post(node.url(PUBLISH))
        .header("authorization", &alice.bearer)
        .body("{}");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 429);
    let seconds: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((5..=30).contains(&seconds), "{seconds}");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let text = format!("1 exceeds rate limit publish per address; try again in {seconds} s");
    assert_eq!(body, json!({ "code": 8, "message": text, "details": [] }));

    assert_eq!(node.post(QUERY, ANY_QUERY).await.0, 200);
    assert_eq!(node.stored("test-limits").await.len(), 1);
    assert!(counter(r#"herald_node_rate_limited_total{class="publish"}"#) >= 2.0);
}

#[tokio::test]
async fn a_publish_costs_its_envelopes_and_what_a_bucket_never_holds_is_told_so() {
    let node = limited(Rate::of(5, 1)).await;
    let alice = Wallet::new(1);
    let status = publish(&node, &alice, 6).await.unwrap_err();
    assert_limited(
        &status,
        "6 exceeds rate limit publish per address: no request may cost more than 5",
    );
    assert!(status.get_details_retry_info().is_none());
    let request = http()
        .post(node.url(PUBLISH))
        .header("authorization", &alice.bearer)
        .body(envelopes_json(6).to_string());
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert!(!response.headers().contains_key("retry-after"));
    // Nothing was charged, not even for the token that was new.
    publish(&node, &alice, 3).await.unwrap();
    let status = publish(&node, &alice, 3).await.unwrap_err();
    assert_limited(&status, "3 exceeds rate limit publish");
    let (status, _) = node.post_as(&alice, PUBLISH, &envelopes_json(2)).await;
    assert_eq!(status, 200);
    let status = publish(&node, &alice, 0).await.unwrap_err();
    assert_limited(&status, "1 exceeds rate limit publish");
}

#[tokio::test]
async fn a_wallet_over_its_limit_takes_nothing_from_its_address() {
    let node = public(|config| {
        config.limits.publish = Rate::of(4, 1);
        config.limits.wallet_publish = Rate::of(2, 1);
    })
    .await;
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    publish(&node, &alice, 2).await.unwrap();
    for _ in 0..10 {
        let status = publish(&node, &alice, 1).await.unwrap_err();
        assert_limited(&status, "1 exceeds rate limit publish per wallet");
    }
    publish(&node, &bob, 2).await.unwrap();
    // The same wallet from elsewhere is the same wallet.
    let mut elsewhere = client_from(&node, "127.0.0.2").await;
    let status = elsewhere.publish(alice.sign(envelopes(1))).await.unwrap_err();
    assert_limited(&status, "1 exceeds rate limit publish per wallet");
}

#[tokio::test]
async fn a_caller_who_keeps_asking_gets_back_what_flows_in() {
    // One each 100 ms.
    let node = limited(Rate::of(1, 600)).await;
    let alice = Wallet::new(1);
    let mut refused = 0;
    for _ in 0..3 {
        until("a token flows back", async || {
            let published = publish(&node, &alice, 1).await;
            refused += u32::from(published.is_err());
            published.is_ok()
        })
        .await;
    }
    assert!(refused >= 2, "the bucket was empty in between");
}

#[tokio::test]
async fn bad_tokens_cost_their_address_until_none_is_looked_at() {
    let node = limited(Rate::of(3, 1)).await;
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let code = async |authorization: &str| {
        let request = with_header(envelopes(1), authorization);
        let status = node.grpc().await.publish(request).await.unwrap_err();
        status.code()
    };
    // Known from here on, and charged for one envelope.
    publish(&node, &alice, 1).await.unwrap();
    assert_eq!(code("Bearer bm9uc2Vuc2U=").await, Code::Unauthenticated);
    assert_eq!(code("Bearer").await, Code::Unauthenticated);
    assert_eq!(code("Bearer bm9uc2Vuc2U=").await, Code::ResourceExhausted);
    assert_eq!(code(&bob.bearer).await, Code::ResourceExhausted);
    let mut elsewhere = client_from(&node, "127.0.0.2").await;
    elsewhere.publish(bob.sign(envelopes(3))).await.unwrap();
    // A query needs no token, so a bad one is no obstacle.
    let bad = with_header(ascending(["test-limits"]), "Bearer bm9uc2Vuc2U=");
    node.grpc().await.query(bad).await.unwrap();
}

#[tokio::test]
async fn everything_else_is_charged_to_the_other_class() {
    let node = public(|config| {
        config.limits.other = Rate::of(10, 1);
    })
    .await;
    let mut client = node.grpc().await;
    let batch = |count| BatchQueryRequest {
        requests: vec![ascending(["test-any"]); count],
    };
    let status = client.batch_query(batch(51)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "and charged nothing");
    client.batch_query(batch(6)).await.unwrap();
    let status = client.batch_query(batch(5)).await.unwrap_err();
    assert_limited(&status, "5 exceeds rate limit other");
    client.query(ascending(["test-any"])).await.unwrap();
    let lines = http().post(node.url("/message/v1/subscribe")).body(ANY_QUERY);
    let lines = lines.send().await.unwrap();
    assert_eq!(lines.status(), 200);
    let all = client.subscribe_all(herald_protocol::proto::api::SubscribeAllRequest {});
    let _all = all.await.unwrap();
    client.query(ascending(["test-any"])).await.unwrap();
    let status = client.query(QueryRequest::default()).await.unwrap_err();
    assert_limited(&status, "1 exceeds rate limit other per address");
    let (status, refused) = node.post("/message/v1/subscribe", ANY_QUERY).await;
    assert_eq!((status, &refused["error"]["code"]), (429, &json!(8)), "{refused}");
    // Publishing is another class.
    publish(&node, &Wallet::new(1), 5).await.unwrap();
}

#[tokio::test]
async fn each_change_of_a_streams_topics_is_charged() {
    let node = public(|config| {
        config.limits.other = Rate::of(3, 1);
    })
    .await;
    let (updates, requests) = tokio::sync::mpsc::channel(8);
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let mut client = node.grpc().await;
    let mut stream = client.subscribe2(requests).await.unwrap().into_inner();
    for _ in 0..3 {
        let update = SubscribeRequest {
            content_topics: vec!["test-updates".to_owned()],
        };
        updates.send(update).await.unwrap();
    }
    let status = end_of(&mut stream).await;
    assert_limited(&status, "1 exceeds rate limit other");
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn whom_a_stranger_claims_to_forward_for_changes_nothing() {
    let node = limited(Rate::of(2, 1)).await;
    let alice = Wallet::new(1);
    let mut client = node.grpc().await;
    let mut refused = 0;
    for number in 0..4 {
        let request = with_forwarded_for(alice.sign(envelopes(1)), &format!("198.51.100.{number}"));
        refused += u32::from(client.publish(request).await.is_err());
    }
    assert_eq!(refused, 2);
}

#[tokio::test]
async fn a_trusted_proxys_callers_have_limits_of_their_own() {
    let node = public(|config| {
        config.limits.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        config.limits.publish = Rate::of(1, 1);
    })
    .await;
    let alice = Wallet::new(1);
    let mut client = node.grpc().await;
    for number in 0..4 {
        let caller = format!("203.0.113.77, 198.51.100.{number}");
        let request = with_forwarded_for(alice.sign(envelopes(1)), &caller);
        client.publish(request).await.unwrap();
        // What stands left of the caller is his own invention.
        let caller = format!("203.0.113.{number}, 198.51.100.{number}, 127.0.0.1");
        let request = with_forwarded_for(alice.sign(envelopes(1)), &caller);
        assert_limited(&client.publish(request).await.unwrap_err(), "1 exceeds");
    }
    let request = http()
        .post(node.url(PUBLISH))
        .header("authorization", &alice.bearer)
        .header("x-forwarded-for", "198.51.100.1")
        .body("{}");
    assert_eq!(answer(request).await.0, 429);
}

#[tokio::test]
async fn a_local_caller_is_not_limited_unless_he_forwards() {
    let node = public(|config| {
        config.limits.exempt = Config::default().limits.exempt;
        config.limits.publish = Rate::of(1, 1);
        config.limits.other = Rate::of(1, 1);
        config.limits.streams_per_address = 1.try_into().unwrap();
    })
    .await;
    let alice = Wallet::new(1);
    for _ in 0..5 {
        publish(&node, &alice, 3).await.unwrap();
        assert_eq!(node.post(QUERY, ANY_QUERY).await.0, 200);
    }
    for header in ["forwarded", "x-forwarded-for"] {
        let ask = async || {
            let request = http().post(node.url(QUERY)).header(header, "for=198.51.100.7");
            answer(request.body(ANY_QUERY)).await.0
        };
        // The first of the two headers empties the bucket that both share.
        ask().await;
        assert_eq!(ask().await, 429, "{header}");
    }
}

#[tokio::test]
async fn an_address_has_so_many_live_streams_and_another_when_one_ends() {
    let node = public(|config| {
        config.limits.streams_per_address = 2.try_into().unwrap();
    })
    .await;
    let mut client = node.grpc().await;
    let topics = || SubscribeRequest {
        content_topics: vec!["test-streams".to_owned()],
    };
    let first = client.subscribe(topics()).await.unwrap();
    let lines = http().post(node.url("/message/v1/subscribe")).body(ANY_QUERY);
    let lines = lines.send().await.unwrap();
    assert_eq!(lines.status(), 200);
    let status = client.subscribe(topics()).await.unwrap_err();
    assert_limited(
        &status,
        "too many streams from one address: at most 2 may be open",
    );
    let (status, refused) = node.post("/message/v1/subscribe-all", "{}").await;
    assert_eq!((status, &refused["error"]["code"]), (429, &json!(8)));
    let mut elsewhere = client_from(&node, "127.0.0.2").await;
    let _other = elsewhere.subscribe(topics()).await.unwrap();
    drop(first);
    until("the place of the stream that ended is free", async || {
        client.subscribe(topics()).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn more_than_a_thousand_envelopes_are_too_many_whatever_is_left() {
    let node = limited(Rate::of(1, 1)).await;
    let request = Wallet::new(1).sign(PublishRequest {
        envelopes: vec![Envelope::default(); 1_001],
    });
    let status = node.grpc().await.publish(request).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "too many envelopes")
    );
}
