//! How requests and answers are written: as JSON, or as binary protobuf.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, header};
use tonic::Code;

use super::{
    json::{self, Answer, Question},
    set, with_body,
};
use crate::api::status::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Whatever the content type says that is not the other.
    Json,
    Protobuf,
}

impl Form {
    pub(super) fn of_request(headers: &HeaderMap) -> Self {
        let media = headers.get(header::CONTENT_TYPE).and_then(|media| {
            let media = media.to_str().ok()?;
            Some(media.split(';').next().unwrap_or_default().trim())
        });
        Self::of(media.is_some_and(|media| media.eq_ignore_ascii_case(PROTOBUF)))
    }

    /// As the request, or as asked for in so many words.
    pub(super) fn of_answer(asked_in: Self, headers: &HeaderMap) -> Self {
        let wanted = headers
            .get_all(header::ACCEPT)
            .iter()
            .any(|accepted| accepted == PROTOBUF);
        Self::of(wanted || asked_in == Self::Protobuf)
    }

    fn of(protobuf: bool) -> Self {
        if protobuf { Self::Protobuf } else { Self::Json }
    }

    pub(crate) fn decode<Q: Question>(self, body: Bytes) -> Result<Q, Error> {
        match self {
            Self::Json => json::decode(&body),
            Self::Protobuf => Q::decode(body).map_err(|error| Error::undecodable(&error.to_string())),
        }
    }

    pub(super) fn answer(self, answer: &impl Answer) -> Result<Response, Error> {
        match self {
            Self::Json => Ok(with_body(Code::Ok, Body::from(answer.to_json()?))),
            Self::Protobuf => {
                let mut response = Response::new(Body::from(answer.encode_to_vec()));
                set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
                Ok(response)
            }
        }
    }
}

const PROTOBUF: &str = "application/x-protobuf";
