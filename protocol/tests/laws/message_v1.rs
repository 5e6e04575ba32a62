use std::sync::LazyLock;

use herald_protocol::{
    Error, Reason,
    bundle::PrivateKeyBundle,
    ciphertext::Ciphertext,
    content::{self, EncodedContent},
    limits,
    message::{MessageId, SealedMessage},
    message_v1::{Conversation, Session, SessionId, introduction},
    proto::contents::{Message, MessageHeaderV1, MessageV1, message::Version},
    time::TimestampNs,
    topic::Topic,
};
use proptest::prelude::*;
use prost::Message as _;

use crate::people::{ALICE, BOB, EVE, NOW, entropy, flipped, key, native_user, rotated};

static TO_BOB: LazyLock<Session> = LazyLock::new(|| Session::outgoing(&ALICE, BOB.public()).unwrap());
/// Bob after two new pre-keys.
static BOB_LATER: LazyLock<PrivateKeyBundle> =
    LazyLock::new(|| rotated(&rotated(&BOB, &key(2, 3)), &key(2, 4)));

fn conversation(own: &PrivateKeyBundle, peer: &PrivateKeyBundle) -> Conversation {
    Conversation::new(own.address(), peer.address())
}

fn sealed_at(text: &str, sent: TimestampNs, seed: u8) -> SealedMessage {
    let payload = content::text(text).encode();
    let sealed = conversation(&ALICE, &BOB).seal(&TO_BOB, &payload, sent, entropy(seed));
    sealed.unwrap()
}

fn sealed(text: &str) -> SealedMessage {
    sealed_at(text, NOW, 1)
}

/// What opening says on the conversation's topic.
fn open(own: &PrivateKeyBundle, peer: &PrivateKeyBundle, bytes: &[u8]) -> Result<String, Error> {
    let conversation = conversation(own, peer);
    let opened = conversation.open(own, conversation.topic().as_str(), bytes, &[])?;
    content::decode_text(opened.content())
}

fn v1_of(bytes: &[u8]) -> MessageV1 {
    match Message::decode(bytes).unwrap().version {
        Some(Version::V1(v1)) => v1,
        _ => panic!("another version"),
    }
}

fn encoded(v1: MessageV1) -> Vec<u8> {
    let version = Some(Version::V1(v1));
    Message { version }.encode_to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_sealed_message_opens_to_itself_on_both_sides(text in "\\PC{0,300}", sent in any::<u64>(), seed in any::<u8>()) {
        let sent = TimestampNs::from_ns(sent);
        let sealed = sealed_at(&text, sent, seed);
        prop_assert_eq!(sealed.created.as_ms(), sent.as_ms());
        prop_assert_eq!(sealed.created.as_ns() % 1_000_000, 0);
        for (own, peer) in [(&*ALICE, &*BOB), (&*BOB, &*ALICE), (&*BOB_LATER, &*ALICE)] {
            let conversation = conversation(own, peer);
            let opened = conversation.open(own, conversation.topic().as_str(), &sealed.bytes, &[]).unwrap();
            prop_assert_eq!(opened.id(), sealed.id);
            prop_assert_eq!(opened.sender(), ALICE.address());
            prop_assert_eq!(opened.sent(), sealed.created);
            prop_assert_eq!(content::decode_text(opened.content()), Ok(text.clone()));
        }
    }
}

#[test]
fn a_sender_with_a_new_pre_key_is_read_and_reads_itself() {
    let session = Session::outgoing(&BOB_LATER, ALICE.public()).unwrap();
    let payload = content::text("hi").encode();
    let sealed = conversation(&BOB_LATER, &ALICE).seal(&session, &payload, NOW, entropy(1));
    let bytes = sealed.unwrap().bytes;
    assert_eq!(open(&ALICE, &BOB, &bytes).as_deref(), Ok("hi"));
    assert_eq!(open(&BOB_LATER, &ALICE, &bytes).as_deref(), Ok("hi"));
    // The keys of before the rotation are too old for it.
    assert_eq!(
        open(&BOB, &ALICE, &bytes).unwrap_err(),
        Error::from(Reason::NotOurPreKey)
    );
}

#[test]
fn every_flipped_bit_is_refused() {
    let conversation = conversation(&BOB, &ALICE);
    let topic = conversation.topic().as_str();
    let sealed = sealed("an invoice of 100");
    let genuine = conversation.open(&BOB, topic, &sealed.bytes, &[]).unwrap();
    let known = [genuine.new_keys().unwrap()];
    for bytes in flipped(&sealed.bytes) {
        assert_ne!(MessageId::of(&bytes), sealed.id);
        assert!(conversation.open(&BOB, topic, &bytes, &known).is_err());
    }
}

/// What is sealed gives no hint of what is wrong with it, whether the session is known or not.
#[test]
fn every_flipped_bit_of_salt_nonce_and_payload_is_the_same_error() {
    use herald_protocol::proto::contents::ciphertext::Union;
    let conversation = conversation(&BOB, &ALICE);
    let topic = conversation.topic().as_str();
    let genuine = sealed("an invoice of 100").bytes;
    let Some(Union::Aes256GcmHkdfSha256(parts)) = v1_of(&genuine).ciphertext.unwrap().union else {
        panic!("another cipher");
    };
    let salts = flipped(&parts.hkdf_salt)
        .map(|hkdf_salt| (hkdf_salt, parts.gcm_nonce.clone(), parts.payload.clone()));
    let nonces =
        flipped(&parts.gcm_nonce).map(|nonce| (parts.hkdf_salt.clone(), nonce, parts.payload.clone()));
    let payloads =
        flipped(&parts.payload).map(|payload| (parts.hkdf_salt.clone(), parts.gcm_nonce.clone(), payload));
    let mut tried = 0;
    for (index, (hkdf_salt, gcm_nonce, payload)) in salts.chain(nonces).chain(payloads).enumerate() {
        let mut v1 = v1_of(&genuine);
        if let Some(Union::Aes256GcmHkdfSha256(sealed)) = &mut v1.ciphertext.as_mut().unwrap().union {
            (sealed.hkdf_salt, sealed.gcm_nonce, sealed.payload) = (hkdf_salt, gcm_nonce, payload);
        }
        let session = open_session();
        let known: &[&Session] = if index % 8 == 0 { &[] } else { &[&session] };
        let opened = conversation.open(&BOB, topic, &encoded(v1), known);
        assert_eq!(opened.unwrap_err(), Error::Crypto);
        tried += 1;
    }
    assert!(tried > (32 + 12 + 16) * 8);
}

/// Alice's session as Bob learns it.
fn open_session() -> Session {
    TO_BOB.clone()
}

#[test]
fn a_message_is_read_on_its_topic_its_ephemeral_form_and_the_members_intros_only() {
    let conversation = conversation(&BOB, &ALICE);
    let bytes = sealed("hi").bytes;
    let open = |topic: &Topic| conversation.open(&BOB, topic.as_str(), &bytes, &[&TO_BOB]);
    for topic in [
        conversation.topic().clone(),
        conversation.ephemeral_topic(),
        Topic::intro(BOB.address()),
        Topic::intro(ALICE.address()),
    ] {
        assert!(open(&topic).is_ok(), "{topic}");
    }
    for topic in [
        Topic::dm(BOB.address(), EVE.address()),
        Topic::intro(EVE.address()),
        Topic::invite(BOB.address()),
    ] {
        let mismatch = Reason::TopicMismatch {
            found: topic.as_str().into(),
            wanted: conversation.topic().as_str().into(),
        };
        assert_eq!(open(&topic).unwrap_err(), Error::from(mismatch));
    }
}

fn other_pair(found: [&PrivateKeyBundle; 2], members: [&PrivateKeyBundle; 2]) -> Error {
    let found = Box::new(found.map(PrivateKeyBundle::address));
    let members = Box::new(members.map(PrivateKeyBundle::address));
    Reason::OtherPair { found, members }.into()
}

fn not_between(found: [&PrivateKeyBundle; 2], own: &PrivateKeyBundle) -> Error {
    let found = Box::new(found.map(PrivateKeyBundle::address));
    Reason::NotBetween {
        found,
        own: own.address(),
    }
    .into()
}

#[test]
fn a_message_of_another_pair_is_refused_also_with_its_session_known() {
    let bytes = sealed("hi").bytes;
    let wrong = conversation(&BOB, &EVE);
    for known in [&[][..], &[&*TO_BOB]] {
        let opened = wrong.open(&BOB, wrong.topic().as_str(), &bytes, known);
        assert_eq!(opened.unwrap_err(), other_pair([&ALICE, &BOB], [&BOB, &EVE]));
    }
    let stranger = conversation(&EVE, &ALICE);
    let opened = stranger.open(&EVE, stranger.topic().as_str(), &bytes, &[]);
    assert_eq!(opened.unwrap_err(), Error::from(Reason::NotOurPreKey));
}

#[test]
fn nobody_seals_in_the_name_of_another() {
    let payload = content::text("hi").encode();
    for (own, peer) in [(&*BOB, &*ALICE), (&*ALICE, &*EVE)] {
        let sealed = conversation(own, peer).seal(&TO_BOB, &payload, NOW, entropy(1));
        assert_eq!(sealed.unwrap_err(), other_pair([&ALICE, &BOB], [own, peer]));
    }
}

#[test]
fn keys_without_a_legacy_form_have_no_session() {
    let native = native_user(4);
    assert!(matches!(
        Session::outgoing(&native, BOB.public()),
        Err(Error::Unsupported { .. })
    ));
    assert!(matches!(
        Session::outgoing(&ALICE, native.public()),
        Err(Error::Unsupported { .. })
    ));
}

#[test]
fn a_new_session_is_handed_back_once_and_found_by_its_id() {
    let conversation = conversation(&BOB, &ALICE);
    let bytes = sealed("hi").bytes;
    let topic = conversation.topic().as_str();
    let first = conversation.open(&BOB, topic, &bytes, &[]).unwrap();
    let learned = first.new_keys().unwrap();
    assert_eq!(SessionId::of(&bytes), Ok(learned.id()));
    assert_eq!(learned.id(), TO_BOB.id());
    let again = conversation.open(&BOB, topic, &bytes, &[learned]).unwrap();
    assert!(again.new_keys().is_none());
    let back = Session::outgoing(&BOB, ALICE.public()).unwrap();
    assert_ne!(back.id(), learned.id());
}

/// A header that names the victim's keys under another wallet's signature, or the attacker's keys as its own.
#[test]
fn a_header_that_lies_about_wallets_is_refused() {
    let eves_header = |edit: &dyn Fn(&mut MessageHeaderV1)| {
        let mut header = MessageHeaderV1::decode(&*v1_of(&sealed("hi").bytes).header_bytes).unwrap();
        edit(&mut header);
        let mut v1 = v1_of(&sealed("hi").bytes);
        v1.header_bytes = header.encode_to_vec();
        let plain = content::text("lie").encode();
        // Eve can seal with any secret she has; the one of her own keys and Bob's is the best she can do.
        let secret = herald_protocol::x3dh::shared_secret(
            EVE.identity_key(),
            EVE.pre_key(),
            BOB.public(),
            herald_protocol::x3dh::Role::Sender,
        );
        let ciphertext = Ciphertext::seal(&plain, secret.as_slice(), &v1.header_bytes, entropy(2));
        v1.ciphertext = Some(ciphertext.into_proto());
        encoded(v1)
    };
    let eves = EVE.public_v1().unwrap();
    let alices = ALICE.public_v1().unwrap();
    let as_eve = eves_header(&|header| header.sender = Some(eves.encode()));
    assert_eq!(
        open(&BOB, &ALICE, &as_eve).unwrap_err(),
        other_pair([&EVE, &BOB], [&BOB, &ALICE])
    );
    assert_eq!(open(&BOB, &EVE, &as_eve).as_deref(), Ok("lie"));
    // Alice's identity with Eve's pre-key: her own identity key did not sign it.
    let mut mixed = alices;
    mixed.pre_key = eves.pre_key;
    let mixed = eves_header(&|header| header.sender = Some(mixed.encode()));
    assert_eq!(
        open(&BOB, &ALICE, &mixed).unwrap_err(),
        Error::from(Reason::PreKeySignature)
    );
    // Bob's own identity key as another wallet would have signed it is not Bob.
    let mut bobs = BOB.public_v1().unwrap();
    bobs.identity_key = {
        let mut proto = bobs.to_proto().identity_key.unwrap();
        proto.timestamp += 1;
        herald_protocol::bundle::LegacyPublicKey::from_proto(&proto).unwrap()
    };
    let not_bob = eves_header(&|header| header.recipient = Some(bobs.encode()));
    let refused = open(&BOB, &ALICE, &not_bob).unwrap_err();
    let Error::Invalid(Reason::OtherPair { found, members }) = refused else {
        panic!("{refused}");
    };
    assert_eq!(*members, [BOB.address(), ALICE.address()]);
    assert_eq!(found[0], ALICE.address());
    assert!(!members.contains(&found[1]), "{found:?}");
    let as_alice = eves_header(&|_| ());
    assert_eq!(open(&BOB, &ALICE, &as_alice).unwrap_err(), Error::Crypto);
}

#[test]
fn a_bundle_that_is_padded_is_refused_before_its_keys_are_read() {
    let with = |length: usize| {
        let mut v1 = v1_of(&sealed("hi").bytes);
        let mut header = MessageHeaderV1::decode(&*v1.header_bytes).unwrap();
        header.sender = Some(vec![0xff; length]);
        v1.header_bytes = header.encode_to_vec();
        open(&BOB, &ALICE, &encoded(v1)).unwrap_err().to_string()
    };
    let refused = "found a bundle of 1025 bytes, wanted at most 1024";
    assert!(with(limits::BUNDLE_BYTES + 1).contains(refused));
    assert!(!with(limits::BUNDLE_BYTES).contains("found a bundle"));
}

#[test]
fn an_intro_names_the_other_one_and_counts_only_if_it_decrypts() {
    let bytes = sealed("hi").bytes;
    for (own, peer) in [(&*ALICE, &*BOB), (&*BOB, &*ALICE), (&*BOB_LATER, &*ALICE)] {
        let intro = introduction(own, &bytes, &[]).unwrap();
        assert_eq!((intro.peer(), intro.sent()), (peer.address(), NOW));
        let again = introduction(own, &bytes, &[intro.new_session().unwrap()]).unwrap();
        assert!(again.new_session().is_none());
    }
    assert_eq!(
        introduction(&EVE, &bytes, &[]).unwrap_err(),
        Error::from(Reason::NotOurPreKey)
    );
    // A session of others tells us nothing about us.
    assert_eq!(
        introduction(&EVE, &bytes, &[&TO_BOB]).unwrap_err(),
        not_between([&ALICE, &BOB], &EVE)
    );
    let mut broken = v1_of(&bytes);
    broken.ciphertext = Some(Ciphertext::seal(b"x", b"y", b"z", entropy(3)).into_proto());
    assert_eq!(
        introduction(&BOB, &encoded(broken), &[]).unwrap_err(),
        Error::Crypto
    );
    let to_self = Session::outgoing(&ALICE, ALICE.public()).unwrap();
    let own = Conversation::new(ALICE.address(), ALICE.address());
    let note = own.seal(&to_self, &[], NOW, entropy(1)).unwrap();
    assert_eq!(
        introduction(&ALICE, &note.bytes, &[]).unwrap_err(),
        not_between([&ALICE, &ALICE], &ALICE)
    );
}

#[test]
fn a_content_bomb_inside_a_message_is_refused() {
    let mut bomb = EncodedContent::new(content::ContentTypeId::text(), vec![0; 1000]);
    bomb = bomb.compress(content::Compression::Deflate);
    bomb.content = crate::message::miniature_bomb();
    let conversation = conversation(&ALICE, &BOB);
    let sealed = conversation
        .seal(&TO_BOB, &bomb.encode(), NOW, entropy(1))
        .unwrap();
    assert_eq!(
        open(&BOB, &ALICE, &sealed.bytes).unwrap_err(),
        Error::from(Reason::ContentTooLarge {
            limit: limits::CONTENT_BYTES
        })
    );
}
