//! The gRPC face of the message API.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, stream};
use herald_protocol::proto::api::{
    BatchQueryRequest, BatchQueryResponse, Envelope, PublishRequest, PublishResponse, QueryRequest,
    QueryResponse, SubscribeAllRequest, SubscribeRequest, message_api_server::MessageApi,
};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataValue};

use super::{Api, deadline::Deadline, status::Error};
use crate::subscription::Subscription;

mod transport;

pub(crate) use transport::routes;

/// Translates between tonic and [`Api`].
#[derive(Clone, Debug)]
pub(crate) struct Grpc {
    api: Arc<Api>,
}

type Envelopes = Pin<Box<dyn Stream<Item = Result<Envelope, Status>> + Send>>;

#[tonic::async_trait]
impl MessageApi for Grpc {
    type SubscribeStream = Envelopes;
    type Subscribe2Stream = Envelopes;
    type SubscribeAllStream = Envelopes;

    async fn publish(&self, request: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        let authorization = request
            .metadata()
            .get("authorization")
            .map(|value| value.as_bytes().to_vec());
        self.api
            .publish(authorization.as_deref(), request.into_inner())
            .await?;
        Ok(Response::new(PublishResponse {}))
    }

    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        Ok(Response::new(self.api.query(request.into_inner()).await?))
    }

    async fn batch_query(
        &self,
        request: Request<BatchQueryRequest>,
    ) -> Result<Response<BatchQueryResponse>, Status> {
        Ok(Response::new(self.api.batch_query(request.into_inner()).await?))
    }

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<Envelopes>, Status> {
        let deadline = transport::deadline(&request);
        let stream = self.api.subscribe(request.into_inner().content_topics)?;
        Ok(subscribed(envelopes(stream, None, deadline)))
    }

    async fn subscribe_all(
        &self,
        request: Request<SubscribeAllRequest>,
    ) -> Result<Response<Envelopes>, Status> {
        let stream = self.api.subscribe_all()?;
        Ok(subscribed(envelopes(stream, None, transport::deadline(&request))))
    }

    /// Headers go out before the first request: clients wait for them before they send one.
    async fn subscribe2(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Envelopes>, Status> {
        let deadline = transport::deadline(&request);
        let stream = self.api.subscribe(Vec::new())?;
        Ok(subscribed(envelopes(
            stream,
            Some(request.into_inner()),
            deadline,
        )))
    }
}

/// The request side of a `Subscribe2`: each request replaces the topics.
type Updates = Streaming<SubscribeRequest>;

fn envelopes(stream: Subscription, updates: Option<Updates>, deadline: Deadline) -> Envelopes {
    Box::pin(stream::unfold(Some((stream, updates)), move |open| async move {
        let (mut stream, mut updates) = open?;
        match deadline.bound(next(&mut stream, &mut updates)).await {
            Ok(envelope) => Some((Ok(envelope), Some((stream, updates)))),
            Err(status) => Some((Err(status), None)),
        }
    }))
}

async fn next(stream: &mut Subscription, updates: &mut Option<Updates>) -> Result<Envelope, Status> {
    loop {
        let Some(open) = updates else {
            return Ok(stream.next().await.map_err(Error::from)?.to_envelope());
        };
        tokio::select! {
            biased;
            request = open.message() => match request.map_err(transport::refusal)? {
                Some(request) => Api::resubscribe(stream, request.content_topics)?,
                // The request side was closed; the topics stay as they are.
                None => *updates = None,
            },
            arrival = stream.next() => return Ok(arrival.map_err(Error::from)?.to_envelope()),
        }
    }
}

/// Some clients wait for headers before they go on; this one says that the stream is registered.
fn subscribed(envelopes: Envelopes) -> Response<Envelopes> {
    let mut response = Response::new(envelopes);
    response
        .metadata_mut()
        .insert("subscribed", MetadataValue::from_static("true"));
    response
}
