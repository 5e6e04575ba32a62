//! The checks of a publish, all made before anything of it is stored.

use herald_protocol::{limits, proto::api::PublishRequest};

use super::{access::Publisher, status::Error};
use crate::envelope::AcceptedEnvelope;

/// What the request is charged with: its envelopes, and never nothing.
pub(super) fn cost(request: &PublishRequest) -> Result<u32, Error> {
    let envelopes = request.envelopes.len();
    if envelopes > limits::PUBLISH_ENVELOPES {
        return Err(Error::TooManyEnvelopes);
    }
    Ok(u32::try_from(envelopes).unwrap_or(u32::MAX).max(1))
}

/// First whether the wallet may write there at all, for every envelope, then the envelopes themselves.
pub(super) fn accept(publisher: &Publisher, request: PublishRequest) -> Result<Vec<AcceptedEnvelope>, Error> {
    for envelope in &request.envelopes {
        publisher.check_may_publish(&envelope.content_topic)?;
    }
    request
        .envelopes
        .into_iter()
        .map(|envelope| Ok(AcceptedEnvelope::check(&envelope)?))
        .collect()
}
