//! One try of a callback: signed, posted, and what its answer means. In tests of a bot it is answered as they say, and never leaves.

use std::time::Duration;

use super::callback_of;
use crate::{
    bot::{
        config::Callback,
        running::Running,
        store,
        trigger::webhook::{DEFAULT_TOLERANCE, Scheme},
    },
    fetch::{self, Request},
};

/// Why a try failed.
pub(super) enum Failed {
    /// Another may help, not before this.
    Yet(String, Option<Duration>),
    /// None will.
    Never(String),
}

/// Posts a callback, signed.
pub(super) async fn post(running: &Running, callback: &store::Callback) -> Result<(), Failed> {
    let request = signed(running, callback).await?;
    let (status, retry_after) = match running.answers.callback(&callback.rule) {
        Some(given) => (given, None),
        None => match running.fetch.send(request).await {
            Ok(answer) => (answer.status, answer.retry_after),
            Err(error @ (fetch::Error::Refused { .. } | fetch::Error::Request { .. })) => {
                return Err(Failed::Never(error.to_string()));
            }
            Err(error) => return Err(Failed::Yet(error.to_string(), None)),
        },
    };
    match status {
        200..300 => Ok(()),
        410 => Err(Failed::Never("it was answered with 410: gone".to_owned())),
        _ => {
            let reason = format!("it was answered with {status}, wanted 200 to 299");
            Err(Failed::Yet(reason, retry_after))
        }
    }
}

/// The request of one try.
async fn signed(running: &Running, callback: &store::Callback) -> Result<Request, Failed> {
    let Some((Callback { url, sign, .. }, _)) = callback_of(running, &callback.rule) else {
        return Err(Failed::Never("the rule has no `callback` now".to_owned()));
    };
    let (reference, folder) = (sign.clone(), running.bot.folder().to_owned());
    // A command may take its time.
    let secret = tokio::task::spawn_blocking(move || reference.resolve(&folder)).await;
    let secret = match secret {
        Ok(Ok(secret)) => secret,
        Ok(Err(error)) => return Err(Failed::Yet(format!("`sign`: {error}"), None)),
        Err(_) => return Err(Failed::Yet("`sign` could not be read".to_owned(), None)),
    };
    let scheme = Scheme::StandardWebhooks {
        tolerance: DEFAULT_TOLERANCE,
    };
    let headers = scheme.sign(
        &secret,
        (&callback.webhook, callback.body.as_bytes()),
        running.now(),
    );
    let headers = headers.map_err(|error| Failed::Yet(format!("`sign`: {error}"), None))?;
    let never = |error: fetch::Error| Failed::Never(error.to_string());
    let body = callback.body.clone().into_bytes().into();
    let mut request = Request::post(url, "application/json", body)
        .map_err(never)?
        .within(WITHIN)
        .status_only();
    for (name, value) in headers {
        request = request.header(&name, &value).map_err(never)?;
    }
    Ok(request)
}

/// Time for an answer. Ours: what a receiver does with it is not waited for by good ones.
const WITHIN: Duration = Duration::from_secs(15);
