//! Host names to addresses that were judged: the connection is made to what this resolver returns and to nothing else, so a
//! name cannot mean one address when it is judged and another when it is connected to.

use std::{fmt, net::IpAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Allowed;

/// Lets only judged addresses of `lookup` through.
pub(super) struct Guarded {
    pub(super) lookup: Arc<dyn Resolve>,
    pub(super) allowed: Arc<Allowed>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let looking = self.lookup.resolve(name);
        let allowed = Arc::clone(&self.allowed);
        Box::pin(async move {
            let mut refusal = None;
            let mut judged = Vec::new();
            for address in looking.await?.take(ADDRESSES) {
                match allowed.judge(address.ip()) {
                    Ok(()) => judged.push(address),
                    Err(kind) => refusal = Some((address.ip(), kind)),
                }
            }
            match refusal {
                Some((address, kind)) if judged.is_empty() => Err(Refusal { address, kind }.into()),
                _ => Ok(Box::new(judged.into_iter()) as Addrs),
            }
        })
    }
}

/// The system's resolver.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A name that has no address that may be asked, and one of those it has.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) address: IpAddr,
    pub(super) kind: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is a {} address", self.address, self.kind)
    }
}

impl std::error::Error for Refusal {}

/// Addresses of a name that are looked at. Ours: the largest services publish about twenty.
const ADDRESSES: usize = 64;
