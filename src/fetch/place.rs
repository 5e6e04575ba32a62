//! URLs before anything is asked: parsed, judged, and named in errors without what may be secret in them.

use std::{fmt, net::IpAddr};

use reqwest::Url;

use super::{Error, address::Allowed};

/// Scheme, host, port and path of a URL: what errors and logs name. User, query and fragment are left out because they may
/// hold tokens; a long path is cut.
#[derive(Clone, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    pub(super) fn of(url: &Url) -> Self {
        let origin = url.origin().ascii_serialization();
        let path: String = url.path().chars().take(PATH_CHARS).collect();
        Self(origin + &path)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads a URL as a caller wrote it.
pub(super) fn parse(text: &str) -> Result<Url, Error> {
    if text.len() > URL_BYTES {
        return Err(wrong(
            format!("a URL of {} bytes", text.len()),
            "at most 4096 bytes",
        ));
    }
    let url = Url::parse(text)
        .map_err(|error| wrong(format!("no URL ({error})"), "`https://host/path` or `http://…`"))?;
    // The parser reads `0x7f.1`, `2130706433` and `127.1` as 127.0.0.1. Nobody writes a public address that way.
    if let Some(url::Host::Ipv4(address)) = url.host() {
        let plain = format!("{}://{address}", url.scheme());
        let (spelled, rest) = text.split_at_checked(plain.len()).unwrap_or_default();
        let same = spelled.eq_ignore_ascii_case(&plain)
            && (rest.is_empty() || rest.starts_with([':', '/', '?', '#']));
        let named = !url.username().is_empty() || url.password().is_some();
        if !same && !named {
            return Err(wrong(
                format!("{address} in another spelling"),
                "four decimal numbers",
            ));
        }
    }
    Ok(url)
}

/// Whether a text is a URL that may be asked, wherever it leads.
///
/// # Errors
/// [`Error::Request`]: what of it is never asked.
pub fn check(text: &str) -> Result<(), Error> {
    address(&parse(text)?, false).map(drop)
}

/// Judges a URL, the first one or one that a redirect names, before a connection is made.
pub(super) fn judge(url: &Url, https_only: bool, allowed: &Allowed) -> Result<(), Error> {
    // An address in the URL never meets the resolver, so it is judged here.
    let Some(address) = address(url, https_only)? else {
        return Ok(());
    };
    allowed.judge(address).map_err(|kind| Error::Refused {
        place: Place::of(url),
        address,
        kind,
    })
}

/// Looks at a URL without its address, which is given where one stands in it.
fn address(url: &Url, https_only: bool) -> Result<Option<IpAddr>, Error> {
    match url.scheme() {
        "https" => {}
        "http" if !https_only => {}
        scheme => {
            let wanted = if https_only {
                "`https`"
            } else {
                "`https` or `http`"
            };
            return Err(wrong(format!("scheme `{}`", cut(scheme)), wanted));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a user or password in the URL", "none"));
    }
    let host = url.host().ok_or_else(|| wrong("no host", "a host"))?;
    let port = url.port_or_known_default().unwrap_or_default();
    if !may_ask(port) {
        return Err(wrong(format!("port {port}"), "80, 443 or one above 1023"));
    }
    match host {
        url::Host::Ipv4(address) => Ok(Some(IpAddr::V4(address))),
        url::Host::Ipv6(address) => Ok(Some(IpAddr::V6(address))),
        url::Host::Domain(name) if name.ends_with('.') => Err(wrong("a dot at the end of the host", "none")),
        url::Host::Domain(_) => Ok(None),
    }
}

/// The ports of HTTP, and those that a program without privileges may listen at. Below are the mail, shell and file servers.
fn may_ask(port: u16) -> bool {
    matches!(port, 80 | 443 | 1024..)
}

pub(super) fn wrong(found: impl Into<String>, wanted: impl Into<String>) -> Error {
    Error::Request {
        found: found.into(),
        wanted: wanted.into(),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(20).collect()
}

/// Longest URL. Ours: browsers and servers agree on 2,000 and more; presigned URLs have about 1,500.
const URL_BYTES: usize = 4096;

/// Longest path in an error. Ours.
const PATH_CHARS: usize = 200;
