//! The proto3 JSON mapping of the message API.
//!
//! Generated mappings do not fit here: clients need `"cursor":null` where there is none, and send `null` for what they leave
//! out. Out go camelCase names, every field, 64-bit numbers as strings and padded base64; in come both spellings of a name,
//! numbers as numbers or strings, enums by name or number, base64 in both alphabets, unknown fields (ignored).

use serde::de::DeserializeOwned;

use crate::api::status::Error;

mod answer;
mod question;
mod scalar;

pub(super) use answer::{BatchQueryResponse, PublishResponse, QueryResponse, StreamedEnvelope};
pub(super) use question::{
    BatchQueryRequest, PublishRequest, QueryRequest, SubscribeAllRequest, SubscribeRequest,
};

/// Decodes the first JSON value; nothing at all is an empty message, and what follows the value is ignored.
pub(super) fn decode<Q: DeserializeOwned>(body: &[u8]) -> Result<Q, Error> {
    let text = if body.iter().all(u8::is_ascii_whitespace) {
        b"{}"
    } else {
        body
    };
    Q::deserialize(&mut serde_json::Deserializer::from_slice(text))
        .map_err(|error| Error::Malformed(format!("invalid JSON: {error}")))
}
