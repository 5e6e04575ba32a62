//! A case: named inputs and expectations that remember what was looked at.

use std::{cell::RefCell, collections::BTreeSet, fmt};

use herald_protocol::{
    bundle::PrivateKeyBundle, ciphertext::Entropy, signature::Signature, signature::Signer, time::TimestampNs,
};
use serde_json::{Map, Value};

pub(crate) type Checked = Result<(), String>;

pub(crate) struct Case<'a> {
    name: &'a str,
    operation: Option<&'a str>,
    pub(crate) inputs: Fields<'a>,
    pub(crate) expected: Fields<'a>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(value: &'a Value) -> Result<Self, String> {
        let text = |name| value.get(name).and_then(Value::as_str);
        let fields = |name| {
            let map = value
                .get(name)
                .and_then(Value::as_object)
                .ok_or(format!("a case has no `{name}`"))?;
            Ok::<_, String>(Fields {
                map,
                seen: RefCell::default(),
            })
        };
        Ok(Self {
            name: text("name").ok_or("a case has no `name`")?,
            operation: text("operation"),
            inputs: fields("inputs")?,
            expected: fields("expected")?,
        })
    }

    pub(crate) const fn name(&self) -> &'a str {
        self.name
    }

    pub(crate) const fn operation(&self) -> Option<&'a str> {
        self.operation
    }

    /// Fails if some field was never looked at: it would be a promise nobody checks.
    pub(crate) fn all_seen(&self) -> Checked {
        for (side, fields) in [("inputs", &self.inputs), ("expected", &self.expected)] {
            let seen = fields.seen.borrow();
            if let Some(name) = fields
                .map
                .keys()
                .find(|name| !seen.contains(name.as_str()) && *name != "note")
            {
                return Err(format!("`{side}.{name}` was not looked at"));
            }
        }
        Ok(())
    }
}

pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    seen: RefCell<BTreeSet<String>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Marks a field as looked at without using it; every call says why beside it.
    pub(crate) fn skip(&self, name: &str) {
        self.seen.borrow_mut().insert(name.to_owned());
    }

    /// The value, nothing for an absent or null one.
    pub(crate) fn optional(&self, name: &str) -> Option<&'a Value> {
        self.skip(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn value(&self, name: &str) -> Result<&'a Value, String> {
        self.optional(name).ok_or(format!("`{name}` is missing"))
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a str, String> {
        self.value(name)?.as_str().ok_or(format!("`{name}` is not text"))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, String> {
        self.value(name)?
            .as_bool()
            .ok_or(format!("`{name}` is not true or false"))
    }

    pub(crate) fn list(&self, name: &str) -> Result<&'a [Value], String> {
        Ok(self
            .value(name)?
            .as_array()
            .ok_or(format!("`{name}` is not a list"))?)
    }

    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        hex(self.text(name)?)
    }

    pub(crate) fn array<const N: usize>(&self, name: &str) -> Result<[u8; N], String> {
        self.bytes(name)?
            .try_into()
            .map_err(|_| format!("`{name}` has not {N} bytes"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64, String> {
        number(self.value(name)?).ok_or(format!("`{name}` is not a number"))
    }

    pub(crate) fn time_ns(&self, name: &str) -> Result<TimestampNs, String> {
        Ok(TimestampNs::from_ns(self.number(name)?))
    }

    pub(crate) fn time_ms(&self, name: &str) -> Result<TimestampNs, String> {
        TimestampNs::from_ms(self.number(name)?).ok_or(format!("`{name}` is out of range"))
    }

    pub(crate) fn entropy(&self) -> Result<Entropy, String> {
        Ok(Entropy {
            salt: self.array("hkdf_salt")?,
            nonce: self.array("gcm_nonce")?,
        })
    }

    /// The private bundle of this prefix, in whichever version it is given.
    pub(crate) fn keys(&self, prefix: &str) -> Result<PrivateKeyBundle, String> {
        let name = ["v1", "v2"].map(|version| format!("{prefix}private_bundle_{version}"));
        let name = name
            .iter()
            .find(|name| self.has(name))
            .ok_or(format!("no `{prefix}private_bundle_v1`"))?;
        told(PrivateKeyBundle::decode(&self.bytes(name)?))
    }

    pub(crate) fn signature(&self, name: &str) -> Result<Shown, String> {
        let value = self.value(name)?;
        let field = |field| value.get(field).ok_or(format!("`{name}.{field}` is missing"));
        Ok(Shown {
            kind: field("kind")?.as_str().unwrap_or_default().to_owned(),
            bytes: field("bytes")?.as_str().unwrap_or_default().to_owned(),
            recovery: number(field("recovery")?).ok_or(format!("`{name}.recovery` is not a number"))?,
        })
    }

    /// Compares bytes with a hex field.
    pub(crate) fn is_bytes(&self, name: &str, found: &[u8]) -> Checked {
        same(name, &const_hex::encode(found).as_str(), &self.text(name)?)
    }

    /// Compares a text.
    pub(crate) fn is_text(&self, name: &str, found: impl fmt::Display) -> Checked {
        same(name, &found.to_string().as_str(), &self.text(name)?)
    }

    /// Compares a number.
    pub(crate) fn is_number(&self, name: &str, found: u64) -> Checked {
        same(name, &found, &self.number(name)?)
    }

    /// Compares a signature.
    pub(crate) fn is_signature(&self, name: &str, found: &Signature) -> Checked {
        same(name, &Shown::of(found), &self.signature(name)?)
    }
}

/// A signature as the vectors write it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    kind: String,
    bytes: String,
    recovery: u64,
}

impl Shown {
    fn of(signature: &Signature) -> Self {
        let kind = match signature.signer() {
            Signer::Key => "ecdsa_compact",
            Signer::Wallet => "wallet_ecdsa_compact",
        };
        Self {
            kind: kind.to_owned(),
            bytes: const_hex::encode(signature.as_bytes()),
            recovery: u64::from(signature.recovery()),
        }
    }
}

pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

pub(crate) fn hex(text: &str) -> Result<Vec<u8>, String> {
    const_hex::decode(text).map_err(|error| error.to_string())
}

pub(crate) fn same<T: PartialEq + fmt::Debug>(name: &str, found: &T, wanted: &T) -> Checked {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("`{name}` is {found:?}, wanted {wanted:?}"))
    }
}

pub(crate) fn told<T, E: fmt::Display>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}
