//! From a refusal to gRPC code, HTTP status and text: the only map of the node.

use std::time::Duration;

use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{access, limits, query};
use crate::{envelope, store, subscription};

/// Everything a call can end with instead of an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Access(#[from] access::Refusal),
    #[error(transparent)]
    Envelope(#[from] envelope::Refusal),
    #[error("too many envelopes")]
    TooManyEnvelopes,
    #[error(transparent)]
    Query(#[from] query::Refusal),
    /// The request cannot be decoded; the text is the decoder's.
    #[error("{0}")]
    Malformed(String),
    #[error("invalid grpc-timeout: {0}")]
    InvalidTimeout(String),
    #[error("context deadline exceeded")]
    DeadlineExceeded,
    #[error("grpc: received message larger than max ({found} vs. {limit})")]
    RequestTooLarge { found: u64, limit: usize },
    #[error(transparent)]
    Limit(#[from] limits::Refusal),
    /// The rest of the request was not waited for.
    #[error("{}", _0.message())]
    Unfinished(Status),
    #[error("node is shutting down")]
    Draining,
    #[error("stream was not read while envelopes waited")]
    Stalled,
    #[error("{0}")]
    Store(store::Error),
    #[error("internal error")]
    Panicked,
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Closed => Self::Draining,
            error => Self::Store(error),
        }
    }
}

impl From<subscription::End> for Error {
    fn from(end: subscription::End) -> Self {
        match end {
            subscription::End::Draining => Self::Draining,
            subscription::End::Stalled => Self::Stalled,
            subscription::End::Store(error) => error.into(),
        }
    }
}

impl Error {
    /// Bytes that protobuf could not decode, for what its decoder says.
    pub(crate) fn undecodable(decoder_says: &str) -> Self {
        let text = decoder_says.strip_prefix(DECODER_PREFIX).unwrap_or(decoder_says);
        let not_text = text.contains("content_topic") && text.contains("UTF-8");
        Self::Malformed(if not_text { INVALID_TOPIC } else { text }.to_owned())
    }

    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Access(access::Refusal::Token(_)) => Code::Unauthenticated,
            Self::Access(_) => Code::PermissionDenied,
            Self::Envelope(_)
            | Self::TooManyEnvelopes
            | Self::Query(_)
            | Self::Malformed(_)
            | Self::InvalidTimeout(_) => Code::InvalidArgument,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::RequestTooLarge { .. } | Self::Stalled | Self::Limit(_) => Code::ResourceExhausted,
            Self::Unfinished(status) => status.code(),
            Self::Draining
            | Self::Store(store::Error::Unwritable | store::Error::Closed | store::Error::Unreachable(_)) => {
                Code::Unavailable
            }
            Self::Store(store::Error::Corrupt { .. }) => Code::DataLoss,
            Self::Store(store::Error::Unreadable(_)) => Code::Unknown,
            Self::Panicked => Code::Internal,
        }
    }

    /// When the same call may pass.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Limit(refusal) => refusal.wait(),
            _ => None,
        }
    }

    /// Notes in the log what a caller can do nothing about.
    pub(crate) fn log(&self) {
        if let Self::Store(error @ (store::Error::Corrupt { .. } | store::Error::Unreadable(_))) = self {
            tracing::error!(%error, cause = std::error::Error::source(error), "a read failed");
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.log();
        match error.wait() {
            Some(wait) => {
                let retry = ErrorDetails::with_retry_info(Some(wait));
                Self::with_error_details(error.code(), error.to_string(), retry)
            }
            None => Self::new(error.code(), error.to_string()),
        }
    }
}

/// What protobuf's decoder says before what it found.
pub(crate) const DECODER_PREFIX: &str = "failed to decode Protobuf message: ";
/// Said of a topic that is not text, wherever that shows.
pub(crate) const INVALID_TOPIC: &str = "invalid topic";

/// The name of a code, as metrics label.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

/// The HTTP status that grpc-gateway gives a code.
pub(crate) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // 499 has no name in the registry.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
