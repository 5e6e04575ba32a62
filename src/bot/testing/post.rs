//! Webhooks: signed as their senders do, posted to the API as it is served. And the secrets of a test, which sign callbacks too.

use std::{os::unix::fs::OpenOptionsExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use super::stage::{Broken, Stage};
use crate::{
    bot::{
        config::{Bot, SecretReference},
        trigger::{
            Trigger,
            webhook::{Verify, Webhook},
        },
    },
    fetch,
};

/// The bot with secrets of the test's own: those of its file are not needed.
pub(super) fn with_own_secrets(mut bot: Bot, folder: &Path) -> Result<Bot, String> {
    let path = std::path::absolute(folder.join("secret")).map_err(|error| error.to_string())?;
    write_secret(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    for rule in bot.rules.values_mut() {
        let webhooks = rule.triggers.iter_mut().filter_map(|trigger| match trigger {
            Trigger::Webhook(webhook) => Some(&mut webhook.verify),
            _ => None,
        });
        for verify in webhooks {
            if let Verify::Secret { secret, .. } = verify {
                *secret = SecretReference::File(path.clone());
            }
        }
        if let Some(callback) = &mut rule.policy.callback {
            callback.sign = SecretReference::File(path.clone());
        }
    }
    Ok(bot)
}

fn write_secret(path: &Path) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text("right").as_bytes())
}

/// A secret of a form that every scheme takes.
fn text(seed: &str) -> String {
    format!("whsec_{}", STANDARD.encode(Sha256::digest(seed)))
}

impl Stage<'_> {
    /// Posts a body to a rule's webhook and looks at the status.
    pub(super) async fn post(
        &mut self,
        rule: &str,
        body: &serde_json::Value,
        (signed, answer): (bool, Option<u16>),
    ) -> Result<(), Broken> {
        let running = self.running()?;
        let gone = || Broken::Step(format!("the bot has no webhook of rule `{rule}` now"));
        let webhook = running
            .bot
            .rules
            .get(rule)
            .and_then(|rule| webhook(&rule.triggers));
        let webhook = webhook.ok_or_else(gone)?;
        self.count += 1;
        let url = format!(
            "{}/hooks/{}/{}",
            self.ground().api,
            running.bot.name,
            webhook.path
        );
        let failed = |error: fetch::Error| Broken::Machine(format!("the webhook: {error}"));
        let body = body.to_string().into_bytes();
        let mut request =
            fetch::Request::post(&url, "application/json", body.clone().into()).map_err(failed)?;
        if let Verify::Secret { scheme, .. } = &webhook.verify {
            let secret = SecretString::from(text(if signed { "right" } else { "wrong" }));
            let id = format!("delivery-{}", self.count);
            let headers = scheme.sign(&secret, (&id, &body), running.now());
            let headers = headers.map_err(|error| Broken::Machine(error.to_string()))?;
            for (name, value) in headers {
                request = request.header(&name, &value).map_err(failed)?;
            }
        }
        let answered = self.ground().fetch.send(request).await.map_err(failed)?;
        self.settle().await?;
        let is_wanted = match answer {
            Some(status) => answered.status == status,
            None => (200..=299).contains(&answered.status),
        };
        if is_wanted {
            return Ok(());
        }
        let wanted = answer.map_or_else(|| "200 to 299".to_owned(), |status| status.to_string());
        let said = String::from_utf8_lossy(&answered.body).into_owned();
        Err(Broken::Step(format!(
            "the webhook answered {}, expected {wanted}: {said}",
            answered.status
        )))
    }
}

fn webhook(triggers: &[Trigger]) -> Option<&Webhook> {
    triggers.iter().find_map(|trigger| match trigger {
        Trigger::Webhook(webhook) => Some(&**webhook),
        _ => None,
    })
}
