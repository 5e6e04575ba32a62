//! Who is in the vectors: every private bundle they hold, and which pair a key material belongs to.

use std::collections::BTreeMap;

use herald_protocol::{
    address::Address,
    bundle::{PrivateKeyBundle, PublicKeyBundle},
    invitation::Invitation,
};
use serde_json::Value;

use crate::case::{hex, number};

#[derive(Default)]
pub(crate) struct People {
    bundles: BTreeMap<Vec<u8>, PrivateKeyBundle>,
    pairs: BTreeMap<Vec<u8>, [Address; 2]>,
}

impl People {
    /// Collects all private bundles, whatever they are called, and derives every pair's key material.
    pub(crate) fn of<'a>(files: impl Iterator<Item = &'a Value>) -> Self {
        let mut people = Self::default();
        files.for_each(|file| people.collect(file));
        let all: Vec<&PrivateKeyBundle> = people.bundles.values().collect();
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                let derived = Invitation::derive(one, other.public(), None);
                people
                    .pairs
                    .insert(derived.key_material.to_vec(), [one.address(), other.address()]);
            }
        }
        people
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.collect(value)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    if name.contains("private") && name.contains("bundle") {
                        self.add(value);
                    }
                    self.collect(value);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, value: &Value) {
        let bytes = value.as_str().and_then(|text| hex(text).ok());
        if let Some(bundle) = bytes.and_then(|bytes| PrivateKeyBundle::decode(&bytes).ok()) {
            self.bundles.insert(bundle.public().as_encoded().to_vec(), bundle);
        }
    }

    /// The keys of a wallet, if the vectors tell them.
    pub(crate) fn keys(&self, wallet: Address) -> Option<&PrivateKeyBundle> {
        self.bundles.values().find(|bundle| bundle.address() == wallet)
    }

    /// Somebody's legacy bundle.
    pub(crate) fn legacy(&self) -> Option<PublicKeyBundle> {
        self.bundles.values().find_map(|bundle| bundle.public_v1().ok())
    }

    /// The two wallets that derive this key material, or else the ones the case names.
    pub(crate) fn members(&self, key_material: &[u8], named: [Address; 2]) -> [Address; 2] {
        self.pairs.get(key_material).copied().unwrap_or(named)
    }
}

/// A number field of a nested value.
pub(crate) fn nested_number(value: &Value, name: &str) -> Option<u64> {
    value.get(name).and_then(number)
}
