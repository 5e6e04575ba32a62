//! `POST /v1/bots/BOT/rules/RULE`: fires a `manual` rule. The JSON body, if any, is the rule's `body`.

use axum::{
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{Refusal, Shared, recorded};
use crate::bot::{
    expression::{Scope, Type},
    fire::{self, Firing},
    store::Planned,
    trigger::Trigger,
};

/// The longest Idempotency-Key.
const KEY_BYTES: usize = 255;

pub(super) async fn fire(
    State(shared): State<Shared>,
    Path((bot, rule)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    shared.authorise(&headers)?;
    let (running, rule) = shared.rule(&bot, &rule)?;
    if !rule
        .triggers
        .iter()
        .any(|trigger| matches!(trigger, Trigger::Manual))
    {
        let reason = format!("rule `{}` has no `manual` trigger", rule.name);
        return Err(Refusal::new(StatusCode::CONFLICT, reason));
    }
    let id = id(&headers)?;
    let firing = Firing {
        id: id.clone(),
        at: running.now(),
        names: names(&body)?,
    };
    match fire::fire(&running, &rule, &firing).await {
        Ok(Planned::New) => Ok(recorded(&id)),
        Ok(Planned::Repeated { id, .. }) => Ok(recorded(&id)),
        Err(error) => {
            tracing::error!(%error, bot, rule = rule.name, "a manual rule could not be recorded");
            Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "it could not be recorded; ask again later",
            ))
        }
    }
}

/// The Idempotency-Key, else a random id.
pub(super) fn id(headers: &HeaderMap) -> Result<String, Refusal> {
    if let Some(key) = headers.get("idempotency-key") {
        let key = key
            .to_str()
            .ok()
            .filter(|key| !key.is_empty() && key.len() <= KEY_BYTES);
        let wanted = format!("expected an Idempotency-Key of 1 to {KEY_BYTES} ASCII characters");
        return key
            .map(ToOwned::to_owned)
            .ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, wanted));
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "no randomness from the system"))?;
    Ok(const_hex::encode(bytes))
}

fn names(body: &[u8]) -> Result<Scope, Refusal> {
    let wrong = |message: String| Refusal::new(StatusCode::BAD_REQUEST, message);
    let json = if body.is_empty() {
        serde_json::Value::Null
    } else {
        serde_json::from_slice(body).map_err(|error| wrong(format!("the body is not JSON: {error}")))?
    };
    let body = Type::Any
        .read_json(&json)
        .map_err(|mismatch| wrong(format!("found {}", mismatch.found)))?;
    Ok([("body", body)].into_iter().collect())
}
