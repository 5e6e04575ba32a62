//! Who signs for a wallet: a key held here, or a program that asks whoever holds it.
//!
//! Enters: a text. Leaves: the wallet's signature of it, checked to be that wallet's. A wallet signs twice in its life on
//! the network (two more texts than that when its keys move or rotate): what makes its identity key, and what seals its
//! keys. The second is the secret that opens them, so a signature is treated like a key.

mod external;

use std::{fmt, time::Duration};

use futures::future::BoxFuture;
use herald_protocol::{
    address::Address,
    wallet::{self, WalletKey},
};
use zeroize::Zeroizing;

pub use external::{ExternalSigner, TIME_LIMIT};

/// Signs texts for one wallet by EIP-191 `personal_sign`.
///
/// Keystores and mnemonics become a [`WalletKey`] (see [`keystore::open`](super::keystore::open) and
/// [`mnemonic::read`](super::mnemonic::read)); a key that never leaves its device is asked through [`ExternalSigner`] or an
/// implementation of its own.
pub trait Signer: Send + Sync + fmt::Debug {
    /// The wallet signed for.
    fn address(&self) -> Address;

    /// Signs a text: R, S, v as the wallet returns them, v being 0, 1, 27 or 28. The client checks that the signature is of
    /// [`Signer::address`] before it uses it.
    fn sign_text<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Zeroizing<[u8; 65]>, Error>>;

    /// Whether it is certain that equal texts get equal signatures, as of a key that signs by RFC 6979.
    ///
    /// The keys of a wallet are sealed with a signature that every later start makes again. A signer that cannot would lock
    /// the wallet out, and be noticed only then, so where it is not certain the client has that text signed twice before it
    /// stores the first keys. To the owner of a device that is a third question, once in the wallet's life; an
    /// implementation that knows its device says `true` here and spares it.
    fn is_deterministic(&self) -> bool {
        false
    }
}

/// Why there is no signature. No message repeats a text or a signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The wallet, its device or its owner refused or failed.
    #[error("{signer} did not sign: {reason}")]
    Refused {
        /// Who was asked.
        signer: String,
        /// Its words.
        reason: String,
    },
    /// The program cannot be started.
    #[error("cannot start the signer `{program}`")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// There was no answer in time.
    #[error("{signer} did not answer within {limit:?}")]
    TimedOut {
        /// Who was asked.
        signer: String,
        /// The time it had.
        limit: Duration,
    },
    /// The answer is no signature.
    #[error("{signer} gave no signature: found {found}, wanted 0x and 130 hex digits")]
    Shape {
        /// Who was asked.
        signer: String,
        /// What came in its place, described.
        found: String,
    },
    /// The signature is of another wallet, or of another text.
    #[error("the signature is not of {wanted}: it recovers to {}", recovered(*.found))]
    OtherWallet {
        /// The wallet that was to sign.
        wanted: Address,
        /// The wallet that seems to have signed; none when the signature yields no wallet.
        found: Option<Address>,
    },
    /// One text got two different signatures.
    #[error(
        "{wallet} signs one text in two ways: keys sealed with its signature could never be opened again, \
         so none were made; use a signer with deterministic signatures (RFC 6979)"
    )]
    NotDeterministic {
        /// The wallet.
        wallet: Address,
    },
}

fn recovered(found: Option<Address>) -> String {
    found.map_or_else(|| "no wallet".to_owned(), |found| found.to_string())
}

impl Error {
    /// Whether the same question may be answered later: devices are unplugged and owners are at lunch.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::TimedOut { .. })
    }
}

impl Signer for WalletKey {
    fn address(&self) -> Address {
        Self::address(self)
    }

    fn sign_text<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Zeroizing<[u8; 65]>, Error>> {
        Box::pin(std::future::ready(Ok(Zeroizing::new(Self::sign_text(
            self, text,
        )))))
    }

    fn is_deterministic(&self) -> bool {
        true
    }
}

/// Has a text signed and makes sure of the signature.
pub(super) async fn sign(signer: &dyn Signer, text: &str) -> Result<Zeroizing<[u8; 65]>, Error> {
    let signature = signer.sign_text(text).await?;
    verify(signer.address(), text, &signature)?;
    Ok(signature)
}

/// Refuses a signature of a text that is not the wallet's.
fn verify(wanted: Address, text: &str, signature: &[u8; 65]) -> Result<(), Error> {
    let found = wallet::recover_text(text, signature).ok();
    if found == Some(wanted) {
        Ok(())
    } else {
        Err(Error::OtherWallet { wanted, found })
    }
}
