//! The Ethereum Name Service on a test's chain, at its known address.

use herald_protocol::address::Address;
use serde_json::json;

use super::{
    abi::{hex, keccak},
    chain::Evm,
};

/// Where the registry is on Ethereum.
pub(crate) const REGISTRY: &str = "0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e";

/// A registry, and a resolver for names that need no other.
pub(crate) struct Ens<'a> {
    evm: &'a Evm,
    registry: Address,
    resolver: Address,
}

impl<'a> Ens<'a> {
    pub(crate) async fn on(evm: &'a Evm) -> Self {
        let registry = REGISTRY.parse().unwrap();
        evm.put_code("Registry", registry).await;
        Self {
            evm,
            registry,
            resolver: evm.deploy("Resolver").await,
        }
    }

    pub(crate) fn registry(&self) -> Address {
        self.registry
    }

    pub(crate) fn resolver(&self) -> Address {
        self.resolver
    }

    /// Lets a normal name stand for an address.
    pub(crate) async fn register(&self, name: &str, address: Address) {
        self.resolved_by(name, self.resolver).await;
        let arguments = json!([hex(namehash(name)), address.to_string()]);
        self.evm
            .send(self.resolver, "setAddr(bytes32,address)", arguments)
            .await;
    }

    /// Lets a resolver answer for a name.
    pub(crate) async fn resolved_by(&self, name: &str, resolver: Address) {
        let arguments = json!([hex(namehash(name)), resolver.to_string()]);
        self.evm
            .send(self.registry, "setResolver(bytes32,address)", arguments)
            .await;
    }

    /// Lets an address claim a name, be it its own or not.
    pub(crate) async fn claim(&self, address: Address, name: &str) {
        let reverse = reverse(address);
        self.resolved_by(&reverse, self.resolver).await;
        let arguments = json!([hex(namehash(&reverse)), name]);
        self.evm
            .send(self.resolver, "setName(bytes32,string)", arguments)
            .await;
    }
}

/// The node of a normal name (EIP-137).
pub(crate) fn namehash(name: &str) -> [u8; 32] {
    let labels = name.rsplit('.').filter(|label| !label.is_empty());
    labels.fold([0; 32], |node, label| {
        keccak(&[node, keccak(label.as_bytes())].concat())
    })
}

/// The name under which an address claims its own (EIP-181).
pub(crate) fn reverse(address: Address) -> String {
    format!("{}.addr.reverse", const_hex::encode(address.as_bytes()))
}

/// A name as DNS writes it (ENSIP-10).
pub(crate) fn dns_encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
