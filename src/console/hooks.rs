//! `POST /hooks/BOT/PATH`: a request that is checked makes a rule fire. Size, then signature, then body: 413, 401, 400. A redelivery
//! gets the answer of the first.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use herald_protocol::address::Address;
use serde::{Deserialize, Serialize};

use super::{Refusal, Shared, desk, recorded};
use crate::bot::{
    Kind,
    chain::WalletName,
    config::Rule,
    expression::{Scope, Type, Value},
    fire::{self, Firing},
    running::{Running, occurrence_record},
    store::Planned,
    trigger::{
        Trigger, Webhook,
        webhook::{self, Request, VerifiedWebhook, Verify},
    },
};

/// Headers that show credentials, beside the one that the webhook's own scheme uses.
const CREDENTIALS: [&str; 7] = [
    "authorization",
    "cookie",
    "webhook-signature",
    "x-hub-signature",
    "x-hub-signature-256",
    "stripe-signature",
    "x-slack-signature",
];

/// Names of wallets in one body. Ours: whoever may call a webhook has so many asked for, and no more.
const MOST_NAMES: usize = 100;

pub(super) async fn receive(
    State(shared): State<Shared>,
    Path((bot, path)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let nothing = || {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "no webhook of a running bot has this address",
        )
    };
    let running = shared.bots.find(&bot).ok_or_else(nothing)?;
    let (rule, webhook) = find(&running, &path).ok_or_else(nothing)?;
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    let verified = verify(&running, webhook, &headers, &body)?;
    let names = read(&running, webhook, &headers, &body).await?;
    let firing = Firing {
        id: verified.id().to_owned(),
        at: running.now(),
        names,
    };
    let answer = answer(&running, rule, webhook, &firing).await;
    match fire::fire_answered(&running, rule, &firing, answer.clone()).await {
        Ok(Planned::New) => Ok(answered(&firing.id, answer.as_deref())),
        Ok(Planned::Repeated { id, answer }) => Ok(answered(&id, answer.as_deref())),
        Err(error) => {
            tracing::error!(%error, bot, rule = rule.name, "a webhook could not be recorded");
            Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "it could not be recorded; send it again later",
            ))
        }
    }
}

/// An answer as the occurrence keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    status: u16,
    /// herald's own words when absent.
    json: Option<serde_json::Value>,
}

/// What the rule answers. One that has no value for this request is told to the operator, and herald's own answer is given: the
/// occurrence is none the worse for it.
async fn answer(running: &Running, rule: &Rule, webhook: &Webhook, firing: &Firing) -> Option<String> {
    let answer = webhook.answer.as_ref()?;
    let mut scope = running.scope();
    for (name, value) in firing.names.iter() {
        scope.insert(name, value.clone());
    }
    scope.insert("occurrence", occurrence_record(&firing.id, firing.at));
    match answer.body(&scope) {
        Ok(json) => {
            let status = answer.status;
            serde_json::to_string(&Stored { status, json }).ok()
        }
        Err(error) => {
            let mut event = running.event(Kind::Error);
            event.rule = Some(rule.name.clone());
            event.key = Some(firing.id.clone());
            event.reason = Some(format!("the webhook's `answer` has no value: {error}"));
            running.tell(event).await;
            None
        }
    }
}

fn answered(occurrence: &str, answer: Option<&str>) -> Response {
    let stored = answer.and_then(|answer| serde_json::from_str::<Stored>(answer).ok());
    let Some(Stored { status, json }) = stored else {
        return recorded(occurrence);
    };
    let mut response = json.map_or_else(|| recorded(occurrence), |json| Json(json).into_response());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::ACCEPTED);
    response
}

fn find<'a>(running: &'a Running, path: &str) -> Option<(&'a Rule, &'a Webhook)> {
    let mut all = running
        .bot
        .rules
        .values()
        .flat_map(|rule| rule.triggers.iter().map(move |trigger| (rule, trigger)));
    all.find_map(|(rule, trigger)| match trigger {
        Trigger::Webhook(webhook) if webhook.path == path => Some((rule, webhook.as_ref())),
        _ => None,
    })
}

fn verify(
    running: &Running,
    webhook: &Webhook,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<VerifiedWebhook, Refusal> {
    let unusable = |error: String| {
        tracing::error!(
            error,
            bot = running.bot.name,
            "the webhook's secret cannot be used"
        );
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the webhook's secret is not set up; see herald's log",
        )
    };
    let request = Request {
        header: &|name| headers.get(name).and_then(|value| value.to_str().ok()),
        body,
        now: running.now(),
    };
    let Verify::Secret { scheme, secret } = &webhook.verify else {
        return Ok(VerifiedWebhook::unchecked(&request));
    };
    let secret = secret
        .resolve(running.bot.folder())
        .map_err(|error| unusable(error.to_string()))?;
    VerifiedWebhook::verify(scheme, &request, &secret).map_err(|error| match error {
        webhook::Error::Secret => unusable(error.to_string()),
        error => Refusal::new(StatusCode::UNAUTHORIZED, error.to_string()),
    })
}

/// The names a webhook gives: `body`, typed as the rule declares it, and `headers`.
async fn read(
    running: &Running,
    webhook: &Webhook,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Scope, Refusal> {
    let wrong = |message: String, field| Refusal {
        status: StatusCode::BAD_REQUEST,
        message,
        field,
    };
    let mut json: serde_json::Value = serde_json::from_slice(body)
        .map_err(|error| wrong(format!("the body is not JSON: {error}"), None))?;
    let body = webhook.body.as_ref().unwrap_or(&Type::Any);
    put_wallets(running, body, &mut json).await?;
    let body = body.read_json(&json).map_err(|mismatch| {
        let field = format!("body{}", mismatch.path);
        wrong(
            format!(
                "`{field}`: expected {}, found {}",
                mismatch.wanted, mismatch.found
            ),
            Some(field),
        )
    })?;
    let own = match &webhook.verify {
        Verify::Secret { scheme, .. } => Some(scheme.header()),
        Verify::Nothing => None,
    };
    let headers = headers.iter().filter_map(|(name, value)| {
        // Signatures and credentials are nobody's business later on.
        let secret =
            value.is_sensitive() || CREDENTIALS.contains(&name.as_str()) || own == Some(name.as_str());
        let value = value.to_str().ok().filter(|_| !secret)?;
        Some((name.as_str().to_owned(), Value::text(value)))
    });
    let headers = Value::record(headers);
    Ok([("body", body), ("headers", headers)].into_iter().collect())
}

/// Puts wallets in the place of names, where a body's type wants wallets.
async fn put_wallets(running: &Running, body: &Type, json: &mut serde_json::Value) -> Result<(), Refusal> {
    let mut names = Vec::new();
    body.each_wallet(json, &mut |text| {
        if WalletName::is_meant(text) {
            names.push(text.clone());
        }
    });
    if names.len() > MOST_NAMES {
        let reason = format!(
            "expected at most {MOST_NAMES} names of wallets, found {}",
            names.len()
        );
        return Err(Refusal::new(StatusCode::BAD_REQUEST, reason));
    }
    let texts: Vec<&str> = names.iter().map(String::as_str).collect();
    let wallets = desk::wallets_or_names(running, &texts).await.map_err(|refusal| {
        // Which nodes the operator asks is nothing for whoever calls.
        tracing::error!(
            error = refusal.message,
            bot = running.bot.name,
            "the names in a webhook's body cannot be looked up"
        );
        let later = "the names of wallets in the body cannot be looked up now; send it again later";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, later)
    })?;
    let wallets = wallets.into_iter().collect::<Result<Vec<Address>, String>>();
    let wallets = wallets.map_err(|reason| Refusal::of_field("body", reason))?;
    let mut wallets = wallets.into_iter();
    body.each_wallet(json, &mut |text| {
        if WalletName::is_meant(text)
            && let Some(wallet) = wallets.next()
        {
            *text = wallet.to_string();
        }
    });
    Ok(())
}

/// The webhooks of a bot: the rule's name and the path of its address.
pub fn addresses(bot: &crate::bot::config::Bot) -> impl Iterator<Item = (&str, &str)> {
    bot.rules.values().flat_map(|rule| {
        rule.triggers.iter().filter_map(|trigger| match trigger {
            Trigger::Webhook(webhook) => Some((rule.name.as_str(), webhook.path.as_str())),
            _ => None,
        })
    })
}
