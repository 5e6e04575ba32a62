//! The one outbound HTTP client for what bots and strangers name: polls, feeds, remote attachments.
//!
//! ```text
//! URL text -> parse -> judge scheme, user, port, address in the URL
//!                        -> resolve -> judge each address -> connect to one of those -> headers -> body, counted
//!                  ^------------------------ redirect (GET, at most 3, never from https to http) ----'
//! ```
//!
//! Enters: a [`Request`]. Leaves: an [`Answer`] that is complete and within its bounds, or a typed [`Error`]. Promised: a
//! connection goes only to an address that was judged here, public or in a network that the operator allowed; one request
//! holds at most its `max_bytes` of body and ends within its time; no proxy of the environment, no cookies, no
//! decompression; no error names user or query of a URL. What the operator names is not guarded: nodes and
//! chain RPCs are not asked through this, and uploads are put by a second client without the guard.

mod address;
mod answer;
mod error;
mod place;
mod request;
mod resolve;
#[cfg(test)]
pub(crate) mod tests;

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
use reqwest::{
    Method, Response, Url,
    dns::Resolve,
    header::{self, HeaderMap, HeaderValue},
    redirect::Policy,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

pub use answer::Answer;
pub use error::{Error, Transport};
pub use place::{Place, check};

pub use request::Request;

use address::Allowed;
use resolve::{Guarded, Refusal, System};

/// Asks for what bots and strangers name; clones share one client.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), herald::fetch::Error> {
/// use herald::fetch::{Error, Fetch, Request};
///
/// let fetch = Fetch::builder().build()?;
/// let request = Request::read("http://169.254.169.254/latest/meta-data/")?.max_bytes(1024);
/// let refused = fetch.send(request).await.unwrap_err();
/// assert!(matches!(refused, Error::Refused { kind: "link-local", .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Fetch {
    client: reqwest::Client,
    /// For what the operator names: no guard, otherwise the same.
    operators: reqwest::Client,
    allowed: Arc<Allowed>,
    is_closed: bool,
}

/// What a [`Fetch`] is made from; see [`Fetch::builder`].
pub struct Builder {
    allowed: Allowed,
    roots: Vec<CertificateDer<'static>>,
    /// Names to addresses, before these are judged.
    lookup: Arc<dyn Resolve>,
    is_closed: bool,
}

impl Builder {
    /// Asks nobody: every request is [`Error::Closed`].
    #[must_use]
    pub fn closed(mut self) -> Self {
        self.is_closed = true;
        self
    }

    /// Lets URLs reach this network although it is not public.
    #[must_use]
    pub fn allow(mut self, network: IpNet) -> Self {
        self.allowed.add(network);
        self
    }

    /// Trusts a certificate authority, PEM, besides the public ones.
    ///
    /// # Errors
    /// [`Error::Setup`]: no certificate in the text.
    pub fn root_certificate(mut self, pem: &[u8]) -> Result<Self, Error> {
        let before = self.roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| Error::Setup(format!("certificate: {error}")))?;
            self.roots.push(certificate);
        }
        if self.roots.len() == before {
            return Err(Error::Setup("found no certificate, wanted PEM".to_owned()));
        }
        Ok(self)
    }

    /// Makes the client.
    ///
    /// # Errors
    /// [`Error::Setup`]: a certificate is not one of an authority.
    pub fn build(self) -> Result<Fetch, Error> {
        let allowed = Arc::new(self.allowed);
        let guarded = Guarded {
            lookup: self.lookup,
            allowed: Arc::clone(&allowed),
        };
        let setup = |error: reqwest::Error| Error::Setup(error.to_string());
        let operators = bare(self.roots.clone())?
            .pool_max_idle_per_host(KEPT)
            .pool_idle_timeout(IDLE)
            .build();
        let client = bare(self.roots)?
            // One connection an answer: what is connected to was judged for this request.
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(guarded))
            .build();
        Ok(Fetch {
            client: client.map_err(setup)?,
            operators: operators.map_err(setup)?,
            allowed,
            is_closed: self.is_closed,
        })
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

impl Fetch {
    /// A client that reaches public addresses only and trusts the public certificate authorities, until told otherwise.
    pub fn builder() -> Builder {
        Builder {
            allowed: Allowed::default(),
            roots: Vec::new(),
            lookup: Arc::new(System),
            is_closed: false,
        }
    }

    /// Asks, follows redirects, reads the whole body. Any status is an answer: [`Answer::success`] judges it.
    ///
    /// Cancel-safe: dropped, it closes its connection.
    ///
    /// # Errors
    /// See [`Error`]; nothing was asked for [`Error::Request`] and [`Error::Refused`] on the first URL.
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let place = Place::of(&request.url);
        let within = request.within;
        if self.is_closed {
            return Err(Error::Closed { place });
        }
        let answer = match tokio::time::timeout(within, self.follow(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout { place, within }),
        };
        let outcome = answer.as_ref().map_or_else(Error::label, |_| "answered");
        metrics::counter!("herald_fetches_total", "outcome" => outcome).increment(1);
        answer
    }

    /// Puts a body where the operator said, whatever address that has. The answer's body is not read, redirects are not followed.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Timeout`], and [`Error::Status`] for other than 200 to 299.
    pub(crate) async fn put(
        &self,
        url: Url,
        content_type: &'static str,
        body: Bytes,
        within: Duration,
    ) -> Result<(), Error> {
        let place = Place::of(&url);
        if self.is_closed {
            return Err(Error::Closed { place });
        }
        let putting = self
            .operators
            .put(url.clone())
            .header(header::CONTENT_TYPE, content_type);
        let response = match tokio::time::timeout(within, putting.body(body).send()).await {
            Ok(answer) => answer.map_err(|error| broken(place, error))?,
            Err(_) => return Err(Error::Timeout { place, within }),
        };
        Answer::without_body(url, &response).success().map(drop)
    }

    /// The client that [`Self::put`] puts with, for what the operator names and more than plain HTTP is spoken with: stores, and a
    /// running herald.
    #[cfg(any(feature = "s3", feature = "cli"))]
    pub(crate) fn operators(&self) -> reqwest::Client {
        self.operators.clone()
    }

    async fn follow(&self, request: Request) -> Result<Answer, Error> {
        let mut url = request.url.clone();
        let mut hops = 0;
        loop {
            place::judge(&url, request.https_only, &self.allowed)?;
            let response = self.ask(&request, &url).await?;
            let location = match response.status().as_u16() {
                301 | 302 | 303 | 307 | 308 if request.method == Method::GET => {
                    response.headers().get(header::LOCATION)
                }
                _ => None,
            };
            let Some(location) = location else {
                if request.status_only {
                    return Ok(Answer::without_body(url, &response));
                }
                return read(url, response, request.max_bytes).await;
            };
            if hops == REDIRECTS {
                return Err(redirects(&url, "once more", "at most 3 redirects"));
            }
            hops += 1;
            url = next(&url, location)?;
        }
    }

    async fn ask(&self, request: &Request, url: &Url) -> Result<Response, Error> {
        let mut headers = HeaderMap::new();
        if url.origin() == request.url.origin() {
            headers.clone_from(&request.headers);
        }
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut asking = self
            .client
            .request(request.method.clone(), url.clone())
            .headers(headers);
        if let Some(body) = &request.body {
            asking = asking.body(body.clone());
        }
        asking.send().await.map_err(|error| broken(Place::of(url), error))
    }
}

/// A client without the habits of browsers and command lines, which trusts the public authorities and `roots`.
fn bare(roots: Vec<CertificateDer<'static>>) -> Result<reqwest::ClientBuilder, Error> {
    let mut trusted = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for root in roots {
        trusted
            .add(root)
            .map_err(|error| Error::Setup(format!("certificate: {error}")))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Setup(error.to_string()))?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that makes clients"
    )]
    let builder = reqwest::Client::builder();
    Ok(builder
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        .connect_timeout(CONNECT)
        .user_agent(concat!("herald/", env!("CARGO_PKG_VERSION"))))
}

/// Where a redirect leads. The new URL is judged like a first one; here only that it does not leave TLS.
fn next(from: &Url, location: &HeaderValue) -> Result<Url, Error> {
    let location = location.to_str().ok().and_then(|text| from.join(text).ok());
    let mut to = location.ok_or_else(|| redirects(from, "to no URL", "a URL"))?;
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(redirects(from, "to http", "https"));
    }
    to.set_fragment(None);
    Ok(to)
}

/// Reads the body as it streams, whatever length was announced.
async fn read(url: Url, mut response: Response, max_bytes: usize) -> Result<Answer, Error> {
    let place = Place::of(&url);
    let encoding = response.headers().get(header::CONTENT_ENCODING);
    if let Some(found) = encoding.filter(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let found = found.to_str().unwrap_or_default().chars().take(20).collect();
        return Err(Error::Encoded { place, found });
    }
    let too_large = |place| Error::TooLarge {
        place,
        limit: max_bytes,
    };
    if response
        .content_length()
        .is_some_and(|length| length > max_bytes as u64)
    {
        return Err(too_large(place));
    }
    let mut answer = Answer::without_body(url, &response);
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if chunk.len() > max_bytes - body.len() => return Err(too_large(place)),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return Err(broken(place, error)),
        }
    }
    answer.body = body.freeze();
    Ok(answer)
}

/// Tells an address that the resolver refused from a transport that failed.
fn broken(place: Place, error: reqwest::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(found) = cause {
        if let Some(Refusal { address, kind }) = found.downcast_ref() {
            let (address, kind) = (*address, *kind);
            return Error::Refused { place, address, kind };
        }
        cause = found.source();
    }
    Error::Unreachable {
        place,
        source: Transport::new(error),
    }
}

fn redirects(from: &Url, found: &'static str, wanted: &'static str) -> Error {
    Error::Redirect {
        place: Place::of(from),
        found,
        wanted,
    }
}

/// Most redirects of one request. Ours: a move to https and one to a mirror, and one to spare.
const REDIRECTS: usize = 3;

/// Connections that are kept to what the operator names, each, and how long while nothing is asked. Ours: less than the five seconds
/// after which the quickest servers (Node.js) hang up.
const KEPT: usize = 8;
const IDLE: Duration = Duration::from_secs(4);

/// Time for resolving, connecting and the TLS handshake. Ours.
const CONNECT: Duration = Duration::from_secs(10);
