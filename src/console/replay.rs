//! `POST /v1/deliveries/replay`: rejected and expired deliveries are tried again.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::HeaderMap,
};

use super::{
    Refusal, Shared, members,
    shapes::{Dead, ReplayedDeliveries},
};
use crate::bot::store;

pub(super) async fn replay(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ReplayedDeliveries>, Refusal> {
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    shared.authorise(&headers)?;
    let Dead { id, bot, rule } = members::read(&body)?;
    let replayed = shared.bots.replay(store::Dead { id, bot, rule }).await;
    let replayed = replayed.map_err(|error| Refusal::unrecorded(&error, "all"))?;
    Ok(Json(ReplayedDeliveries { replayed }))
}
