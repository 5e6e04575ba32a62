use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use herald_protocol::wallet::WalletKey;
use k256::ecdsa;

use super::*;

const NOW: TimestampNs = TimestampNs::from_ns(1_700_000_000_000_000_000);

fn wallet() -> WalletKey {
    WalletKey::from_bytes(&[1; 32]).unwrap()
}

/// Signs every second time with S in the upper half: a signature of the same wallet and text, and another one.
#[derive(Debug)]
struct Fickle {
    upper: AtomicBool,
    claims_otherwise: bool,
}

impl Signer for Fickle {
    fn address(&self) -> Address {
        wallet().address()
    }

    fn sign_text<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Zeroizing<[u8; 65]>, signer::Error>> {
        let mut signature = Zeroizing::new(wallet().sign_text(text));
        if self.upper.fetch_xor(true, Ordering::Relaxed) {
            let [compact @ .., v] = &mut *signature;
            let (r, s) = ecdsa::Signature::from_slice(compact).unwrap().split_scalars();
            let upper = ecdsa::Signature::from_scalars(*r, -*s).unwrap();
            compact.copy_from_slice(&upper.to_bytes());
            *v = 55 - *v;
        }
        Box::pin(std::future::ready(Ok(signature)))
    }

    fn is_deterministic(&self) -> bool {
        self.claims_otherwise
    }
}

fn fickle(claims_otherwise: bool) -> Identity {
    Identity::of_signer(Arc::new(Fickle {
        upper: AtomicBool::new(false),
        claims_otherwise,
    }))
}

#[tokio::test]
async fn keys_are_not_sealed_by_a_signer_with_two_signatures_for_one_text() {
    let keys = Identity::of_signer(Arc::new(wallet())).create(NOW).await.unwrap();
    let error = fickle(false).seal(&keys, Signing::Unproven).await.unwrap_err();
    let super::super::Error::Identity(Error::Signer(signer::Error::NotDeterministic { wallet: of })) = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(of, wallet().address());
    // Both signatures are the wallet's: nothing else would have noticed.
    assert!(fickle(true).seal(&keys, Signing::Unproven).await.is_ok());
    assert!(fickle(false).seal(&keys, Signing::Proven).await.is_ok());
}

#[tokio::test]
async fn a_client_of_keys_alone_says_that_it_cannot_sign() {
    let keys = Identity::of_signer(Arc::new(wallet())).create(NOW).await.unwrap();
    let alone = Identity::of_keys(&keys);
    let error = alone.seal(&keys, Signing::Proven).await.unwrap_err();
    assert!(
        matches!(error, super::super::Error::Identity(Error::NoSigner { wallet: of }) if of == wallet().address())
    );
}

/// Signs with another key than the one of its wallet.
#[derive(Debug)]
struct Impostor;

impl Signer for Impostor {
    fn address(&self) -> Address {
        wallet().address()
    }

    fn sign_text<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Zeroizing<[u8; 65]>, signer::Error>> {
        let other = WalletKey::from_bytes(&[2; 32]).unwrap();
        let signature = Zeroizing::new(other.sign_text(text));
        Box::pin(std::future::ready(Ok(signature)))
    }
}

#[tokio::test]
async fn no_signature_of_another_wallet_is_used_whoever_brings_it() {
    let keys = Identity::of_signer(Arc::new(wallet())).create(NOW).await.unwrap();
    let impostor = Identity::of_signer(Arc::new(Impostor));
    for error in [
        impostor.create(NOW).await.unwrap_err(),
        impostor.seal(&keys, Signing::Proven).await.unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                super::super::Error::Identity(Error::Signer(signer::Error::OtherWallet { .. }))
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn stored_keys_of_another_wallet_are_refused_though_they_open() {
    let other = Identity::of_signer(Arc::new(WalletKey::from_bytes(&[2; 32]).unwrap()));
    let others = other.create(NOW).await.unwrap();
    let own = Identity::of_signer(Arc::new(wallet()));
    let sealed = own.seal(&others, Signing::Proven).await.unwrap().encode();
    let error = own.open(&sealed, "here".to_owned()).await.err().unwrap();
    let Error::OtherWallet { wanted, found } = error else {
        panic!("{error:?}")
    };
    assert_eq!((wanted, found), (wallet().address(), other.address()));
}
