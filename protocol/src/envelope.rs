//! What a node may say about an envelope without any key.

use crate::{
    bundle::SignedPublicKeyBundle,
    ciphertext::Ciphertext,
    hash::sha256,
    proto::contents::{self, message, sealed_invitation},
    time::TimestampNs,
    topic::Topic,
};

/// The wire's id of an envelope, used in cursors: SHA-256 over topic and payload, without a separator. Two different
/// pairs can share one, so it must not be the key of a store.
pub fn digest(topic: &str, message: &[u8]) -> [u8; 32] {
    sha256(&[topic.as_bytes(), message])
}

/// Whether the plain header agrees with the envelope.
///
/// Every client refuses an invitation whose header time is not the envelope's, and a message whose header names
/// another topic; stored, such a copy could hide the genuine one. So a payload that decodes completely as
/// `SealedInvitation.v1` or `Message.v2` must agree (time in both, in the message also the topic, or its ephemeral
/// form). All other bytes are none of a node's business and agree.
pub fn header_matches(topic: &str, timestamp: TimestampNs, message: &[u8]) -> bool {
    if let Some(header) = message_header(message) {
        let on_topic = header.topic == topic
            || Topic::new(header.topic).is_ok_and(|conversation| conversation.ephemeral().as_str() == topic);
        return on_topic && header.created_ns == timestamp.as_ns();
    }
    invitation_created_ns(message).is_none_or(|created_ns| created_ns == timestamp.as_ns())
}

fn message_header(bytes: &[u8]) -> Option<contents::MessageHeaderV2> {
    let decoded: contents::Message = prost::Message::decode(bytes).ok()?;
    let Some(message::Version::V2(v2)) = decoded.version else {
        return None;
    };
    Ciphertext::from_proto(v2.ciphertext?).ok()?;
    let header: contents::MessageHeaderV2 = prost::Message::decode(&*v2.header_bytes).ok()?;
    (!header.topic.is_empty()).then_some(header)
}

fn invitation_created_ns(bytes: &[u8]) -> Option<u64> {
    let decoded: contents::SealedInvitation = prost::Message::decode(bytes).ok()?;
    let Some(sealed_invitation::Version::V1(v1)) = decoded.version else {
        return None;
    };
    Ciphertext::from_proto(v1.ciphertext?).ok()?;
    let header: contents::SealedInvitationHeaderV1 = prost::Message::decode(&*v1.header_bytes).ok()?;
    SignedPublicKeyBundle::from_proto(&header.sender?).ok()?;
    SignedPublicKeyBundle::from_proto(&header.recipient?).ok()?;
    Some(header.created_ns)
}
