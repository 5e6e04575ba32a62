//! Allow and deny lists: subjects that an operator names go in, the permission of a wallet or an address comes out.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    net::IpAddr,
    str::FromStr,
};

use herald_protocol::{
    Excerpt,
    address::{Address, ParseAddressError},
    time::TimestampNs,
};
use ipnet::IpNet;

/// Whom an entry is about. Displays as it can be given again: a wallet with its checksum, a network as short as it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// One wallet.
    Wallet(Address),
    /// Callers from one address, or from all of a range.
    Network(IpNet),
}

/// Why a text names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseSubjectError {
    /// It starts like a wallet and is none.
    #[error(transparent)]
    Wallet(#[from] ParseAddressError),
    /// Neither a wallet nor an address nor a range.
    #[error(
        "found `{found}`, wanted a wallet (`0x` and 40 hex digits), an IP address, or a range like `192.0.2.0/24`"
    )]
    Shape {
        /// The text, cut.
        found: Excerpt,
    },
    /// An address of the range instead of its first one: one of both is a slip.
    #[error("`{found}` has address bits behind its prefix, wanted `{wanted}` for the range")]
    HostBits {
        /// The range as given.
        found: IpNet,
        /// The range that holds the address.
        wanted: IpNet,
    },
}

/// What a subject may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Publish and register where that needs permission, with the larger limits.
    Allow,
    /// Not publish.
    Deny,
}

/// One line of the lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whom it is about; a subject has one entry.
    pub subject: Subject,
    /// What the subject may.
    pub permission: Permission,
    /// When it was set.
    pub since: TimestampNs,
    /// Why, in the operator's words.
    pub comment: String,
}

/// All entries, made for looking up: the cost is by the number of different prefix lengths, not by the number of entries.
#[derive(Debug, Default)]
pub(crate) struct AccessList {
    wallets: HashMap<Address, Permission>,
    networks: HashMap<IpNet, Permission>,
    /// Of the networks, by family.
    prefixes: [BTreeSet<u8>; 2],
}

impl AccessList {
    pub(crate) fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut list = Self::default();
        for entry in entries {
            match entry.subject {
                Subject::Wallet(wallet) => {
                    list.wallets.insert(wallet, entry.permission);
                }
                Subject::Network(network) => {
                    let [v4, v6] = &mut list.prefixes;
                    let prefixes = if network.addr().is_ipv4() { v4 } else { v6 };
                    prefixes.insert(network.prefix_len());
                    list.networks.insert(network, entry.permission);
                }
            }
        }
        list
    }

    pub(crate) fn wallet(&self, wallet: Address) -> Option<Permission> {
        self.wallets.get(&wallet).copied()
    }

    /// Of all ranges that hold the address; one that denies wins.
    pub(crate) fn address(&self, address: IpAddr) -> Option<Permission> {
        let address = address.to_canonical();
        let [v4, v6] = &self.prefixes;
        let prefixes = if address.is_ipv4() { v4 } else { v6 };
        let mut found = None;
        for prefix in prefixes {
            let range = IpNet::new(address, *prefix).ok().map(|range| range.trunc());
            match range.and_then(|range| self.networks.get(&range)) {
                Some(Permission::Deny) => return Some(Permission::Deny),
                Some(Permission::Allow) => found = Some(Permission::Allow),
                None => {}
            }
        }
        found
    }
}

impl FromStr for Subject {
    type Err = ParseSubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("0x") {
            return Ok(Self::Wallet(text.parse()?));
        }
        let shape = || ParseSubjectError::Shape {
            found: Excerpt::of(text),
        };
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse().map_err(|_| shape())?,
        };
        if network != network.trunc() {
            return Err(ParseSubjectError::HostBits {
                found: network,
                wanted: network.trunc(),
            });
        }
        Ok(Self::Network(unmapped(network)))
    }
}

/// IPv4 in the clothes of IPv6 is IPv4, as callers are compared.
fn unmapped(network: IpNet) -> IpNet {
    let v4 = match network.addr().to_canonical() {
        IpAddr::V4(address) if network.addr().is_ipv6() => network
            .prefix_len()
            .checked_sub(MAPPED_BITS)
            .and_then(|prefix| IpNet::new(address.into(), prefix).ok()),
        _ => None,
    };
    v4.unwrap_or(network)
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wallet(wallet) => wallet.fmt(formatter),
            Self::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                formatter.pad(&network.addr().to_string())
            }
            Self::Network(network) => formatter.pad(&network.to_string()),
        }
    }
}

impl Permission {
    /// The word of the command line and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// Of `::ffff:0:0/96`.
const MAPPED_BITS: u8 = 96;

#[cfg(test)]
mod tests {
    use super::*;

    const WALLET: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

    fn list(entries: &[(&str, Permission)]) -> AccessList {
        AccessList::new(entries.iter().map(|(subject, permission)| Entry {
            subject: subject.parse().unwrap(),
            permission: *permission,
            since: TimestampNs::default(),
            comment: String::new(),
        }))
    }

    #[test]
    fn a_subject_is_shown_as_it_can_be_given_again() {
        for (given, shown) in [
            (WALLET, WALLET),
            (&WALLET.to_lowercase(), WALLET),
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::1", "::1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ] {
            let subject: Subject = given.parse().unwrap();
            assert_eq!(subject.to_string(), shown, "{given}");
            assert_eq!(shown.parse(), Ok(subject));
        }
    }

    #[test]
    fn what_names_nobody_says_what_is_wrong() {
        let checksum = WALLET.replace("0x5aA", "0x5AA");
        for (given, said) in [
            (checksum.as_str(), format!("wrong checksum, wanted `{WALLET}`")),
            ("0x12", "wanted an address: `0x` and 40 hex digits".to_owned()),
            ("192.0.2.7/24", "wanted `192.0.2.0/24` for the range".to_owned()),
            ("192.0.2.0/33", "a range like `192.0.2.0/24`".to_owned()),
            ("192.0.2", "wanted a wallet".to_owned()),
            ("", "wanted a wallet".to_owned()),
            ("example.org", "found `example.org`".to_owned()),
        ] {
            let error = given.parse::<Subject>().unwrap_err().to_string();
            assert!(error.contains(&said), "{error}");
        }
    }

    #[test]
    fn the_range_that_denies_wins_whatever_its_size() {
        use Permission::{Allow, Deny};
        let list = list(&[
            ("10.0.0.0/8", Deny),
            ("10.1.0.0/16", Allow),
            ("192.0.2.0/24", Allow),
            ("192.0.2.66", Deny),
            ("2001:db8::/32", Allow),
        ]);
        for (address, permission) in [
            ("10.1.2.3", Some(Deny)),
            ("192.0.2.1", Some(Allow)),
            ("::ffff:192.0.2.1", Some(Allow)),
            ("192.0.2.66", Some(Deny)),
            ("192.0.3.1", None),
            ("2001:db8:1::1", Some(Allow)),
            ("2001:db9::", None),
        ] {
            assert_eq!(list.address(address.parse().unwrap()), permission, "{address}");
        }
    }
}
