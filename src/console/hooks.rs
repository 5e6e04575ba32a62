//! `POST /hooks/BOT/PATH`: a signed request makes a rule fire. Size, then signature, then body: 413, 401, 400.

use axum::{
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{Refusal, Shared, recorded};
use crate::bot::{
    config::Rule,
    expression::{Scope, Type, Value},
    fire::{self, Firing},
    running::Running,
    store::Planned,
    trigger::{
        Trigger, Webhook,
        webhook::{self, SignatureHeaders, VerifiedWebhook},
    },
};

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
    let (rule, webhook) = find(running, &path).ok_or_else(nothing)?;
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    let verified = verify(running, webhook, &headers, &body)?;
    let names = read(webhook, &headers, &body)?;
    let firing = Firing {
        id: verified.id().to_owned(),
        at: running.now(),
        names,
    };
    match fire::fire(running, rule, &firing).await {
        Ok(Planned::New) => Ok(recorded(&firing.id)),
        Ok(Planned::Repeated(first)) => Ok(recorded(&first)),
        Err(error) => {
            tracing::error!(%error, bot, rule = rule.name, "a webhook could not be recorded");
            Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "it could not be recorded; send it again later",
            ))
        }
    }
}

fn find<'a>(running: &'a Running, path: &str) -> Option<(&'a Rule, &'a Webhook)> {
    let mut all = running
        .bot
        .rules
        .values()
        .flat_map(|rule| rule.triggers.iter().map(move |trigger| (rule, trigger)));
    all.find_map(|(rule, trigger)| match trigger {
        Trigger::Webhook(webhook) if webhook.path == path => Some((rule, webhook)),
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
    let secret = webhook
        .secret
        .resolve(running.bot.folder())
        .map_err(|error| unusable(error.to_string()))?;
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let signed = SignatureHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    VerifiedWebhook::verify(signed, body, &secret, webhook.tolerance, running.now()).map_err(|error| {
        match error {
            webhook::Error::Secret => unusable(error.to_string()),
            error => Refusal::new(StatusCode::UNAUTHORIZED, error.to_string()),
        }
    })
}

/// The names a webhook gives: `body`, typed as the rule declares it, and `headers`.
fn read(webhook: &Webhook, headers: &HeaderMap, body: &[u8]) -> Result<Scope, Refusal> {
    let wrong = |message: String, field| Refusal {
        status: StatusCode::BAD_REQUEST,
        message,
        field,
    };
    let json: serde_json::Value = serde_json::from_slice(body)
        .map_err(|error| wrong(format!("the body is not JSON: {error}"), None))?;
    let body = webhook
        .body
        .as_ref()
        .unwrap_or(&Type::Any)
        .read_json(&json)
        .map_err(|mismatch| {
            let field = format!("body{}", mismatch.path);
            wrong(
                format!(
                    "`{field}`: expected {}, found {}",
                    mismatch.wanted, mismatch.found
                ),
                Some(field),
            )
        })?;
    let headers = headers.iter().filter_map(|(name, value)| {
        // Signatures and credentials are nobody's business later on.
        let secret =
            value.is_sensitive() || matches!(name.as_str(), "authorization" | "cookie" | "webhook-signature");
        let value = value.to_str().ok().filter(|_| !secret)?;
        Some((name.as_str().to_owned(), Value::text(value)))
    });
    let headers = Value::record(headers);
    Ok([("body", body), ("headers", headers)].into_iter().collect())
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
