//! The HTTP/JSON face of the message API, as grpc-gateway shows it to clients. Calls the same handlers as gRPC, in process.

use std::{
    future::{self, Future},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware,
    response::Response,
    routing::post,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::de::DeserializeOwned;
use tonic::Code;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};

use super::{
    Api,
    status::{Error, code_name, http_status},
};
use crate::{metrics, subscription::Subscription};

mod body;
mod cors;
mod json;
mod lines;

/// What the routes share.
#[derive(Clone, Debug)]
struct Gateway {
    api: Arc<Api>,
    /// Longest silence on a stream.
    heartbeat: Duration,
}

/// All routes of the gateway. Every answer, refusals included, is JSON and readable across origins.
pub(crate) fn routes(api: Arc<Api>, heartbeat: Duration) -> Router {
    Router::new()
        .route("/message/v1/publish", post(publish))
        // Only answers to queries are compressed: buffering breaks streams.
        .route("/message/v1/query", post(query).layer(CompressionLayer::new()))
        .route(
            "/message/v1/batch-query",
            post(batch_query).layer(CompressionLayer::new()),
        )
        .route("/message/v1/subscribe", post(subscribe))
        .route("/message/v1/subscribe-all", post(subscribe_all))
        .method_not_allowed_fallback(async || refusal(Code::Unimplemented, "Method Not Allowed"))
        .fallback(async || refusal(Code::NotFound, "Not Found"))
        .layer(CatchPanicLayer::custom(|_| {
            metrics::panicked();
            refusal(Code::Internal, &Error::Panicked.to_string())
        }))
        .layer(middleware::from_fn(cors::allow_every_origin))
        .with_state(Gateway { api, heartbeat })
}

async fn publish(State(gateway): State<Gateway>, request: Request) -> Response {
    let call = Call::new("publish", request);
    let authorization = call.headers.get(header::AUTHORIZATION).cloned();
    let api = Arc::clone(&gateway.api);
    let handle = |json::PublishRequest(request)| async move {
        api.publish(authorization.as_ref().map(HeaderValue::as_bytes), request)
            .await?;
        Ok(answer(&json::PublishResponse {}))
    };
    call.answer(&gateway, handle).await
}

async fn query(State(gateway): State<Gateway>, request: Request) -> Response {
    let api = Arc::clone(&gateway.api);
    let handle = |json::QueryRequest(request)| async move {
        let page = api.query(request).await?;
        Ok(answer(&json::QueryResponse::from(&page)))
    };
    Call::new("query", request).answer(&gateway, handle).await
}

async fn batch_query(State(gateway): State<Gateway>, request: Request) -> Response {
    let api = Arc::clone(&gateway.api);
    let handle = |json::BatchQueryRequest(request)| async move {
        let pages = api.batch_query(request).await?;
        Ok(answer(&json::BatchQueryResponse::from(&pages)))
    };
    Call::new("batch_query", request).answer(&gateway, handle).await
}

async fn subscribe(State(gateway): State<Gateway>, request: Request) -> Response {
    let open = |json::SubscribeRequest(request)| {
        let opened = gateway.api.subscribe(request.content_topics);
        future::ready(opened.map(|opened| stream(opened, gateway.heartbeat)))
    };
    Call::streaming("subscribe", request).answer(&gateway, open).await
}

async fn subscribe_all(State(gateway): State<Gateway>, request: Request) -> Response {
    let open = |json::SubscribeAllRequest(_)| {
        let opened = gateway.api.subscribe_all();
        future::ready(opened.map(|opened| stream(opened, gateway.heartbeat)))
    };
    Call::streaming("subscribe_all", request)
        .answer(&gateway, open)
        .await
}

/// One request on its way to a handler.
struct Call {
    method: &'static str,
    /// Refusals of a stream have the shape of its lines.
    streaming: bool,
    started: Instant,
    headers: HeaderMap,
    body: Body,
}

impl Call {
    fn new(method: &'static str, request: Request) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            method,
            streaming: false,
            started: Instant::now(),
            headers: parts.headers,
            body,
        }
    }

    fn streaming(method: &'static str, request: Request) -> Self {
        Self {
            streaming: true,
            ..Self::new(method, request)
        }
    }

    async fn answer<Q, F>(mut self, gateway: &Gateway, handler: impl FnOnce(Q) -> F) -> Response
    where
        Q: DeserializeOwned + Send + 'static,
        F: Future<Output = Result<Response, Error>>,
    {
        let answer = match self.decode(gateway.api.max_request).await {
            Ok(question) => handler(question).await,
            Err(error) => Err(error),
        };
        let code = answer.as_ref().map_or_else(Error::code, |_| Code::Ok);
        metrics::answered(self.method, "http", code_name(code), self.started.elapsed());
        answer.unwrap_or_else(|error| self.refuse(&error))
    }

    async fn decode<Q: DeserializeOwned + Send + 'static>(&mut self, max: usize) -> Result<Q, Error> {
        let bytes = body::read(&self.headers, &mut self.body, max).await?;
        if bytes.len() < LARGE_BODY {
            return json::decode(&bytes);
        }
        tokio::task::spawn_blocking(move || json::decode(&bytes))
            .await
            .map_err(|_| Error::Panicked)?
    }

    fn refuse(self, error: &Error) -> Response {
        error.log();
        let (code, text) = (error.code(), error.to_string());
        let mut response = if self.streaming {
            with_body(code, Body::from(lines::error(code, &text)))
        } else {
            refusal(code, &text)
        };
        if matches!(error, Error::RequestTooLarge { .. }) {
            response = response.map(|said| body::said_while_draining(said, self.body));
        }
        response
    }
}

fn answer(value: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(json) => with_body(Code::Ok, Body::from(json)),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            refusal(Code::Internal, &Error::Panicked.to_string())
        }
    }
}

fn stream(stream: Subscription, heartbeat: Duration) -> Response {
    let mut response = with_body(Code::Ok, lines::body(stream, heartbeat));
    // The gRPC header of the same meaning, under the gateway's name for it.
    response
        .headers_mut()
        .insert(SUBSCRIBED, HeaderValue::from_static("true"));
    response
}

fn refusal(code: Code, text: &str) -> Response {
    let mut response = with_body(code, Body::from(lines::status(code, text)));
    if code == Code::Unauthenticated
        && let Ok(challenge) = HeaderValue::from_str(text)
    {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn with_body(code: Code, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = http_status(code);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

const SUBSCRIBED: HeaderName = HeaderName::from_static("grpc-metadata-subscribed");
/// Decoding this much takes about a millisecond; more is done off the async workers.
const LARGE_BODY: usize = 256 * 1024;
