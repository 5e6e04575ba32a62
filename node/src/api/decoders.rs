//! What bytes of strangers reach before anything is known of them, each from bytes to whether they were taken. For fuzzing
//! and for the replay of its corpus; no part of the API of this crate.

use bytes::Bytes;
use herald_protocol::proto::api::{
    BatchQueryRequest, Cursor, PublishRequest, QueryRequest, SubscribeRequest,
};
use prost::Message as _;

use super::{
    deadline,
    gateway::{Form, Question},
    query,
};
use crate::{Config, envelope::AcceptedEnvelope};

/// The body of a publish in JSON, and the envelopes in it.
pub fn publish_json(bytes: &[u8]) -> bool {
    publish(Form::Json, bytes)
}

/// The same in protobuf.
pub fn publish_protobuf(bytes: &[u8]) -> bool {
    publish(Form::Protobuf, bytes)
}

/// The body of a query in JSON, and whether it may be asked.
pub fn query_json(bytes: &[u8]) -> bool {
    decoded(Form::Json, bytes).is_some_and(may_be_asked)
}

/// The same in protobuf.
pub fn query_protobuf(bytes: &[u8]) -> bool {
    decoded(Form::Protobuf, bytes).is_some_and(may_be_asked)
}

/// The body of a batch of queries in JSON.
pub fn batch_query_json(bytes: &[u8]) -> bool {
    decoded::<BatchQueryRequest>(Form::Json, bytes).is_some()
}

/// The same in protobuf.
pub fn batch_query_protobuf(bytes: &[u8]) -> bool {
    decoded::<BatchQueryRequest>(Form::Protobuf, bytes).is_some()
}

/// The body of a subscription in JSON.
pub fn subscribe_json(bytes: &[u8]) -> bool {
    decoded::<SubscribeRequest>(Form::Json, bytes).is_some()
}

/// The same in protobuf.
pub fn subscribe_protobuf(bytes: &[u8]) -> bool {
    decoded::<SubscribeRequest>(Form::Protobuf, bytes).is_some()
}

/// The cursor of a query.
pub fn cursor(bytes: &[u8]) -> bool {
    Cursor::decode(bytes).is_ok_and(|cursor| query::position(cursor).is_ok())
}

/// The value of a `grpc-timeout` header.
pub fn timeout(bytes: &[u8]) -> bool {
    deadline::timeout(bytes).is_some()
}

/// A configuration file.
pub fn config(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| Config::parse(text).is_ok())
}

fn publish(form: Form, bytes: &[u8]) -> bool {
    decoded(form, bytes).is_some_and(|request: PublishRequest| {
        let mut envelopes = request.envelopes.iter();
        envelopes.all(|envelope| AcceptedEnvelope::check(envelope).is_ok())
    })
}

fn may_be_asked(request: QueryRequest) -> bool {
    query::Question::check(request).is_ok()
}

fn decoded<Q: Question>(form: Form, bytes: &[u8]) -> Option<Q> {
    form.decode(Bytes::copy_from_slice(bytes)).ok()
}
