//! What came back.

use std::{fmt, time::Duration};

use bytes::Bytes;
use reqwest::{
    Response, Url,
    header::{self, HeaderName},
};

use super::{Error, Place};

/// An answer, complete and within its bounds. Its `Debug` shows neither query nor body.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status, 200 to 599; redirects only where none are followed.
    pub status: u16,
    /// `content-type`.
    pub content_type: Option<String>,
    /// `etag`, as it came.
    pub etag: Option<String>,
    /// `last-modified`, as it came.
    pub last_modified: Option<String>,
    /// `retry-after` in whole seconds, an hour at most; a date there is not read.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
    url: Url,
}

impl Answer {
    pub(super) fn without_body(url: Url, response: &Response) -> Self {
        let text = |name: HeaderName| {
            let value = response.headers().get(name)?.to_str().ok()?;
            (value.len() <= HEADER_BYTES).then(|| value.to_owned())
        };
        let retry_after = text(header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
        Self {
            status: response.status().as_u16(),
            content_type: text(header::CONTENT_TYPE),
            etag: text(header::ETAG),
            last_modified: text(header::LAST_MODIFIED),
            retry_after: retry_after.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX)),
            body: Bytes::new(),
            url,
        }
    }

    /// The URL that answered, after redirects.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The answer, if its status is 200 to 299.
    ///
    /// # Errors
    /// [`Error::Status`].
    pub fn success(self) -> Result<Self, Error> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(Error::Status {
            place: Place::of(&self.url),
            status: self.status,
            after: self.retry_after,
        })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("place", &Place::of(&self.url))
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Longest header that is kept; a longer one counts as absent. Ours: an etag that is cut would match nothing.
const HEADER_BYTES: usize = 1024;

/// Longest wait that a server can ask for. Ours: who says more is asked again after an hour.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);
