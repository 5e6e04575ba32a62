//! Signed webhooks after the Standard Webhooks specification, version 1: HMAC-SHA256 over `id.timestamp.body`.
//!
//! Pure: headers, body, secret and the time of day enter; the proof leaves that a request is genuine, which nothing else can make.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The tolerance of a webhook that names none.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_mins(5);

/// The longest id that is kept; those of known senders are below 64 characters.
const LONGEST_ID: usize = 256;

/// Senders differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The three headers of a signed request, as they came.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignatureHeaders<'a> {
    /// `webhook-id`: the same for every try of one delivery.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`: Unix seconds of this try.
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`: one or more `v1,BASE64`, separated by spaces.
    pub signature: Option<&'a str>,
}

/// Proof that a request was signed with the secret, and recently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedWebhook {
    id: String,
}

impl VerifiedWebhook {
    /// Checks a request against the secret and the time of day.
    ///
    /// # Errors
    /// Who can fix it tells the variants of [`Error`] apart: `Secret` is the operator's, all others are the sender's.
    pub fn verify(
        headers: SignatureHeaders<'_>,
        body: &[u8],
        secret: &SecretString,
        tolerance: Duration,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let id = headers
            .id
            .filter(|id| !id.is_empty())
            .ok_or(Error::Missing("webhook-id"))?;
        let timestamp = headers.timestamp.ok_or(Error::Missing("webhook-timestamp"))?;
        let signatures = headers.signature.ok_or(Error::Missing("webhook-signature"))?;
        if id.len() > LONGEST_ID {
            return Err(Error::Id);
        }
        let sent: i64 = timestamp
            .parse()
            .ok()
            .filter(|_| timestamp.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or(Error::Timestamp)?;
        let key = signing_key(secret)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| Error::Secret)?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        let matches = signatures
            .split_ascii_whitespace()
            .filter_map(|signature| signature.strip_prefix("v1,"))
            .filter_map(|encoded| BASE64.decode(encoded).ok())
            // `verify_slice` compares in constant time.
            .any(|signature| mac.clone().verify_slice(&signature).is_ok());
        if !matches {
            return Err(Error::Signature);
        }
        let away = now.timestamp().abs_diff(sent);
        if away > tolerance.as_secs() {
            return Err(Error::Stale { seconds: away });
        }
        Ok(Self { id: id.to_owned() })
    }

    /// The delivery's id, the same on every redelivery.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The key inside a secret: `whsec_` and base64, or base64 alone.
fn signing_key(secret: &SecretString) -> Result<Zeroizing<Vec<u8>>, Error> {
    let text = secret.expose_secret().trim();
    let encoded = text.strip_prefix("whsec_").unwrap_or(text);
    let key = Zeroizing::new(BASE64.decode(encoded).map_err(|_| Error::Secret)?);
    if key.is_empty() {
        Err(Error::Secret)
    } else {
        Ok(key)
    }
}

/// Why a request is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A header is absent or empty.
    #[error("header `{0}` is missing")]
    Missing(&'static str),
    /// The id is too long to keep.
    #[error("expected a `webhook-id` of at most 256 bytes")]
    Id,
    /// The timestamp is not a number.
    #[error("expected Unix seconds in `webhook-timestamp`")]
    Timestamp,
    /// No signature fits.
    #[error("no signature in `webhook-signature` matches")]
    Signature,
    /// Signed, but too long ago or too far ahead.
    #[error("the request is {seconds} s away from the time here")]
    Stale {
        /// The distance of the two clocks.
        seconds: u64,
    },
    /// The configured secret is not base64.
    #[error("expected a webhook secret like `whsec_` and base64")]
    Secret,
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_TOLERANCE, Error, SignatureHeaders, VerifiedWebhook};
    use chrono::DateTime;
    use secrecy::SecretString;

    // The vector that the libraries of the specification share.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = b"{\"test\": 2432232314}";
    const SENT: i64 = 1_614_265_330;
    const HEADERS: SignatureHeaders<'static> = SignatureHeaders {
        id: Some("msg_p5jXN8AQM9LWM0D4loKWxJek"),
        timestamp: Some("1614265330"),
        signature: Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    };

    fn verify_with(
        headers: SignatureHeaders<'_>,
        body: &[u8],
        secret: &str,
        now: i64,
    ) -> Result<VerifiedWebhook, Error> {
        let now = DateTime::from_timestamp(now, 0).unwrap();
        VerifiedWebhook::verify(headers, body, &SecretString::from(secret), DEFAULT_TOLERANCE, now)
    }

    fn verify(headers: SignatureHeaders<'_>) -> Result<VerifiedWebhook, Error> {
        verify_with(headers, BODY, SECRET, SENT)
    }

    #[test]
    fn the_published_vector_verifies_with_and_without_the_prefix() {
        assert_eq!(verify(HEADERS).unwrap().id(), "msg_p5jXN8AQM9LWM0D4loKWxJek");
        let bare = SECRET.trim_start_matches("whsec_");
        assert!(verify_with(HEADERS, BODY, bare, SENT).is_ok());
    }

    #[test]
    fn one_fitting_signature_among_several_is_enough() {
        let several = "v1,AAAA v2,zzz v1,%%% v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert!(
            verify(SignatureHeaders {
                signature: Some(several),
                ..HEADERS
            })
            .is_ok()
        );
        for none in [
            "",
            "v1,",
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            "v1,g0hM",
        ] {
            let refused = verify(SignatureHeaders {
                signature: Some(none),
                ..HEADERS
            });
            assert_eq!(refused, Err(Error::Signature), "{none}");
        }
    }

    #[test]
    fn a_change_of_body_id_time_or_secret_breaks_the_signature() {
        assert_eq!(
            verify_with(HEADERS, b"{\"test\": 2432232315}", SECRET, SENT),
            Err(Error::Signature)
        );
        assert_eq!(
            verify(SignatureHeaders {
                id: Some("msg_other"),
                ..HEADERS
            }),
            Err(Error::Signature)
        );
        assert_eq!(
            verify(SignatureHeaders {
                timestamp: Some("1614265331"),
                ..HEADERS
            }),
            Err(Error::Signature)
        );
        assert_eq!(
            verify_with(HEADERS, BODY, "whsec_AAAA", SENT),
            Err(Error::Signature)
        );
    }

    #[test]
    fn a_request_beyond_the_tolerance_is_stale_in_both_directions() {
        assert!(verify_with(HEADERS, BODY, SECRET, SENT + 300).is_ok());
        assert!(verify_with(HEADERS, BODY, SECRET, SENT - 300).is_ok());
        assert_eq!(
            verify_with(HEADERS, BODY, SECRET, SENT + 301),
            Err(Error::Stale { seconds: 301 })
        );
        assert_eq!(
            verify_with(HEADERS, BODY, SECRET, SENT - 301),
            Err(Error::Stale { seconds: 301 })
        );
    }

    #[test]
    fn missing_and_malformed_headers_and_secrets_are_told_apart() {
        assert_eq!(
            verify(SignatureHeaders { id: None, ..HEADERS }),
            Err(Error::Missing("webhook-id"))
        );
        assert_eq!(
            verify(SignatureHeaders {
                id: Some(""),
                ..HEADERS
            }),
            Err(Error::Missing("webhook-id"))
        );
        assert_eq!(
            verify(SignatureHeaders {
                timestamp: None,
                ..HEADERS
            }),
            Err(Error::Missing("webhook-timestamp"))
        );
        assert_eq!(
            verify(SignatureHeaders {
                signature: None,
                ..HEADERS
            }),
            Err(Error::Missing("webhook-signature"))
        );
        for timestamp in [
            "",
            "soon",
            "+1614265330",
            "-1",
            "99999999999999999999",
            "1614265330.5",
        ] {
            assert_eq!(
                verify(SignatureHeaders {
                    timestamp: Some(timestamp),
                    ..HEADERS
                }),
                Err(Error::Timestamp)
            );
        }
        assert_eq!(
            verify(SignatureHeaders {
                id: Some(&"x".repeat(257)),
                ..HEADERS
            }),
            Err(Error::Id)
        );
        for secret in ["", "whsec_", "not base64!"] {
            assert_eq!(
                verify_with(HEADERS, BODY, secret, SENT),
                Err(Error::Secret),
                "{secret}"
            );
        }
    }
}
