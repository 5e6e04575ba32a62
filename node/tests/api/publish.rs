use herald_protocol::{
    limits,
    proto::api::{Envelope, PublishRequest},
};
use serde_json::{Value, json};
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn an_acknowledged_publish_is_read_at_once_over_either_transport() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let sent = [
        envelope("/xmtp/0/m-1/proto", 7, b"over grpc"),
        envelope("/xmtp/0/m-1/proto", 8, b"over http"),
        envelope("/xmtp/0/m-1/proto", 9, b""),
    ];
    node.publish(&alice, vec![sent[0].clone()]).await;
    assert_eq!(node.stored("/xmtp/0/m-1/proto").await, sent[..1]);
    let body = json!({ "envelopes": [envelope_json(&sent[1]), envelope_json(&sent[2])] });
    assert_eq!(
        node.post_as(&alice, "/message/v1/publish", &body).await,
        (200, json!({}))
    );
    assert_eq!(node.stored("/xmtp/0/m-1/proto").await, sent);
    let (_, page) = node
        .post("/message/v1/query", r#"{"contentTopics":["/xmtp/0/m-1/proto"]}"#)
        .await;
    let newest_first: Vec<Value> = sent.iter().rev().map(envelope_json).collect();
    assert_eq!(page["envelopes"], json!(newest_first));
}

/// Conformance line 55.
#[tokio::test]
async fn a_duplicate_is_acknowledged_and_stored_once_and_another_time_is_another_envelope() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let first = envelope("test-d", 1, b"same");
    node.publish(&alice, vec![first.clone(), first.clone()]).await;
    node.publish(&alice, vec![first.clone()]).await;
    assert_eq!(node.stored("test-d").await, std::slice::from_ref(&first));
    let later = envelope("test-d", 2, b"same");
    node.publish(&alice, vec![first.clone(), later.clone()]).await;
    assert_eq!(node.stored("test-d").await, [first, later]);
}

#[tokio::test]
async fn moving_bytes_between_topic_and_message_suppresses_nothing() {
    let node = TestNode::start().await;
    let mallory = Wallet::new(3);
    let genuine = envelope("test-victim", 5, b"payload");
    let squatting = envelope("test-vic", 5, b"timpayload");
    node.publish(&mallory, vec![squatting.clone()]).await;
    node.publish(&mallory, vec![genuine.clone()]).await;
    assert_eq!(node.stored("test-victim").await, [genuine]);
    assert_eq!(node.stored("test-vic").await, [squatting]);
}

#[tokio::test]
async fn one_bad_envelope_refuses_the_whole_request_before_anything_is_stored() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let good = envelope("test-good", 1, b"good");
    let too_long = envelope(&"t".repeat(301), 1, b"bad");
    let foreign = envelope(
        "/xmtp/0/contact-0x0000000000000000000000000000000000000001/proto",
        1,
        b"bad",
    );
    for bad in [too_long, foreign] {
        let request = alice.sign(PublishRequest {
            envelopes: vec![good.clone(), bad],
        });
        node.grpc().await.publish(request).await.unwrap_err();
    }
    assert_eq!(node.stored("test-good").await, []);
}

/// What is refused: the envelope, the text.
fn refused_envelopes() -> Vec<(Envelope, &'static str)> {
    vec![
        (
            envelope(&"t".repeat(limits::TOPIC_BYTES + 1), 1, b"m"),
            "topic length too big",
        ),
        // 150 letters of two bytes each and one more byte: bytes count.
        (
            envelope(&format!("{}x", "é".repeat(150)), 1, b"m"),
            "topic length too big",
        ),
        (
            envelope("test-t", 1, vec![1; limits::MESSAGE_BYTES + 1]),
            "message too big",
        ),
        (envelope("test-\0", 1, b"m"), "invalid topic"),
        (envelope("test-t", 1 << 63, b"m"), "timestamp out of range"),
    ]
}

/// Conformance lines 7 and 8.
#[tokio::test]
async fn envelopes_beyond_a_limit_are_refused_with_code_and_text_over_either_transport() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    for (bad, text) in refused_envelopes() {
        let request = alice.sign(PublishRequest {
            envelopes: vec![bad.clone()],
        });
        let status = node.grpc().await.publish(request).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, text));
        let body = json!({ "envelopes": [envelope_json(&bad)] });
        let refused = node.post_as(&alice, "/message/v1/publish", &body).await;
        assert_eq!(
            refused,
            (400, json!({ "code": 3, "message": text, "details": [] }))
        );
    }
}

#[tokio::test]
async fn envelopes_at_their_limits_are_stored() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let longest = "é".repeat(limits::TOPIC_BYTES / 2);
    let accepted = [
        envelope(&longest, 1, b"m"),
        envelope("test-large", 1, vec![1; limits::MESSAGE_BYTES]),
        envelope("test-late", (1 << 63) - 1, b"m"),
        envelope("test-early", 0, b"m"),
        envelope("", 1, b"m"),
    ];
    for envelope in accepted {
        node.publish(&alice, vec![envelope.clone()]).await;
        assert_eq!(node.stored(&envelope.content_topic).await, [envelope]);
    }
}

#[tokio::test]
async fn a_publish_takes_a_thousand_envelopes_and_no_more() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let many = |count: u64| {
        (0..count)
            .map(|number| envelope("test-many", number, b"m"))
            .collect()
    };
    let request = alice.sign(PublishRequest {
        envelopes: many(1_001),
    });
    let status = node.grpc().await.publish(request).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "too many envelopes")
    );
    assert_eq!(node.stored("test-many").await.len(), 0);
    node.publish(&alice, many(1_000)).await;
    assert_eq!(node.stored("test-many").await.len(), 1_000);
}

#[tokio::test]
async fn a_request_over_eight_mebibytes_is_refused_as_exhausted_over_either_transport() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let large = |last: usize| PublishRequest {
        envelopes: (0..9)
            .map(|number| {
                envelope(
                    "test-8",
                    number,
                    vec![0; if number == 8 { last } else { 1_000_000 }],
                )
            })
            .collect(),
    };
    let fitting = 300_000 + limits::REQUEST_BYTES - prost::Message::encoded_len(&large(300_000));
    node.grpc()
        .await
        .publish(alice.sign(large(fitting)))
        .await
        .unwrap();
    let status = node
        .grpc()
        .await
        .publish(alice.sign(large(fitting + 1)))
        .await
        .unwrap_err();
    let text = "grpc: received message larger than max (8388609 vs. 8388608)";
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, text));

    let padded = |bytes: usize| format!("{{}}{}", " ".repeat(bytes - 2));
    let request = http()
        .post(node.url("/message/v1/publish"))
        .header("authorization", &alice.bearer);
    assert_eq!(
        answer(request.body(padded(limits::REQUEST_BYTES))).await,
        (200, json!({}))
    );
    let refused = node
        .post("/message/v1/publish", padded(limits::REQUEST_BYTES + 1))
        .await;
    assert_eq!(
        refused,
        (429, json!({ "code": 8, "message": text, "details": [] }))
    );
    // Without an announced length the body is counted as it comes.
    let pieces = std::iter::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 20])).take(12);
    let streamed = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let (status, refused) = node.post("/message/v1/publish", streamed).await;
    assert_eq!((status, &refused["code"]), (429, &json!(8)));
    assert!(
        refused["message"].as_str().unwrap().ends_with("vs. 8388608)"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_compressed_request_is_taken_and_a_bomb_is_refused() {
    use tonic::codec::CompressionEncoding;
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let mut client = node.grpc().await.send_compressed(CompressionEncoding::Gzip);
    let sent = envelope("test-gzip", 1, vec![0; 1000]);
    client
        .publish(alice.sign(PublishRequest {
            envelopes: vec![sent.clone()],
        }))
        .await
        .unwrap();
    assert_eq!(node.stored("test-gzip").await, [sent]);
    let bomb = (0..20)
        .map(|number| envelope("test-bomb", number, vec![0; 1_000_000]))
        .collect();
    let status = client
        .publish(alice.sign(PublishRequest { envelopes: bomb }))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().starts_with("grpc: received message"), "{status}");
}

/// The same fields as an envelope, with bytes where text has to be.
#[derive(Clone, PartialEq, prost::Message)]
struct RawPublish {
    #[prost(message, repeated, tag = "1")]
    envelopes: Vec<RawEnvelope>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawEnvelope {
    #[prost(bytes = "vec", tag = "1")]
    content_topic: Vec<u8>,
}

#[tokio::test]
async fn a_topic_that_is_not_text_is_an_invalid_argument() {
    let node = TestNode::start().await;
    let mut client = tonic::client::Grpc::new(channel(node.addresses.grpc).await);
    client.ready().await.unwrap();
    let raw = RawPublish {
        envelopes: vec![RawEnvelope {
            content_topic: vec![0xff, 0xfe],
        }],
    };
    let codec = tonic_prost::ProstCodec::<RawPublish, RawPublish>::default();
    let path = "/xmtp.message_api.v1.MessageApi/Publish".parse().unwrap();
    let status = client
        .unary(Wallet::new(1).sign(raw), path, codec)
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "invalid topic")
    );
}

#[tokio::test]
async fn an_invitation_whose_header_time_is_not_the_envelopes_is_refused() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let message = message_v2("/xmtp/0/m-1/proto", 77);
    let replayed = envelope("/xmtp/0/m-1/proto", 78, &message);
    let elsewhere = envelope("/xmtp/0/m-2/proto", 77, &message);
    for copy in [replayed, elsewhere] {
        let request = alice.sign(PublishRequest {
            envelopes: vec![copy],
        });
        let status = node.grpc().await.publish(request).await.unwrap_err();
        let text = "header does not match envelope";
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, text));
    }
    node.publish(&alice, vec![envelope("/xmtp/0/m-1/proto", 77, &message)])
        .await;
    assert_eq!(node.stored("/xmtp/0/m-1/proto").await.len(), 1);
}

/// Decodes completely as a V2 message; the ciphertext says nothing.
fn message_v2(topic: &str, created_ns: u64) -> Vec<u8> {
    use herald_protocol::proto::contents::{
        Ciphertext, Message, MessageHeaderV2, MessageV2, ciphertext, message,
    };
    use prost::Message as _;
    let header = MessageHeaderV2 {
        created_ns,
        topic: topic.to_owned(),
    };
    let sealed = ciphertext::Aes256gcmHkdfsha256 {
        hkdf_salt: vec![1; 32],
        gcm_nonce: vec![2; 12],
        payload: vec![3; 40],
    };
    let message = MessageV2 {
        header_bytes: header.encode_to_vec(),
        ciphertext: Some(Ciphertext {
            union: Some(ciphertext::Union::Aes256GcmHkdfSha256(sealed)),
        }),
        ..MessageV2::default()
    };
    Message {
        version: Some(message::Version::V2(message)),
    }
    .encode_to_vec()
}
