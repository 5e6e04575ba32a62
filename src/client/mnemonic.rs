//! Wallet keys from words: BIP-39 mnemonics (English) and BIP-32 paths, as wallets show and import them.
//!
//! Enters: 12 to 24 words and a path. Leaves: the wallet key at that path. No error repeats a word.

use std::{fmt, str::FromStr};

use bip39::{Language, Mnemonic};
use herald_protocol::wallet::WalletKey;
use zeroize::Zeroizing;

/// Words or a path that give no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// So many words are no mnemonic.
    #[error("expected a mnemonic of 12, 15, 18, 21 or 24 words, found {found}")]
    Length {
        /// The number of words.
        found: usize,
    },
    /// A word is not of the list, most often a slip.
    #[error("word {place} of the mnemonic is not in the English word list")]
    Word {
        /// Which word, counted from 1.
        place: usize,
    },
    /// Each word is fine and their checksum is not: one is another than it was, or their order is.
    #[error(
        "the words of the mnemonic do not fit together (checksum): one is wrong, or they are in another order"
    )]
    Checksum,
    /// The text is no path.
    #[error("expected a derivation path like `{DEFAULT_PATH}`, found `{found}`")]
    Path {
        /// The text as given.
        found: String,
    },
    /// There is no key at this path; it happens to one in 2^127.
    #[error("there is no key at `{path}`")]
    NoKey {
        /// The path.
        path: DerivationPath,
    },
}

/// The path of the first account in most Ethereum wallets; the last number counts accounts.
pub const DEFAULT_PATH: &str = "m/44'/60'/0'/0/0";
/// Levels of a path. Wallets use five; each costs a point multiplication.
const DEEPEST: usize = 16;

/// Where a key is below its mnemonic: `m`, then numbers below 2^31, hardened ones marked by `'` or `h`.
#[derive(Clone, PartialEq, Eq)]
pub struct DerivationPath(bip32::DerivationPath);

impl Default for DerivationPath {
    /// [`DEFAULT_PATH`].
    fn default() -> Self {
        let number = |index| bip32::ChildNumber::from(index);
        let hardened = |index| number(index | bip32::ChildNumber::HARDENED_FLAG);
        let mut path = bip32::DerivationPath::default();
        path.extend([hardened(44), hardened(60), hardened(0), number(0), number(0)]);
        Self(path)
    }
}

impl FromStr for DerivationPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // Words in the place of the path are not told.
        let found = if text.len() > 80 || text.contains(char::is_whitespace) {
            "…".to_owned()
        } else {
            text.to_owned()
        };
        let wrong = || Error::Path { found };
        let plain = |c: char| c.is_ascii_digit() || matches!(c, 'm' | '/' | '\'' | 'h');
        // The library takes `+1` for 1.
        let path: bip32::DerivationPath = Some(text)
            .filter(|text| text.chars().all(plain))
            .and_then(|text| text.parse().ok())
            .filter(|path: &bip32::DerivationPath| path.len() <= DEEPEST)
            .ok_or_else(wrong)?;
        Ok(Self(path))
    }
}

impl fmt::Display for DerivationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for DerivationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The wallet key at a path below a mnemonic. Spaces and upper case do not matter.
///
/// `passphrase` is BIP-39's own, the "25th word": empty for nearly all wallets. Another one is not refused but gives another
/// wallet, as the standard has it; compare the address.
pub fn read(words: &str, passphrase: &str, path: &DerivationPath) -> Result<WalletKey, Error> {
    let words = Zeroizing::new(words.to_ascii_lowercase());
    // The mnemonic wipes itself; of what is derived only chain codes, which give no key alone, are left to the allocator.
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, &words).map_err(refusal)?;
    let seed = Zeroizing::new(mnemonic.to_seed(passphrase));
    let no_key = || Error::NoKey { path: path.clone() };
    let key = bip32::XPrv::derive_from_path(seed.as_slice(), &path.0).map_err(|_| no_key())?;
    let secret: Zeroizing<[u8; 32]> = Zeroizing::new(key.to_bytes());
    WalletKey::from_bytes(secret.as_slice()).map_err(|_| no_key())
}

fn refusal(error: bip39::Error) -> Error {
    match error {
        bip39::Error::BadWordCount(found) => Error::Length { found },
        bip39::Error::UnknownWord(index) => Error::Word { place: index + 1 },
        // The other kinds are of entropy and of languages, which are given.
        _ => Error::Checksum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUNK: &str = "test test test test test test test test test test test junk";
    const ABANDON: &str =
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    const ART: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                       abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art";

    fn address(words: &str, path: &str) -> String {
        let wallet = read(words, "", &path.parse().unwrap()).unwrap();
        wallet.address().to_string()
    }

    #[test]
    fn the_accounts_that_wallets_show_for_well_known_words_are_found() {
        // The first accounts of the development nodes of hardhat and anvil, and of MetaMask for the same words.
        assert_eq!(
            address(JUNK, DEFAULT_PATH),
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        );
        assert_eq!(
            address(JUNK, "m/44'/60'/0'/0/1"),
            "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        );
        assert_eq!(
            address(JUNK, "m/44h/60h/0h/0/2"),
            "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
        );
        assert_eq!(
            address(ABANDON, DEFAULT_PATH),
            "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
        );
        let spaced = JUNK.to_uppercase().replace(' ', "\n  ");
        assert_eq!(address(&spaced, DEFAULT_PATH), address(JUNK, DEFAULT_PATH));
    }

    #[test]
    fn the_first_key_of_the_well_known_words_is_the_published_one() {
        let wallet = read(JUNK, "", &DerivationPath::default()).unwrap();
        assert_eq!(
            const_hex::encode(wallet.to_bytes().as_slice()),
            "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
        );
    }

    /// The root keys of BIP-39's published vectors (passphrase `TREZOR`), from the xprv there.
    #[test]
    fn the_vectors_of_bip_39_hold() {
        let vectors = [
            (
                ABANDON,
                "cbedc75b0d6412c85c79bc13875112ef912fd1e756631b5a00330866f22ff184",
            ),
            (
                "legal winner thank year wave sausage worth useful legal winner thank yellow",
                "dddda5cdef032caf0b966bb1c7d2a8836e827aaa6480e9067080a075656d3228",
            ),
            (
                ART,
                "c8b4073ccfcc63475c3d5202c6594484ee4e77b867cde3c3b46432fd71b467ae",
            ),
        ];
        for (words, root) in vectors {
            let wallet = read(words, "TREZOR", &"m".parse().unwrap()).unwrap();
            assert_eq!(const_hex::encode(wallet.to_bytes().as_slice()), root);
            assert_ne!(
                read(words, "", &"m".parse().unwrap()).unwrap().address(),
                wallet.address()
            );
        }
    }

    #[test]
    fn words_that_are_no_mnemonic_are_refused_without_repeating_one() {
        let path = DerivationPath::default();
        let refused = |words: &str| {
            let error = read(words, "", &path).unwrap_err();
            let shown = format!("{error} {error:?}");
            for word in words.split_whitespace().filter(|word| word.len() > 4) {
                assert!(!shown.contains(word), "{shown}");
            }
            error
        };
        assert_eq!(refused(""), Error::Length { found: 0 });
        assert_eq!(
            refused(JUNK.strip_suffix(" junk").unwrap()),
            Error::Length { found: 11 }
        );
        assert_eq!(
            refused(&JUNK.replace("junk", "jnuk-typo")),
            Error::Word { place: 12 }
        );
        assert_eq!(refused(&JUNK.replace("junk", "zebra")), Error::Checksum);
        assert_eq!(
            refused(&JUNK.replacen("test", "prüfung", 1)),
            Error::Word { place: 1 }
        );
        assert!(matches!(
            refused(&"abandon ".repeat(10_000)),
            Error::Length { .. }
        ));
    }

    #[test]
    fn a_path_reads_and_prints_as_wallets_write_it_and_others_are_refused() {
        assert_eq!(DerivationPath::default().to_string(), DEFAULT_PATH);
        assert_eq!(DEFAULT_PATH.parse(), Ok(DerivationPath::default()));
        for path in ["m", "m/0", "m/2147483647'", "m/44'/60'/3'/0/0"] {
            assert_eq!(path.parse::<DerivationPath>().unwrap().to_string(), path);
        }
        let deep = format!("m{}", "/0".repeat(17));
        for wrong in [
            "",
            "44'/60'",
            "m/",
            "m//0",
            "m/2147483648",
            "m/+1",
            "m/-1",
            "m/a",
            "m/0''",
            "M/0",
            " m/0",
            "/m",
            &deep,
        ] {
            assert!(wrong.parse::<DerivationPath>().is_err(), "{wrong}");
        }
        let words: Result<DerivationPath, _> = JUNK.parse();
        assert!(!words.unwrap_err().to_string().contains("test"));
    }
}
