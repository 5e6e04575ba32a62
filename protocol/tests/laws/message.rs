use herald_protocol::{
    Error, Reason,
    ciphertext::Ciphertext,
    content::{self, EncodedContent},
    limits,
    message::{MessageId, SealedMessage},
    message_v2::{Conversation, Outgoing},
    proto::contents::{
        self, MessageV2, SignedContent,
        ciphertext::{Aes256gcmHkdfsha256, Union},
        message::Version,
        signature,
    },
    time::TimestampNs,
};
use proptest::prelude::*;
use prost::Message as _;

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
    let not_member = Error::from(Reason::NotMember {
        found: EVE.address(),
        members: Box::new([ALICE.address(), BOB.address()]),
    });
    assert_eq!(opened.unwrap_err(), not_member);
    let known = conversation().open(conversation().topic().as_str(), &sealed.bytes, &[EVE.public()]);
    assert_eq!(known.unwrap_err(), not_member);
}

#[test]
fn a_message_is_read_on_its_topic_and_its_ephemeral_form_only() {
    let (conversation, message) = (conversation(), sealed("hi").bytes);
    let ephemeral = conversation.topic().ephemeral();
    assert!(conversation.open(ephemeral.as_str(), &message, &[]).is_ok());
    let elsewhere = conversation
        .open("/xmtp/0/m-other/proto", &message, &[])
        .unwrap_err();
    let mismatch = Reason::TopicMismatch {
        found: "/xmtp/0/m-other/proto".into(),
        wanted: conversation.topic().as_str().into(),
    };
    assert_eq!(elsewhere, Error::from(mismatch));
}

#[test]
fn conversations_of_the_same_pair_share_a_key_but_not_their_messages() {
    let other = crate::people::invitation("other");
    assert_eq!(other.key_material.as_slice(), conversation().key_material());
    let other = Conversation::new(other.topic, other.key_material, conversation().members());
    let opened = other.open(other.topic().as_str(), &sealed("hi").bytes, &[]);
    let mismatch = Reason::TopicMismatch {
        found: conversation().topic().as_str().into(),
        wanted: other.topic().as_str().into(),
    };
    assert_eq!(opened.unwrap_err(), Error::from(mismatch));
}

#[test]
fn an_unknown_sender_bundle_is_verified_and_handed_back_once() {
    let (conversation, message) = (conversation(), sealed("hi").bytes);
    let topic = conversation.topic().as_str();
    let first = conversation.open(topic, &message, &[BOB.public()]).unwrap();
    let learned = first.new_keys().unwrap();
    assert_eq!(learned, ALICE.public());
    assert_eq!(
        conversation.open(topic, &message, &[learned]).unwrap().new_keys(),
        None
    );
}

#[test]
fn what_a_decrypted_message_says_of_its_sender_is_no_proof() {
    let conversation = conversation();
    let decrypted = |bytes: &[u8]| {
        conversation
            .decrypt(conversation.topic().as_str(), bytes)
            .unwrap()
    };
    let hers = sealed("hi").bytes;
    assert!(decrypted(&hers).says_from(ALICE.public()));
    assert!(!decrypted(&hers).says_from(BOB.public()));
    assert!(decrypted(&hers).verify(&[ALICE.public()]).is_ok());
    // Bob names Alice; he has the conversation's keys, but not hers.
    let his = conversation.seal(&BOB, &content::text("hi").encode(), &OUTGOING, entropy(1));
    let (v2, _) = taken_apart(&his.bytes);
    let ciphertext = Ciphertext::from_proto(v2.ciphertext.clone().unwrap()).unwrap();
    let plain = ciphertext.open(conversation.key_material(), &v2.header_bytes);
    let signed = SignedContent {
        sender: Some(ALICE.public().as_encoded().to_vec()),
        ..SignedContent::decode(&*plain.unwrap()).unwrap()
    };
    let plain = signed.encode_to_vec();
    let sealed = Ciphertext::seal(&plain, conversation.key_material(), &v2.header_bytes, entropy(2));
    let Some(Union::Aes256GcmHkdfSha256(sealed)) = sealed.into_proto().union else {
        panic!("another cipher");
    };
    let forged = put_together(&v2, sealed);
    assert!(decrypted(&forged).says_from(ALICE.public()));
    for known in [&[][..], &[ALICE.public()]] {
        let verified = decrypted(&forged).verify(known);
        assert_eq!(verified.unwrap_err(), Error::from(Reason::Signature));
    }
}

#[test]
fn a_content_bomb_inside_a_message_is_refused() {
    let zeros = EncodedContent::new(content::ContentTypeId::text(), vec![0; 1000]);
    let mut bomb = zeros.compress(content::Compression::Deflate);
    bomb.content = miniature_bomb();
    let sealed = conversation().seal(&ALICE, &bomb.encode(), &OUTGOING, entropy(1));
    let opened = conversation().open(conversation().topic().as_str(), &sealed.bytes, &[ALICE.public()]);
    let limit = limits::CONTENT_BYTES;
    assert_eq!(
        opened.unwrap_err(),
        Error::from(Reason::ContentTooLarge { limit })
    );
}

/// 16 KiB that expand to one byte over the bound.
pub(crate) fn miniature_bomb() -> Vec<u8> {
    use std::io::Read as _;
    let zeros = std::io::repeat(0).take(u64::try_from(limits::CONTENT_BYTES).unwrap() + 1);
    let mut packed = Vec::new();
    flate2::read::ZlibEncoder::new(zeros, flate2::Compression::fast())
        .read_to_end(&mut packed)
        .unwrap();
    packed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn every_flipped_bit_of_salt_nonce_and_payload_is_the_same_error(text in "\\PC{0,40}", seed in any::<u8>()) {
        let conversation = conversation();
        let topic = conversation.topic().as_str();
        let genuine = conversation.seal(&ALICE, &content::text(&text).encode(), &OUTGOING, entropy(seed)).bytes;
        let (v2, sealed) = taken_apart(&genuine);
        let put = |edit: &dyn Fn(&mut Aes256gcmHkdfsha256)| {
            let mut sealed = sealed.clone();
            edit(&mut sealed);
            let opened = conversation.open(topic, &put_together(&v2, sealed), &[ALICE.public()]);
            assert_eq!(opened.unwrap_err(), Error::Crypto);
        };
        flipped(&sealed.hkdf_salt).for_each(|salt| put(&|sealed| sealed.hkdf_salt.clone_from(&salt)));
        flipped(&sealed.gcm_nonce).for_each(|nonce| put(&|sealed| sealed.gcm_nonce.clone_from(&nonce)));
        flipped(&sealed.payload).for_each(|payload| put(&|sealed| sealed.payload.clone_from(&payload)));
    }
}

/// A member who has the key material still cannot alter what the other one signed.
#[test]
fn every_flipped_bit_of_the_signature_inside_is_the_same_error() {
    let conversation = conversation();
    let topic = conversation.topic().as_str();
    let (v2, _) = taken_apart(&sealed("an invoice of 100").bytes);
    let ciphertext = Ciphertext::from_proto(v2.ciphertext.clone().unwrap()).unwrap();
    let plain = ciphertext
        .open(conversation.key_material(), &v2.header_bytes)
        .unwrap();
    let signed = SignedContent::decode(&*plain).unwrap();
    let genuine = match signed.signature.clone().unwrap().union.unwrap() {
        signature::Union::EcdsaCompact(signature) => signature,
        signature::Union::WalletEcdsaCompact(_) => panic!("signed by a wallet"),
    };
    for bytes in flipped(&genuine.bytes) {
        let union = signature::Union::EcdsaCompact(signature::EcdsaCompact { bytes, ..genuine });
        let signed = SignedContent {
            signature: Some(contents::Signature { union: Some(union) }),
            ..signed.clone()
        };
        let sealed = Ciphertext::seal(
            &signed.encode_to_vec(),
            conversation.key_material(),
            &v2.header_bytes,
            entropy(9),
        );
        let forged = MessageV2 {
            ciphertext: Some(sealed.into_proto()),
            ..v2.clone()
        };
        let forged = contents::Message {
            version: Some(Version::V2(forged)),
        }
        .encode_to_vec();
        for known in [&[][..], &[ALICE.public()]] {
            let opened = conversation.open(topic, &forged, known);
            assert_eq!(opened.unwrap_err(), Error::from(Reason::Signature));
        }
    }
}

fn taken_apart(bytes: &[u8]) -> (MessageV2, Aes256gcmHkdfsha256) {
    let Some(Version::V2(v2)) = contents::Message::decode(bytes).unwrap().version else {
        panic!("another version");
    };
    let Some(Union::Aes256GcmHkdfSha256(sealed)) = v2.ciphertext.clone().unwrap().union else {
        panic!("another cipher");
    };
    (v2, sealed)
}

fn put_together(v2: &MessageV2, sealed: Aes256gcmHkdfsha256) -> Vec<u8> {
    let union = Some(Union::Aes256GcmHkdfSha256(sealed));
    let v2 = MessageV2 {
        ciphertext: Some(contents::Ciphertext { union }),
        ..v2.clone()
    };
    let version = Some(Version::V2(v2));
    contents::Message { version }.encode_to_vec()
}
