//! Webhooks: how a request is checked, and what its sender is answered.
//!
//! Pure: headers, body, secret and the time of day enter; the proof leaves that a request is genuine, which nothing else can make.
//! It holds the occurrence's id: the delivery's own where the scheme has one, else the SHA-256 of the body.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::bot::config::SecretReference;
use crate::bot::expression::{EvaluationError, Expression, Scope, Type};

/// The schemes: which headers, which bytes are signed, how.
mod scheme;

pub use scheme::{Encoding, Scheme};

/// The tolerance of a webhook that names none.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_mins(5);

/// The longest id that is kept, in bytes; those of known senders are below 64 characters.
const LONGEST_ID: usize = 256;

/// A webhook as a bot's file declares it.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The part of the URL after `/hooks/BOT/`, without a leading slash; unique among a bot's webhooks.
    pub path: String,
    /// How requests are checked.
    pub verify: Verify,
    /// The record that the body must be; `None` takes any JSON.
    pub body: Option<Type>,
    /// What is answered instead of herald's own words.
    pub answer: Option<Answer>,
}

/// How requests are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verify {
    /// Not at all: whoever knows the address makes the rule fire.
    Nothing,
    /// By a secret that the sender shares.
    Secret {
        /// What the sender does with it.
        scheme: Scheme,
        /// Where it is found.
        secret: SecretReference,
    },
}

/// An `answer`, given once the occurrence is recorded.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 200 to 299.
    pub status: u16,
    /// The body's fields; `None` answers as a webhook without `answer` does.
    pub json: Option<AnswerFields>,
}

/// Fields of an answer, in the order of the file.
pub type AnswerFields = Vec<(String, AnswerField)>;

/// The value of a field of an answer.
#[derive(Debug, Clone)]
pub enum AnswerField {
    /// Its value.
    Value(Expression),
    /// A record.
    Record(AnswerFields),
}

impl Answer {
    /// The body as JSON; none when the file says nothing of it.
    ///
    /// # Errors
    /// An expression has no value for this request.
    pub fn body(&self, scope: &Scope) -> Result<Option<serde_json::Value>, EvaluationError> {
        self.json.as_ref().map(|fields| record(fields, scope)).transpose()
    }
}

fn record(fields: &AnswerFields, scope: &Scope) -> Result<serde_json::Value, EvaluationError> {
    let mut json = serde_json::Map::new();
    for (name, field) in fields {
        let value = match field {
            AnswerField::Value(expression) => expression.evaluate(scope)?.to_json(),
            AnswerField::Record(fields) => record(fields, scope)?,
        };
        json.insert(name.clone(), value);
    }
    Ok(json.into())
}

/// A request as it came.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Finds a header by its lower-case name; none where it is absent or not ASCII.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The body's bytes.
    pub body: &'a [u8],
    /// The time here.
    pub now: DateTime<Utc>,
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("body", &self.body.len())
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Proof that a request is what its webhook asks for: signed with the secret, and recently where the scheme has a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedWebhook {
    id: String,
}

impl VerifiedWebhook {
    /// Takes a request of a webhook that checks nothing.
    pub fn unchecked(request: &Request<'_>) -> Self {
        Self {
            id: digest(request.body),
        }
    }

    /// Checks a request against the secret and the time of day.
    ///
    /// # Errors
    /// Who can fix it tells the variants of [`Error`] apart: `Secret` is the operator's, all others are the sender's.
    pub fn verify(scheme: &Scheme, request: &Request<'_>, secret: &SecretString) -> Result<Self, Error> {
        let id = scheme.verify(request, secret)?;
        Ok(Self {
            id: id.unwrap_or_else(|| digest(request.body)),
        })
    }

    /// The delivery's id, the same on every redelivery.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The id of a delivery that has none of its own.
fn digest(body: &[u8]) -> String {
    const_hex::encode(Sha256::digest(body))
}

/// Why a request is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A header is absent or empty.
    #[error("header `{0}` is missing")]
    Missing(String),
    /// The id is too long to keep.
    #[error("expected an id of at most 256 bytes in `{0}`")]
    Id(&'static str),
    /// The timestamp is not a number.
    #[error("expected Unix seconds in `{0}`")]
    Timestamp(&'static str),
    /// No signature fits.
    #[error("no signature in `{0}` matches")]
    Signature(String),
    /// The shown token is not the secret.
    #[error("expected `Authorization: Bearer` with the webhook's token")]
    Token,
    /// Signed, but too long ago or too far ahead.
    #[error("the request is {seconds} s away from the time here")]
    Stale {
        /// The distance of the two clocks.
        seconds: u64,
    },
    /// The configured secret is not what the scheme signs with.
    #[error("expected a webhook secret like `whsec_` and base64")]
    Secret,
}

#[cfg(test)]
mod tests;
