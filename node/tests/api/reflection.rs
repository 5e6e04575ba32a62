//! What tools ask a node before they ask it anything else. A client of the service is five fields of two messages.

use prost::Message;
use tokio_stream::once;
use tonic::{Code, Request};

use crate::harness::*;

#[derive(Clone, PartialEq, Message)]
struct Question {
    #[prost(string, optional, tag = "4")]
    file_containing_symbol: Option<String>,
    #[prost(string, optional, tag = "7")]
    list_services: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(message, optional, tag = "4")]
    files: Option<Files>,
    #[prost(message, optional, tag = "6")]
    services: Option<Services>,
}

#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(bytes = "vec", repeated, tag = "1")]
    descriptors: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Services {
    #[prost(message, repeated, tag = "1")]
    services: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
}

async fn ask(node: &TestNode, version: &str, question: Question) -> Result<Answer, tonic::Status> {
    let mut client = tonic::client::Grpc::new(channel(node.addresses.grpc).await);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Question, Answer>::default();
    let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
    let request = Request::new(once(question));
    let mut answers = client
        .streaming(request, path.parse().unwrap(), codec)
        .await?
        .into_inner();
    Ok(answers.message().await?.unwrap())
}

#[tokio::test]
async fn a_node_tells_its_services_and_describes_the_message_api() {
    let node = TestNode::start().await;
    for version in ["v1", "v1alpha"] {
        let list = Question {
            list_services: Some(String::new()),
            ..Question::default()
        };
        let listed = ask(&node, version, list)
            .await
            .unwrap()
            .services
            .unwrap()
            .services;
        let mut names: Vec<String> = listed.into_iter().map(|service| service.name).collect();
        names.sort();
        let own = format!("grpc.reflection.{version}.ServerReflection");
        assert_eq!(
            names,
            ["grpc.health.v1.Health", &own, "xmtp.message_api.v1.MessageApi"]
        );
        let symbol = |name: &str| Question {
            file_containing_symbol: Some(name.to_owned()),
            ..Question::default()
        };
        let asked = symbol("xmtp.message_api.v1.MessageApi.Subscribe2");
        let files = ask(&node, version, asked).await.unwrap().files.unwrap();
        let described = String::from_utf8_lossy(&files.descriptors[0]).into_owned();
        for name in [
            "BatchQueryRequest",
            "content_topics",
            "Subscribe2",
            "sender_time_ns",
        ] {
            assert!(described.contains(name), "{name}");
        }
        let unknown = ask(&node, version, symbol("xmtp.Nothing")).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
    }
}

#[tokio::test]
async fn unknown_services_and_methods_are_named() {
    let node = TestNode::start().await;
    for (path, text) in [
        ("/xmtp.Nothing/Publish", "unknown service xmtp.Nothing"),
        (
            "/xmtp.message_api.v1.MessageApi/Delete",
            "unknown method Delete for service xmtp.message_api.v1.MessageApi",
        ),
        (
            "/grpc.health.v1.Health/List",
            "unknown method List for service grpc.health.v1.Health",
        ),
        (
            "/grpc.reflection.v1.ServerReflection/X",
            "unknown method X for service grpc.reflection.v1.ServerReflection",
        ),
    ] {
        let mut client = tonic::client::Grpc::new(channel(node.addresses.grpc).await);
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<Question, Answer>::default();
        let status = client
            .unary(Request::new(Question::default()), path.parse().unwrap(), codec)
            .await
            .unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Unimplemented, text));
    }
}
