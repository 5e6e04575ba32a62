//! Signs as a sender does, for whoever plays one.

use base64::Engine as _;
use chrono::{DateTime, Utc};
use hmac::Mac as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::{BASE64, Encoding, Error, Scheme, Signed, keyed, standard_key};

impl Scheme {
    /// The headers that a sender with the secret puts beside this body, names in lower case. Schemes whose deliveries have an
    /// id of their own in a header carry this one.
    ///
    /// # Errors
    /// The secret is none for this scheme.
    pub fn sign(
        &self,
        secret: &SecretString,
        (id, body): (&str, &[u8]),
        now: DateTime<Utc>,
    ) -> Result<Vec<(String, String)>, Error> {
        let seconds = now.timestamp().to_string();
        let header = self.header().to_owned();
        Ok(match self {
            Self::StandardWebhooks { .. } => {
                let parts = [id.as_bytes(), b".", seconds.as_bytes(), b".", body];
                let signed = Signed::of(&standard_key(secret)?, &parts)?;
                vec![
                    ("webhook-id".to_owned(), id.to_owned()),
                    ("webhook-timestamp".to_owned(), seconds),
                    (header, format!("v1,{}", BASE64.encode(bytes(signed)))),
                ]
            }
            Self::GitHub => vec![
                ("x-github-delivery".to_owned(), id.to_owned()),
                (header, format!("sha256={}", hex(keyed(secret, &[body])?))),
            ],
            Self::Stripe { .. } => {
                let signed = keyed(secret, &[seconds.as_bytes(), b".", body])?;
                vec![(header, format!("t={seconds},v1={}", hex(signed)))]
            }
            Self::Slack { .. } => {
                let signed = keyed(secret, &[b"v0:", seconds.as_bytes(), b":", body])?;
                vec![
                    ("x-slack-request-timestamp".to_owned(), seconds),
                    (header, format!("v0={}", hex(signed))),
                ]
            }
            Self::HmacSha256 { encoding, .. } => {
                let signed = keyed(secret, &[body])?;
                let text = match encoding {
                    Encoding::Hex => hex(signed),
                    Encoding::Base64 => BASE64.encode(bytes(signed)),
                };
                vec![(header, text)]
            }
            Self::Bearer => vec![(header, format!("Bearer {}", secret.expose_secret()))],
        })
    }
}

fn bytes(signed: Signed) -> Vec<u8> {
    signed.0.finalize().into_bytes().to_vec()
}

fn hex(signed: Signed) -> String {
    const_hex::encode(bytes(signed))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bot::trigger::webhook::Request;

    #[test]
    fn every_scheme_takes_what_it_signs_and_nothing_that_another_secret_signs() {
        let tolerance = Duration::from_mins(5);
        let schemes = [
            Scheme::StandardWebhooks { tolerance },
            Scheme::GitHub,
            Scheme::Stripe { tolerance },
            Scheme::Slack { tolerance },
            Scheme::HmacSha256 {
                header: "x-signature".to_owned(),
                encoding: Encoding::Hex,
            },
            Scheme::HmacSha256 {
                header: "x-signature".to_owned(),
                encoding: Encoding::Base64,
            },
            Scheme::Bearer,
        ];
        let secret = |byte: u8| SecretString::from(format!("whsec_{}", BASE64.encode([byte; 32])));
        let (now, body) = (DateTime::<Utc>::default() + tolerance, br#"{"id":"evt_1"}"#);
        for scheme in schemes {
            for (signer, taken) in [(1, true), (2, false)] {
                let headers = scheme.sign(&secret(signer), ("d1", body), now).unwrap();
                let header = |name: &str| {
                    let mut headers = headers.iter();
                    let found = headers.find(|(known, _)| known == name);
                    found.map(|(_, value)| value.as_str())
                };
                let request = Request {
                    header: &header,
                    body,
                    now,
                };
                let verified = scheme.verify(&request, &secret(1));
                assert_eq!(verified.is_ok(), taken, "{scheme:?}: {verified:?}");
            }
        }
    }
}
