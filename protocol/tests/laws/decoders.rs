use herald_protocol::{
    bundle::{PrivateKeyBundle, PublicKeyBundle, SignedPublicKeyBundle},
    ciphertext::Ciphertext,
    consent::{Permission, Preferences, PreferencesAction},
    contact::{self, ContactBundle},
    content::{self, Composite, EncodedContent, Part},
    envelope,
    invitation::{self, Invitation},
    key_bundle::SealedKeyBundle,
    message_v1::{self, Session, SessionId},
    message_v2::Outgoing,
    time::TimestampNs,
    token, topic,
};
use proptest::prelude::*;

use crate::people::{ALICE, BOB, NOW, conversation, entropy, invitation};

/// Gives bytes to every reader; whether they like them does not matter.
fn read(bytes: &[u8]) {
    let conversation = conversation();
    let topic = conversation.topic().as_str();
    let _ = conversation.open(topic, bytes, &[ALICE.public()]);
    let _ = invitation::open(NOW, bytes, &BOB);
    let _ = Invitation::decode(bytes);
    let _ = contact::select(ALICE.address(), [bytes]);
    let _ = ContactBundle::decode(bytes).map(|contact| contact.verify().is_ok());
    let _ = SealedKeyBundle::decode(bytes).map(|sealed| sealed.open(&[7; 65]).is_ok());
    let _ = PrivateKeyBundle::decode(bytes);
    let _ = PublicKeyBundle::decode(bytes).map(|bundle| bundle.to_signed().is_ok());
    let _ = SignedPublicKeyBundle::decode(bytes).map(|bundle| bundle.to_legacy().is_ok());
    let _ = Ciphertext::decode(bytes).map(|sealed| sealed.open(bytes, bytes).is_ok());
    let _ = EncodedContent::decode(bytes)
        .and_then(|content| content.decompress(1000))
        .and_then(|content| content::decode_text(&content));
    let direct = message_v1::Conversation::new(BOB.address(), ALICE.address());
    let _ = direct.open(&BOB, direct.topic().as_str(), bytes, &[]);
    let _ = message_v1::introduction(&BOB, bytes, &[]);
    let _ = SessionId::of(bytes);
    let _ = Composite::decode(bytes);
    let _ = Preferences::of(ALICE.identity_key()).open(bytes);
    let _ = PreferencesAction::decode(bytes);
    envelope::header_matches(topic, NOW, bytes);
    topic::kind(&String::from_utf8_lossy(bytes));
    let header = format!("Bearer {}", base64(bytes));
    let _ = token::verify(
        &header,
        TimestampNs::default(),
        std::time::Duration::MAX,
        std::time::Duration::MAX,
    );
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn samples() -> Vec<Vec<u8>> {
    let outgoing = Outgoing {
        created: NOW,
        now: NOW,
        should_push: true,
    };
    let content = content::text(&"la ".repeat(100))
        .compress(content::Compression::Gzip)
        .encode();
    let denial = PreferencesAction::addresses(Permission::Deny, [BOB.address()]);
    let composite = Composite {
        parts: vec![
            Part::Content(content::text("one")),
            Part::Composite(Composite {
                parts: vec![Part::Content(content::text("two"))],
            }),
        ],
    };
    vec![
        conversation().seal(&ALICE, &content, &outgoing, entropy(1)).bytes,
        invitation("x").seal(&ALICE, BOB.public(), NOW, entropy(1)),
        invitation("x").encode(),
        ContactBundle::V1(ALICE.public_v1().unwrap()).encode(),
        ContactBundle::V2(ALICE.public().bundle().clone()).encode(),
        SealedKeyBundle::seal(&ALICE, [1; 32], &[2; 65], entropy(1))
            .unwrap()
            .encode(),
        ALICE.encode_v1().unwrap().to_vec(),
        ALICE.encode_v2().to_vec(),
        ALICE.public().as_encoded().to_vec(),
        direct_message(&content),
        Preferences::of(ALICE.identity_key()).seal(&denial, entropy(1)),
        denial.encode(),
        composite.encode(),
        content,
    ]
}

fn direct_message(content: &[u8]) -> Vec<u8> {
    let session = Session::outgoing(&ALICE, BOB.public()).unwrap();
    let conversation = message_v1::Conversation::new(ALICE.address(), BOB.address());
    let sealed = conversation.seal(&session, content, NOW, entropy(1));
    sealed.unwrap().bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read(&bytes);
    }

    #[test]
    fn no_damage_makes_a_reader_panic(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let samples = samples();
        let mut bytes = which.get(&samples).clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at + 1);
        }
        read(&bytes);
    }

    #[test]
    fn no_text_makes_the_token_reader_panic(text in any::<String>()) {
        let _ = token::verify(&text, NOW, std::time::Duration::ZERO, std::time::Duration::ZERO);
        let _ = text.parse::<herald_protocol::address::Address>();
    }
}
