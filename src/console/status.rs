//! `GET /v1/status`: how each bot stands.

use axum::{Json, extract::State, http::HeaderMap};

use super::{Refusal, Shared, shapes::Status};

pub(super) async fn status(
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> Result<Json<Status>, Refusal> {
    shared.authorise(&headers)?;
    let bots = shared.bots.status().await;
    let bots = bots.map_err(|error| Refusal::unreadable(&error))?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Json(Status { version, bots }))
}
