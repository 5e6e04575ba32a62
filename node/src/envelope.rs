//! The envelope on its way through the node: accepted, then arrived.
//!
//! [`AcceptedEnvelope`] is proof that every check of a publish was passed; the store takes nothing else. [`Arrival`] is what
//! streams carry, with the place the store gave it.

use std::sync::Arc;

use bytes::Bytes;
use herald_protocol::{envelope, limits, proto::api, time::TimestampNs, topic};

/// SHA-256(content topic || message), as in cursors on the wire.
pub(crate) type Digest = [u8; 32];

/// An envelope that may be stored: [`AcceptedEnvelope::check`] is the only way to one.
#[derive(Clone, Debug)]
pub(crate) struct AcceptedEnvelope {
    topic: Arc<str>,
    timestamp_ns: i64,
    /// Of its own: a decoded message is a slice of its whole request, which must not wait for the disk or a slow stream.
    message: Bytes,
    digest: Digest,
    ephemeral: bool,
    kind: &'static str,
}

impl AcceptedEnvelope {
    /// Checks everything about an envelope that does not depend on who publishes it.
    pub(crate) fn check(published: &api::Envelope) -> Result<Self, Refusal> {
        let topic = published.content_topic.as_str();
        if topic.len() > limits::TOPIC_BYTES {
            return Err(Refusal::TopicTooLong);
        }
        if published.message.len() > limits::MESSAGE_BYTES {
            return Err(Refusal::MessageTooBig);
        }
        if topic.contains('\0') {
            return Err(Refusal::InvalidTopic);
        }
        let timestamp_ns = i64::try_from(published.timestamp_ns).map_err(|_| Refusal::TimestampOutOfRange)?;
        let timestamp = TimestampNs::from_ns(published.timestamp_ns);
        if !envelope::header_matches(topic, timestamp, &published.message) {
            return Err(Refusal::HeaderMismatch);
        }
        let kind = topic::kind(topic);
        Ok(Self {
            topic: Arc::from(topic),
            timestamp_ns,
            digest: envelope::digest(topic, &published.message),
            message: Bytes::copy_from_slice(&published.message),
            ephemeral: kind.is_ephemeral(),
            kind: kind.label(),
        })
    }

    pub(crate) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Never negative.
    pub(crate) fn timestamp_ns(&self) -> i64 {
        self.timestamp_ns
    }

    pub(crate) fn message(&self) -> &Bytes {
        &self.message
    }

    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Relayed to streams, never stored.
    pub(crate) fn is_ephemeral(&self) -> bool {
        self.ephemeral
    }

    /// The label of its topic's kind.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Bytes it takes on its way.
    pub(crate) fn size(&self) -> usize {
        self.topic.len() + self.message.len()
    }
}

/// Why an envelope is refused; the texts are those of the V2 network where it had one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("topic length too big")]
    TopicTooLong,
    #[error("message too big")]
    MessageTooBig,
    #[error("invalid topic")]
    InvalidTopic,
    #[error("timestamp out of range")]
    TimestampOutOfRange,
    #[error("header does not match envelope")]
    HeaderMismatch,
}

/// An envelope on its way to streams.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    sequence: Option<i64>,
    topic: Arc<str>,
    timestamp_ns: i64,
    message: Bytes,
}

impl Arrival {
    /// Just committed as the `sequence`-th.
    pub(crate) fn stored(sequence: i64, envelope: &AcceptedEnvelope) -> Self {
        Self {
            sequence: Some(sequence),
            ..Self::relayed(envelope)
        }
    }

    /// Ephemeral: on no disk.
    pub(crate) fn relayed(envelope: &AcceptedEnvelope) -> Self {
        Self {
            sequence: None,
            topic: Arc::clone(&envelope.topic),
            timestamp_ns: envelope.timestamp_ns,
            message: envelope.message.clone(),
        }
    }

    /// Read back from the store.
    pub(crate) fn read(sequence: i64, topic: &str, timestamp_ns: i64, message: Bytes) -> Self {
        Self {
            sequence: Some(sequence),
            topic: Arc::from(topic),
            timestamp_ns,
            message,
        }
    }

    /// Ephemeral, from another node.
    pub(crate) fn passing(topic: &str, timestamp_ns: i64, message: Bytes) -> Self {
        Self {
            sequence: None,
            topic: Arc::from(topic),
            timestamp_ns,
            message,
        }
    }

    /// Place in the arrival order, nothing for ephemeral ones.
    pub(crate) fn sequence(&self) -> Option<i64> {
        self.sequence
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Bytes it keeps alive in a queue.
    pub(crate) fn size(&self) -> usize {
        self.topic.len() + self.message.len()
    }

    pub(crate) fn to_envelope(&self) -> api::Envelope {
        api::Envelope {
            content_topic: self.topic.to_string(),
            timestamp_ns: self.timestamp_ns.unsigned_abs(),
            message: self.message.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_message_keeps_nothing_of_its_request() {
        let request = Bytes::from(vec![7; 10_000]);
        let published = api::Envelope {
            content_topic: "test-own".to_owned(),
            timestamp_ns: 1,
            message: request.slice(..10),
        };
        let accepted = AcceptedEnvelope::check(&published).unwrap();
        drop(published);
        assert!(request.is_unique());
        assert_eq!(accepted.message(), &request[..10]);
    }
}
