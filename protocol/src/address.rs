//! Wallet addresses: 20 bytes inside, EIP-55 text outside.

use std::{fmt, str::FromStr};

use crate::hash::keccak256;

/// A wallet's address. Displays as EIP-55 mixed-case text; ordered by its bytes (not by that text).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 20]);

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAddressError {
    /// Not `0x` and 40 hex digits.
    #[error("found `{found}`, wanted an address: `0x` and 40 hex digits")]
    Shape {
        /// The text, cut to 64 characters.
        found: String,
    },
    /// Mixed case that is not the EIP-55 checksum.
    #[error(
        "address `{found}` has a wrong checksum, wanted `{wanted}` (or all lower case if the digits are right)"
    )]
    Checksum {
        /// The text as given.
        found: String,
        /// The same digits with the right case.
        wanted: String,
    },
}

impl Address {
    /// The address of these 20 bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The address of an uncompressed public key: the end of Keccak-256 over X and Y.
    pub(crate) fn of_point(uncompressed: &[u8; 65]) -> Self {
        let [_, coordinates @ ..] = uncompressed;
        let [_, _, _, _, _, _, _, _, _, _, _, _, end @ ..] = keccak256(&[coordinates]);
        Self(end)
    }

    /// Both addresses in ascending byte order of their EIP-55 texts, the order the protocol sorts by.
    pub(crate) fn sorted_texts(one: Self, other: Self) -> [String; 2] {
        let mut texts = [one.to_string(), other.to_string()];
        texts.sort_unstable();
        texts
    }

    /// The EIP-55 text.
    fn checksummed(self) -> [u8; 42] {
        let mut digits = const_hex::Buffer::<20>::new();
        let digits = digits.format(&self.0);
        let hash = keccak256(&[digits.as_bytes()]);
        let marks = hash.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let mut text = [b'0'; 42];
        text[1] = b'x';
        for ((letter, digit), mark) in text.iter_mut().skip(2).zip(digits.bytes()).zip(marks) {
            *letter = if mark >= 8 {
                digit.to_ascii_uppercase()
            } else {
                digit
            };
        }
        text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(std::str::from_utf8(&self.checksummed()).unwrap_or_default())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    /// Takes `0x` and 40 hex digits, either all lower case or exactly EIP-55.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape = || ParseAddressError::Shape {
            found: text.chars().take(64).collect(),
        };
        let digits = text.strip_prefix("0x").ok_or_else(shape)?;
        let mut bytes = [0; 20];
        if digits.len() != 40 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(shape());
        }
        const_hex::decode_to_slice(digits, &mut bytes).map_err(|_| shape())?;
        let address = Self(bytes);
        if !digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return Ok(address);
        }
        let wanted = address.checksummed();
        if text.as_bytes() != wanted {
            return Err(ParseAddressError::Checksum {
                found: text.to_owned(),
                wanted: address.to_string(),
            });
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EIP55: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

    #[test]
    fn the_example_of_eip_55_parses_in_both_spellings_and_prints_with_its_checksum() {
        let address: Address = EIP55.parse().unwrap();
        assert_eq!(EIP55.to_lowercase().parse(), Ok(address));
        assert_eq!(address.to_string(), EIP55);
        assert_eq!(format!("{address:?}"), EIP55);
    }

    #[test]
    fn all_examples_of_eip_55_print_as_they_are_written() {
        for text in [
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
            "0xde709f2102306220921060314715629080e2fb77",
            "0x27b1fdb04752bbc536007a920d24acb045561c26",
            EIP55,
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            let address: Address = text.to_lowercase().parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn a_wrong_checksum_is_refused_and_the_right_spelling_told() {
        let error = "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
            .parse::<Address>()
            .unwrap_err();
        assert!(error.to_string().contains("checksum"), "{error}");
        assert!(error.to_string().contains(EIP55), "{error}");
    }

    #[test]
    fn other_shapes_are_refused_and_shown() {
        let upper = format!("0x{}", EIP55.trim_start_matches("0x").to_uppercase());
        for text in [
            "",
            "0x",
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae",
            "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            &upper,
            "0xéé",
        ] {
            assert!(
                text.parse::<Address>().unwrap_err().to_string().contains(text),
                "{text}"
            );
        }
    }
}
