//! The gRPC services as one HTTP service, with refusals that happen below the handlers put into the node's own words.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::Router;
use futures::{FutureExt as _, future::CatchUnwind};
use herald_protocol::proto::api::message_api_server::MessageApiServer;
use http::{Request, Response, Uri};
use tonic::{Code, Status, body::Body, codec::CompressionEncoding, server::NamedService, service::Routes};
use tower::Service;

use super::{Api, Error, Grpc};
use crate::{api::health::GrpcHealth, metrics};

/// `MessageApi` and `grpc.health.v1`.
pub(crate) fn routes(api: Arc<Api>, health: GrpcHealth) -> Router {
    let max = api.max_request;
    let messages = MessageApiServer::new(Grpc { api })
        .max_decoding_message_size(max)
        // Answers are ciphertext, which does not compress; requests may be compressed all the same.
        .accept_compressed(CompressionEncoding::Gzip);
    Routes::new(Reworded(messages))
        .add_service(Reworded(health.into_server()))
        .into_axum_router()
        .fallback(async |uri: Uri| unknown(uri.path()).into_http::<Body>().map(axum::body::Body::new))
}

/// A service of the gRPC library whose own refusals are translated and whose panics are answers; answers of handlers pass.
///
/// It wraps the service and not the router: a layer there allocates several times a call, a tenth of what a publish costs.
#[derive(Clone, Debug)]
struct Reworded<S>(S);

impl<S: NamedService> NamedService for Reworded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Reworded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let uri = request.uri().clone();
        Answer {
            calling: AssertUnwindSafe(self.0.call(request)).catch_unwind(),
            uri,
        }
    }
}

/// A call of a [`Reworded`] service.
struct Answer<F> {
    calling: CatchUnwind<AssertUnwindSafe<F>>,
    uri: Uri,
}

impl<F> Future for Answer<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(answer) = ready!(self.calling.poll_unpin(context)) else {
            metrics::panicked();
            return Poll::Ready(Ok(Status::from(Error::Panicked).into_http()));
        };
        Poll::Ready(answer.map(|response| reworded(&self.uri, response)))
    }
}

fn reworded(uri: &Uri, response: Response<Body>) -> Response<Body> {
    let Some(status) = Status::from_header_map(response.headers()) else {
        return response;
    };
    match status.code() {
        Code::Unimplemented if status.message().is_empty() => unknown(uri.path()).into_http(),
        Code::Internal | Code::OutOfRange | Code::ResourceExhausted => refusal(status).into_http(),
        _ => response,
    }
}

fn unknown(path: &str) -> Status {
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let service = parts.next().unwrap_or_default();
    let method = parts.next().unwrap_or_default();
    let known = ["xmtp.message_api.v1.MessageApi", "grpc.health.v1.Health"].contains(&service);
    Status::unimplemented(if known {
        format!("unknown method {method} for service {service}")
    } else {
        format!("unknown service {service}")
    })
}

/// The library refuses what it cannot decode with "internal" and what is too large with "out of range"; callers are owed the
/// truth (invalid argument) and the code that clients of this API know (resource exhausted). Its texts are pinned by tests.
pub(super) fn refusal(status: Status) -> Status {
    let text = status.message();
    if let Some(undecodable) = text.strip_prefix("failed to decode Protobuf message: ") {
        let not_text = undecodable.contains("content_topic") && undecodable.contains("UTF-8");
        return Error::Malformed(if not_text {
            "invalid topic".to_owned()
        } else {
            undecodable.to_owned()
        })
        .into();
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
