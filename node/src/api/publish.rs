//! The checks of a publish, all made before anything of it is stored.

use herald_protocol::{limits, proto::api::PublishRequest};

use super::{access::Wallet, status::Error};
use crate::envelope::AcceptedEnvelope;

/// First whether the wallet may write there at all, for every envelope, then the envelopes themselves.
pub(super) fn accept(wallet: &Wallet, request: &PublishRequest) -> Result<Vec<AcceptedEnvelope>, Error> {
    if request.envelopes.len() > limits::PUBLISH_ENVELOPES {
        return Err(Error::TooManyEnvelopes);
    }
    for envelope in &request.envelopes {
        wallet.check_may_publish(&envelope.content_topic)?;
    }
    request
        .envelopes
        .iter()
        .map(|envelope| Ok(AcceptedEnvelope::check(envelope)?))
        .collect()
}
