use herald_protocol::{
    bundle::{PrivateKeyBundle, UnsignedIdentity},
    key::PrivateKey,
    time::TimestampNs,
    wallet::WalletKey,
};

use super::*;

fn keys() -> PrivateKeyBundle {
    let now = TimestampNs::default();
    let key = |byte| PrivateKey::from_bytes(&[byte; 32]).unwrap();
    let wallet = WalletKey::from_bytes(&[7; 32]).unwrap();
    let identity = UnsignedIdentity::legacy(key(1), now);
    let signature = wallet.sign_text(&identity.text());
    identity
        .signed(wallet.address(), &signature, key(2), now)
        .unwrap()
}

fn proven() -> Proven {
    let Auth {
        max_age, max_future, ..
    } = Auth::default();
    let bearer = token::bearer(&keys(), TimestampNs::default()).unwrap();
    let token = token::verify(&bearer, TimestampNs::default(), max_age, max_future).unwrap();
    Proven {
        address: Arc::from(token.address().to_string()),
        token,
    }
}

fn digest(number: usize) -> Digest {
    Sha256::digest(number.to_be_bytes()).into()
}

#[test]
fn however_many_tokens_come_the_table_is_bounded_and_a_token_in_use_stays() {
    let proven = proven();
    let mut known = Known::default();
    let used = digest(0);
    known.insert(used, proven.clone());
    for number in 1..5 * GENERATION_TOKENS {
        known.insert(digest(number), proven.clone());
        assert!(known.young.len() <= GENERATION_TOKENS && known.old.len() <= GENERATION_TOKENS);
        if number % 1_000 == 0 {
            assert!(known.get(&used).is_some(), "{number}");
        }
    }
    assert!(known.get(&digest(1)).is_none(), "one that is not used leaves");
}

#[test]
fn with_a_token_required_only_the_owner_reads_invitations_and_private_stores() {
    let wallet = proven();
    let own = wallet.address.to_string();
    let proven = Reader::Proven(Wallet {
        account: wallet.token.address(),
        address: wallet.address,
    });
    let unproven = Reader::Unproven(token::Error::NotProvided.into());
    for (topic, by_owner, by_anyone) in [
        (format!("/xmtp/0/invite-{own}/proto"), true, false),
        (format!("/xmtp/0/intro-{own}/proto"), true, false),
        (
            format!("/xmtp/0/privatestore-{own}/key_bundle/proto"),
            true,
            false,
        ),
        (
            format!("/xmtp/0/privatestore-{own}-x/key_bundle/proto"),
            false,
            false,
        ),
        (
            format!("/xmtp/0/invite-{}/proto", own.to_lowercase()),
            false,
            false,
        ),
        ("/xmtp/0/invite-/proto".to_owned(), false, false),
        (format!("/xmtp/0/contact-{own}/proto"), true, true),
        ("/xmtp/0/m-1/proto".to_owned(), true, true),
        ("test-invite".to_owned(), true, true),
    ] {
        let topics = ["/xmtp/0/m-2/proto".to_owned(), topic];
        assert_eq!(proven.check_may_read(&topics).is_ok(), by_owner, "{topics:?}");
        assert_eq!(unproven.check_may_read(&topics).is_ok(), by_anyone, "{topics:?}");
        assert!(Reader::Anyone.check_may_read(&topics).is_ok());
    }
}
