//! What a rule would do: `POST /v1/bots/BOT/rules/RULE/preview` and `POST /v1/broadcasts/BOT/RULE/plan`.

use std::convert::Infallible;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Refusal, Shared, desk,
    shapes::{self, PlanRequest, PreviewRequest},
};
use crate::bot::rehearsal::{Error, Preview, Rehearsal};

/// The most messages of one preview, and those where nothing is said.
const MOST: u32 = 1_000;
const SHOWN: u32 = 5;

pub(super) async fn preview(
    State(shared): State<Shared>,
    Path((bot, rule)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Preview>, Refusal> {
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    shared.authorise(&headers)?;
    let (running, rule) = shared.rule(&bot, &rule)?;
    let asked: PreviewRequest = read(&body)?;
    let wallet = match &asked.wallet {
        Some(text) => Some(desk::wallet_or_name(&running, text).await?),
        None => None,
    };
    let rehearsal = Rehearsal::of(&running, &rule, asked.event).await;
    let rehearsal = rehearsal.map_err(|error| refused(&error))?;
    let limit = asked.limit.unwrap_or(SHOWN).min(MOST);
    let preview = rehearsal.preview(wallet, limit).await;
    preview.map(Json).map_err(|error| refused(&error))
}

/// Answers a line of JSON after each part of the audience; the last is `complete`, or an error.
pub(super) async fn plan(
    State(shared): State<Shared>,
    Path((bot, rule)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    shared.authorise(&headers)?;
    let (running, rule) = shared.rule(&bot, &rule)?;
    let asked: PlanRequest = read(&body)?;
    if running.client.get().is_none() {
        return Err(refused(&Error::Offline));
    }
    let rehearsal = Rehearsal::of(&running, &rule, asked.event).await;
    let rehearsal = rehearsal.map_err(|error| refused(&error))?;
    let lines = futures::stream::unfold(Some(rehearsal.plan()), |planning| async move {
        let mut planning = planning?;
        match planning.next().await {
            Ok(plan) => Some((Ok::<_, Infallible>(line(&plan?)), Some(planning))),
            Err(error) => {
                let error = shapes::Error {
                    error: error.to_string(),
                    field: None,
                };
                Some((Ok(line(&error)), None))
            }
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

fn line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}

/// What is asked; nothing asks for what is usual.
fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("the body is not as expected: {error}"),
        )
    })
}

fn refused(error: &Error) -> Refusal {
    match error {
        Error::Store(error) => Refusal::unreadable(error),
        Error::Event(reason) => Refusal::of_field("event", reason.clone()),
        Error::Client(_) | Error::Offline => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}
