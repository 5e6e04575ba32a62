//! Who calls: the peer of a connection, or whom a trusted proxy speaks for.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Once,
};

use http::{Extensions, HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::config;

/// An address as limits count it. Whoever has one IPv6 address has all of its /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64;
                Self::V6(network.to_be_bytes().last_chunk().copied().unwrap_or_default())
            }
        }
    }
}

/// The other end of a connection. Every request carries it as an extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    address: IpAddr,
    exempt: bool,
    proxy: bool,
}

impl Peer {
    /// Whose place the connection takes; nobody's when it is exempt or carries the calls of many.
    pub(crate) fn counted(self) -> Option<Source> {
        (!self.exempt && !self.proxy).then(|| self.address.into())
    }
}

/// Whom a call is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Nobody.
    Exempt,
    At(Source),
}

/// Tells callers apart, as the operator's lists say.
#[derive(Debug)]
pub(crate) struct Callers {
    exempt: Vec<IpNet>,
    proxies: Vec<IpNet>,
    local_proxy_noted: Once,
}

impl Callers {
    pub(crate) fn new(limits: &config::Limits) -> Self {
        Self {
            exempt: limits.exempt.clone(),
            proxies: limits.trusted_proxies.clone(),
            local_proxy_noted: Once::new(),
        }
    }

    pub(crate) fn peer(&self, address: SocketAddr) -> Peer {
        let address = address.ip().to_canonical();
        Peer {
            address,
            exempt: lists(&self.exempt, address),
            proxy: lists(&self.proxies, address),
        }
    }

    /// The caller of a request with these extensions and headers.
    pub(crate) fn caller(&self, extensions: &Extensions, headers: &HeaderMap) -> Caller {
        let Some(peer) = extensions.get::<Peer>() else {
            return Caller::At(Source::V4(Ipv4Addr::UNSPECIFIED.octets()));
        };
        let forwarded = headers.contains_key(FORWARDED_FOR) || headers.contains_key(header::FORWARDED);
        if peer.exempt && !forwarded {
            return Caller::Exempt;
        }
        if peer.exempt && !peer.proxy {
            self.local_proxy_noted.call_once(|| {
                tracing::warn!(
                    peer = %peer.address,
                    "a proxy in `limits.exempt` forwards calls; they all count as one caller's until it is listed in \
                     `limits.trusted_proxies`"
                );
            });
        }
        Caller::At(self.caller_of(*peer, headers).into())
    }

    /// Where such a request comes from, whether it is charged or not.
    pub(crate) fn address(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = extensions.get::<Peer>()?;
        Some(self.caller_of(*peer, headers))
    }

    fn caller_of(&self, peer: Peer, headers: &HeaderMap) -> IpAddr {
        if peer.proxy {
            self.forwarded_for(peer.address, headers)
        } else {
            peer.address
        }
    }

    /// The right-most address that is not a trusted proxy's: what stands left of it may be anybody's invention.
    fn forwarded_for(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut caller = proxy;
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            for entry in value.as_bytes().rsplit(|byte| *byte == b',') {
                match parse(entry) {
                    Some(address) if lists(&self.proxies, address) => caller = address,
                    Some(address) => return address,
                    // Nothing left of it can be trusted.
                    None => return caller,
                }
            }
        }
        caller
    }
}

fn lists(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// An address, with or without a port.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse::<Ipv6Addr>().ok().map(IpAddr::from)
    };
    bare.or_else(with_port)
        .or_else(bracketed)
        .map(|address: IpAddr| address.to_canonical())
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn callers() -> Callers {
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Callers {
            exempt: networks(&["127.0.0.0/8", "::1/128"]),
            proxies: networks(&["10.0.0.0/8", "fd00::/8", "127.0.0.9/32"]),
            local_proxy_noted: Once::new(),
        }
    }

    fn caller(peer: &str, forwarded_for: &[&str]) -> Caller {
        let callers = callers();
        let mut extensions = Extensions::new();
        extensions.insert(callers.peer(SocketAddr::new(peer.parse().unwrap(), 4_000)));
        let headers = forwarded_for
            .iter()
            .map(|value| (FORWARDED_FOR, HeaderValue::from_str(value).unwrap()));
        callers.caller(&extensions, &headers.collect())
    }

    fn at(address: &str) -> Caller {
        Caller::At(address.parse::<IpAddr>().unwrap().into())
    }

    #[test]
    fn only_a_trusted_proxy_speaks_for_others() {
        assert_eq!(caller("192.0.2.1", &["198.51.100.7"]), at("192.0.2.1"));
        assert_eq!(caller("10.0.0.1", &["198.51.100.7"]), at("198.51.100.7"));
        assert_eq!(caller("10.0.0.1", &[]), at("10.0.0.1"));
    }

    #[test]
    fn the_caller_is_the_last_entry_that_is_no_proxy() {
        for (values, found) in [
            (&["203.0.113.9, 198.51.100.7"][..], "198.51.100.7"),
            (&["203.0.113.9", "198.51.100.7, 10.2.2.2"], "198.51.100.7"),
            (&["203.0.113.9 ,10.1.1.1,\t10.2.2.2"], "203.0.113.9"),
            (&["198.51.100.7:4711"], "198.51.100.7"),
            (&["::ffff:198.51.100.7"], "198.51.100.7"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["203.0.113.9, unknown"], "10.0.0.1"),
            (&["203.0.113.9, unknown, 10.2.2.2"], "10.2.2.2"),
            (&[""], "10.0.0.1"),
            (&["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ] {
            assert_eq!(caller("10.0.0.1", values), at(found), "{values:?}");
        }
    }

    #[test]
    fn a_local_peer_is_exempt_unless_it_forwards() {
        for peer in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(caller(peer, &[]), Caller::Exempt, "{peer}");
            assert_eq!(caller(peer, &["198.51.100.7"]), at(peer), "{peer}");
        }
        // A trusted proxy on this host forwards for whom it names, and never for somebody exempt.
        assert_eq!(caller("127.0.0.9", &["198.51.100.7"]), at("198.51.100.7"));
        assert_eq!(caller("127.0.0.9", &["127.0.0.1"]), at("127.0.0.1"));
        let mut extensions = Extensions::new();
        let callers = callers();
        extensions.insert(callers.peer("127.0.0.1:1".parse().unwrap()));
        let headers = [(header::FORWARDED, HeaderValue::from_static("for=x"))];
        let found = callers.caller(&extensions, &headers.into_iter().collect());
        assert_eq!(found, at("127.0.0.1"));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff::9"));
        assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }
}
