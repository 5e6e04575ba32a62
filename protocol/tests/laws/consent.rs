use std::collections::HashMap;

use herald_protocol::{
    Error, Reason,
    address::Address,
    consent::{
        ConsentList, ConsentProof, ConsentState, Permission, Preferences, PreferencesAction, Subject,
        consent_proof_text,
    },
    invitation::Invitation,
    limits,
    time::TimestampNs,
    wallet::WalletKey,
};
use proptest::prelude::*;

use crate::people::{ALICE, BOB, EVE, NOW, entropy, flipped, invitation};

fn action() -> impl Strategy<Value = PreferencesAction> {
    let permission = prop_oneof![Just(Permission::Allow), Just(Permission::Deny)];
    let subject = prop_oneof![
        Just(Subject::Address),
        Just(Subject::Group),
        Just(Subject::InboxId)
    ];
    // Few names, so that actions meet.
    let names = prop::collection::vec("[ab]{0,2}", 0..4);
    (permission, subject, names).prop_map(|(permission, subject, names)| PreferencesAction {
        permission,
        subject,
        names,
    })
}

/// The log of these actions, a nanosecond apart.
fn replayed<'a>(actions: impl IntoIterator<Item = &'a PreferencesAction>) -> ConsentList {
    let mut list = ConsentList::default();
    for (at, action) in (0..).zip(actions) {
        list.apply(TimestampNs::from_ns(at), action);
    }
    list
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_sealed_action_opens_to_itself_and_for_its_writer_only(action in action(), seed in any::<u8>()) {
        let preferences = Preferences::of(ALICE.identity_key());
        let payload = preferences.seal(&action, entropy(seed));
        prop_assert_eq!(preferences.open(&payload), Ok(vec![action]));
        prop_assert_eq!(Preferences::of(BOB.identity_key()).open(&payload), Err(Error::Crypto));
    }

    #[test]
    fn the_last_word_on_a_name_counts(actions in prop::collection::vec(action(), 0..20)) {
        let mut model = HashMap::new();
        for action in &actions {
            for name in &action.names {
                model.insert((action.subject, name.as_str()), ConsentState::from(action.permission));
            }
        }
        let list = replayed(&actions);
        let entries: HashMap<_, _> =
            list.entries().map(|(subject, name, state)| ((subject, name), state)).collect();
        prop_assert_eq!(&entries, &model);
        for ((subject, name), state) in entries {
            prop_assert_eq!(list.state(subject, name), state);
        }
        prop_assert_eq!(list.state(Subject::Group, "never named"), ConsentState::Unknown);
    }

    #[test]
    fn a_log_says_the_same_in_whatever_order_and_however_often_it_is_read(
        actions in prop::collection::vec(action(), 0..20),
        order in any::<prop::sample::Index>(),
    ) {
        let dated: Vec<_> = (0..).map(TimestampNs::from_ns).zip(&actions).collect();
        let mut list = ConsentList::default();
        let (early, late) = dated.split_at(if dated.is_empty() { 0 } else { order.index(dated.len()) });
        for (at, action) in late.iter().chain(early).chain(late) {
            list.apply(*at, action);
        }
        prop_assert_eq!(list, replayed(&actions));
    }

    #[test]
    fn a_proof_is_good_from_its_time_for_thirty_days(age_ms in 0_u64..=limits::CONSENT_PROOF_AGE_SECONDS * 1_000) {
        let now = TimestampNs::from_ms(NOW.as_ms() + age_ms).unwrap();
        prop_assert_eq!(proof().verify(BOB.address(), ALICE.address(), now), Ok(()));
    }

    #[test]
    fn no_proof_makes_its_reader_panic(signature in "(0x)?[0-9a-f]{0,140}|\\PC{0,20}", timestamp_ms in any::<u64>(), now in any::<u64>()) {
        let proof = ConsentProof { signature, timestamp_ms, payload_version: -1 };
        let _ = proof.verify(BOB.address(), ALICE.address(), TimestampNs::from_ns(now));
        let _ = consent_proof_text(BOB.address(), TimestampNs::from_ns(now));
    }
}

#[test]
fn an_address_counts_in_eip_55_only() {
    let wallet = ALICE.address();
    let deny = |name: String| PreferencesAction {
        permission: Permission::Deny,
        subject: Subject::Address,
        names: vec![name],
    };
    let list = replayed([&deny(wallet.to_string().to_lowercase())]);
    assert_eq!(list.of_address(wallet), ConsentState::Unknown);
    assert_eq!(list.entries().count(), 1);
    let list = replayed([&PreferencesAction::addresses(Permission::Deny, [wallet])]);
    assert_eq!(list.of_address(wallet), ConsentState::Denied);
    assert_eq!(
        list.state(Subject::InboxId, &wallet.to_string()),
        ConsentState::Unknown
    );
}

#[test]
fn every_flipped_bit_of_a_sealed_action_is_refused() {
    let preferences = Preferences::of(ALICE.identity_key());
    let action = PreferencesAction::addresses(Permission::Allow, [BOB.address()]);
    for payload in flipped(&preferences.seal(&action, entropy(1))) {
        assert!(preferences.open(&payload).is_err());
    }
}

/// Alice's wish to hear of Bob.
fn proof() -> ConsentProof {
    ConsentProof::sign(&WalletKey::from_bytes(&[1; 32]).unwrap(), BOB.address(), NOW)
}

#[test]
fn a_proof_is_for_one_reader_one_sender_and_its_time() {
    let (reader, sender) = (ALICE.address(), BOB.address());
    let verdict = |proof: &ConsentProof, sender: Address, reader: Address, now_ms: u64| {
        proof.verify(sender, reader, TimestampNs::from_ms(now_ms).unwrap())
    };
    let (made, age) = (NOW.as_ms(), limits::CONSENT_PROOF_AGE_SECONDS * 1_000);
    assert_eq!(verdict(&proof(), sender, reader, made), Ok(()));
    assert_eq!(verdict(&proof(), sender, reader, made + age), Ok(()));
    let other_reader = Reason::ConsentProofWallet {
        found: reader,
        wanted: EVE.address(),
    };
    let future = Reason::ConsentProofFuture {
        found_ms: made,
        now_ms: made - 1,
    };
    let expired = Reason::ConsentProofExpired {
        found_ms: made,
        now_ms: made + age + 1,
    };
    let cases = [
        (EVE.address(), made, other_reader),
        (reader, made - 1, future),
        (reader, made + age + 1, expired),
    ];
    for (reader, now, reason) in cases {
        assert_eq!(verdict(&proof(), sender, reader, now), Err(reason.into()));
    }
    not_signed_by(reader, &verdict(&proof(), EVE.address(), reader, made));
    let empty = ConsentProof {
        signature: String::new(),
        ..proof()
    };
    let timeless = ConsentProof {
        timestamp_ms: 0,
        ..proof()
    };
    for empty in [empty, timeless] {
        assert_eq!(
            verdict(&empty, sender, reader, made),
            Err(Reason::ConsentProofEmpty.into())
        );
    }
    // The text has whole seconds: within one the signature holds, in the next it does not.
    let later = ConsentProof {
        timestamp_ms: made + 1_000,
        ..proof()
    };
    not_signed_by(reader, &verdict(&later, sender, reader, made + 2_000));
}

/// A signature of another text yields the address of nobody.
#[track_caller]
fn not_signed_by(wallet: Address, verdict: &Result<(), Error>) {
    let Err(Error::Invalid(Reason::ConsentProofWallet { found, wanted })) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(*wanted, wallet);
    assert_ne!(*found, wallet);
}

#[test]
fn a_proof_travels_in_an_invitation_as_it_is() {
    let mut carrying = invitation("x");
    carrying.consent_proof = Some(ConsentProof {
        payload_version: 7,
        ..proof()
    });
    assert_eq!(Invitation::decode(&carrying.encode()), Ok(carrying));
}
