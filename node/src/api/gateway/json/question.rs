//! Requests, from JSON to protobuf.

use herald_protocol::proto::api::{self, cursor};
use serde::{Deserialize, Deserializer};

use super::scalar::{Base64, Direction, Message, Number, Topic, or_default};

/// A request, and how JSON writes it.
pub(crate) trait Question: prost::Message + Default + 'static {
    fn from_json<'de, D: Deserializer<'de>>(json: D) -> Result<Self, D::Error>;
}

macro_rules! questions {
    ($($name:ident reads $fields:ident;)*) => {$(
        impl Question for api::$name {
            fn from_json<'de, D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
                Ok(Message::<$fields>::deserialize(json)?.0.into())
            }
        }
    )*};
}

questions! {
    PublishRequest reads PublishFields;
    QueryRequest reads QueryFields;
    BatchQueryRequest reads BatchQueryFields;
    SubscribeRequest reads SubscribeFields;
    SubscribeAllRequest reads NoFields;
}

#[derive(Deserialize)]
struct PublishFields {
    #[serde(default, deserialize_with = "or_default")]
    envelopes: Vec<Message<EnvelopeFields>>,
}

#[derive(Deserialize)]
struct EnvelopeFields {
    #[serde(
        default,
        rename = "contentTopic",
        alias = "content_topic",
        deserialize_with = "or_default"
    )]
    content_topic: Topic,
    #[serde(
        default,
        rename = "timestampNs",
        alias = "timestamp_ns",
        deserialize_with = "or_default"
    )]
    timestamp_ns: Number,
    #[serde(default, deserialize_with = "or_default")]
    message: Base64,
}

#[derive(Deserialize)]
struct QueryFields {
    #[serde(
        default,
        rename = "contentTopics",
        alias = "content_topics",
        deserialize_with = "or_default"
    )]
    content_topics: Vec<Topic>,
    #[serde(
        default,
        rename = "startTimeNs",
        alias = "start_time_ns",
        deserialize_with = "or_default"
    )]
    start_time_ns: Number,
    #[serde(
        default,
        rename = "endTimeNs",
        alias = "end_time_ns",
        deserialize_with = "or_default"
    )]
    end_time_ns: Number,
    #[serde(default, rename = "pagingInfo", alias = "paging_info")]
    paging_info: Option<Message<PagingFields>>,
}

#[derive(Deserialize)]
struct PagingFields {
    #[serde(default, deserialize_with = "limit")]
    limit: u32,
    #[serde(default)]
    cursor: Option<Message<CursorFields>>,
    #[serde(default, deserialize_with = "or_default")]
    direction: Direction,
}

#[derive(Deserialize)]
struct CursorFields {
    #[serde(default)]
    index: Option<Message<IndexFields>>,
}

#[derive(Deserialize)]
struct IndexFields {
    #[serde(default, deserialize_with = "or_default")]
    digest: Base64,
    #[serde(
        default,
        rename = "senderTimeNs",
        alias = "sender_time_ns",
        deserialize_with = "or_default"
    )]
    sender_time_ns: Number,
}

#[derive(Deserialize)]
struct BatchQueryFields {
    #[serde(default, deserialize_with = "or_default")]
    requests: Vec<Message<QueryFields>>,
}

#[derive(Deserialize)]
struct SubscribeFields {
    #[serde(
        default,
        rename = "contentTopics",
        alias = "content_topics",
        deserialize_with = "or_default"
    )]
    content_topics: Vec<Topic>,
}

#[derive(Deserialize)]
struct NoFields {}

fn names(topics: Vec<Topic>) -> Vec<String> {
    topics.into_iter().map(|Topic(name)| name).collect()
}

fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let Number(limit) = or_default(deserializer)?;
    u32::try_from(limit).map_err(|_| serde::de::Error::custom(format!("`{limit}` is not a 32-bit number")))
}

impl From<PublishFields> for api::PublishRequest {
    fn from(fields: PublishFields) -> Self {
        let envelopes = fields
            .envelopes
            .into_iter()
            .map(|Message(envelope)| api::Envelope {
                content_topic: envelope.content_topic.0,
                timestamp_ns: envelope.timestamp_ns.0,
                message: envelope.message.0.into(),
            });
        Self {
            envelopes: envelopes.collect(),
        }
    }
}

impl From<QueryFields> for api::QueryRequest {
    fn from(fields: QueryFields) -> Self {
        Self {
            content_topics: names(fields.content_topics),
            start_time_ns: fields.start_time_ns.0,
            end_time_ns: fields.end_time_ns.0,
            paging_info: fields.paging_info.map(|Message(paging)| paging.into()),
        }
    }
}

impl From<PagingFields> for api::PagingInfo {
    fn from(fields: PagingFields) -> Self {
        let cursor = fields.cursor.map(|Message(cursor)| api::Cursor {
            cursor: cursor.index.map(|Message(index)| {
                cursor::Cursor::Index(api::IndexCursor {
                    digest: index.digest.0,
                    sender_time_ns: index.sender_time_ns.0,
                })
            }),
        });
        Self {
            limit: fields.limit,
            cursor,
            direction: fields.direction.0,
        }
    }
}

impl From<BatchQueryFields> for api::BatchQueryRequest {
    fn from(fields: BatchQueryFields) -> Self {
        Self {
            requests: fields
                .requests
                .into_iter()
                .map(|Message(query)| query.into())
                .collect(),
        }
    }
}

impl From<SubscribeFields> for api::SubscribeRequest {
    fn from(fields: SubscribeFields) -> Self {
        Self {
            content_topics: names(fields.content_topics),
        }
    }
}

impl From<NoFields> for api::SubscribeAllRequest {
    fn from(NoFields {}: NoFields) -> Self {
        Self {}
    }
}
