//! `/v1/callbacks/replay`: callbacks that go out again.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
};

use super::{
    Refusal, Shared, members,
    shapes::{Replay, Replayed},
};
use crate::bot::store;

pub(super) async fn replay(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Replayed>, Refusal> {
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    shared.authorise(&headers)?;
    let asked: Replay = members::read(&body)?;
    let which = match (asked.dead, asked.callbacks) {
        (true, callbacks) if callbacks.is_empty() => store::Replay::Dead,
        (false, callbacks) if !callbacks.is_empty() => store::Replay::These(callbacks),
        _ => {
            let wanted = "expected either `callbacks` with their ids or `dead: true`";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, wanted));
        }
    };
    let bots = shared.bots.all();
    let Some(any) = bots.values().next() else {
        return Err(Refusal::new(StatusCode::CONFLICT, "no bot is running"));
    };
    let replayed = any.store.replay_callbacks(which, any.now()).await;
    let replayed = replayed.map_err(|error| Refusal::unrecorded(&error, "all"))?;
    for running in bots.values() {
        running.to_call_back.notify_one();
    }
    match replayed {
        Ok(replayed) => Ok(Json(Replayed { replayed })),
        Err(missing) => {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            let message = format!("there is no callback {}", missing.join(", "));
            Err(Refusal::new(StatusCode::NOT_FOUND, message))
        }
    }
}
