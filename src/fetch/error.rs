//! Why a request got no answer.

use std::{fmt, net::IpAddr, time::Duration};

use super::Place;
use crate::client::Disposition;

/// Why a request got no answer that its caller can use. Texts name scheme, host, port and path, never user or query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL or a header is one that is never asked with.
    #[error("found {found}, wanted {wanted}")]
    Request {
        /// What was there.
        found: String,
        /// What may be there.
        wanted: String,
    },
    /// The host is, or its name leads to, an address that strangers' URLs may not reach.
    #[error(
        "{place} is at {address}, a {kind} address; wanted a public one, or one of a network that is allowed"
    )]
    Refused {
        /// What was asked.
        place: Place,
        /// The address it is at.
        address: IpAddr,
        /// What the address is: `loopback`, `private`, `link-local`, …
        kind: &'static str,
    },
    /// The client asks nobody.
    #[error("{place} is not asked: this client is closed")]
    Closed {
        /// What was to be asked.
        place: Place,
    },
    /// No connection, or it broke before the answer was complete.
    #[error("no answer from {place}")]
    Unreachable {
        /// What was asked.
        place: Place,
        /// What the transport said.
        #[source]
        source: Transport,
    },
    /// The answer was not complete in time.
    #[error("no complete answer from {place} within {within:?}")]
    Timeout {
        /// What was asked.
        place: Place,
        /// The time for resolving, connecting, redirects and the whole body.
        within: Duration,
    },
    /// The body is larger than the caller takes.
    #[error("the answer of {place} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked.
        place: Place,
        /// The most that was wanted.
        limit: usize,
    },
    /// A redirect that is not followed.
    #[error("{place} redirects {found}, wanted {wanted}")]
    Redirect {
        /// Who redirects.
        place: Place,
        /// What it does, such as `to http`.
        found: &'static str,
        /// What is followed.
        wanted: &'static str,
    },
    /// The body is encoded although nothing was offered.
    #[error("the answer of {place} is encoded with `{found}`, wanted it as it is")]
    Encoded {
        /// What was asked.
        place: Place,
        /// The `content-encoding`, cut.
        found: String,
    },
    /// The answer came with a status that is no success.
    #[error("{place} answered with status {status}, wanted 200 to 299")]
    Status {
        /// What was asked.
        place: Place,
        /// The HTTP status.
        status: u16,
        /// The wait it asked for, when it named one.
        after: Option<Duration>,
    },
    /// A certificate of the operator's, or the client made from it, cannot be used.
    #[error("cannot set up outbound HTTP: {0}")]
    Setup(String),
}

impl Error {
    /// Whether another try of the same request can help.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => Disposition::Retry(None),
            Self::Status {
                status: 408 | 425 | 429 | 500 | 502..=504,
                after,
                ..
            } => Disposition::Retry(*after),
            _ => Disposition::Reject,
        }
    }

    /// The variant in a word, as metrics count it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Refused { .. } => "address",
            Self::Closed { .. } => "closed",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::TooLarge { .. } => "too_large",
            Self::Redirect { .. } => "redirect",
            Self::Encoded { .. } => "encoded",
            Self::Status { .. } => "status",
            Self::Setup(_) => "setup",
        }
    }
}

/// What the transport said, without the URL that was asked.
pub struct Transport(reqwest::Error);

impl Transport {
    pub(super) fn new(error: reqwest::Error) -> Self {
        Self(error.without_url())
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for Transport {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
