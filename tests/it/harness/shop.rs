//! A shop's backend: signs requests as the Standard Webhooks specification says.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Response;
use sha2::Sha256;

use super::{house::Herald, people::now, web::http};

/// Who knows the secret of a webhook.
pub(crate) struct Shop {
    url: String,
}

/// The secret both sides know, as text for herald.
pub(crate) fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(SECRET))
}

pub(crate) const SECRET: &[u8] = b"the secret of the shop, 24+ bytes";

/// A request before it is sent; a test changes what it wants to be wrong.
pub(crate) struct Signed {
    pub(crate) id: String,
    pub(crate) timestamp: u64,
    pub(crate) body: String,
    pub(crate) signature: String,
}

impl Signed {
    pub(crate) fn new(id: &str, body: impl Into<String>) -> Self {
        Self::at(id, body, now().as_seconds())
    }

    pub(crate) fn at(id: &str, body: impl Into<String>, timestamp: u64) -> Self {
        let body = body.into();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        Self {
            id: id.to_owned(),
            timestamp,
            body,
            signature: format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())),
        }
    }
}

impl Shop {
    /// The shop that calls the webhook of `BOT/RULE`.
    pub(crate) fn of(herald: &Herald, rule: &str) -> Self {
        Self::of_event(herald.ready(), rule)
    }

    pub(crate) fn of_event(ready: &serde_json::Value, rule: &str) -> Self {
        let url = ready["webhooks"][rule].as_str().unwrap();
        Self { url: url.to_owned() }
    }

    pub(crate) async fn post(&self, request: Signed) -> Response {
        let post = http()
            .post(&self.url)
            .header("webhook-id", request.id)
            .header("webhook-timestamp", request.timestamp.to_string())
            .header("webhook-signature", request.signature)
            .header("content-type", "application/json")
            .body(request.body);
        post.send().await.unwrap()
    }

    /// Posts a request that is taken, and gives the occurrence.
    pub(crate) async fn posts(&self, id: &str, body: &serde_json::Value) -> String {
        let answer = self.post(Signed::new(id, body.to_string())).await;
        assert_eq!(answer.status(), 202, "{:?}", answer.text().await);
        let answer: serde_json::Value = answer.json().await.unwrap();
        answer["occurrence"].as_str().unwrap().to_owned()
    }
}
