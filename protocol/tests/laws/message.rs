use herald_protocol::{
    Error, Reason,
    content::{self, EncodedContent},
    message_v2::{Conversation, MessageId, Outgoing, SealedMessage},
    time::TimestampNs,
};
use proptest::prelude::*;

use crate::people::{ALICE, BOB, EVE, NOW, conversation, entropy, flipped};

const OUTGOING: Outgoing = Outgoing {
    created: NOW,
    now: NOW,
    should_push: true,
};

fn sealed(text: &str) -> SealedMessage {
    conversation().seal(&ALICE, &content::text(text).encode(), &OUTGOING, entropy(1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_sealed_message_opens_to_itself(
        text in "\\PC{0,300}", created in any::<u64>(), now in any::<u64>(), should_push in any::<bool>(), seed in any::<u8>(),
    ) {
        let conversation = conversation();
        let outgoing = Outgoing {
            created: TimestampNs::from_ns(created), now: TimestampNs::from_ns(now), should_push,
        };
        let sealed = conversation.seal(&BOB, &content::text(&text).encode(), &outgoing, entropy(seed));
        let topic = conversation.topic().as_str();
        let opened = conversation.open(topic, &sealed.bytes, &[BOB.public()]).unwrap();
        prop_assert_eq!(opened.id(), sealed.id);
        prop_assert_eq!(opened.sender(), BOB.address());
        prop_assert_eq!(opened.sent(), outgoing.created);
        prop_assert_eq!(content::decode_text(opened.content()), Ok(text));
    }
}

#[test]
fn no_flipped_bit_changes_what_is_read() {
    let conversation = conversation();
    let sealed = sealed("an invoice of 100");
    let topic = conversation.topic().as_str();
    let genuine = conversation
        .open(topic, &sealed.bytes, &[ALICE.public()])
        .unwrap();
    let mut accepted = 0;
    for bytes in flipped(&sealed.bytes) {
        assert_ne!(MessageId::of(&bytes), sealed.id);
        if let Ok(opened) = conversation.open(topic, &bytes, &[ALICE.public()]) {
            // The marks for push servers are outside of what is sealed.
            assert_eq!(
                (opened.sender(), opened.sent(), opened.content()),
                (genuine.sender(), genuine.sent(), genuine.content())
            );
            accepted += 1;
        }
    }
    // 34 bytes of sender_hmac with its head, 2 of should_push.
    assert!(accepted <= 36 * 8, "{accepted} bits are not protected");
}

#[test]
fn a_sender_who_is_not_a_member_is_refused_even_with_the_key_material() {
    let sealed = conversation().seal(&EVE, &content::text("hi").encode(), &OUTGOING, entropy(1));
    let opened = conversation().open(conversation().topic().as_str(), &sealed.bytes, &[]);
    assert_eq!(opened.unwrap_err(), Error::from(Reason::NotMember));
    let known = conversation().open(conversation().topic().as_str(), &sealed.bytes, &[EVE.public()]);
    assert_eq!(known.unwrap_err(), Error::from(Reason::NotMember));
}

#[test]
fn a_message_is_read_on_its_topic_and_its_ephemeral_form_only() {
    let (conversation, message) = (conversation(), sealed("hi").bytes);
    let ephemeral = conversation.topic().ephemeral();
    assert!(conversation.open(ephemeral.as_str(), &message, &[]).is_ok());
    let elsewhere = conversation
        .open("/xmtp/0/m-other/proto", &message, &[])
        .unwrap_err();
    assert_eq!(elsewhere, Error::from(Reason::TopicMismatch));
}

#[test]
fn conversations_of_the_same_pair_share_a_key_but_not_their_messages() {
    let other = crate::people::invitation("other");
    assert_eq!(other.key_material.as_slice(), conversation().key_material());
    let other = Conversation::new(other.topic, other.key_material, conversation().members());
    let opened = other.open(other.topic().as_str(), &sealed("hi").bytes, &[]);
    assert_eq!(opened.unwrap_err(), Error::from(Reason::TopicMismatch));
}

#[test]
fn an_unknown_sender_bundle_is_verified_and_handed_back_once() {
    let (conversation, message) = (conversation(), sealed("hi").bytes);
    let topic = conversation.topic().as_str();
    let first = conversation.open(topic, &message, &[BOB.public()]).unwrap();
    let learned = first.new_sender_bundle().unwrap();
    assert_eq!(learned, ALICE.public());
    assert_eq!(
        conversation
            .open(topic, &message, &[learned])
            .unwrap()
            .new_sender_bundle(),
        None
    );
}

#[test]
fn a_content_bomb_inside_a_message_is_refused() {
    let zeros = EncodedContent::new(content::ContentTypeId::text(), vec![0; 1000]);
    let mut bomb = zeros.compress(content::Compression::Deflate);
    bomb.content = miniature_bomb();
    let sealed = conversation().seal(&ALICE, &bomb.encode(), &OUTGOING, entropy(1));
    let opened = conversation().open(conversation().topic().as_str(), &sealed.bytes, &[ALICE.public()]);
    assert_eq!(opened.unwrap_err(), Error::from(Reason::ContentTooLarge));
}

/// 16 KiB that expand to one byte over the bound.
fn miniature_bomb() -> Vec<u8> {
    use std::io::Read as _;
    let zeros = std::io::repeat(0).take(u64::try_from(herald_protocol::limits::CONTENT_BYTES).unwrap() + 1);
    let mut packed = Vec::new();
    flate2::read::ZlibEncoder::new(zeros, flate2::Compression::fast())
        .read_to_end(&mut packed)
        .unwrap();
    packed
}
