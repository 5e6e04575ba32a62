use std::fmt::Debug;

use herald_protocol::{
    Error, Reason,
    bundle::{PrivateKeyBundle, UnsignedIdentity},
    consent::Preferences,
    invitation,
    key_bundle::SealedKeyBundle,
    message_v1::Session,
    wallet::WalletKey,
    x3dh::{Role, shared_secret},
};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::people::{ALICE, BOB, NOW, conversation, entropy, invitation, key, native_user, user};

/// Neither hex nor the decimal list that a derived Debug prints.
fn shows(shown: &impl Debug, secret: &[u8]) -> bool {
    let (shown, hex) = (format!("{shown:?} {shown:#?}"), const_hex::encode(secret));
    let list = format!("{secret:?}");
    shown.contains(&hex)
        || shown.contains(hex.get(..16).unwrap_or(&hex))
        || shown.contains(list.trim_matches(['[', ']']))
}

#[test]
fn debug_output_of_whatever_holds_keys_shows_none() {
    let secrets = [ALICE.identity_key().to_bytes(), ALICE.pre_key().to_bytes()];
    let sealed = invitation("").seal(&ALICE, BOB.public(), NOW, entropy(1));
    let opened = invitation::open(NOW, &sealed, &BOB).unwrap();
    for secret in &secrets {
        assert!(!shows(&*ALICE, secret.as_slice()));
        assert!(!shows(ALICE.identity_key(), secret.as_slice()));
        assert!(!shows(
            &UnsignedIdentity::legacy(key(1, 1), NOW),
            secret.as_slice()
        ));
    }
    assert!(!shows(&WalletKey::from_bytes(&[0x5a; 32]).unwrap(), &[0x5a; 32]));
    assert!(!shows(&invitation(""), conversation().key_material()));
    assert!(!shows(&opened, conversation().key_material()));
    assert!(!shows(&conversation(), conversation().key_material()));
    let session = Session::outgoing(&ALICE, BOB.public()).unwrap();
    let shared = shared_secret(ALICE.identity_key(), ALICE.pre_key(), BOB.public(), Role::Sender);
    assert!(!shows(&session, shared.as_slice()));
    let preferences = Preferences::of(ALICE.identity_key());
    assert!(!shows(&preferences, preferences_secret().as_slice()));
    // The check itself sees what a derived Debug would print.
    assert!(shows(
        &conversation().key_material(),
        conversation().key_material()
    ));
}

fn preferences_secret() -> [u8; 32] {
    let (salt, mut secret) = (b"XMTP_PRIVATE_PREFERENCES_ENCRYPTION", [0; 32]);
    let key = ALICE.identity_key().to_bytes();
    let derived = Hkdf::<Sha256>::new(Some(salt), key.as_slice());
    derived.expand(&[], &mut secret).unwrap();
    secret
}

#[test]
fn stored_keys_open_with_the_wallets_signature_only() {
    let wallet = WalletKey::from_bytes(&[1; 32]).unwrap();
    let signature = wallet.sign_text(&herald_protocol::wallet::enable_identity_text(&[9; 32]));
    let sealed = SealedKeyBundle::seal(&ALICE, [9; 32], &signature, entropy(1))
        .unwrap()
        .encode();
    let read = SealedKeyBundle::decode(&sealed).unwrap();
    let mut zero_based = signature;
    zero_based[64] -= 27;
    for signature in [signature, zero_based] {
        let opened = read.open(&signature).unwrap();
        assert_eq!(opened.bundle.encode_v2(), ALICE.encode_v2());
        assert!(!opened.older_form);
    }
    let other = WalletKey::from_bytes(&[2; 32]).unwrap().sign_text(&read.text());
    assert_eq!(read.open(&other).unwrap_err(), Error::Crypto);
    assert!(SealedKeyBundle::seal(&native_user(1), [9; 32], &signature, entropy(1)).is_err());
}

#[test]
fn an_identity_signed_by_another_wallet_is_not_made() {
    let (wallet, other) = (
        WalletKey::from_bytes(&[1; 32]).unwrap(),
        WalletKey::from_bytes(&[2; 32]).unwrap(),
    );
    let identity = UnsignedIdentity::legacy(key(1, 1), NOW);
    let signature = other.sign_text(&identity.text());
    let made = identity.signed(wallet.address(), &signature, key(1, 2), NOW);
    let other_wallet = Reason::OtherWallet {
        found: other.address(),
        wanted: wallet.address(),
    };
    assert_eq!(made.unwrap_err(), Error::from(other_wallet));
}

#[test]
fn a_private_bundle_with_a_foreign_public_half_is_refused() {
    let swapped = |own: &[u8], other: &[u8]| {
        let (own, other) = (own.to_vec(), other.to_vec());
        let at = own
            .windows(32)
            .position(|window| window == *key(1, 1).to_bytes())
            .unwrap();
        [&own[..at], &other[..], &own[at + 32..]].concat()
    };
    let bytes = swapped(&ALICE.encode_v2(), key(2, 1).to_bytes().as_slice());
    assert_eq!(
        PrivateKeyBundle::decode(&bytes).unwrap_err(),
        Error::from(Reason::KeyPair)
    );
    assert!(PrivateKeyBundle::decode(&user(1).encode_v2()).is_ok());
}
