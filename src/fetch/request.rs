//! What is asked.

use std::{fmt, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};

use super::{
    Error, Place,
    place::{parse, wrong},
};

/// One request: a URL somebody named, and how much of an answer is wanted.
///
/// Its `Debug` shows no query, no header values and no body.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    pub(super) max_bytes: usize,
    pub(super) within: Duration,
    pub(super) https_only: bool,
    pub(super) status_only: bool,
}

impl Request {
    /// Asks for what is at a URL. Up to three redirects are followed.
    ///
    /// # Errors
    /// [`Error::Request`]: the text is no URL, or longer than 4,096 bytes.
    pub fn read(url: &str) -> Result<Self, Error> {
        Ok(Self {
            method: Method::GET,
            url: parse(url)?,
            headers: HeaderMap::new(),
            body: None,
            max_bytes: MAX_BYTES,
            within: WITHIN,
            https_only: false,
            status_only: false,
        })
    }

    /// Posts a body to a URL. Redirects are not followed.
    ///
    /// # Errors
    /// [`Error::Request`]: the text is no URL or the content type no header value.
    pub fn post(url: &str, content_type: &str, body: Bytes) -> Result<Self, Error> {
        let mut request = Self::read(url)?;
        request.method = Method::POST;
        request.body = Some(body);
        request.header(header::CONTENT_TYPE.as_str(), content_type)
    }

    /// Adds a header. It is sent to the first URL's scheme, host and port only, not to where a redirect leads elsewhere.
    ///
    /// # Errors
    /// [`Error::Request`]: not a header, or one that the connection itself needs (`host`, `content-length`, …).
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let name: HeaderName = name
            .parse()
            .map_err(|_| wrong("a name that is no header", "a header of letters, digits and `-`"))?;
        if OURS.contains(&name) || name.as_str().starts_with("proxy-") {
            return Err(wrong(
                format!("header `{name}`"),
                "one that is not the connection's",
            ));
        }
        let mut value: HeaderValue = value
            .parse()
            .map_err(|_| wrong(format!("a value of `{name}` with control characters"), "one line"))?;
        value.set_sensitive(true);
        if self.headers.len() >= HEADERS {
            return Err(wrong("more headers", "at most 32"));
        }
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Takes at most this many bytes of body; otherwise 5 MiB.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Waits at most this long for the whole answer; otherwise 30 s.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// Wants the status and headers alone: the body is not read, whatever its size.
    #[must_use]
    pub fn status_only(mut self) -> Self {
        self.status_only = true;
        self
    }

    /// Asks over TLS only, redirects included.
    #[must_use]
    pub fn https_only(mut self) -> Self {
        self.https_only = true;
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("place", &Place::of(&self.url))
            .finish_non_exhaustive()
    }
}

/// Headers that belong to the connection, or that would bring a body nobody bounds.
const OURS: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::CONNECTION,
    header::UPGRADE,
    header::EXPECT,
    header::ACCEPT_ENCODING,
];

/// Largest body unless the caller says otherwise. Ours: the longest feeds have 2 MiB.
const MAX_BYTES: usize = 5 * 1024 * 1024;

/// Time for a whole answer unless the caller says otherwise. Ours.
const WITHIN: Duration = Duration::from_secs(30);

/// Most headers of a request. Ours.
const HEADERS: usize = 32;
