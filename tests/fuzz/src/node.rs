//! What a node reads from strangers and from its operator, each from bytes to whether they were taken.

use herald_node::decoders;

/// A decoder: whether it took the bytes.
pub(crate) type Decoder = fn(&[u8]) -> bool;

/// The decoders by the names of their corpora. The `authorization` header is the decoder `token` of the protocol.
pub(crate) const DECODERS: [(&str, Decoder); 11] = [
    ("node_batch_query", decoders::batch_query_protobuf),
    ("node_batch_query_json", decoders::batch_query_json),
    ("node_config", decoders::config),
    ("node_cursor", decoders::cursor),
    ("node_publish", decoders::publish_protobuf),
    ("node_publish_json", decoders::publish_json),
    ("node_query", decoders::query_protobuf),
    ("node_query_json", decoders::query_json),
    ("node_subscribe", decoders::subscribe_protobuf),
    ("node_subscribe_json", decoders::subscribe_json),
    ("node_timeout", decoders::timeout),
];
