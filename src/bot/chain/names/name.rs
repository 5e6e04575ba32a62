//! Names as they are written, and their one spelling.

use std::fmt;

use herald_protocol::address::Address;
use sha3::{Digest as _, Keccak256};

use super::{ETHEREUM, POLYGON};

/// The most characters of a name as it is written.
const MOST_CHARACTERS: usize = 255;
/// The most bytes of a name, as DNS has it.
const MOST_BYTES: usize = 255;
/// The most labels of a name. Ours: each is looked for.
const MOST_LABELS: usize = 32;

/// The name of a wallet in its one spelling: `alice.eth`, `ana.lens`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalletName(EnsName);

/// A name of ENS in its one spelling (ENSIP-15), whatever it ends in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EnsName(String);

impl WalletName {
    /// Whether a text is meant as the name of a wallet, be it one or not.
    pub fn is_meant(text: &str) -> bool {
        let top = text.rsplit_once('.').map(|(_, top)| top);
        top.is_some_and(|top| top.eq_ignore_ascii_case("eth") || top.eq_ignore_ascii_case("lens"))
    }

    /// Reads a name that ends in `.eth` or `.lens`.
    ///
    /// # Errors
    /// Why it is none, as a sentence for people.
    pub fn read(text: &str) -> Result<Self, String> {
        let name = EnsName::read(text)?;
        if !Self::is_meant(&name.0) {
            let shown = shown(text);
            return Err(format!(
                "{shown} is no name of a wallet: it ends neither in `.eth` nor in `.lens`"
            ));
        }
        let name = Self(name);
        if let Some(handle) = name.handle() {
            let is_spelled = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            if handle.is_empty() || !handle.bytes().all(is_spelled) {
                let wanted = "a handle of letters, digits, `_` and `-` before `.lens`";
                return Err(format!("{} is no name of a wallet: wanted {wanted}", shown(text)));
            }
        }
        Ok(name)
    }

    /// Its spelling.
    pub fn as_str(&self) -> &str {
        &self.0.0
    }

    /// The chain that it is asked of.
    pub(crate) fn chain(&self) -> &'static str {
        if self.handle().is_some() {
            POLYGON
        } else {
            ETHEREUM
        }
    }

    /// What stands before `.lens`; none of a name of ENS.
    pub(super) fn handle(&self) -> Option<&str> {
        self.0.0.strip_suffix(".lens")
    }

    pub(super) fn as_ens(&self) -> &EnsName {
        &self.0
    }
}

impl fmt::Display for WalletName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl EnsName {
    /// Reads a name, at most as long as DNS takes it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = |reason: &str| format!("{} is no name of a wallet: {reason}", shown(text));
        let too_long = || wrong(&format!("it is longer than {MOST_BYTES} bytes"));
        if text.chars().nth(MOST_CHARACTERS).is_some() {
            return Err(too_long());
        }
        if text.split('.').any(str::is_empty) {
            return Err(wrong("it has an empty part"));
        }
        let normal = ens_normalize::ens_normalize(text);
        let normal = normal.map_err(|error| wrong(&reason(error.message())))?;
        if normal.len() > MOST_BYTES {
            return Err(too_long());
        }
        if normal.split('.').count() > MOST_LABELS {
            return Err(wrong(&format!("it has more than {MOST_LABELS} parts")));
        }
        Ok(Self(normal))
    }

    /// The name under which a wallet claims its own (ENSIP-3).
    pub(super) fn of_wallet(wallet: Address) -> Self {
        Self(format!("{}.addr.reverse", const_hex::encode(wallet.as_bytes())))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its node (EIP-137).
    pub(super) fn node(&self) -> [u8; 32] {
        node(&self.0)
    }

    /// The nodes of the names it stands below, the nearest first.
    pub(super) fn parents(&self) -> impl Iterator<Item = [u8; 32]> {
        let mut rest = self.0.as_str();
        std::iter::from_fn(move || {
            (_, rest) = rest.split_once('.')?;
            Some(node(rest))
        })
    }

    /// The name as DNS writes it: each part behind its length, and a zero.
    pub(super) fn to_dns(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() + 2);
        for label in self.0.split('.') {
            // No part is longer than the whole.
            bytes.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes
    }
}

fn node(name: &str) -> [u8; 32] {
    name.rsplit('.').fold([0; 32], |node, label| {
        let label = Keccak256::digest(label.as_bytes());
        Keccak256::new()
            .chain_update(node)
            .chain_update(label)
            .finalize()
            .into()
    })
}

/// A name as messages show it.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    format!("`{cut}`")
}

/// Why a name has no spelling. The part that is wrong is in the name, which is told already.
fn reason(message: &str) -> String {
    let reason = match message.strip_prefix("Invalid label ") {
        Some(rest) => rest.rsplit_once("\u{200e}: ").map_or(rest, |(_, reason)| reason),
        None => message,
    };
    // Marks that turn the direction of writing are for browsers.
    let plain = reason.chars().filter(|c| !c.is_control() && *c != '\u{200e}');
    plain.take(120).collect()
}

#[cfg(test)]
mod tests;
