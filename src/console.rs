//! herald's HTTP API: webhooks that make rules fire, joins by web, and for whoever holds the token manual rules, lists, people and
//! deliveries.
//!
//! Enters: requests. Leaves: recorded occurrences, or a refusal in JSON that says what was wrong; a refused request changes
//! nothing.

mod broadcasts;
mod callbacks;
mod desk;
mod hooks;
mod members;
mod openapi;
mod overview;
mod rehearsal;
mod replay;
mod rules;
/// The shapes of the API's bodies.
pub mod shapes;
mod status;
mod token;
mod uploads;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{Any, CorsLayer};

pub use hooks::addresses as webhooks;
pub use openapi::document as openapi;
pub use token::{ApiToken, Error as TokenError, TokensError};
pub use uploads::Folders;

use crate::bot::{Bots, config::Rule, running::Running, store};

/// The largest body that is read: 256 KiB.
pub const MAX_BODY: usize = 262_144;

/// How long a shutdown waits for requests that were taken.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Serves the API on a bound listener until shutdown; requests that were taken are answered.
pub async fn serve(
    listener: TcpListener,
    bots: Bots,
    (token, folders): (ApiToken, Folders),
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    // Pages of any origin may ask for the text and join: the proof says who it is.
    let joins = Router::new()
        .route(
            "/v1/bots/{bot}/lists/{list}/consent-text",
            get(members::consent_text),
        )
        .route(
            "/v1/bots/{bot}/lists/{list}/members",
            get(members::list).post(members::join),
        )
        // Set here, so that the layer answers a browser's OPTIONS before it.
        .method_not_allowed_fallback(other_method)
        .layer(
            CorsLayer::new()
                .allow_origin(Any)
                .allow_methods([Method::GET, Method::POST])
                .allow_headers([header::CONTENT_TYPE]),
        );
    let routes = Router::new()
        .merge(joins)
        .route("/hooks/{bot}/{*path}", post(hooks::receive))
        .route("/v1/bots/{bot}/rules/{rule}", post(rules::fire))
        .route("/uploads/{*path}", get(uploads::read))
        .route(
            "/v1/bots/{bot}/lists/{list}/members/{wallet}",
            delete(members::leave),
        )
        .route("/v1/bots/{bot}/rules/{rule}/preview", post(rehearsal::preview))
        .route("/v1/broadcasts/{bot}/{rule}/plan", post(rehearsal::plan))
        .route("/v1/broadcasts/{bot}/{rule}", get(broadcasts::status))
        .route("/v1/broadcasts/{bot}/{rule}/{action}", post(broadcasts::act))
        .route(
            "/v1/bots/{bot}/people/{wallet}",
            get(members::show).delete(members::forget),
        )
        .route("/v1/callbacks/replay", post(callbacks::replay))
        .route("/v1/bots", get(overview::bots))
        .route("/v1/bots/{bot}/lists", get(members::lists))
        .route("/v1/bots/{bot}/lists/{list}/import", post(members::import))
        .route("/v1/deliveries", get(overview::deliveries))
        .route("/v1/deliveries/replay", post(replay::replay))
        .route("/v1/status", get(status::status))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "there is nothing here"))
        .method_not_allowed_fallback(other_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Shared { bots, token, folders });
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

async fn other_method() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this address takes another method",
    )
}

#[derive(Clone, Debug)]
struct Shared {
    bots: Bots,
    token: ApiToken,
    folders: Folders,
}

impl Shared {
    /// Whether a request shows the token.
    fn authorise(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let shown = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        if self.token.accepts(shown) {
            return Ok(());
        }
        let wanted = "expected `Authorization: Bearer` with the token in the data folder's api.token";
        Err(Refusal::new(StatusCode::UNAUTHORIZED, wanted))
    }

    fn bot(&self, name: &str) -> Result<Arc<Running>, Refusal> {
        let missing = || Refusal::new(StatusCode::NOT_FOUND, format!("no bot `{name}` is running"));
        self.bots.find(name).ok_or_else(missing)
    }

    fn rule(&self, bot: &str, rule: &str) -> Result<(Arc<Running>, Rule), Refusal> {
        let running = self.bot(bot)?;
        let found = running.bot.rules.get(rule).cloned();
        match found {
            Some(rule) => Ok((running, rule)),
            None => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                format!("bot `{bot}` has no rule `{rule}`"),
            )),
        }
    }
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

    fn of_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::new(StatusCode::BAD_REQUEST, message)
        }
    }

    /// The store could not be read; the log says why.
    fn unreadable(error: &store::Error) -> Self {
        let error: &dyn std::error::Error = error;
        tracing::error!(error, "the store could not be read");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the store failed; see herald's log",
        )
    }

    /// The store could not be used; the log says why.
    fn unrecorded(error: &store::Error, bot: &str) -> Self {
        let error: &dyn std::error::Error = error;
        tracing::error!(error, bot, "a request could not be served");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "it could not be recorded; ask again later",
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = shapes::Error {
            error: self.message,
            field: self.field,
        };
        (self.status, Json(body)).into_response()
    }
}

/// An occurrence that is recorded, now or before.
fn recorded(occurrence: &str) -> Response {
    let recorded = shapes::Recorded {
        occurrence: occurrence.to_owned(),
    };
    (StatusCode::ACCEPTED, Json(recorded)).into_response()
}
