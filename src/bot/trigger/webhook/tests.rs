use std::collections::BTreeMap;
use std::time::Duration;

use chrono::DateTime;
use secrecy::SecretString;

use super::{DEFAULT_TOLERANCE, Encoding, Error, Request, Scheme, VerifiedWebhook};

const STANDARD: Scheme = Scheme::StandardWebhooks {
    tolerance: DEFAULT_TOLERANCE,
};
const STRIPE: Scheme = Scheme::Stripe {
    tolerance: DEFAULT_TOLERANCE,
};
const SLACK: Scheme = Scheme::Slack {
    tolerance: DEFAULT_TOLERANCE,
};

/// A request that its scheme takes; a test changes what it wants to be wrong.
#[derive(Clone)]
struct Sent {
    scheme: Scheme,
    secret: String,
    headers: BTreeMap<&'static str, String>,
    body: Vec<u8>,
    now: i64,
}

impl Sent {
    fn new(scheme: Scheme, secret: &str, headers: &[(&'static str, &str)], body: &[u8], now: i64) -> Self {
        Self {
            scheme,
            secret: secret.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            body: body.to_owned(),
            now,
        }
    }

    fn verify(&self) -> Result<String, Error> {
        let request = Request {
            header: &|name| self.headers.get(name).map(String::as_str),
            body: &self.body,
            now: DateTime::from_timestamp(self.now, 0).unwrap(),
        };
        let secret = SecretString::from(self.secret.as_str());
        VerifiedWebhook::verify(&self.scheme, &request, &secret).map(|verified| verified.id().to_owned())
    }

    fn with(&self, header: &'static str, value: &str) -> Self {
        let mut sent = self.clone();
        sent.headers.insert(header, value.to_owned());
        sent
    }

    fn without(&self, header: &str) -> Self {
        let mut sent = self.clone();
        sent.headers.remove(header);
        sent
    }

    fn at(&self, now: i64) -> Self {
        Self { now, ..self.clone() }
    }

    fn said(&self, body: &[u8]) -> Self {
        Self {
            body: body.to_owned(),
            ..self.clone()
        }
    }

    fn keyed(&self, secret: &str) -> Self {
        Self {
            secret: secret.to_owned(),
            ..self.clone()
        }
    }
}

/// The vector that the libraries of the Standard Webhooks specification share.
fn standard() -> Sent {
    Sent::new(
        STANDARD,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            (
                "webhook-signature",
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ],
        b"{\"test\": 2432232314}",
        1_614_265_330,
    )
}

/// The vector of GitHub's documentation.
fn github() -> Sent {
    Sent::new(
        Scheme::GitHub,
        "It's a Secret to Everybody",
        &[
            ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
            (
                "x-hub-signature-256",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            ),
        ],
        b"Hello, World!",
        0,
    )
}

/// Stripe publishes no vector: this one was computed by another implementation of HMAC.
fn stripe() -> Sent {
    Sent::new(
        STRIPE,
        "whsec_test_secret",
        &[(
            "stripe-signature",
            "t=1614265330,v1=a77f58ed88dac6c2cb9d24f149d7424c41f234b3beb04e25d9492b330816350e,v0=00",
        )],
        b"{\"id\":\"evt_1\",\"type\":\"charge.succeeded\"}",
        1_614_265_330,
    )
}

/// The vector of Slack's documentation.
fn slack() -> Sent {
    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
        channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=\
        https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
        trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    Sent::new(
        SLACK,
        "8f742231b10e8888abcd99yyyzzz85a5",
        &[
            ("x-slack-request-timestamp", "1531420618"),
            (
                "x-slack-signature",
                "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            ),
        ],
        body,
        1_531_420_618,
    )
}

/// Computed by another implementation of HMAC, over `{}` with the key `key`.
fn plain(encoding: Encoding) -> Sent {
    let signature = match encoding {
        Encoding::Hex => "a777724d943eb48dc69bca8a4a6d57a04db3f9ec7e1de4e581e860265bdf3032",
        Encoding::Base64 => "p3dyTZQ+tI3Gm8qKSm1XoE2z+ex+HeTlgehgJlvfMDI=",
    };
    let scheme = Scheme::HmacSha256 {
        header: "x-signature".to_owned(),
        encoding,
    };
    Sent::new(scheme, "key", &[("x-signature", signature)], b"{}", 0)
}

fn bearer() -> Sent {
    Sent::new(
        Scheme::Bearer,
        "a token",
        &[("authorization", "Bearer a token")],
        b"{}",
        0,
    )
}

fn all() -> Vec<Sent> {
    let (hex, base64) = (plain(Encoding::Hex), plain(Encoding::Base64));
    vec![standard(), github(), stripe(), slack(), hex, base64, bearer()]
}

#[test]
fn every_scheme_takes_its_vector_and_knows_the_id_of_the_delivery() {
    let of_braces = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let ids = [
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "evt_1",
        // Without an id of its own: the SHA-256 of the body.
        "390eeeff8d0cb7c9f6ecf8a88c3df6452fea0914eb02f64844369f3758d8d330",
        of_braces,
        of_braces,
        of_braces,
    ];
    let found: Vec<_> = all().iter().map(Sent::verify).collect();
    assert_eq!(found, ids.map(|id| Ok(id.to_owned())));
}

#[test]
fn a_change_of_body_or_secret_and_a_missing_header_are_refused_by_every_scheme() {
    for sent in all() {
        let scheme = &sent.scheme;
        let other_secret = if *scheme == STANDARD {
            "whsec_AAAA"
        } else {
            "other"
        };
        assert!(sent.keyed(other_secret).verify().is_err(), "{scheme:?}");
        if *scheme != Scheme::Bearer {
            let mut body = sent.body.clone();
            body[0] ^= 1;
            assert!(sent.said(&body).verify().is_err(), "{scheme:?}");
        }
        for header in sent
            .headers
            .keys()
            .filter(|header| **header != "x-github-delivery")
        {
            let refused = sent.without(header).verify();
            assert!(refused.is_err(), "{scheme:?} without {header}: {refused:?}");
            assert!(
                sent.with(header, "").verify().is_err(),
                "{scheme:?} empty {header}"
            );
        }
    }
}

#[test]
fn every_bit_of_a_signature_counts() {
    for sent in all() {
        let header = match &sent.scheme {
            Scheme::HmacSha256 { .. } => "x-signature",
            scheme => match scheme.header() {
                "webhook-signature" => "webhook-signature",
                "x-hub-signature-256" => "x-hub-signature-256",
                "x-slack-signature" => "x-slack-signature",
                // The signatures of Stripe stand among others, and a token is no signature.
                _ => continue,
            },
        };
        let written = sent.headers[header].clone();
        for at in 0..written.len() {
            let mut changed: Vec<u8> = written.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            // The last digit of base64 carries bits that belong to no byte.
            if changed != written && !written.ends_with('=') | (at + 1 < written.len()) {
                assert!(
                    sent.with(header, &changed).verify().is_err(),
                    "{header}: {changed}"
                );
            }
        }
    }
}

#[test]
fn a_request_beyond_the_tolerance_is_stale_in_both_directions() {
    for sent in [standard(), stripe(), slack()] {
        for away in [300, -300] {
            assert!(sent.at(sent.now + away).verify().is_ok(), "{:?}", sent.scheme);
        }
        for away in [301, -301] {
            let stale = Err(Error::Stale { seconds: 301 });
            assert_eq!(sent.at(sent.now + away).verify(), stale, "{:?}", sent.scheme);
        }
    }
    let mut short = standard();
    short.scheme = Scheme::StandardWebhooks {
        tolerance: Duration::from_mins(1),
    };
    assert!(short.at(short.now + 60).verify().is_ok());
    assert!(short.at(short.now + 61).verify().is_err());
}

#[test]
fn one_fitting_signature_among_several_is_enough() {
    let sent = standard();
    let several = "v1,AAAA v2,zzz v1,%%% v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert!(sent.with("webhook-signature", several).verify().is_ok());
    for none in [
        "v1,",
        "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "v1,g0hM",
    ] {
        let refused = sent.with("webhook-signature", none).verify();
        assert_eq!(
            refused,
            Err(Error::Signature("webhook-signature".to_owned())),
            "{none}"
        );
    }
    let sent = stripe();
    let right = "a77f58ed88dac6c2cb9d24f149d7424c41f234b3beb04e25d9492b330816350e";
    let header = |text: &str| sent.with("stripe-signature", text).verify();
    assert!(header(&format!("t=1614265330,v1=00,v1=zz, v1={right}")).is_ok());
    for refused in [
        format!("t=1614265330,v0={right}"),
        format!("t=1614265330,v1={}", right.trim_start_matches("a7")),
        format!("t=1614265331,v1={right}"),
        format!("t=1614265331,t=1614265330,v1={right}"),
        format!("v1={right}"),
        "t=1614265330".to_owned(),
        right.to_owned(),
    ] {
        assert!(header(&refused).is_err(), "{refused}");
    }
}

#[test]
fn the_spellings_that_senders_use_are_taken_and_no_others() {
    let bare = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert!(standard().keyed(bare).verify().is_ok());
    for sent in [plain(Encoding::Hex), plain(Encoding::Base64)] {
        let prefixed = format!("sha256={}", sent.headers["x-signature"]);
        assert!(sent.with("x-signature", &prefixed).verify().is_ok());
    }
    let padless = plain(Encoding::Base64).headers["x-signature"]
        .trim_end_matches('=')
        .to_owned();
    assert!(
        plain(Encoding::Base64)
            .with("x-signature", &padless)
            .verify()
            .is_ok()
    );
    let upper = plain(Encoding::Hex).headers["x-signature"].to_uppercase();
    assert!(plain(Encoding::Hex).with("x-signature", &upper).verify().is_ok());
    let other = plain(Encoding::Base64).headers["x-signature"].clone();
    assert!(plain(Encoding::Hex).with("x-signature", &other).verify().is_err());
    // The old SHA-1 of GitHub, and a signature without its name.
    for bad in [
        "sha1=757107",
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    ] {
        assert!(github().with("x-hub-signature-256", bad).verify().is_err());
    }
    for bad in [
        "a token",
        "bearer a token",
        "Bearer a token2",
        "Bearer",
        "Basic a token",
    ] {
        assert_eq!(
            bearer().with("authorization", bad).verify(),
            Err(Error::Token),
            "{bad}"
        );
    }
}

#[test]
fn an_id_that_is_absent_or_too_long_to_keep_is_the_digest_or_a_refusal() {
    let digest = github().without("x-github-delivery").verify().unwrap();
    assert_eq!(digest.len(), 64);
    let long = "x".repeat(257);
    let sent = github().with("x-github-delivery", &long);
    assert_eq!(sent.verify(), Err(Error::Id("x-github-delivery")));
    assert_eq!(
        standard().with("webhook-id", &long).verify(),
        Err(Error::Id("webhook-id"))
    );
}

#[test]
fn malformed_times_and_secrets_are_told_apart() {
    for timestamp in [
        "soon",
        "+1614265330",
        "-1",
        "99999999999999999999",
        "1614265330.5",
    ] {
        let refused = standard().with("webhook-timestamp", timestamp).verify();
        assert_eq!(refused, Err(Error::Timestamp("webhook-timestamp")), "{timestamp}");
        let refused = slack().with("x-slack-request-timestamp", timestamp).verify();
        assert_eq!(
            refused,
            Err(Error::Timestamp("x-slack-request-timestamp")),
            "{timestamp}"
        );
    }
    for secret in ["", "whsec_", "not base64!"] {
        assert_eq!(standard().keyed(secret).verify(), Err(Error::Secret), "{secret}");
    }
}
