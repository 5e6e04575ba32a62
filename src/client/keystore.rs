//! Wallet keys in files: 64 hex digits, or an Ethereum keystore of version 3 (the "Web3 Secret Storage Definition").
//!
//! Enters: the text of a file and, for a keystore, its passphrase. Leaves: a wallet key. Files of others are read within bounds
//! on the memory and time their parameters may ask for.

use std::path::{Path, PathBuf};

use herald_protocol::{address::Address, wallet::WalletKey};
use serde::{Deserialize, Serialize};
use sha3::{Digest as _, Keccak256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{private_file, random};

/// A key file that cannot be used. No message repeats anything of the file's content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither 64 hex digits nor JSON.
    #[error("expected a wallet key of 64 hex digits or an Ethereum keystore in JSON")]
    Shape,
    /// JSON, but no keystore of version 3.
    #[error("not an Ethereum keystore of version 3: {0}")]
    Json(String),
    /// A keystore whose parameters are unknown or beyond the bounds.
    #[error("the keystore's {0} is not supported")]
    Parameters(&'static str),
    /// The passphrase is needed and was not given.
    #[error("the keystore needs its passphrase")]
    NoPassphrase,
    /// The passphrase is another one's.
    #[error("the passphrase does not open the keystore")]
    Passphrase,
    /// The system gave no random bytes.
    #[error("no randomness from the system")]
    Randomness,
    /// There is no such file.
    #[error("there is no file `{0}`")]
    Absent(PathBuf),
    /// The file cannot be read, or others can.
    #[error(transparent)]
    File(#[from] private_file::Error),
}

#[derive(Serialize, Deserialize)]
struct Keystore {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParameters,
    ciphertext: String,
    kdf: String,
    kdfparams: serde_json::Value,
    mac: String,
}

#[derive(Serialize, Deserialize)]
struct CipherParameters {
    iv: String,
}

#[derive(Serialize, Deserialize)]
struct Scrypt {
    dklen: usize,
    n: u64,
    r: u32,
    p: u32,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct Pbkdf2 {
    dklen: usize,
    c: u32,
    prf: String,
    salt: String,
}

/// The work of geth's standard keystores: 256 MiB and about a second.
const SCRYPT_LOG_N: u8 = 18;
const SCRYPT_R: u32 = 8;
/// A file may ask for four times as much: n x r x p blocks of 128 bytes.
const SCRYPT_WORK: u64 = 4 * (1 << SCRYPT_LOG_N) * SCRYPT_R as u64;
const PBKDF2_ROUNDS: u32 = 10_000_000;
/// Keystores have some 500 bytes.
const LARGEST_FILE: u64 = 64 * 1024;

/// Whether the text is a keystore, which needs a passphrase, and not a bare key.
pub fn is_keystore(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Opens a key file that its owner alone can read (others are refused): what [`read`] reads, at most 64 KiB.
pub fn open(path: &Path, passphrase: Option<&str>) -> Result<WalletKey, Error> {
    let bytes = private_file::read(path, LARGEST_FILE)?.ok_or_else(|| Error::Absent(path.to_owned()))?;
    read(std::str::from_utf8(&bytes).map_err(|_| Error::Shape)?, passphrase)
}

/// Reads a key: 64 hex digits with or without `0x`, or a keystore with its passphrase.
pub fn read(text: &str, passphrase: Option<&str>) -> Result<WalletKey, Error> {
    let text = text.trim();
    if is_keystore(text) {
        let secret = decrypt(text, passphrase.ok_or(Error::NoPassphrase)?)?;
        return WalletKey::from_bytes(secret.as_slice()).map_err(|_| Error::Shape);
    }
    WalletKey::from_hex(text).map_err(|_| Error::Shape)
}

/// The address a keystore names, if it does; it is not checked.
pub fn named_address(text: &str) -> Option<Address> {
    let keystore: Keystore = serde_json::from_str(text).ok()?;
    let address = keystore.address?;
    format!("0x{}", address.trim_start_matches("0x").to_lowercase())
        .parse()
        .ok()
}

fn decrypt(text: &str, passphrase: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let keystore: Keystore = serde_json::from_str(text).map_err(|error| Error::Json(place(&error)))?;
    if keystore.version != 3 {
        return Err(Error::Parameters("version"));
    }
    let crypto = keystore.crypto;
    if crypto.cipher != "aes-128-ctr" {
        return Err(Error::Parameters("cipher"));
    }
    let derived = derive(&crypto, passphrase)?;
    let mut secret = Zeroizing::new(unhex("ciphertext", &crypto.ciphertext)?);
    let mac = mac(&derived, &secret);
    if !bool::from(mac.ct_eq(&unhex("mac", &crypto.mac)?)) {
        return Err(Error::Passphrase);
    }
    let iv: [u8; 16] = unhex("iv", &crypto.cipherparams.iv)?
        .try_into()
        .map_err(|_| Error::Parameters("iv"))?;
    apply_cipher(&derived, iv, &mut secret);
    Ok(secret)
}

fn derive(crypto: &Crypto, passphrase: &str) -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut derived = Zeroizing::new([0; 32]);
    match crypto.kdf.as_str() {
        "scrypt" => {
            let odd = |error: serde_json::Error| Error::Json(place(&error));
            let wanted: Scrypt = serde_json::from_value(crypto.kdfparams.clone()).map_err(odd)?;
            let blocks = wanted.n.checked_mul(u64::from(wanted.r));
            let work = blocks.and_then(|blocks| blocks.checked_mul(u64::from(wanted.p)));
            let bounded = work.is_some_and(|work| work <= SCRYPT_WORK);
            if !bounded || !wanted.n.is_power_of_two() || wanted.dklen != 32 {
                return Err(Error::Parameters("kdfparams"));
            }
            let log_n = u8::try_from(wanted.n.ilog2()).map_err(|_| Error::Parameters("kdfparams"))?;
            let parameters =
                scrypt::Params::new(log_n, wanted.r, wanted.p).map_err(|_| Error::Parameters("kdfparams"))?;
            let salt = unhex("salt", &wanted.salt)?;
            scrypt::scrypt(passphrase.as_bytes(), &salt, &parameters, derived.as_mut_slice())
                .map_err(|_| Error::Parameters("kdfparams"))?;
        }
        "pbkdf2" => {
            let odd = |error: serde_json::Error| Error::Json(place(&error));
            let wanted: Pbkdf2 = serde_json::from_value(crypto.kdfparams.clone()).map_err(odd)?;
            if wanted.prf != "hmac-sha256" || wanted.dklen != 32 || !(1..=PBKDF2_ROUNDS).contains(&wanted.c) {
                return Err(Error::Parameters("kdfparams"));
            }
            let salt = unhex("salt", &wanted.salt)?;
            pbkdf2::pbkdf2_hmac::<sha2::Sha256>(
                passphrase.as_bytes(),
                &salt,
                wanted.c,
                derived.as_mut_slice(),
            );
        }
        _ => return Err(Error::Parameters("kdf")),
    }
    Ok(derived)
}

/// A keystore of the key under the passphrase, as JSON.
pub fn encrypt(secret: &[u8; 32], passphrase: &str) -> Result<String, Error> {
    let wallet = WalletKey::from_bytes(secret).map_err(|_| Error::Shape)?;
    let randomness = |_| Error::Randomness;
    let salt = random::<32>().map_err(randomness)?;
    let iv = random::<16>().map_err(randomness)?;
    let scrypt = Scrypt {
        dklen: 32,
        n: 1 << SCRYPT_LOG_N,
        r: SCRYPT_R,
        p: 1,
        salt: const_hex::encode(salt),
    };
    let mut crypto = Crypto {
        cipher: "aes-128-ctr".to_owned(),
        cipherparams: CipherParameters {
            iv: const_hex::encode(iv),
        },
        ciphertext: String::new(),
        kdf: "scrypt".to_owned(),
        kdfparams: serde_json::to_value(scrypt).map_err(|error| Error::Json(place(&error)))?,
        mac: String::new(),
    };
    let derived = derive(&crypto, passphrase)?;
    let mut ciphertext = Zeroizing::new(secret.to_vec());
    apply_cipher(&derived, iv, &mut ciphertext);
    crypto.mac = const_hex::encode(mac(&derived, &ciphertext));
    crypto.ciphertext = const_hex::encode(ciphertext.as_slice());
    let address = const_hex::encode(wallet.address().as_bytes());
    let keystore = Keystore {
        address: Some(address),
        crypto,
        id: Some(uuid(random().map_err(randomness)?)),
        version: 3,
    };
    serde_json::to_string_pretty(&keystore).map_err(|error| Error::Json(place(&error)))
}

fn apply_cipher(derived: &[u8; 32], iv: [u8; 16], bytes: &mut [u8]) {
    use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
    let (key, _) = derived.split_at(16);
    let mut half = Zeroizing::new([0; 16]);
    half.copy_from_slice(key);
    ctr::Ctr128BE::<aes::Aes128>::new((&*half).into(), &iv.into()).apply_keystream(bytes);
}

fn mac(derived: &[u8; 32], ciphertext: &[u8]) -> Vec<u8> {
    let (_, key) = derived.split_at(16);
    Keccak256::new()
        .chain_update(key)
        .chain_update(ciphertext)
        .finalize()
        .to_vec()
}

fn unhex(what: &'static str, hex: &str) -> Result<Vec<u8>, Error> {
    const_hex::decode(hex).map_err(|_| Error::Parameters(what))
}

/// Where JSON is wrong, without its text, which may be secret.
fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

/// A random (version 4) UUID of RFC 9562.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = const_hex::encode(bytes);
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    parts
        .map(|(from, to)| hex.get(from..to).unwrap_or_default())
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Both from the definition's test vectors; the key and passphrase are the same.
    const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    const SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},"ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt","kdfparams":{"dklen":32,"n":262144,"p":8,"r":1,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},"mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    const KEY: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

    #[test]
    fn the_keystores_of_the_definition_open() {
        for keystore in [PBKDF2, SCRYPT] {
            let wallet = read(keystore, Some("testpassword")).unwrap();
            assert_eq!(wallet.address(), WalletKey::from_hex(KEY).unwrap().address());
        }
        assert!(matches!(
            read(PBKDF2, Some("Testpassword")),
            Err(Error::Passphrase)
        ));
        assert!(matches!(read(PBKDF2, None), Err(Error::NoPassphrase)));
    }

    #[test]
    fn a_keystore_written_here_opens_and_names_its_address() {
        let secret = [7; 32];
        let text = encrypt(&secret, "correct horse").unwrap();
        let wallet = WalletKey::from_bytes(&secret).unwrap();
        assert_eq!(
            read(&text, Some("correct horse")).unwrap().address(),
            wallet.address()
        );
        assert_eq!(named_address(&text), Some(wallet.address()));
        assert!(!text.contains(&const_hex::encode(secret)));
    }

    #[test]
    fn a_key_file_opens_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(matches!(open(&path, None), Err(Error::Absent(absent)) if absent == path));
        private_file::replace(&path, format!("{KEY}\n").as_bytes()).unwrap();
        let wallet = open(&path, None).unwrap();
        assert_eq!(wallet.address(), WalletKey::from_hex(KEY).unwrap().address());
        private_file::replace(&path, PBKDF2.as_bytes()).unwrap();
        let opened = open(&path, Some("testpassword")).unwrap();
        assert_eq!(opened.address(), wallet.address());
        private_file::replace(&path, &[0xff; 64]).unwrap();
        assert!(matches!(open(&path, None), Err(Error::Shape)));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            open(&path, None),
            Err(Error::File(private_file::Error::Open { mode: 0o644, .. }))
        ));
    }

    #[test]
    fn a_keystore_that_asks_for_too_much_is_refused_at_once() {
        let greedy = SCRYPT.replace("262144", "1099511627776");
        assert!(matches!(
            read(&greedy, Some("testpassword")),
            Err(Error::Parameters("kdfparams"))
        ));
        let slow = PBKDF2.replace("262144", "4000000000");
        assert!(matches!(
            read(&slow, Some("testpassword")),
            Err(Error::Parameters("kdfparams"))
        ));
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for text in ["", "zz", "{", "{\"version\":3}", KEY.trim_start_matches('7')] {
            let error = read(text, Some("x")).unwrap_err().to_string();
            assert!(!error.contains("7a28b5") && !error.contains("28b5ba"), "{error}");
        }
    }
}
