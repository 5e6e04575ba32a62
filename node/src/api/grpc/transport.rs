//! The gRPC services as one HTTP service: calls are timed and counted, and refusals that happen below the handlers are put
//! into the node's own words.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::Router;
use futures::{
    FutureExt as _,
    future::{CatchUnwind, Either},
};
use herald_protocol::proto::api::message_api_server::{MessageApi, MessageApiServer};
use http::{Request, Response};
use tokio::time::Sleep;
use tonic::{Code, Status, body::Body, codec::CompressionEncoding, server::NamedService, service::Routes};
use tower::Service;

use super::{Api, Deadline, Error, Grpc};
use crate::{
    api::{call::Call, health::GrpcHealth, status::DECODER_PREFIX},
    metrics,
};

mod reflection;

/// `MessageApi`, `grpc.health.v1` and server reflection.
pub(crate) fn routes(api: Arc<Api>, health: GrpcHealth) -> Router {
    let max_request = api.max_request;
    routes_of(Grpc { api }, max_request, |services| {
        services.add_service(Timed(health.into_server()))
    })
}

/// The same with a handler that need not be the node's, and what else there is.
pub(crate) fn routes_of<H: MessageApi>(
    handler: H,
    max_request: usize,
    more: impl FnOnce(Routes) -> Routes,
) -> Router {
    let messages = MessageApiServer::new(handler)
        .max_decoding_message_size(max_request)
        // Answers are ciphertext, which does not compress; requests may be compressed all the same.
        .accept_compressed(CompressionEncoding::Gzip);
    more(Routes::new(Timed(messages)))
        .add_service(Timed(reflection::v1()))
        .add_service(Timed(reflection::v1alpha()))
        .into_axum_router()
        .fallback(unknown_service)
}

async fn unknown_service(request: Request<axum::body::Body>) -> Response<axum::body::Body> {
    let call = Call::begin(UNKNOWN, GRPC, request.headers());
    let status = unknown(request.uri().path());
    call.answered(status.code());
    status.into_http::<Body>().map(axum::body::Body::new)
}

/// Until when the caller of a handler waits.
pub(super) fn deadline<T>(request: &tonic::Request<T>) -> Deadline {
    request.extensions().get().copied().unwrap_or_default()
}

/// A service of the gRPC library whose calls end with their deadline, whose own refusals are translated and whose panics are
/// answers; answers of handlers pass. Each call is counted and told in the log.
///
/// It wraps the service and not the router: a layer there allocates several times a call, a tenth of what a publish costs.
#[derive(Clone, Debug)]
struct Timed<S>(S);

impl<S: NamedService> NamedService for Timed<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Timed<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, Answer<S::Future>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = method(request.uri().path());
        let call = Call::begin(method, GRPC, request.headers());
        let deadline = match Deadline::of(request.headers()) {
            Ok(deadline) => deadline.instant().map(|end| {
                // A stream goes on when the call is answered, and keeps to it by itself.
                if method.starts_with("subscribe") {
                    request.extensions_mut().insert(deadline);
                }
                Box::pin(tokio::time::sleep_until(end))
            }),
            Err(refusal) => {
                call.answered(refusal.code());
                return Either::Left(ready(Ok(Status::from(refusal).into_http())));
            }
        };
        let uri = request.uri().clone();
        Either::Right(Answer {
            calling: AssertUnwindSafe(self.0.call(request)).catch_unwind(),
            deadline,
            call,
            uri,
        })
    }
}

/// A call of a [`Timed`] service.
struct Answer<F> {
    calling: CatchUnwind<AssertUnwindSafe<F>>,
    deadline: Option<Pin<Box<Sleep>>>,
    call: Call,
    uri: http::Uri,
}

impl<F> Future for Answer<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (code, response) = match self.calling.poll_unpin(context) {
            Poll::Ready(Ok(Ok(response))) => reworded(self.uri.path(), response),
            Poll::Ready(Err(_panic)) => {
                metrics::panicked();
                refused(Error::Panicked.into())
            }
            Poll::Pending => {
                let Some(Poll::Ready(())) = self.deadline.as_mut().map(|end| end.poll_unpin(context)) else {
                    return Poll::Pending;
                };
                refused(Error::DeadlineExceeded.into())
            }
        };
        self.call.answered(code);
        Poll::Ready(Ok(response))
    }
}

/// The answer, in the node's words where it is a refusal of the library.
fn reworded(path: &str, response: Response<Body>) -> (Code, Response<Body>) {
    let Some(status) = Status::from_header_map(response.headers()) else {
        return (Code::Ok, response);
    };
    match status.code() {
        Code::Unimplemented if status.message().is_empty() => refused(unknown(path)),
        Code::Internal | Code::OutOfRange | Code::ResourceExhausted => refused(refusal(status)),
        code => (code, response),
    }
}

fn refused(status: Status) -> (Code, Response<Body>) {
    (status.code(), status.into_http())
}

fn unknown(path: &str) -> Status {
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let service = parts.next().unwrap_or_default();
    let method = parts.next().unwrap_or_default();
    Status::unimplemented(if SERVICES.contains(&service) {
        format!("unknown method {method} for service {service}")
    } else {
        format!("unknown service {service}")
    })
}

/// The name of a method in metrics.
fn method(path: &str) -> &'static str {
    match path {
        "/xmtp.message_api.v1.MessageApi/Publish" => "publish",
        "/xmtp.message_api.v1.MessageApi/Query" => "query",
        "/xmtp.message_api.v1.MessageApi/BatchQuery" => "batch_query",
        "/xmtp.message_api.v1.MessageApi/Subscribe" => "subscribe",
        "/xmtp.message_api.v1.MessageApi/SubscribeAll" => "subscribe_all",
        "/xmtp.message_api.v1.MessageApi/Subscribe2" => "subscribe2",
        "/grpc.health.v1.Health/Check" => "health_check",
        "/grpc.health.v1.Health/Watch" => "health_watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        | "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => "reflection",
        _ => UNKNOWN,
    }
}

/// The library refuses what it cannot decode with "internal" and what is too large with "out of range"; callers are owed the
/// truth (invalid argument) and the code that clients of this API know (resource exhausted). Its texts are pinned by tests.
pub(super) fn refusal(status: Status) -> Status {
    let text = status.message();
    if text.starts_with(DECODER_PREFIX) {
        return Error::undecodable(text).into();
    }
    if text.starts_with("Error decompressing: size limit") {
        return Status::resource_exhausted("grpc: received message after decompression larger than max");
    }
    if status.code() != Code::OutOfRange {
        return status;
    }
    let mut numbers = text
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(found), Some(limit)) => Error::RequestTooLarge {
            found,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        }
        .into(),
        _ => status,
    }
}

const GRPC: &str = "grpc";
const UNKNOWN: &str = "unknown";
const SERVICES: [&str; 4] = [
    "xmtp.message_api.v1.MessageApi",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];
