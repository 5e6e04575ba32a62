//! What operators and their tools read: metrics, liveness, readiness.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    api::health::{Readiness, Reading},
    metrics,
    store::Store,
    subscription::Feed,
};

/// What an operator asks about.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) readiness: Readiness,
    pub(crate) store: Arc<Store>,
    pub(crate) feed: Arc<Feed>,
}

impl Node {
    fn state(&self) -> metrics::State {
        metrics::State {
            ready: self.readiness.obstacle().is_none(),
            writable: *self.readiness.writable.borrow(),
            readable: *self.readiness.reading.borrow() == Reading::Works,
            backlog_bytes: self.store.backlog_bytes(),
            readers_busy: self.store.readers_busy(),
            feed_lag: self.feed.lag(),
        }
    }
}

/// `/metrics`, `/healthz` (the process answers), `/readyz` (the node takes work).
pub(crate) fn routes(node: Node, handle: PrometheusHandle) -> Router {
    let readiness = node.readiness.clone();
    let measured = async move || {
        metrics::state(node.state());
        exposition(handle.render())
    };
    Router::new()
        .route("/metrics", get(measured))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(async move || ready(&readiness)))
}

/// Serves `/metrics` and `/healthz` of a process without a node, until shutdown.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    metrics: PrometheusHandle,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(async move || exposition(metrics.render())))
        .route("/healthz", get(async || "ok\n"));
    axum::serve(listener, routes)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

fn ready(readiness: &Readiness) -> Response {
    match readiness.obstacle() {
        None => "ready\n".into_response(),
        Some(obstacle) => (StatusCode::SERVICE_UNAVAILABLE, format!("{obstacle}\n")).into_response(),
    }
}

fn exposition(text: String) -> Response {
    let mut response = text.into_response();
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, format);
    response
}
