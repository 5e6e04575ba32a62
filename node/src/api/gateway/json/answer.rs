//! Answers, from protobuf to JSON.

use herald_protocol::proto::api::{self, cursor};
use serde::Serialize;

use super::{
    encode,
    scalar::{as_base64, as_text},
};
use crate::api::status::Error;

/// An answer, and how JSON writes it.
pub(in super::super) trait Answer: prost::Message {
    fn to_json(&self) -> Result<Vec<u8>, Error>;
}

impl Answer for api::PublishResponse {
    fn to_json(&self) -> Result<Vec<u8>, Error> {
        Ok(b"{}".to_vec())
    }
}

impl Answer for api::QueryResponse {
    fn to_json(&self) -> Result<Vec<u8>, Error> {
        encode(&QueryResponse::from(self))
    }
}

impl Answer for api::BatchQueryResponse {
    fn to_json(&self) -> Result<Vec<u8>, Error> {
        encode(&BatchQueryResponse::from(self))
    }
}

/// One page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct QueryResponse<'a> {
    envelopes: Vec<Envelope<'a>>,
    paging_info: Option<PagingInfo<'a>>,
}

/// The pages of a batch, in the order of its queries.
#[derive(Debug, Serialize)]
struct BatchQueryResponse<'a> {
    responses: Vec<QueryResponse<'a>>,
}

/// One line of a stream.
#[derive(Debug, Serialize)]
pub(in super::super) struct StreamedEnvelope<'a> {
    result: Envelope<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    content_topic: &'a str,
    #[serde(serialize_with = "as_text")]
    timestamp_ns: u64,
    #[serde(serialize_with = "as_base64")]
    message: &'a [u8],
}

#[derive(Debug, Serialize)]
struct PagingInfo<'a> {
    limit: u32,
    /// `null` when there is none: clients stop paging at it.
    cursor: Option<Cursor<'a>>,
    direction: &'static str,
}

#[derive(Debug, Serialize)]
struct Cursor<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<IndexCursor<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct IndexCursor<'a> {
    #[serde(serialize_with = "as_base64")]
    digest: &'a [u8],
    #[serde(serialize_with = "as_text")]
    sender_time_ns: u64,
}

impl<'a> StreamedEnvelope<'a> {
    pub(in super::super) fn new(envelope: &'a api::Envelope) -> Self {
        Self {
            result: envelope.into(),
        }
    }
}

impl<'a> From<&'a api::Envelope> for Envelope<'a> {
    fn from(envelope: &'a api::Envelope) -> Self {
        Self {
            content_topic: &envelope.content_topic,
            timestamp_ns: envelope.timestamp_ns,
            message: &envelope.message,
        }
    }
}

impl<'a> From<&'a api::QueryResponse> for QueryResponse<'a> {
    fn from(page: &'a api::QueryResponse) -> Self {
        Self {
            envelopes: page.envelopes.iter().map(Into::into).collect(),
            paging_info: page.paging_info.as_ref().map(Into::into),
        }
    }
}

impl<'a> From<&'a api::BatchQueryResponse> for BatchQueryResponse<'a> {
    fn from(pages: &'a api::BatchQueryResponse) -> Self {
        Self {
            responses: pages.responses.iter().map(Into::into).collect(),
        }
    }
}

impl<'a> From<&'a api::PagingInfo> for PagingInfo<'a> {
    fn from(paging: &'a api::PagingInfo) -> Self {
        let index = |cursor: &'a cursor::Cursor| {
            let cursor::Cursor::Index(index) = cursor;
            IndexCursor {
                digest: &index.digest,
                sender_time_ns: index.sender_time_ns,
            }
        };
        Self {
            limit: paging.limit,
            cursor: paging.cursor.as_ref().map(|cursor| Cursor {
                index: cursor.cursor.as_ref().map(index),
            }),
            direction: paging.direction().as_str_name(),
        }
    }
}
