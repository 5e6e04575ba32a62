//! The gRPC face of the message API.

use std::{pin::Pin, sync::Arc, time::Instant};

use futures::{Stream, stream};
use herald_protocol::proto::api::{
    BatchQueryRequest, BatchQueryResponse, Envelope, PublishRequest, PublishResponse, QueryRequest,
    QueryResponse, SubscribeAllRequest, SubscribeRequest, message_api_server::MessageApi,
};
use tonic::{Code, Request, Response, Status, Streaming, metadata::MetadataValue};

use super::{
    Api,
    status::{Error, code_name},
};
use crate::{metrics, subscription::Subscription};

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
        let started = Instant::now();
        let authorization = request
            .metadata()
            .get("authorization")
            .map(|value| value.as_bytes().to_vec());
        let answer = self
            .api
            .publish(authorization.as_deref(), request.into_inner())
            .await;
        counted("publish", started, answer.map(|()| PublishResponse {}))
    }

    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        let started = Instant::now();
        counted("query", started, self.api.query(request.into_inner()).await)
    }

    async fn batch_query(
        &self,
        request: Request<BatchQueryRequest>,
    ) -> Result<Response<BatchQueryResponse>, Status> {
        let started = Instant::now();
        counted(
            "batch_query",
            started,
            self.api.batch_query(request.into_inner()).await,
        )
    }

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<Envelopes>, Status> {
        let started = Instant::now();
        let stream = self.api.subscribe(request.into_inner().content_topics);
        counted("subscribe", started, stream.map(|stream| envelopes(stream, None))).map(subscribed)
    }

    async fn subscribe_all(
        &self,
        _request: Request<SubscribeAllRequest>,
    ) -> Result<Response<Envelopes>, Status> {
        let started = Instant::now();
        let stream = self.api.subscribe_all();
        counted(
            "subscribe_all",
            started,
            stream.map(|stream| envelopes(stream, None)),
        )
        .map(subscribed)
    }

    /// Headers go out before the first request: clients wait for them before they send one.
    async fn subscribe2(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Envelopes>, Status> {
        let started = Instant::now();
        let updates = request.into_inner();
        let stream = self.api.subscribe(Vec::new());
        counted(
            "subscribe2",
            started,
            stream.map(|stream| envelopes(stream, Some(updates))),
        )
        .map(subscribed)
    }
}

/// The request side of a `Subscribe2`: each request replaces the topics.
type Updates = Streaming<SubscribeRequest>;

fn envelopes(stream: Subscription, updates: Option<Updates>) -> Envelopes {
    Box::pin(stream::unfold(Some((stream, updates)), |open| async move {
        let (mut stream, mut updates) = open?;
        match next(&mut stream, &mut updates).await {
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

fn counted<T>(
    method: &'static str,
    started: Instant,
    answer: Result<T, Error>,
) -> Result<Response<T>, Status> {
    let code = answer.as_ref().map_or_else(Error::code, |_| Code::Ok);
    metrics::answered(method, "grpc", code_name(code), started.elapsed());
    Ok(Response::new(answer?))
}

/// Some clients wait for headers before they go on; this one says that the stream is registered.
fn subscribed<T>(mut response: Response<T>) -> Response<T> {
    response
        .metadata_mut()
        .insert("subscribed", MetadataValue::from_static("true"));
    response
}
