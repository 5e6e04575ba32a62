//! What an envelope holds, before and after its session is known.

use zeroize::Zeroizing;

use super::session::Session;
use crate::{
    Error,
    bundle::PrivateKeyBundle,
    ciphertext::Ciphertext,
    error, limits,
    proto::contents::{self, message::Version},
    time::TimestampNs,
};

/// A message taken apart, nothing checked but lengths. Those of the bundles are bounded, since sessions keep them.
pub(super) struct Sealed {
    header_bytes: Vec<u8>,
    pub(super) sender: Vec<u8>,
    pub(super) recipient: Vec<u8>,
    pub(super) sent: TimestampNs,
    ciphertext: Ciphertext,
}

impl Sealed {
    pub(super) fn decode(message: &[u8]) -> Result<Self, Error> {
        let missing = |field| Error::missing("message", field);
        let decoded: contents::Message = error::decode("message", message)?;
        let Some(Version::V1(v1)) = decoded.version else {
            return Err(missing("v1"));
        };
        let ciphertext = Ciphertext::from_proto(v1.ciphertext.ok_or_else(|| missing("ciphertext"))?)?;
        let header: contents::MessageHeaderV1 = error::decode("message header", &v1.header_bytes)?;
        let sent = TimestampNs::from_ms(header.timestamp)
            .ok_or_else(|| Error::malformed("message header", "timestamp out of range"))?;
        let sender = header.sender.ok_or_else(|| missing("sender"))?;
        let recipient = header.recipient.ok_or_else(|| missing("recipient"))?;
        let longest = sender.len().max(recipient.len());
        if longest > limits::BUNDLE_BYTES {
            let problem = format!(
                "found a bundle of {longest} bytes, wanted at most {}",
                limits::BUNDLE_BYTES
            );
            return Err(Error::malformed("message header", problem));
        }
        Ok(Self {
            header_bytes: v1.header_bytes,
            sender,
            recipient,
            sent,
            ciphertext,
        })
    }

    pub(super) fn session<'a>(
        &self,
        own: &PrivateKeyBundle,
        known: &[&'a Session],
    ) -> Result<Found<'a>, Error> {
        match known.iter().find(|session| session.is_of(self)) {
            Some(session) => Ok(Found::Known(session)),
            None => Session::named(own, self).map(|session| Found::New(Box::new(session))),
        }
    }

    pub(super) fn open(&self, session: &Session) -> Result<Zeroizing<Vec<u8>>, Error> {
        let plain = self.ciphertext.open(session.secret(), &self.header_bytes)?;
        Ok(Zeroizing::new(plain))
    }
}

/// Where a session came from.
pub(super) enum Found<'a> {
    Known(&'a Session),
    New(Box<Session>),
}

impl Found<'_> {
    pub(super) fn as_ref(&self) -> &Session {
        match self {
            Self::Known(session) => session,
            Self::New(session) => session,
        }
    }

    pub(super) fn into_new(self) -> Option<Session> {
        match self {
            Self::Known(_) => None,
            Self::New(session) => Some(*session),
        }
    }
}
