//! What runs, and what was sent to whom.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
};
use chrono::DateTime;
use serde::Deserialize;

use super::{
    Refusal, Shared, desk,
    shapes::{BotShape, Deliveries, DeliveryShape},
};
use crate::bot::store::{Filter, State as Standing};

pub(super) async fn bots(
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> Result<Json<Vec<BotShape>>, Refusal> {
    shared.authorise(&headers)?;
    let bots = shared.bots.list();
    let shapes = bots.iter().map(|(bot, address)| BotShape::of(bot, *address));
    Ok(Json(shapes.collect()))
}

/// Which deliveries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    bot: Option<String>,
    rule: Option<String>,
    wallet: Option<String>,
    state: Option<String>,
    since: Option<String>,
    limit: Option<u32>,
}

/// The most deliveries in one answer.
const MOST: u32 = 10_000;

pub(super) async fn deliveries(
    State(shared): State<Shared>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Deliveries>, Refusal> {
    shared.authorise(&headers)?;
    let Query(asked) =
        asked.map_err(|rejection| Refusal::new(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    let state = asked.state.map(|word| {
        let wanted = "expected planned, held, sealed, delivered, rejected, expired or skipped";
        Standing::parse(&word).ok_or_else(|| Refusal::of_field("state", wanted))
    });
    let since = asked.since.map(|text| {
        let wanted = "expected a time like 2026-11-20T09:00:00Z";
        let time = DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc());
        time.map_err(|_| Refusal::of_field("since", wanted))
    });
    let filter = Filter {
        bot: asked.bot,
        rule: asked.rule,
        wallet: asked.wallet.as_deref().map(desk::wallet).transpose()?,
        state: state.transpose()?,
        since: since.transpose()?,
        limit: asked.limit.unwrap_or(LISTED).min(MOST),
        id: None,
    };
    let Some(store) = shared.bots.store() else {
        return Ok(Json(Deliveries {
            deliveries: Vec::new(),
        }));
    };
    let rows = store.deliveries(filter).await;
    let rows = rows.map_err(|error| Refusal::unreadable(&error))?;
    Ok(Json(Deliveries {
        deliveries: rows.iter().map(DeliveryShape::from).collect(),
    }))
}

/// So many when nothing is said.
const LISTED: u32 = 1_000;
