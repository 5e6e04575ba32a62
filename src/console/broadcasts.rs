//! `/v1/broadcasts/BOT/RULE`: how far the broadcasts of a rule are, and their brakes: approve, pause, resume, cancel.

use super::{
    Refusal, Shared,
    shapes::{self, BroadcastShape},
};
use crate::bot::{
    Brake,
    store::{Broadcast, Progress},
};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};

/// How many broadcasts of a rule are told, the newest.
const TOLD: u32 = 20;

pub(super) async fn status(
    State(shared): State<Shared>,
    Path((bot, rule)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Vec<BroadcastShape>>, Refusal> {
    shared.authorise(&headers)?;
    let (running, rule) = shared.rule(&bot, &rule)?;
    let broadcasts = running.store.broadcasts(&bot, &rule.name, TOLD).await;
    let broadcasts = broadcasts.map_err(|error| Refusal::unreadable(&error))?;
    let tell = |(broadcast, progress): (Broadcast, Progress)| BroadcastShape {
        occurrence: broadcast.id,
        complete: broadcast.is_planned || broadcast.ended.is_some(),
        gate: broadcast
            .ended
            .unwrap_or_else(|| broadcast.gate.as_str().to_owned()),
        reason: broadcast.reason,
        planned: progress.planned,
        delivered: progress.delivered,
        rejected: progress.rejected,
        expired: progress.expired,
        skipped: progress.skipped,
        held: progress.held,
        left: progress.left,
    };
    Ok(Json(broadcasts.into_iter().map(tell).collect()))
}

pub(super) async fn act(
    State(shared): State<Shared>,
    Path((bot, rule, action)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Json<shapes::Braked>, Refusal> {
    shared.authorise(&headers)?;
    let brake = Brake::parse(&action).ok_or_else(|| {
        let wanted = "expected `approve`, `pause`, `resume` or `cancel`";
        Refusal::new(StatusCode::NOT_FOUND, wanted)
    })?;
    let (running, rule) = shared.rule(&bot, &rule)?;
    let broadcasts = running.brake(&rule, brake).await;
    let broadcasts = broadcasts.map_err(|error| Refusal::unreadable(&error))?;
    if broadcasts.is_empty() {
        let message = format!("no broadcast of `{bot}/{}` {}", rule.name, brake.wanted());
        return Err(Refusal::new(StatusCode::CONFLICT, message));
    }
    Ok(Json(shapes::Braked { broadcasts }))
}
