//! Lists and people: the text that a wallet signs to join, the join itself, and for whoever holds the token everything else.

use axum::{
    Json,
    body::Bytes,
    extract::{
        Path, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use herald_protocol::{consent::consent_proof_text, time::TimestampNs};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Refusal, Shared, desk, rules,
    shapes::{ConsentText, Import, Imported, ListShape, Members, NewMember, Person},
};

/// Asks for the text.
#[derive(Debug, Deserialize)]
pub(super) struct Asker {
    /// The wallet that is going to sign.
    wallet: String,
}

pub(super) async fn consent_text(
    State(shared): State<Shared>,
    Path((bot, list)): Path<(String, String)>,
    asker: Result<Query<Asker>, QueryRejection>,
) -> Result<Json<ConsentText>, Refusal> {
    let running = shared.bot(&bot)?;
    desk::known(&running, &list)?;
    let asker = asker.map_err(|_| Refusal::of_field("wallet", "expected `?wallet=` and an address"))?;
    let wallet = desk::wallet(&asker.wallet)?;
    let now = running.clock.now();
    // A text has whole seconds.
    let at = TimestampNs::from_ms(now.as_seconds().saturating_mul(1_000)).unwrap_or(now);
    Ok(Json(ConsentText {
        text: consent_proof_text(running.address, at),
        timestamp: at.as_ms(),
        wallet: wallet.to_string(),
        sender: running.address.to_string(),
    }))
}

pub(super) async fn join(
    State(shared): State<Shared>,
    Path((bot, list)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    let is_operator = headers.contains_key(header::AUTHORIZATION);
    if is_operator {
        shared.authorise(&headers)?;
    }
    let running = shared.bot(&bot)?;
    desk::known(&running, &list)?;
    let new: NewMember = read(&body)?;
    let wallet = if is_operator {
        desk::wallet_or_name(&running, &new.wallet).await?
    } else {
        // A stranger signs with the wallet, and has no chain asked.
        desk::wallet(&new.wallet)?
    };
    if !is_operator && new.signature.is_none() {
        let wanted = "expected `signature` and `timestamp`: the wallet's signature of the consent text";
        return Err(Refusal::of_field("signature", wanted));
    }
    let membership = desk::join(&running, &rules::id(&headers)?, (&list, wallet, new)).await?;
    let status = if membership.joined {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(membership)).into_response())
}

pub(super) async fn import(
    State(shared): State<Shared>,
    Path((bot, list)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Imported>, Refusal> {
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    shared.authorise(&headers)?;
    let running = shared.bot(&bot)?;
    let import: Import = read(&body)?;
    let outcomes = desk::import(&running, &rules::id(&headers)?, (&list, import.members)).await?;
    Ok(Json(Imported { outcomes }))
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body: {error}")))
}

/// Where a page of members begins, and how long it is.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// Behind this wallet.
    #[serde(default)]
    after: String,
    /// At most so many, 1,000 at the most.
    limit: Option<u32>,
}

pub(super) async fn lists(
    State(shared): State<Shared>,
    Path(bot): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Vec<ListShape>>, Refusal> {
    shared.authorise(&headers)?;
    let running = shared.bot(&bot)?;
    desk::lists(&running).await.map(Json)
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Path((bot, list)): Path<(String, String)>,
    headers: HeaderMap,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Members>, Refusal> {
    shared.authorise(&headers)?;
    let running = shared.bot(&bot)?;
    let Query(page) =
        page.map_err(|rejection| Refusal::new(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    desk::members(&running, &list, (page.after, page.limit))
        .await
        .map(Json)
}

pub(super) async fn leave(
    State(shared): State<Shared>,
    Path((bot, list, member)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    shared.authorise(&headers)?;
    let running = shared.bot(&bot)?;
    desk::leave(&running, &rules::id(&headers)?, (&list, &member)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn show(
    State(shared): State<Shared>,
    Path((bot, person)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Person>, Refusal> {
    shared.authorise(&headers)?;
    let running = shared.bot(&bot)?;
    desk::show(&running, &person).await.map(Json)
}

pub(super) async fn forget(
    State(shared): State<Shared>,
    Path((bot, person)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    shared.authorise(&headers)?;
    let running = shared.bot(&bot)?;
    desk::forget(&running, &rules::id(&headers)?, &person).await?;
    Ok(StatusCode::NO_CONTENT)
}
