use herald_protocol::{
    content,
    envelope::{digest, header_matches},
    message_v2::Outgoing,
    time::TimestampNs,
    topic::Topic,
};

use crate::people::{ALICE, BOB, NOW, conversation, entropy, invitation};

const LATER: TimestampNs = TimestampNs::from_ns(NOW.as_ns() + 1);

#[test]
fn a_message_agrees_with_an_envelope_of_its_time_on_its_topic_or_the_ephemeral_form() {
    let outgoing = Outgoing {
        created: NOW,
        now: NOW,
        should_push: false,
    };
    let message = conversation()
        .seal(&ALICE, &content::text("hi").encode(), &outgoing, entropy(1))
        .bytes;
    let topic = conversation().topic().clone();
    assert!(header_matches(topic.as_str(), NOW, &message));
    assert!(header_matches(topic.ephemeral().as_str(), NOW, &message));
    assert!(!header_matches(topic.as_str(), LATER, &message));
    assert!(!header_matches("/xmtp/0/m-other/proto", NOW, &message));
    assert!(!header_matches(
        Topic::invite(BOB.address()).as_str(),
        NOW,
        &message
    ));
}

#[test]
fn an_invitation_agrees_with_an_envelope_of_its_time_on_any_topic() {
    let sealed = invitation("").seal(&ALICE, BOB.public(), NOW, entropy(1));
    for topic in [Topic::invite(ALICE.address()), Topic::invite(BOB.address())] {
        assert!(header_matches(topic.as_str(), NOW, &sealed));
        assert!(!header_matches(topic.as_str(), LATER, &sealed));
    }
}

#[test]
fn bytes_that_are_neither_are_not_judged() {
    let mut cut = invitation("").seal(&ALICE, BOB.public(), NOW, entropy(1));
    cut.truncate(cut.len() - 1);
    let contact = herald_protocol::contact::ContactBundle::V2(ALICE.public().bundle().clone()).encode();
    for bytes in [&[][..], b"hello", &[0x0a, 0x00], &[0x12, 0x00], &cut, &contact] {
        assert!(header_matches("any topic", LATER, bytes), "{bytes:?}");
    }
}

#[test]
fn the_digest_has_no_separator() {
    assert_eq!(digest("ab", b"c"), digest("a", b"bc"));
    assert_ne!(digest("ab", b"c"), digest("ab", b"d"));
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(const_hex::encode(digest("ab", b"c")), abc);
}
