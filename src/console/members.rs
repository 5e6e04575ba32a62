//! Lists by web: the text that a wallet signs to join, the join itself, and for whoever holds the token the members.

use std::{str::FromStr as _, sync::Arc};

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
use herald_protocol::{
    address::Address,
    consent::{ConsentProof, consent_proof_text},
    time::TimestampNs,
};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{Refusal, Shared, rules};
use crate::bot::{
    dialog::request::{self, Join, Joined, Refused},
    print_time,
    running::Running,
    store::Member,
};

/// Asks for the text.
#[derive(Debug, Deserialize)]
pub(super) struct Asker {
    /// The wallet that is going to sign.
    wallet: String,
}

/// What a wallet signs, as wallets sign messages (`personal_sign`), to join a list.
#[derive(Debug, Serialize)]
pub(super) struct ConsentText {
    /// The text, to be signed as it is.
    text: String,
    /// Its time in milliseconds since 1970, which the join repeats.
    timestamp: u64,
    /// The wallet that signs.
    wallet: String,
    /// The bot's wallet, which may write then.
    sender: String,
}

pub(super) async fn consent_text(
    State(shared): State<Shared>,
    Path((bot, list)): Path<(String, String)>,
    asker: Result<Query<Asker>, QueryRejection>,
) -> Result<Json<ConsentText>, Refusal> {
    let running = shared.bot(&bot)?;
    known(&running, &list)?;
    let Query(asker) =
        asker.map_err(|_| Refusal::of_field("wallet", "expected `?wallet=` and an address"))?;
    let wallet = wallet(&asker.wallet, "wallet")?;
    let seconds = running.clock.now().as_seconds();
    let at = TimestampNs::from_ms(seconds.saturating_mul(1_000)).unwrap_or(running.clock.now());
    Ok(Json(ConsentText {
        text: consent_proof_text(running.address, at),
        timestamp: at.as_ms(),
        wallet: wallet.to_string(),
        sender: running.address.to_string(),
    }))
}

/// A join.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMember {
    /// The wallet's address.
    wallet: String,
    /// `0x` and 130 hex digits: the wallet's signature of the consent text.
    signature: Option<String>,
    /// The time in the text, milliseconds since 1970.
    timestamp: Option<u64>,
    /// The list's fields by name; texts are read as the types of the fields.
    #[serde(default)]
    fields: Map<String, serde_json::Value>,
}

/// What a join did.
#[derive(Debug, Serialize)]
pub(super) struct Membership {
    wallet: String,
    list: String,
    /// False for a member whose fields are new.
    joined: bool,
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
    known(&running, &list)?;
    let new: NewMember = serde_json::from_slice(&body)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body: {error}")))?;
    if !is_operator && new.signature.is_none() {
        let wanted = "expected `signature` and `timestamp`: the wallet's signature of the consent text";
        return Err(Refusal::of_field("signature", wanted));
    }
    let wallet = wallet(&new.wallet, "wallet")?;
    let join = Join {
        list: list.clone(),
        wallet,
        fields: new.fields,
        proof: proof(new.signature, new.timestamp)?,
        greets: true,
    };
    let id = rules::id(&headers)?;
    let done = request::join(&running, &id, vec![join])
        .await
        .map_err(|error| Refusal::unrecorded(&error, &bot))?;
    let joined = match done.into_iter().next() {
        Some(Ok(joined)) => joined,
        Some(Err(refused)) => return Err(refusal(refused)),
        None => return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "nothing was done")),
    };
    let membership = Membership {
        wallet: wallet.to_string(),
        list,
        joined: joined == Joined::New,
    };
    let status = if membership.joined {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(membership)).into_response())
}

/// A proof of a wallet, unverified.
fn proof(signature: Option<String>, timestamp: Option<u64>) -> Result<Option<ConsentProof>, Refusal> {
    match (signature, timestamp) {
        (None, None) => Ok(None),
        (Some(signature), Some(timestamp_ms)) => Ok(Some(ConsentProof {
            signature,
            timestamp_ms,
            payload_version: 1,
        })),
        (Some(_), None) => Err(Refusal::of_field(
            "timestamp",
            "expected `timestamp` beside `signature`",
        )),
        (None, Some(_)) => Err(Refusal::of_field(
            "signature",
            "expected `signature` beside `timestamp`",
        )),
    }
}

/// A refused join as an answer.
fn refusal(refused: Refused) -> Refusal {
    let message = refused.to_string();
    match refused {
        Refused::NoList(_) => Refusal::new(StatusCode::NOT_FOUND, message),
        Refused::Field { field, .. } => Refusal::of_field(field, message),
        Refused::Proof(_) | Refused::ProofWanted(_) => Refusal::of_field("signature", message),
        Refused::Left => Refusal::new(StatusCode::CONFLICT, message),
    }
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

/// Members in the order of their wallets.
#[derive(Debug, Serialize)]
pub(super) struct Members {
    members: Vec<MemberShape>,
    /// What `after` takes to go on; none when these are the last.
    next: Option<String>,
}

/// A member.
#[derive(Debug, Serialize)]
pub(super) struct MemberShape {
    wallet: String,
    fields: Map<String, serde_json::Value>,
    joined_at: String,
}

impl From<Member> for MemberShape {
    fn from(member: Member) -> Self {
        Self {
            wallet: member.wallet.to_string(),
            fields: member.fields,
            joined_at: print_time(member.joined),
        }
    }
}

/// The most members in one answer.
const LONGEST_PAGE: u32 = 1_000;

pub(super) async fn list(
    State(shared): State<Shared>,
    Path((bot, list)): Path<(String, String)>,
    headers: HeaderMap,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Members>, Refusal> {
    shared.authorise(&headers)?;
    let running = shared.bot(&bot)?;
    known(&running, &list)?;
    let Query(page) =
        page.map_err(|rejection| Refusal::new(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    let limit = page.limit.unwrap_or(LONGEST_PAGE).clamp(1, LONGEST_PAGE);
    let members = running.store.members(&bot, &list, page.after, limit).await;
    let members = members.map_err(|error| Refusal::unrecorded(&error, &bot))?;
    let is_full = members.len() == limit as usize;
    let next = members
        .last()
        .filter(|_| is_full)
        .map(|member| member.wallet.to_string());
    Ok(Json(Members {
        members: members.into_iter().map(MemberShape::from).collect(),
        next,
    }))
}

/// Whether the bot has the list.
fn known(running: &Arc<Running>, list: &str) -> Result<(), Refusal> {
    if running.bot.lists.contains_key(list) {
        return Ok(());
    }
    let reason = format!("bot `{}` has no list `{list}`", running.bot.name);
    Err(Refusal::new(StatusCode::NOT_FOUND, reason))
}

pub(super) fn wallet(text: &str, field: &str) -> Result<Address, Refusal> {
    Address::from_str(text).map_err(|error| Refusal::of_field(field, error.to_string()))
}

/// Takes a wallet off a list.
pub(super) async fn leave(
    State(shared): State<Shared>,
    Path((bot, list, member)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    shared.authorise(&headers)?;
    let running = shared.bot(&bot)?;
    known(&running, &list)?;
    let member = wallet(&member, "wallet")?;
    let id = rules::id(&headers)?;
    let left = request::leave(&running, &id, (list.clone(), member)).await;
    if left.map_err(|error| Refusal::unrecorded(&error, &bot))? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        let reason = format!("{member} is not on list `{list}`");
        Err(Refusal::new(StatusCode::NOT_FOUND, reason))
    }
}

/// Erases a wallet.
pub(super) async fn forget(
    State(shared): State<Shared>,
    Path((bot, person)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    shared.authorise(&headers)?;
    let running = shared.bot(&bot)?;
    let person = wallet(&person, "wallet")?;
    let id = rules::id(&headers)?;
    let forgotten = request::forget(&running, &id, person).await;
    forgotten.map_err(|error| Refusal::unrecorded(&error, &bot))?;
    Ok(StatusCode::NO_CONTENT)
}
