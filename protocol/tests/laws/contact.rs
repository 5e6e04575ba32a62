use herald_protocol::{
    Error, Reason,
    bundle::{LegacyPublicKey, PrivateKeyBundle, PublicKeyBundle},
    contact::{ContactBundle, Selection, select},
    limits,
};

use crate::people::{ALICE, BOB, EVE};

fn v2(user: &PrivateKeyBundle) -> Vec<u8> {
    ContactBundle::V2(user.public().bundle().clone()).encode()
}

fn selected(newest_first: &[&[u8]]) -> Selection {
    select(ALICE.address(), newest_first.iter().copied())
}

fn signed_by(user: &PrivateKeyBundle) -> Error {
    let (found, wanted) = (user.address(), ALICE.address());
    Reason::OtherWallet { found, wanted }.into()
}

/// Alice's keys as nobody signed them.
fn unsigned() -> Vec<u8> {
    let PublicKeyBundle {
        identity_key,
        pre_key,
    } = ALICE.public_v1().unwrap();
    let mut identity_key = identity_key.to_proto();
    identity_key.signature = None;
    let identity_key = LegacyPublicKey::from_proto(&identity_key).unwrap();
    ContactBundle::V1(PublicKeyBundle {
        identity_key,
        pre_key,
    })
    .encode()
}

#[test]
fn the_newest_contact_that_the_wallet_signed_is_selected_and_the_newer_ones_are_named() {
    let own = ContactBundle::V2(ALICE.public().bundle().clone());
    let Selection { contact, skipped } =
        selected(&[&v2(&EVE), b"\xff", &unsigned(), &own.encode(), &v2(&BOB)]);
    assert_eq!(contact, Some(own.clone()));
    let [other, malformed, nobodys] = skipped.as_slice() else {
        panic!("{skipped:?}");
    };
    assert_eq!(other, &signed_by(&EVE));
    assert!(matches!(malformed, Error::Malformed { what: "contact", .. }));
    assert_eq!(nobodys, &Reason::NotWalletSigned.into());

    let first = selected(&[&own.encode(), &v2(&EVE)]);
    assert_eq!((first.contact, first.skipped), (Some(own), Vec::new()));
}

#[test]
fn a_topic_without_a_contact_of_the_wallet_says_why_there_is_none() {
    assert_eq!(
        selected(&[]),
        Selection {
            contact: None,
            skipped: Vec::new()
        }
    );
    let found = selected(&[&v2(&EVE), &v2(&BOB)]);
    assert_eq!(found.contact, None);
    assert_eq!(found.skipped, [signed_by(&EVE), signed_by(&BOB)]);
    assert_eq!(
        found.skipped[0].to_string(),
        format!(
            "identity key is signed by `{}`, wanted `{}`",
            EVE.address(),
            ALICE.address()
        )
    );
}

#[test]
fn no_more_contacts_are_looked_at_than_five() {
    let (own, other) = (v2(&ALICE), v2(&EVE));
    let newest_first = |others: usize| {
        let mut list = vec![other.as_slice(); others];
        list.push(&own);
        list
    };
    assert!(selected(&newest_first(limits::CONTACTS - 1)).contact.is_some());
    let beyond = selected(&newest_first(limits::CONTACTS));
    assert_eq!((beyond.contact, beyond.skipped.len()), (None, limits::CONTACTS));
}
