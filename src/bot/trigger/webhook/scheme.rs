//! What each sender signs: the bytes, the header, the spelling of the signature.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

mod sign;

use super::{Error, LONGEST_ID, Request};

/// Senders differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a sender does with the shared secret. A tolerance is how far its clock may be from ours, in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// The Standard Webhooks specification, version 1: `webhook-signature` over `id.timestamp.body`. The id is `webhook-id`.
    StandardWebhooks {
        /// The tolerance.
        tolerance: Duration,
    },
    /// GitHub: `X-Hub-Signature-256` over the body. The id is `X-GitHub-Delivery`.
    GitHub,
    /// Stripe: `Stripe-Signature` with `t` and one or more `v1` over `t.body`. The id is the body's `id`.
    Stripe {
        /// The tolerance.
        tolerance: Duration,
    },
    /// Slack: `X-Slack-Signature` over `v0:timestamp:body`.
    Slack {
        /// The tolerance.
        tolerance: Duration,
    },
    /// HMAC-SHA256 over the body.
    HmacSha256 {
        /// The header of the signature, lower case.
        header: String,
        /// How it is written; `sha256=` may stand before it.
        encoding: Encoding,
    },
    /// The secret itself in `Authorization: Bearer`.
    Bearer,
}

/// How a signature's bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// In any case.
    Hex,
    /// With or without padding.
    Base64,
}

impl Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => const_hex::decode(text).ok(),
            Self::Base64 => BASE64.decode(text).ok(),
        }
    }
}

impl Scheme {
    /// The header that carries what proves the sender, lower case: nobody's business later on.
    pub fn header(&self) -> &str {
        match self {
            Self::StandardWebhooks { .. } => "webhook-signature",
            Self::GitHub => "x-hub-signature-256",
            Self::Stripe { .. } => "stripe-signature",
            Self::Slack { .. } => "x-slack-signature",
            Self::HmacSha256 { header, .. } => header,
            Self::Bearer => "authorization",
        }
    }

    /// Checks a request; gives the delivery's own id where there is one.
    pub(super) fn verify(
        &self,
        request: &Request<'_>,
        secret: &SecretString,
    ) -> Result<Option<String>, Error> {
        match self {
            Self::StandardWebhooks { tolerance } => standard(request, secret, *tolerance).map(Some),
            Self::GitHub => {
                let signature = wanted(request, self.header())?;
                let signed = keyed(secret, &[request.body])?;
                let matches = hex_after("sha256=", signature).is_some_and(|signature| signed.is(&signature));
                if matches {
                    delivery_id(request, "x-github-delivery")
                } else {
                    Err(Error::Signature(self.header().to_owned()))
                }
            }
            Self::Stripe { tolerance } => stripe(request, secret, *tolerance),
            Self::Slack { tolerance } => slack(request, secret, *tolerance).map(|()| None),
            Self::HmacSha256 { header, encoding } => {
                let signature = wanted(request, header)?;
                let signature = signature.strip_prefix("sha256=").unwrap_or(signature);
                let signed = keyed(secret, &[request.body])?;
                let matches = encoding
                    .decode(signature)
                    .is_some_and(|signature| signed.is(&signature));
                if matches {
                    Ok(None)
                } else {
                    Err(Error::Signature(header.clone()))
                }
            }
            Self::Bearer => {
                let shown = (request.header)(self.header()).and_then(|shown| shown.strip_prefix("Bearer "));
                let shown = shown.unwrap_or_default().trim();
                let same = secret.expose_secret().as_bytes().ct_eq(shown.as_bytes());
                if bool::from(same) {
                    Ok(None)
                } else {
                    Err(Error::Token)
                }
            }
        }
    }
}

fn standard(request: &Request<'_>, secret: &SecretString, tolerance: Duration) -> Result<String, Error> {
    let id = wanted(request, "webhook-id")?;
    let timestamp = wanted(request, "webhook-timestamp")?;
    let signatures = wanted(request, "webhook-signature")?;
    if id.len() > LONGEST_ID {
        return Err(Error::Id("webhook-id"));
    }
    let sent = seconds(timestamp, "webhook-timestamp")?;
    let key = standard_key(secret)?;
    let signed = Signed::of(
        &key,
        &[id.as_bytes(), b".", timestamp.as_bytes(), b".", request.body],
    )?;
    let matches = signatures
        .split_ascii_whitespace()
        .filter_map(|signature| signature.strip_prefix("v1,"))
        .filter_map(|encoded| BASE64.decode(encoded).ok())
        .any(|signature| signed.is(&signature));
    if !matches {
        return Err(Error::Signature("webhook-signature".to_owned()));
    }
    recent(request, sent, tolerance)?;
    Ok(id.to_owned())
}

/// The key inside a secret: `whsec_` and base64, or base64 alone.
fn standard_key(secret: &SecretString) -> Result<Zeroizing<Vec<u8>>, Error> {
    let text = secret.expose_secret().trim();
    let encoded = text.strip_prefix("whsec_").unwrap_or(text);
    let key = Zeroizing::new(BASE64.decode(encoded).map_err(|_| Error::Secret)?);
    if key.is_empty() {
        Err(Error::Secret)
    } else {
        Ok(key)
    }
}

fn stripe(
    request: &Request<'_>,
    secret: &SecretString,
    tolerance: Duration,
) -> Result<Option<String>, Error> {
    const HEADER: &str = "stripe-signature";
    let header = wanted(request, HEADER)?;
    let pairs = || header.split(',').filter_map(|pair| pair.trim().split_once('='));
    let timestamp = pairs().find(|(key, _)| *key == "t");
    let (_, timestamp) = timestamp.ok_or(Error::Timestamp(HEADER))?;
    let sent = seconds(timestamp, HEADER)?;
    let signed = keyed(secret, &[timestamp.as_bytes(), b".", request.body])?;
    let matches = pairs()
        .filter(|(key, _)| *key == "v1")
        .filter_map(|(_, signature)| const_hex::decode(signature).ok())
        .any(|signature| signed.is(&signature));
    if !matches {
        return Err(Error::Signature(HEADER.to_owned()));
    }
    recent(request, sent, tolerance)?;
    Ok(body_id(request.body))
}

/// The `id` of a body; none where it is no text, or too long to keep.
fn body_id(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Body {
        id: String,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    Some(body.id).filter(|id| !id.is_empty() && id.len() <= LONGEST_ID)
}

fn slack(request: &Request<'_>, secret: &SecretString, tolerance: Duration) -> Result<(), Error> {
    const TIMESTAMP: &str = "x-slack-request-timestamp";
    let timestamp = wanted(request, TIMESTAMP)?;
    let signature = wanted(request, "x-slack-signature")?;
    let sent = seconds(timestamp, TIMESTAMP)?;
    let signed = keyed(secret, &[b"v0:", timestamp.as_bytes(), b":", request.body])?;
    let matches = hex_after("v0=", signature).is_some_and(|signature| signed.is(&signature));
    if !matches {
        return Err(Error::Signature("x-slack-signature".to_owned()));
    }
    recent(request, sent, tolerance)
}

fn hex_after(prefix: &str, signature: &str) -> Option<Vec<u8>> {
    const_hex::decode(signature.strip_prefix(prefix)?).ok()
}

/// A header that must be there and say something.
fn wanted<'a>(request: &Request<'a>, name: &str) -> Result<&'a str, Error> {
    (request.header)(name)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Error::Missing(name.to_owned()))
}

/// The id that a header gives; none when there is no such header.
fn delivery_id(request: &Request<'_>, name: &'static str) -> Result<Option<String>, Error> {
    match (request.header)(name).filter(|id| !id.is_empty()) {
        Some(id) if id.len() > LONGEST_ID => Err(Error::Id(name)),
        id => Ok(id.map(ToOwned::to_owned)),
    }
}

fn seconds(text: &str, header: &'static str) -> Result<i64, Error> {
    text.parse()
        .ok()
        .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or(Error::Timestamp(header))
}

fn recent(request: &Request<'_>, sent: i64, tolerance: Duration) -> Result<(), Error> {
    let seconds = request.now.timestamp().abs_diff(sent);
    if seconds > tolerance.as_secs() {
        Err(Error::Stale { seconds })
    } else {
        Ok(())
    }
}

/// What a signature must be.
struct Signed(Hmac<Sha256>);

/// Over `parts`, with the secret's own text as the key.
fn keyed(secret: &SecretString, parts: &[&[u8]]) -> Result<Signed, Error> {
    Signed::of(secret.expose_secret().as_bytes(), parts)
}

impl Signed {
    fn of(key: &[u8], parts: &[&[u8]]) -> Result<Self, Error> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Error::Secret)?;
        for part in parts {
            mac.update(part);
        }
        Ok(Self(mac))
    }

    /// In constant time.
    fn is(&self, signature: &[u8]) -> bool {
        self.0.clone().verify_slice(signature).is_ok()
    }
}
