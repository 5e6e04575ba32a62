use std::time::Duration;

use herald_protocol::proto::api::{BatchQueryRequest, QueryRequest, SubscribeAllRequest, SubscribeRequest};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status};

use crate::harness::*;

const NO_TOKEN: &str = "authorization token is not provided";
const FOREIGN: &str = "reading restricted topic";

async fn strict() -> TestNode {
    TestNode::start_with(|config| config.auth.require_token_for_query = true).await
}

fn own_topics(wallet: &Wallet) -> [String; 3] {
    let address = wallet.address();
    [
        format!("/xmtp/0/invite-{address}/proto"),
        format!("/xmtp/0/intro-{address}/proto"),
        format!("/xmtp/0/privatestore-{address}/key_bundle/proto"),
    ]
}

fn topics(topic: &str) -> SubscribeRequest {
    SubscribeRequest {
        content_topics: vec!["test-a".to_owned(), topic.to_owned()],
    }
}

#[track_caller]
fn is_refused<T>(answer: Result<T, Status>, code: Code, text: &str) {
    let status = answer.err().expect("it is refused");
    assert_eq!((status.code(), status.message()), (code, text));
}

#[tokio::test]
async fn with_a_token_required_invitations_intros_and_private_stores_are_their_wallets_only() {
    let node = strict().await;
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut client = node.grpc().await;
    for topic in own_topics(&alice) {
        let asked = query(["test-a", &topic], 1, 0);
        let batch = BatchQueryRequest {
            requests: vec![query(["test-a"], 1, 0), asked.clone()],
        };
        is_refused(client.query(asked.clone()).await, Code::Unauthenticated, NO_TOKEN);
        is_refused(
            client.batch_query(batch.clone()).await,
            Code::Unauthenticated,
            NO_TOKEN,
        );
        is_refused(
            client.subscribe(topics(&topic)).await,
            Code::Unauthenticated,
            NO_TOKEN,
        );
        is_refused(
            client.query(bob.sign(asked.clone())).await,
            Code::PermissionDenied,
            FOREIGN,
        );
        is_refused(
            client.batch_query(bob.sign(batch.clone())).await,
            Code::PermissionDenied,
            FOREIGN,
        );
        is_refused(
            client.subscribe(bob.sign(topics(&topic))).await,
            Code::PermissionDenied,
            FOREIGN,
        );
        let forged = with_header(asked.clone(), "Bearer %%%");
        assert_eq!(
            client.query(forged).await.unwrap_err().code(),
            Code::Unauthenticated
        );
        client.query(alice.sign(asked)).await.unwrap();
        client.batch_query(alice.sign(batch)).await.unwrap();
        let mut stream = client
            .subscribe(alice.sign(topics(&topic)))
            .await
            .unwrap()
            .into_inner();
        if !topic.contains("privatestore") {
            node.publish(&bob, vec![envelope(&topic, 1, b"m")]).await;
            assert_eq!(take(&mut stream, 1).await, [envelope(&topic, 1, b"m")]);
        }
    }
}

#[tokio::test]
async fn the_same_over_http() {
    let node = strict().await;
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    for topic in own_topics(&alice) {
        let query = json!({ "contentTopics": [topic] });
        let batch = json!({ "requests": [query] });
        let without = json!({ "code": 16, "message": NO_TOKEN, "details": [] });
        let foreign = json!({ "code": 7, "message": FOREIGN, "details": [] });
        for (path, body, enveloped) in [
            ("/message/v1/query", &query, false),
            ("/message/v1/batch-query", &batch, false),
            ("/message/v1/subscribe", &query, true),
        ] {
            let said = |status: &serde_json::Value| {
                if enveloped {
                    json!({ "error": status })
                } else {
                    status.clone()
                }
            };
            assert_eq!(
                node.post(path, body.to_string()).await,
                (401, said(&without)),
                "{path}"
            );
            assert_eq!(
                node.post_as(&bob, path, body).await,
                (403, said(&foreign)),
                "{path}"
            );
            let request = http()
                .post(node.url(path))
                .header("authorization", &alice.bearer)
                .body(body.to_string());
            assert_eq!(request.send().await.unwrap().status(), 200, "{path}");
        }
    }
    let refused = json!({ "error": { "code": 7, "message": FOREIGN, "details": [] } });
    let all = "/message/v1/subscribe-all";
    assert_eq!(node.post(all, "{}").await, (403, refused.clone()));
    assert_eq!(node.post_as(&alice, all, &json!({})).await, (403, refused));
}

#[tokio::test]
async fn what_is_nobodys_needs_no_token_and_no_good_one() {
    let node = strict().await;
    let alice = Wallet::new(1);
    let mut client = node.grpc().await;
    for topic in [
        "/xmtp/0/m-1/proto".to_owned(),
        format!("/xmtp/0/contact-{}/proto", alice.address()),
        "/xmtp/0/userpreferences-x/proto".to_owned(),
        "test-a".to_owned(),
    ] {
        let asked = || query(["test-b", &topic], 1, 0);
        client.query(asked()).await.unwrap();
        client.query(with_header(asked(), "Bearer %%%")).await.unwrap();
        client.query(alice.sign(asked())).await.unwrap();
        client.subscribe(topics(&topic)).await.unwrap();
    }
    // Without the setting everybody reads everything.
    let node = TestNode::start().await;
    for topic in own_topics(&alice) {
        node.grpc().await.query(query([&*topic], 1, 0)).await.unwrap();
    }
    node.grpc()
        .await
        .subscribe_all(SubscribeAllRequest {})
        .await
        .unwrap();
}

#[tokio::test]
async fn a_changing_stream_reads_what_its_opening_token_may() {
    let node = strict().await;
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let [invites, ..] = own_topics(&alice);
    let mut client = node.grpc().await;
    for (wallet, refusal) in [
        (Some(&alice), None),
        (Some(&bob), Some((Code::PermissionDenied, FOREIGN))),
        (None, Some((Code::Unauthenticated, NO_TOKEN))),
    ] {
        let (updates, requests) = mpsc::channel(4);
        let requests = ReceiverStream::new(requests);
        let opening = match wallet {
            Some(wallet) => wallet.sign(requests),
            None => Request::new(requests),
        };
        let mut stream = client.subscribe2(opening).await.unwrap().into_inner();
        updates.send(topics("test-b")).await.unwrap();
        updates.send(topics(&invites)).await.unwrap();
        if let Some((code, text)) = refusal {
            let status = end_of(&mut stream).await;
            assert_eq!((status.code(), status.message()), (code, text));
            continue;
        }
        until("the topics are taken up", async || {
            // A duplicate is not streamed again.
            let sent = herald_node::clock::wall().as_ns();
            node.publish(&bob, vec![envelope(&invites, sent, b"invitation")])
                .await;
            tokio::time::timeout(Duration::from_millis(50), stream.message())
                .await
                .is_ok_and(|next| next.unwrap().is_some())
        })
        .await;
    }
    is_refused(
        client.subscribe_all(SubscribeAllRequest {}).await,
        Code::PermissionDenied,
        FOREIGN,
    );
    let all = alice.sign(SubscribeAllRequest {});
    is_refused(client.subscribe_all(all).await, Code::PermissionDenied, FOREIGN);
    is_refused(
        client.query(QueryRequest::default()).await,
        Code::InvalidArgument,
        "content topics required",
    );
}
