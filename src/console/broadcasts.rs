//! `/v1/broadcasts/BOT/RULE`: how far the broadcasts of a rule are, and their brakes: approve, pause, resume, cancel.

use super::{
    Refusal, Shared,
    shapes::{self, BroadcastShape},
};
use crate::bot::{
    Brake, Braked,
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
    let running = shared.bot(&bot)?;
    if !running.bot.rules.contains_key(&rule) {
        return Err(no_rule(&bot, &rule));
    }
    let broadcasts = running.store.broadcasts(&bot, &rule, TOLD).await;
    let broadcasts = broadcasts.map_err(|error| unreadable(&error))?;
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
    let running = shared.bot(&bot)?;
    let brake = Brake::parse(&action).ok_or_else(|| {
        let wanted = "expected `approve`, `pause`, `resume` or `cancel`";
        Refusal::new(StatusCode::NOT_FOUND, wanted)
    })?;
    let braked = running
        .brake(&rule, brake)
        .await
        .map_err(|error| unreadable(&error))?;
    match braked {
        Braked::NoRule => Err(no_rule(&bot, &rule)),
        Braked::Moved(broadcasts) if broadcasts.is_empty() => {
            let message = format!("no broadcast of `{bot}/{rule}` {}", brake.wanted());
            Err(Refusal::new(StatusCode::CONFLICT, message))
        }
        Braked::Moved(broadcasts) => Ok(Json(shapes::Braked { broadcasts })),
    }
}

fn no_rule(bot: &str, rule: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("bot `{bot}` has no rule `{rule}`"))
}

fn unreadable(error: &crate::bot::store::Error) -> Refusal {
    tracing::error!(%error, "broadcasts cannot be read or moved");
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "the store failed; see herald's log",
    )
}
