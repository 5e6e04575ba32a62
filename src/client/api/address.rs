//! Where a node is.

use std::{fmt, net::IpAddr};

use super::Error;

/// Where a node is: `grpc://host:port` in plain text or `grpcs://host:port` over TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeAddress {
    pub(super) tls: bool,
    authority: String,
}

impl NodeAddress {
    /// A node in plain text at `host:port`.
    pub fn plain(authority: impl fmt::Display) -> Self {
        Self {
            tls: false,
            authority: authority.to_string(),
        }
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self
            .authority
            .rsplit_once(':')
            .map_or(&*self.authority, |(host, _)| host);
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = |address: IpAddr| address.is_loopback();
        host == "localhost" || address.parse().is_ok_and(is_loopback)
    }

    pub(super) fn uri(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }
}

impl std::str::FromStr for NodeAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Address {
            found: text.to_owned(),
        };
        let (scheme, authority) = text.split_once("://").ok_or_else(wrong)?;
        let tls = match scheme {
            "grpc" => false,
            "grpcs" => true,
            _ => return Err(wrong()),
        };
        let authority = authority.trim_end_matches('/');
        let parsed: tonic::transport::Uri = format!("http://{authority}").parse().map_err(|_| wrong())?;
        if parsed.port().is_none() || parsed.path() != "/" {
            return Err(wrong());
        }
        Ok(Self {
            tls,
            authority: authority.to_owned(),
        })
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            if self.tls { "grpcs" } else { "grpc" },
            self.authority
        )
    }
}
