//! herald's HTTP API: webhooks that make rules fire, and manual rules for whoever holds the token.
//!
//! Enters: requests. Leaves: recorded occurrences, or a refusal in JSON that says what was wrong; a refused request changes
//! nothing.

mod hooks;
mod rules;
mod token;

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use hooks::addresses as webhooks;
pub use token::{ApiToken, Error as TokenError, TokensError};

use crate::bot::Bots;

/// The largest body that is read: 256 KiB.
pub const MAX_BODY: usize = 262_144;

/// How long a shutdown waits for requests that were taken.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Serves the API on a bound listener until shutdown; requests that were taken are answered.
pub async fn serve(
    listener: TcpListener,
    bots: Bots,
    token: ApiToken,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/hooks/{bot}/{*path}", post(hooks::receive))
        .route("/v1/bots/{bot}/rules/{rule}", post(rules::fire))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "there is nothing here"))
        .method_not_allowed_fallback(async || Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "expected POST"))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Shared { bots, token });
    let served = axum::serve(listener, routes)
        .with_graceful_shutdown(shutdown.clone().cancelled_owned())
        .into_future();
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = served => served,
        () = late => Ok(()),
    }
}

#[derive(Clone, Debug)]
struct Shared {
    bots: Bots,
    token: ApiToken,
}

/// A request that is not taken.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    message: String,
    /// The field at fault, where there is one.
    field: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            field: None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = serde_json::json!({ "error": self.message });
        if let (Some(field), Some(body)) = (self.field, body.as_object_mut()) {
            body.insert("field".to_owned(), field.into());
        }
        (self.status, Json(body)).into_response()
    }
}

/// An occurrence that is recorded, now or before.
fn recorded(occurrence: &str) -> Response {
    (
        StatusCode::ACCEPTED,
        Json(serde_json::json!({ "occurrence": occurrence })),
    )
        .into_response()
}
