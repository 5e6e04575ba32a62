//! The gRPC face of the message API.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, stream};
use herald_protocol::proto::api::{
    BatchQueryRequest, BatchQueryResponse, Envelope, PublishRequest, PublishResponse, QueryRequest,
    QueryResponse, SubscribeAllRequest, SubscribeRequest, message_api_server::MessageApi,
};
use http::Extensions;
use tonic::{
    Request, Response, Status, Streaming,
    metadata::{MetadataMap, MetadataValue},
};

use super::{Api, Credentials, deadline::Deadline, status::Error, stream::LiveStream};

mod transport;

pub(crate) use transport::{routes, routes_of};

/// Translates between tonic and [`Api`].
#[derive(Clone, Debug)]
pub(crate) struct Grpc {
    api: Arc<Api>,
}

impl Grpc {
    fn credentials<'a>(&self, metadata: &'a MetadataMap, extensions: &Extensions) -> Credentials<'a> {
        Credentials {
            caller: self.api.limits.caller(extensions, metadata.as_ref()),
            address: self.api.limits.origin(extensions, metadata.as_ref()),
            authorization: metadata.get("authorization").map(MetadataValue::as_bytes),
        }
    }
}

type Envelopes = Pin<Box<dyn Stream<Item = Result<Envelope, Status>> + Send>>;

#[tonic::async_trait]
impl MessageApi for Grpc {
    type SubscribeStream = Envelopes;
    type Subscribe2Stream = Envelopes;
    type SubscribeAllStream = Envelopes;

    async fn publish(&self, request: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let credentials = self.credentials(&metadata, &extensions);
        self.api.publish(credentials, request).await?;
        Ok(Response::new(PublishResponse {}))
    }

    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let credentials = self.credentials(&metadata, &extensions);
        Ok(Response::new(self.api.query(credentials, request).await?))
    }

    async fn batch_query(
        &self,
        request: Request<BatchQueryRequest>,
    ) -> Result<Response<BatchQueryResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let credentials = self.credentials(&metadata, &extensions);
        Ok(Response::new(self.api.batch_query(credentials, request).await?))
    }

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<Envelopes>, Status> {
        let deadline = transport::deadline(&request);
        let (metadata, extensions, request) = request.into_parts();
        let credentials = self.credentials(&metadata, &extensions);
        let stream = self.api.subscribe(credentials, request.content_topics).await?;
        Ok(subscribed(envelopes(stream, None, deadline)))
    }

    async fn subscribe_all(
        &self,
        request: Request<SubscribeAllRequest>,
    ) -> Result<Response<Envelopes>, Status> {
        let deadline = transport::deadline(&request);
        let credentials = self.credentials(request.metadata(), request.extensions());
        let stream = self.api.subscribe_all(credentials).await?;
        Ok(subscribed(envelopes(stream, None, deadline)))
    }

    /// Headers go out before the first request: clients wait for them before they send one.
    async fn subscribe2(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Envelopes>, Status> {
        let deadline = transport::deadline(&request);
        let (metadata, extensions, updates) = request.into_parts();
        let credentials = self.credentials(&metadata, &extensions);
        let stream = self.api.subscribe(credentials, Vec::new()).await?;
        Ok(subscribed(envelopes(stream, Some(updates), deadline)))
    }
}

/// The request side of a `Subscribe2`: each request replaces the topics.
type Updates = Streaming<SubscribeRequest>;

fn envelopes(stream: LiveStream, updates: Option<Updates>, deadline: Deadline) -> Envelopes {
    Box::pin(stream::unfold(Some((stream, updates)), move |open| async move {
        let (mut stream, mut updates) = open?;
        match deadline.bound(next(&mut stream, &mut updates)).await {
            Ok(envelope) => Some((Ok(envelope), Some((stream, updates)))),
            Err(status) => Some((Err(status), None)),
        }
    }))
}

async fn next(stream: &mut LiveStream, updates: &mut Option<Updates>) -> Result<Envelope, Status> {
    loop {
        let Some(open) = updates else {
            return Ok(stream.next().await.map_err(Error::from)?.to_envelope());
        };
        tokio::select! {
            biased;
            request = open.message() => match request.map_err(transport::refusal)? {
                Some(request) => stream.replace_topics(request.content_topics)?,
                // The request side was closed; the topics stay as they are.
                None => *updates = None,
            },
            arrival = stream.next() => return Ok(arrival.map_err(Error::from)?.to_envelope()),
        }
    }
}

/// Calls whose request goes on as long as they last.
pub(crate) const CONVERSATIONS: [&str; 3] = [
    "/xmtp.message_api.v1.MessageApi/Subscribe2",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Some clients wait for headers before they go on; this one says that the stream is registered.
fn subscribed(envelopes: Envelopes) -> Response<Envelopes> {
    let mut response = Response::new(envelopes);
    response
        .metadata_mut()
        .insert("subscribed", MetadataValue::from_static("true"));
    response
}
