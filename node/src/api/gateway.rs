//! The HTTP/JSON face of the message API, as grpc-gateway shows it to clients. Calls the same handlers as gRPC, in process.
//!
//! Requests may be binary protobuf instead, and so may the answers of all but streams, which are lines of JSON. Refusals are
//! always JSON.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::{any, get, post},
};
use herald_protocol::proto::api::{
    BatchQueryRequest, PublishResponse, SubscribeAllRequest, SubscribeRequest,
};
use tonic::Code;
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{CompressionLayer, predicate::SizeAbove},
};

use super::{
    Api, Credentials,
    call::Call,
    status::{Error, http_status},
};
use crate::{caller::Caller, metrics};

use exchange::Exchange;

mod body;
mod cors;
mod exchange;
mod form;
mod json;
mod lines;

pub(crate) use form::Form;
pub(crate) use json::Question;

/// What the routes share.
#[derive(Clone, Debug)]
struct Gateway {
    api: Arc<Api>,
    /// Longest silence on a stream.
    heartbeat: Duration,
}

/// All routes of the gateway. Every answer can be read across origins.
pub(crate) fn routes(api: Arc<Api>, heartbeat: Duration) -> Router {
    // Only answers to queries are compressed: buffering breaks streams.
    let compressed = CompressionLayer::new().compress_when(SizeAbove::new(0));
    Router::new()
        .route("/message/v1/publish", post(publish))
        .route("/message/v1/query", post(query).layer(compressed.clone()))
        .route("/message/v1/batch-query", post(batch_query).layer(compressed))
        .route("/message/v1/subscribe", post(subscribe))
        .route("/message/v1/subscribe-all", post(subscribe_all))
        .route("/openapi.json", get(openapi))
        .route("/swagger.json", get(openapi))
        .route_layer(middleware::from_fn(honour_method_override))
        .route("/", any(page))
        .route("/swagger-ui", any(page))
        .route("/swagger-ui/", any(page))
        .route("/swagger-ui/{*file}", any(page))
        .method_not_allowed_fallback(unknown_method)
        .fallback(unknown_path)
        .layer(CatchPanicLayer::custom(|_| {
            metrics::panicked();
            refusal(Code::Internal, &Error::Panicked.to_string())
        }))
        .layer(middleware::from_fn(cors::allow_every_origin))
        .with_state(Gateway { api, heartbeat })
}

async fn publish(State(gateway): State<Gateway>, request: Request) -> Response {
    let asker = Asker::of(&gateway, &request);
    let handler = async |request| {
        gateway.api.publish(asker.credentials(), request).await?;
        Ok(PublishResponse {})
    };
    Exchange::new("publish", request).unary(&gateway, handler).await
}

async fn query(State(gateway): State<Gateway>, request: Request) -> Response {
    let asker = Asker::of(&gateway, &request);
    let handler = async |request| gateway.api.query(asker.credentials(), request).await;
    Exchange::new("query", request).unary(&gateway, handler).await
}

async fn batch_query(State(gateway): State<Gateway>, request: Request) -> Response {
    let asker = Asker::of(&gateway, &request);
    let handler =
        async |request: BatchQueryRequest| gateway.api.batch_query(asker.credentials(), request).await;
    Exchange::new("batch_query", request)
        .unary(&gateway, handler)
        .await
}

async fn subscribe(State(gateway): State<Gateway>, request: Request) -> Response {
    let asker = Asker::of(&gateway, &request);
    let open = async |request: SubscribeRequest| {
        let opened = gateway.api.subscribe(asker.credentials(), request.content_topics);
        opened.await
    };
    Exchange::new("subscribe", request).stream(&gateway, open).await
}

async fn subscribe_all(State(gateway): State<Gateway>, request: Request) -> Response {
    let asker = Asker::of(&gateway, &request);
    let open = async |_: SubscribeAllRequest| gateway.api.subscribe_all(asker.credentials()).await;
    Exchange::new("subscribe_all", request)
        .stream(&gateway, open)
        .await
}

/// Who sent a request.
struct Asker {
    caller: Caller,
    address: Option<IpAddr>,
    authorization: Option<HeaderValue>,
}

impl Asker {
    fn of(gateway: &Gateway, request: &Request) -> Self {
        let headers = request.headers();
        Self {
            caller: gateway.api.limits.caller(request.extensions(), headers),
            address: gateway.api.limits.origin(request.extensions(), headers),
            authorization: headers.get(header::AUTHORIZATION).cloned(),
        }
    }

    fn credentials(&self) -> Credentials<'_> {
        Credentials {
            caller: self.caller,
            address: self.address,
            authorization: self.authorization.as_ref().map(HeaderValue::as_bytes),
        }
    }
}

async fn openapi(headers: HeaderMap) -> Response {
    Call::begin("openapi", HTTP, &headers).answered(Code::Ok);
    let mut response = Response::new(Body::from(OPENAPI));
    set(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

/// For somebody who opens the address of a node in a browser.
async fn page(headers: HeaderMap) -> Response {
    Call::begin("page", HTTP, &headers).answered(Code::Ok);
    let mut response = Response::new(Body::from(PAGE));
    set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(&mut response, header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    response
}

/// A form may name another method than its own, as grpc-gateway lets it; no route takes that other one.
async fn honour_method_override(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|media| media == "application/x-www-form-urlencoded");
    let overrides = headers
        .get("x-http-method-override")
        .is_some_and(|method| !method.is_empty() && !method.as_bytes().eq_ignore_ascii_case(b"POST"));
    if is_form && overrides {
        unknown_method(request.into_parts().0.headers).await
    } else {
        next.run(request).await
    }
}

async fn unknown_method(headers: HeaderMap) -> Response {
    unknown(&headers, Code::Unimplemented, "Method Not Allowed")
}

async fn unknown_path(headers: HeaderMap) -> Response {
    unknown(&headers, Code::NotFound, "Not Found")
}

fn unknown(headers: &HeaderMap, code: Code, text: &str) -> Response {
    Call::begin("unknown", HTTP, headers).answered(code);
    refusal(code, text)
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

/// JSON with the status that goes with a code.
fn with_body(code: Code, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = http_status(code);
    set(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

fn set(response: &mut Response, name: header::HeaderName, value: &'static str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

const HTTP: &str = "http";
const OPENAPI: &str = include_str!("gateway/openapi.json");
const PAGE: &str = include_str!("gateway/page.html");
/// The page brings its style with it and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
