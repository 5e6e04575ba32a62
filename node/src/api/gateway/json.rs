//! The proto3 JSON mapping of the message API.
//!
//! Generated mappings do not fit here: clients need `"cursor":null` where there is none, and send `null` for what they leave
//! out. Out go camelCase names, every field, 64-bit numbers as strings and padded base64; in come both spellings of a name,
//! numbers as numbers or strings, enums by name or number, base64 in both alphabets, unknown fields (ignored).

use serde::Serialize;

use crate::api::status::{Error, INVALID_TOPIC};

mod answer;
mod question;
mod scalar;

pub(super) use answer::{Answer, StreamedEnvelope};
pub(crate) use question::Question;

/// Decodes the first JSON value; nothing at all is an empty message, and what follows the value is ignored.
pub(super) fn decode<Q: Question>(body: &[u8]) -> Result<Q, Error> {
    let text = if body.iter().all(u8::is_ascii_whitespace) {
        b"{}"
    } else {
        body
    };
    Q::from_json(&mut serde_json::Deserializer::from_slice(text)).map_err(|error| {
        let text = error.to_string();
        // The parser adds the place.
        Error::Malformed(if text.starts_with(INVALID_TOPIC) {
            INVALID_TOPIC.to_owned()
        } else {
            format!("invalid JSON: {text}")
        })
    })
}

/// Writes an answer.
pub(super) fn encode(answer: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(answer).map_err(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        Error::Panicked
    })
}
