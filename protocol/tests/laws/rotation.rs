use herald_protocol::{bundle::PrivateKeyBundle, invitation, time::TimestampNs};
use proptest::prelude::*;

use crate::people::{ALICE, BOB, NOW, entropy, invitation, key, native_user, rotated, user};

fn after(ms: u64) -> TimestampNs {
    TimestampNs::from_ns(NOW.as_ns() + ms * 1_000_000)
}

/// Bob with this many new pre-keys, the oldest bundle first.
fn history(rotations: u8) -> Vec<PrivateKeyBundle> {
    let mut bundles = vec![BOB.clone()];
    for rotation in 1..=rotations {
        let latest = bundles.last().unwrap();
        let rotated = latest.rotated(key(2, 2 + rotation), after(u64::from(rotation)));
        bundles.push(rotated.unwrap());
    }
    bundles
}

#[test]
fn a_rotated_bundle_is_the_one_that_the_wire_describes() {
    let ours = BOB.rotated(key(2, 3), after(1)).unwrap();
    let described = rotated(&BOB, &key(2, 3));
    assert_eq!(ours.encode_v1(), described.encode_v1());
    assert_eq!(ours.encode_v2(), described.encode_v2());
    // Contacts of both generations name the new pre-key, and the identity is the same.
    assert_eq!(ours.public().bundle().pre_key().key(), key(2, 3).public_key());
    assert_eq!(ours.public_v1().unwrap().pre_key.key(), key(2, 3).public_key());
    assert_eq!(ours.address(), BOB.address());
}

#[test]
fn a_bundle_that_has_no_legacy_form_gets_none_by_a_rotation() {
    let native = native_user(1);
    let rotated = native.rotated(key(1, 3), after(1)).unwrap();
    assert!(rotated.public_v1().is_err() && rotated.encode_v1().is_err());
    let read = PrivateKeyBundle::decode(&rotated.encode_v2()).unwrap();
    assert_eq!(read.encode_v2(), rotated.encode_v2());
    assert!(read.pre_key_of(native.public().bundle().pre_key()).is_some());
}

#[test]
fn a_pre_key_says_when_it_was_made_whatever_its_generation() {
    for bundle in [user(1), native_user(1)] {
        let rotated = bundle.rotated(key(1, 3), after(7)).unwrap();
        assert_eq!(rotated.public().bundle().pre_key().created(), after(7));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn an_invitation_to_any_earlier_pre_key_opens_after_any_number_of_rotations(rotations in 1_u8..6) {
        let bundles = history(rotations);
        let latest = bundles.last().unwrap();
        let stored = PrivateKeyBundle::decode(&latest.encode_v1().unwrap()).unwrap();
        for bundle in &bundles {
            let sealed = invitation("").seal(&ALICE, bundle.public(), NOW, entropy(1));
            for own in [latest, &stored] {
                let opened = invitation::open(NOW, &sealed, own).unwrap();
                prop_assert_eq!(opened.peer(), ALICE.address());
            }
        }
        // Who has not got the newest pre-key cannot open what is sealed to it.
        let sealed = invitation("").seal(&ALICE, latest.public(), NOW, entropy(1));
        prop_assert!(invitation::open(NOW, &sealed, &BOB).is_err());
    }
}

#[test]
fn two_copies_that_rotated_apart_are_joined_to_one_that_opens_what_either_does() {
    let (one, other) = (
        BOB.rotated(key(2, 3), after(1)).unwrap(),
        BOB.rotated(key(2, 4), after(2)).unwrap(),
    );
    for (one, other) in [(&one, &other), (&other, &one)] {
        let joined = one.joined(other).unwrap();
        assert_eq!(joined.pre_key().to_bytes(), key(2, 4).to_bytes());
        for bundle in [&*BOB, one, other] {
            assert!(joined.pre_key_of(bundle.public().bundle().pre_key()).is_some());
        }
        assert!(joined.has_all_of(one) && joined.has_all_of(other) && other.has_all_of(&BOB));
        assert!(!one.has_all_of(other) && !BOB.has_all_of(one));
        // Each pre-key is there once.
        assert_eq!(joined.joined(other).unwrap().encode_v1(), joined.encode_v1());
    }
    assert_eq!(BOB.joined(&BOB).unwrap().encode_v1(), BOB.encode_v1());
    assert!(BOB.joined(&ALICE).is_none());
    assert!(!BOB.has_all_of(&ALICE));
    // The same wallet and secret, signed as a key of the other generation.
    assert!(user(1).joined(&native_user(1)).is_none());
    assert!(!user(1).has_all_of(&native_user(1)));
}
