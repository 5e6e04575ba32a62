use herald_protocol::{
    Error, Reason,
    ciphertext::Ciphertext,
    invitation::{self, Invitation, InvitationContext},
    proto::contents::{
        SealedInvitation, SealedInvitationHeaderV1, SealedInvitationV1, SignedPublicKeyBundle,
        sealed_invitation::Version,
    },
    time::TimestampNs,
    x3dh::{Role, shared_secret},
};
use proptest::prelude::*;
use prost::Message as _;

use crate::people::{ALICE, BOB, EVE, NOW, entropy, flipped, invitation, native_user};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn a_sealed_invitation_opens_to_itself_for_both(
        id in "\\PC{0,40}", metadata in prop::collection::vec(("\\PC{0,9}", "\\PC{0,9}"), 0..4), created in any::<u64>(), seed in any::<u8>(),
    ) {
        let context = InvitationContext { conversation_id: id, metadata };
        let invitation = Invitation::derive(&ALICE, BOB.public(), Some(context));
        let created = TimestampNs::from_ns(created);
        let sealed = invitation.seal(&ALICE, BOB.public(), created, entropy(seed));
        let (sent, received) = (
            invitation::open(created, &sealed, &ALICE).unwrap(), invitation::open(created, &sealed, &BOB).unwrap(),
        );
        prop_assert_eq!(sent.invitation(), &invitation);
        prop_assert_eq!(received.invitation(), &invitation);
        prop_assert_eq!((sent.peer(), sent.we_invited()), (BOB.address(), true));
        prop_assert_eq!((received.peer(), received.we_invited()), (ALICE.address(), false));
    }
}

#[test]
fn no_flipped_bit_of_an_invitation_opens() {
    let sealed = invitation("").seal(&ALICE, BOB.public(), NOW, entropy(1));
    let genuine = invitation::open(NOW, &sealed, &BOB).unwrap();
    for bytes in flipped(&sealed) {
        if let Ok(opened) = invitation::open(NOW, &bytes, &BOB) {
            assert_eq!(opened.invitation(), genuine.invitation());
            assert_eq!(opened.peer(), genuine.peer());
        }
    }
}

#[test]
fn an_invitation_to_others_and_at_another_time_is_refused_with_its_reason() {
    let sealed = invitation("").seal(&ALICE, BOB.public(), NOW, entropy(1));
    let refused = |time, own| invitation::open(time, &sealed, own).unwrap_err();
    assert_eq!(refused(NOW, &EVE), Error::from(Reason::NotOurPreKey));
    let later = TimestampNs::from_ns(NOW.as_ns() + 1);
    let header_time = Reason::HeaderTime {
        header: NOW,
        envelope: later,
    };
    assert_eq!(refused(later, &BOB), Error::from(header_time));
}

#[test]
fn an_invitation_to_a_topic_that_is_no_conversation_is_refused() {
    for topic in [
        "/xmtp/0/mE-x/proto",
        "/xmtp/0/m-/proto",
        "/xmtp/0/invite-x/proto",
        "/xmtp/0/m-x",
        "/xmtp/0/m-a b/proto",
    ] {
        let mut named = invitation("");
        named.topic = topic.parse().unwrap();
        let sealed = named.seal(&ALICE, BOB.public(), NOW, entropy(1));
        let error = invitation::open(NOW, &sealed, &BOB).unwrap_err();
        let found = topic.into();
        assert_eq!(error, Error::from(Reason::NotConversationTopic { found }));
    }
}

#[test]
fn keys_without_a_legacy_form_invite_and_are_invited() {
    let native = native_user(4);
    for (one, other) in [(&native, &*BOB), (&*BOB, &native)] {
        let invitation = Invitation::derive(one, other.public(), None);
        let sealed = invitation.seal(one, other.public(), NOW, entropy(1));
        let opened = invitation::open(NOW, &sealed, other).unwrap();
        assert_eq!((opened.invitation(), opened.peer()), (&invitation, one.address()));
    }
}

#[test]
fn an_invitation_that_names_our_pre_key_under_another_identity_is_refused() {
    let named = |recipient: SignedPublicKeyBundle| {
        let header_bytes = SealedInvitationHeaderV1 {
            sender: Some(ALICE.public().bundle().to_proto()),
            recipient: Some(recipient),
            created_ns: NOW.as_ns(),
        }
        .encode_to_vec();
        let secret = shared_secret(ALICE.identity_key(), ALICE.pre_key(), BOB.public(), Role::Sender);
        let ciphertext = Ciphertext::seal(&invitation("").encode(), &*secret, &header_bytes, entropy(1));
        let v1 = SealedInvitationV1 {
            header_bytes,
            ciphertext: Some(ciphertext.into_proto()),
        };
        let sealed = SealedInvitation {
            version: Some(Version::V1(v1)),
        }
        .encode_to_vec();
        invitation::open(NOW, &sealed, &BOB)
    };
    let genuine = BOB.public().bundle().to_proto();
    assert!(named(genuine.clone()).is_ok());
    let identity_key = EVE.public().bundle().to_proto().identity_key;
    let error = named(SignedPublicKeyBundle {
        identity_key,
        ..genuine
    })
    .unwrap_err();
    assert_eq!(error, Error::from(Reason::NotOurPreKey));
}
