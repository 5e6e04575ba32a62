//! Which addresses a stranger's URL may lead to: public unicast ones, and those that the operator allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The operator's networks: addresses in them are asked although they are not public.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowed(Vec<IpNet>);

impl Allowed {
    pub(super) fn add(&mut self, network: IpNet) {
        self.0.push(network);
    }

    /// Refuses an address that is not public, with the kind of address it is.
    pub(super) fn judge(&self, address: IpAddr) -> Result<(), &'static str> {
        let canonical = address.to_canonical();
        let listed = |address| self.0.iter().any(|network| network.contains(&address));
        if listed(address) || listed(canonical) {
            return Ok(());
        }
        let inner = match canonical {
            IpAddr::V6(v6) if NAT64.contains(&v6) => IpAddr::V4(last_four(v6)),
            other => other,
        };
        if inner != canonical && listed(inner) {
            return Ok(());
        }
        kind(inner).map_or(Ok(()), Err)
    }
}

/// What an address is when it is not public, from the special-purpose registries of RFC 6890.
fn kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => V4
            .iter()
            .find(|(network, _)| network.contains(&v4))
            .map(|(_, kind)| *kind),
        IpAddr::V6(v6) => V6
            .iter()
            .find(|(network, _)| network.contains(&v6))
            .map(|(_, kind)| *kind)
            .or((!GLOBAL.contains(&v6)).then_some("reserved")),
    }
}

/// The IPv4 address that a NAT64 address ends with (RFC 6052, the well-known prefix).
fn last_four(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(first: u16, second: u16, third: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0), length)
}

const V4: [(Ipv4Net, &str); 15] = [
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmark"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved or broadcast"),
];

/// The tunnels (6to4, Teredo) are refused whole: they carry an IPv4 address that nobody can judge for sure, and no public
/// service lives there.
const V6: [(Ipv6Net, &str); 13] = [
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), "unspecified"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 96), "IPv4-compatible"),
    (v6(0x64, 0xff9b, 1, 48), "local NAT64"),
    (v6(0x100, 0, 0, 64), "discarded"),
    (v6(0x2001, 0, 0, 32), "Teredo"),
    (v6(0x2001, 0, 0, 23), "reserved"),
    (v6(0x2001, 0xdb8, 0, 32), "documentation"),
    (v6(0x2002, 0, 0, 16), "6to4"),
    (v6(0x3fff, 0, 0, 20), "documentation"),
    (v6(0xfc00, 0, 0, 7), "unique local"),
    (v6(0xfe80, 0, 0, 10), "link-local"),
    (v6(0xff00, 0, 0, 8), "multicast"),
];

/// The only IPv6 block that is given out for public use so far.
const GLOBAL: Ipv6Net = v6(0x2000, 0, 0, 3);

/// Public IPv4 as networks without IPv4 see it; judged by the address inside.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);
